//! Dollars: decimals from first to last, never floats.

use rust_decimal::Decimal;
use std::str::FromStr;

/// Two sums of dollars that differ by less are the same: OpenRouter adds in binary floating point,
/// and a call that cost less is still told by the number of requests and by its id.
const CENT_OF_A_CENT_OF_A_CENT: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// Of a large sum a float keeps some 15 digits; this leaves room for many additions.
const RELATIVE: Decimal = Decimal::from_parts(1, 0, 0, false, 10);

/// A JSON number, or a text that holds one, as it is spelled: `0.0000148`, `1.48e-05`, `"1.4E-7"`.
#[must_use]
pub(super) fn parse(raw: &[u8]) -> Option<Decimal> {
    let text = std::str::from_utf8(crate::json::text::inner(raw)).ok()?.trim();
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific_lossy(text).ok();
    }
    Decimal::from_str(text).ok()
}

/// Adds; a sum beyond all money stays where it is.
pub(super) fn add(sum: &mut Decimal, amount: Decimal) {
    *sum = sum.checked_add(amount).unwrap_or(*sum);
}

/// Whether two sums are the same but for how they were added up.
#[must_use]
pub(super) fn same(one: Decimal, other: Decimal) -> bool {
    let Some(apart) = one.checked_sub(other).map(|difference| difference.abs()) else {
        return false;
    };
    let larger = one.abs().max(other.abs());
    let slack = larger.checked_mul(RELATIVE).unwrap_or_default().max(CENT_OF_A_CENT_OF_A_CENT);
    apart < slack
}

/// As text in JSON: a number would be read as a float by nearly everybody.
pub(super) mod text {
    use super::{Decimal, FromStr};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Decimal,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value.normalize())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Decimal, D::Error> {
        let text = String::deserialize(deserializer)?;
        Decimal::from_str(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dollars(text: &str) -> Decimal {
        parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is no amount"))
    }

    #[test]
    fn reads_every_spelling() {
        for (spelling, plain) in [
            ("0.0000148", "0.0000148"),
            ("1.48e-05", "0.0000148"),
            ("1.4E-7", "0.00000014"),
            ("\"0.5\"", "0.5"),
            ("2", "2"),
            ("1.2e+1", "12"),
            ("0", "0"),
            ("1.4999999999999999e-7", "0.00000014999999999999999"),
            ("1.2345678901234567e-20", "0.0000000000000000000123456789"),
        ] {
            assert_eq!(dollars(spelling).normalize().to_string(), plain, "{spelling}");
        }
        for wrong in ["", "null", "\"\"", "{}", "1e400", "true"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn rounding_is_no_difference_and_a_call_is_one() {
        assert!(same(dollars("0.015"), dollars("0.015000000000000002")));
        assert!(same(dollars("0.0100000004"), dollars("0.01")));
        assert!(!same(dollars("0.010001"), dollars("0.01")));
        assert!(!same(dollars("0"), dollars("0.000001")));
        assert!(same(dollars("123456789.12"), dollars("123456789.12000001")));
        assert!(!same(dollars("123456789.12"), dollars("123456789.14")));
        assert!(same(Decimal::MAX, Decimal::MAX) && !same(Decimal::MAX, Decimal::MIN));
    }

    proptest! {
        #[test]
        fn adding_in_floats_makes_no_difference(cents in prop::collection::vec(1u32..5_000_000, 1..500)) {
            let mut exact = Decimal::ZERO;
            let mut float = 0.0;
            for amount in cents {
                // Costs as they are: some ten-thousandths of a cent to some dollars.
                add(&mut exact, Decimal::new(i64::from(amount), 6));
                float += f64::from(amount) / 1e6;
            }
            prop_assert!(same(exact, dollars(&float.to_string())), "{} {}", exact, float);
        }
    }
}
