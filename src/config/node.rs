//! The merged tree, and how serde reads it: strictly what the file says, and with good will what
//! the environment says, where everything is a text.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess,
        Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use std::{collections::BTreeMap, fmt};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node(pub(super) Kind);

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Bool(bool),
    Int(i64),
    Text(String),
    /// A text of the environment, to be read as whatever the key wants.
    Loose(String),
    /// The items with the index they were written at: it stays when others are taken out.
    List(Vec<(usize, Node)>),
    Table(BTreeMap<String, Node>),
    /// Stands in for a required key that is missing, so that the rest can be read and its mistakes
    /// be told; what is read then is never used.
    StandIn,
    /// A value that no key takes; reported when it was read.
    Refused,
}

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
    fn invalid_type(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Fault::Type { found: shown(found), expected: expected.to_string() }
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
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
fn shown(found: Unexpected<'_>) -> String {
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

impl Node {
    /// Takes out the node that serde's path leads to; gives its path in our words.
    pub(super) fn take_out(&mut self, at: &serde_path_to_error::Path) -> String {
        let mut steps = Vec::new();
        let mut here: &Node = self;
        let mut path = String::new();
        for segment in at.iter() {
            use serde_path_to_error::Segment;
            let next = match (segment, &here.0) {
                (Segment::Map { key } | Segment::Enum { variant: key }, Kind::Table(table)) => {
                    path = super::places::join(&path, key);
                    steps.push(Step::Key(key.clone()));
                    table.get(key)
                }
                (Segment::Seq { index }, Kind::List(items)) => {
                    let written = items.get(*index).map_or(*index, |(written, _)| *written);
                    path = format!("{path}[{written}]");
                    steps.push(Step::Position(*index));
                    items.get(*index).map(|(_, node)| node)
                }
                _ => None,
            };
            let Some(next) = next else { break };
            here = next;
        }
        self.drop_at(&steps);
        path
    }

    fn drop_at(&mut self, steps: &[Step]) {
        match (&mut self.0, steps) {
            (Kind::Table(table), [Step::Key(key)]) => drop(table.remove(key)),
            // An item leaves a stand-in, so that those after it keep their index; where that does
            // not read either, nothing.
            (Kind::List(items), [Step::Position(at)]) => match items.get_mut(*at) {
                Some((_, Node(Kind::StandIn))) => drop(items.remove(*at)),
                Some((_, node)) => *node = Node(Kind::StandIn),
                None => {}
            },
            (Kind::Table(table), [Step::Key(key), rest @ ..]) => {
                if let Some(node) = table.get_mut(key) {
                    node.drop_at(rest);
                }
            }
            (Kind::List(items), [Step::Position(at), rest @ ..]) => {
                if let Some((_, node)) = items.get_mut(*at) {
                    node.drop_at(rest);
                }
            }
            _ => {}
        }
    }

    /// Puts a stand-in for the missing `key` into the table that serde's path leads to; gives the
    /// path of the key, or nothing when there is no such table.
    pub(super) fn stand_in(&mut self, at: &serde_path_to_error::Path, key: &str) -> Option<String> {
        let mut here = self;
        let mut path = String::new();
        for segment in at.iter() {
            use serde_path_to_error::Segment;
            here = match (segment, &mut here.0) {
                (Segment::Map { key } | Segment::Enum { variant: key }, Kind::Table(table)) => {
                    path = super::places::join(&path, key);
                    table.get_mut(key)?
                }
                (Segment::Seq { index }, Kind::List(items)) => {
                    let (written, node) = items.get_mut(*index)?;
                    path = format!("{path}[{written}]");
                    node
                }
                _ => return None,
            };
        }
        let Kind::Table(table) = &mut here.0 else { return None };
        table.insert(key.to_owned(), Node(Kind::StandIn));
        Some(super::places::join(&path, key))
    }
}

enum Step {
    Key(String),
    Position(usize),
}

/// The names that serde accepts in `T`'s table: the struct itself is the only list of its keys.
pub(super) fn fields<T: serde::de::DeserializeOwned>() -> &'static [&'static str] {
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

impl<'de> IntoDeserializer<'de, Fault> for &Node {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl Node {
    fn whole<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0 {
            Kind::Loose(text) => match text.trim().parse::<i64>() {
                Ok(number) => Node(Kind::Int(number)).deserialize_any(visitor),
                Err(_) => self.deserialize_any(visitor),
            },
            Kind::StandIn => visitor.visit_u64(1),
            _ => self.deserialize_any(visitor),
        }
    }

    /// `[…]` and `{…}` in a variable are TOML; any other text is a list of one.
    fn composed(text: &str) -> Option<Node> {
        fn node(value: toml::Value) -> Node {
            Node(match value {
                toml::Value::Boolean(bit) => Kind::Bool(bit),
                toml::Value::Integer(number) => Kind::Int(number),
                toml::Value::String(text) => Kind::Text(text),
                toml::Value::Array(items) => {
                    Kind::List(items.into_iter().map(node).enumerate().collect())
                }
                toml::Value::Table(table) => {
                    Kind::Table(table.into_iter().map(|(key, value)| (key, node(value))).collect())
                }
                toml::Value::Float(_) | toml::Value::Datetime(_) => Kind::Refused,
            })
        }
        let mut table = format!("value = {text}").parse::<toml::Table>().ok()?;
        table.remove("value").map(node)
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0 {
            Kind::Bool(bit) => visitor.visit_bool(*bit),
            Kind::Int(number) => visitor.visit_i64(*number),
            Kind::Text(text) | Kind::Loose(text) => visitor.visit_str(text),
            Kind::List(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(|(_, node)| node)))
            }
            Kind::Table(table) => {
                let pairs = table.iter().map(|(key, node)| (key.as_str(), node));
                visitor.visit_map(MapDeserializer::new(pairs))
            }
            Kind::StandIn => visitor.visit_str(""),
            Kind::Refused => Err(Fault::Refused),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0 {
            Kind::Loose(text) if text == "true" => visitor.visit_bool(true),
            Kind::Loose(text) if text == "false" => visitor.visit_bool(false),
            Kind::StandIn => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0 {
            Kind::Loose(text) if text.starts_with('[') => match Node::composed(text) {
                Some(list) => list.deserialize_any(visitor),
                None => Err(Fault::Other(
                    "not a list; expected [\"one\", \"two\"], or a single text".into(),
                )),
            },
            Kind::Loose(text) => {
                let item = Node(Kind::Loose(text.clone()));
                visitor.visit_seq(SeqDeserializer::new([&item].into_iter()))
            }
            Kind::StandIn => Node(Kind::List(Vec::new())).deserialize_any(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        accepted: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let not_a_word = |found| Err(Fault::NotAWord { found: shown(found), accepted });
        let reference = name == "SecretRef";
        match &self.0 {
            Kind::Loose(text) if reference && text.starts_with('{') => match Node::composed(text) {
                Some(table @ Node(Kind::Table(_))) => {
                    table.deserialize_enum(name, accepted, visitor)
                }
                _ => Err(Fault::InlineSecret),
            },
            Kind::Text(_) | Kind::Loose(_) | Kind::Int(_) | Kind::Bool(_) | Kind::List(_)
                if reference =>
            {
                Err(Fault::InlineSecret)
            }
            Kind::Text(text) | Kind::Loose(text) => {
                visitor.visit_enum(StrDeserializer::<Fault>::new(text))
            }
            Kind::Table(table) => match table.iter().collect::<Vec<_>>()[..] {
                [(variant, node)] => visitor.visit_enum(One { variant, node }),
                _ if reference => Err(Fault::NotOneReference),
                _ => not_a_word(Unexpected::Map),
            },
            Kind::Bool(bit) => not_a_word(Unexpected::Bool(*bit)),
            Kind::Int(number) => not_a_word(Unexpected::Signed(*number)),
            Kind::List(_) => not_a_word(Unexpected::Seq),
            Kind::StandIn | Kind::Refused => Err(Fault::Refused),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map struct identifier ignored_any
    }
}

/// `{ variant = value }`
struct One<'a> {
    variant: &'a str,
    node: &'a Node,
}

impl<'de> EnumAccess<'de> for One<'_> {
    type Error = Fault;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name = StrDeserializer::<Fault>::new(self.variant);
        seed.deserialize(name).map(|variant| (variant, self))
    }
}

impl<'de> VariantAccess<'de> for One<'_> {
    type Error = Fault;
    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::invalid_type(Unexpected::Map, &"one of its words"))
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self.node)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::invalid_type(Unexpected::TupleVariant, &"one value"))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::invalid_type(Unexpected::StructVariant, &"one value"))
    }
}
