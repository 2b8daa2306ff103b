//! What all shapes other than the record's own have in common on their way to a record.

use crate::json::{self, object::plain};

/// Microseconds as milliseconds, a raw JSON number.
#[must_use]
pub(super) fn millis(micros: i64) -> String {
    format!("{}.{:03}", micros / 1000, (micros % 1000).abs())
}

/// JSON that came inside a text (`"[{\"role\":…}]"`): the JSON itself where it is some, and an array
/// or an object; else the text as it is.
#[must_use]
pub(super) fn unpacked(raw: &[u8]) -> Vec<u8> {
    let inner = plain(raw).map(|text| text.trim().as_bytes().to_vec());
    let is_json =
        |bytes: &Vec<u8>| matches!(bytes.first(), Some(b'[' | b'{')) && json::check(bytes).is_ok();
    inner.filter(is_json).unwrap_or_else(|| raw.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_keep_their_microseconds() {
        assert_eq!(millis(3_723_004), "3723.004");
        assert_eq!(millis(7), "0.007");
        assert_eq!(millis(0), "0.000");
    }

    #[test]
    fn only_whole_json_comes_out_of_a_text() {
        assert_eq!(unpacked(br#""[\"stop\"]""#), br#"["stop"]"#);
        assert_eq!(unpacked(br#"" {\"a\":1}\n""#), br#"{"a":1}"#);
        for as_it_is in [&br#""[oops""#[..], br#""plain""#, b"12", br#""12""#, br#"[1]"#] {
            assert_eq!(unpacked(as_it_is), as_it_is);
        }
    }
}
