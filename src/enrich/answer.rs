//! An answer of the generation endpoint → the body of a `generation` entry. Pure.
//!
//! Nothing but `data.id` is required of an answer, and nothing of it is lost: what is not known by
//! name is kept under `openrouter`, and the digest of the bytes as they came is sealed with it.

mod body;
mod call;

pub use body::{generation_body, unresolved_body};
pub use call::{Call, Usage};

use super::money;
use crate::{
    json::{self, Type},
    record::Digest,
};
use sha2::{Digest as _, Sha256};

/// One attempt at getting an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// HTTP status; 0 where no HTTP answer came.
    pub status: u16,
    /// What became of it: [`super::client::Outcome::what`].
    pub what: &'static str,
    /// Age of the call's entry then, in milliseconds.
    pub age_ms: u64,
}

/// Why bytes are no answer to what was asked. Never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not UTF-8 or not one JSON value.
    #[error("not JSON")]
    NotJson,
    /// No object `data` with a text `id`.
    #[error("no data.id")]
    NoData,
    /// `data.id` is another generation's.
    #[error("the answer is about another generation")]
    ForeignId,
}

impl Refused {
    /// A stable word for counters and attempts.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Refused::NotJson => "not_json",
            Refused::NoData => "no_data",
            Refused::ForeignId => "foreign_id",
        }
    }
}

/// What the endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Raw members of `data` by their unescaped names, in order; of two with one name the last.
    members: Vec<(String, Vec<u8>)>,
    /// Raw members beside `data`, names as they are spelled.
    beside: Vec<(Vec<u8>, Vec<u8>)>,
    duplicate: bool,
    sha256: Digest,
    bytes: usize,
}

impl Answer {
    /// Reads the body of an answer to a question about generation `asked`.
    ///
    /// # Errors
    /// When it is no JSON, has no `data.id`, or is about another generation.
    pub fn parse(body: &[u8], asked: &str) -> Result<Answer, Refused> {
        std::str::from_utf8(body).map_err(|_| Refused::NotJson)?;
        let mut scanner = json::Scanner::new(body);
        let whole = scanner.value().map_err(|_| Refused::NotJson)?;
        scanner.end().map_err(|_| Refused::NotJson)?;
        let data = call::member(whole, "data").filter(|data| Type::of(data) == Type::Object);
        let data = data.ok_or(Refused::NoData)?;
        let mut answer = Answer {
            members: Vec::new(),
            beside: json::members(whole)
                .flatten()
                .filter(|(name, _)| *name != b"\"data\"")
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            duplicate: false,
            sha256: Sha256::digest(body).into(),
            bytes: body.len(),
        };
        let mut places = std::collections::HashMap::new();
        for (name, value) in json::members(data).flatten() {
            let name = call::plain(name).unwrap_or_default();
            match places.entry(name.clone()) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(answer.members.len());
                    answer.members.push((name, value.to_vec()));
                }
                std::collections::hash_map::Entry::Occupied(taken) => {
                    answer.duplicate = true;
                    if let Some(slot) = answer.members.get_mut(*taken.get()) {
                        slot.1 = value.to_vec();
                    }
                }
            }
        }
        match answer.text("id") {
            None => Err(Refused::NoData),
            Some(id) if id != asked => Err(Refused::ForeignId),
            Some(_) => Ok(answer),
        }
    }

    /// A raw member of `data`; `None` when it is missing or null.
    fn raw(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.members.iter().find(|(known, _)| known == name)?;
        (value != b"null").then_some(value)
    }

    /// Such a member of `data`, where it is of that type.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(call::plain)
    }

    /// Such a member of `data`, where it is of that type.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.raw(name).and_then(call::integer)
    }

    /// Such a member of `data`, where it is of that type.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.raw(name).and_then(call::boolean)
    }

    /// Such a member of `data`, where it is of that type.
    pub(super) fn money(&self, name: &str) -> Option<rust_decimal::Decimal> {
        self.raw(name).and_then(|raw| money::decimal(std::str::from_utf8(raw).ok()?))
    }
}

#[cfg(test)]
mod tests;
