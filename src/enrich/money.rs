//! Money as decimals, exactly or not at all. OpenRouter spells it `0.0000148`, `1.48e-05`, `1.4E-7`.

use rust_decimal::Decimal;

/// Digits after the point that a [`Decimal`] can hold.
const SCALE: i64 = Decimal::MAX_SCALE as i64;

/// The number that a JSON number's digits spell; `None` when it is none, or cannot be held without
/// rounding (28 digits after the point, 28 in all).
#[must_use]
pub fn decimal(digits: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (digits, 0),
    };
    let (negative, mantissa) =
        mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if whole.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(Decimal::ZERO);
    }
    let dropped = i64::try_from(all.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()? - dropped;
    let scale = places.checked_sub(exponent)?;
    let number = significant.parse::<i128>().ok()?;
    let number = if scale < 0 {
        number.checked_mul(10i128.checked_pow(u32::try_from(-scale).ok()?)?)?
    } else {
        number
    };
    let scale = u32::try_from(scale.clamp(0, SCALE + 1)).ok()?;
    let value = Decimal::try_from_i128_with_scale(number, scale).ok()?.normalize();
    Some(if negative { -value } else { value })
}

/// A sum that lost nothing, or none.
#[must_use]
pub fn sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    let sum = a.checked_add(b)?;
    (sum.checked_sub(b)? == a && sum.checked_sub(a)? == b).then(|| sum.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_amount_are_equal() {
        let amount = decimal("0.0000148").unwrap();
        for same in ["1.48e-05", "1.48E-5", "14.8e-6", "0.00001480", "148e-7", "1480e-8"] {
            assert_eq!(decimal(same), Some(amount), "{same}");
        }
        assert_eq!(amount.to_string(), "0.0000148");
        assert_eq!(decimal("1.4E-7").unwrap().to_string(), "0.00000014");
        assert_eq!(decimal("0e999"), Some(Decimal::ZERO));
        assert_eq!(decimal("-0.50").unwrap().to_string(), "-0.5");
        assert_eq!(decimal("12e2").unwrap().to_string(), "1200");
    }

    #[test]
    fn what_cannot_be_held_is_none() {
        for bad in ["", "abc", "\"1\"", ".5", "1e-29", "1e40", "1e99999999999999999999", "true"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
        assert_eq!(decimal("0.12345678901234567890123456789"), None);
        let small = decimal("1e-28").unwrap();
        assert_eq!(sum(decimal("9").unwrap(), small), None, "the sum would be rounded");
    }

    proptest! {
        #[test]
        fn a_shown_amount_reads_back(number in -1_000_000_000_000i64..1_000_000_000_000, scale in 0u32..20) {
            let value = Decimal::new(number, scale);
            prop_assert_eq!(decimal(&value.to_string()), Some(value));
            prop_assert_eq!(decimal(&format!("{number}e-{scale}")), Some(value));
        }
    }
}
