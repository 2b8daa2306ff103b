//! How serde reads the tree: strictly what the file says, and with good will what the environment
//! says, where everything is a text.

use super::{Kind, Node};
use crate::config::fault::{Fault, shown};
use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess,
        Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

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
            Kind::StandIn if reference => visitor.visit_enum(One { variant: "file", node: self }),
            Kind::StandIn | Kind::Refused => Err(Fault::Refused),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0 {
            Kind::Loose(text) if text.starts_with('{') => match Node::composed(text) {
                Some(table) => table.deserialize_any(visitor),
                None => Err(Fault::Other("not a table; expected { key = …, key = … }".into())),
            },
            _ => self.deserialize_any(visitor),
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
        tuple tuple_struct map identifier ignored_any
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
