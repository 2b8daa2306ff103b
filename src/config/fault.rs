//! What serde finds wrong, kept in parts until it is told to people.

use serde::{
    Deserializer,
    de::{DeserializeOwned, Expected, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use std::fmt;

/// What serde found wrong, in parts, so that the message can be written for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    UnknownKey {
        key: String,
        accepted: &'static [&'static str],
    },
    UnknownVariant {
        variant: String,
        accepted: &'static [&'static str],
    },
    Missing(&'static str),
    NotAWord {
        found: String,
        accepted: &'static [&'static str],
    },
    Type {
        found: String,
        expected: String,
    },
    /// A text where a reference to a secret belongs. Holds nothing of the text.
    InlineSecret,
    /// A reference to a secret of none or several kinds.
    NotOneReference,
    /// The fields of a struct; only from [`fields`].
    Fields(&'static [&'static str]),
    Refused,
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not accepted")
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::Other(message.to_string())
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::Type { found: shown(found), expected: expected.to_string() }
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::Type { found: shown(found), expected: expected.to_string() }
    }
    fn unknown_variant(variant: &str, accepted: &'static [&'static str]) -> Self {
        Fault::UnknownVariant { variant: variant.to_owned(), accepted }
    }
    fn unknown_field(key: &str, accepted: &'static [&'static str]) -> Self {
        Fault::UnknownKey { key: key.to_owned(), accepted }
    }
    fn missing_field(key: &'static str) -> Self {
        Fault::Missing(key)
    }
}

/// A value as people write it.
pub(super) fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("\"{text}\""),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Bool(bit) => bit.to_string(),
        Unexpected::Map => "a table".into(),
        Unexpected::Seq => "a list".into(),
        other => other.to_string(),
    }
}

/// The names that serde accepts in `T`'s table: the struct itself is the only list of its keys.
pub(super) fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    match T::deserialize(Asking) {
        Err(Fault::Fields(names)) => names,
        _ => &[],
    }
}

struct Asking;

impl<'de> Deserializer<'de> for Asking {
    type Error = Fault;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::Fields(&[]))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::Fields(names))
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
