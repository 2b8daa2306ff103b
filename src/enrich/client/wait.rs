//! How long a server asks to be left alone.

use crate::clock::Micros;
use reqwest::header::{self, HeaderMap};
use std::time::Duration;

/// Nobody is waited for longer than this, whatever a header says.
const LONGEST: Duration = Duration::from_secs(86_400);
/// An `X-RateLimit-Reset` beyond this is in milliseconds since the epoch, else in seconds: its unit
/// is documented nowhere, and seconds will not get there for three thousand years.
const MILLISECONDS: i64 = 100_000_000_000;

/// What `Retry-After` (seconds or an HTTP date), else `X-RateLimit-Reset` (an instant), asks for.
/// Instants are measured against the server's own `Date`, so that a clock that is off on either
/// side does no harm; against `now` where it tells none.
#[must_use]
pub(super) fn told(headers: &HeaderMap, now: Micros) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let now = text(header::DATE.as_str()).and_then(date).unwrap_or(now);
    let until = |at: Micros| {
        let micros = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
        Duration::from_micros(micros)
    };
    let after = text(header::RETRY_AFTER.as_str()).and_then(|after| match after.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => date(after).map(until),
    });
    let reset = || {
        let reset = text("x-ratelimit-reset")?.parse::<i64>().ok()?;
        let unit = if reset > MILLISECONDS { 1_000 } else { 1_000_000 };
        Some(until(reset.checked_mul(unit)?))
    };
    after.or_else(reset).map(|wait| wait.min(LONGEST))
}

/// An HTTP date (RFC 9110 §5.6.7; the preferred form, which is RFC 2822's).
fn date(text: &str) -> Option<Micros> {
    // The name of the weekday adds nothing; a wrong one is no reason to ask again at once.
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let at = parser.parse_timestamp(text).ok()?;
    Some(at.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Micros = 1_790_000_000_000_000;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let pairs = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        told(&pairs.collect(), NOW)
    }

    #[test]
    fn every_form_is_understood() {
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", " 2 ")]), seconds(2));
        assert_eq!(asked(&[("retry-after", "soon")]), None);
        assert_eq!(asked(&[("x-ratelimit-reset", "1790000003000")]), seconds(3));
        assert_eq!(asked(&[("x-ratelimit-reset", "1790000004")]), seconds(4));
        assert_eq!(asked(&[("x-ratelimit-reset", "1")]), seconds(0), "a reset in the past");
        assert_eq!(asked(&[("retry-after", "5"), ("x-ratelimit-reset", "1790000009")]), seconds(5));
        // 1790000000 is Mon, 21 Sep 2026 14:13:20 GMT.
        assert_eq!(asked(&[("retry-after", "Mon, 21 Sep 2026 14:13:27 GMT")]), seconds(7));
        let by_its_own_clock = [
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("retry-after", "Thu, 01 Jan 2026 00:00:06 GMT"),
        ];
        assert_eq!(asked(&by_its_own_clock), seconds(6));
    }

    #[test]
    fn nothing_asks_for_more_than_a_day() {
        for absurd in ["99999999999", "18446744073709551615", "Fri, 31 Dec 9998 00:00:00 GMT"] {
            assert_eq!(asked(&[("retry-after", absurd)]), Some(LONGEST), "{absurd}");
        }
        assert_eq!(asked(&[("x-ratelimit-reset", &i64::MAX.to_string())]), None);
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in "[ -~]{0,40}") {
            let _ = asked(&[("retry-after", &value), ("x-ratelimit-reset", &value), ("date", &value)]);
        }
    }
}
