//! JSON objects as bytes: members picked out, and objects put together, out of raw values, so that
//! a number keeps its digits and a text its spelling on the way from one shape into another.

use super::{Error, Type, text};
use std::borrow::Cow;

/// The raw values of the named members, in one pass. A member that is not there, or `null`, is
/// `None`; of two with one name the last counts. Names are compared as they are spelled.
///
/// # Errors
/// When `raw` is no JSON object.
pub fn pick<'a, const N: usize>(
    raw: &'a [u8],
    names: [&str; N],
) -> Result<[Option<&'a [u8]>; N], Error> {
    let mut found = [None; N];
    for member in super::members(raw) {
        let (name, value) = member?;
        let name = text::inner(name);
        let at = names.iter().position(|wanted| wanted.as_bytes() == name);
        if let Some(slot) = at.and_then(|at| found.get_mut(at)) {
            *slot = (value != b"null").then_some(value);
        }
    }
    Ok(found)
}

/// One member of what may be an object.
#[must_use]
pub fn member<'a>(raw: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pick(raw, [name]).ok()?[0]
}

/// The characters of a raw string; `None` for a value of another type.
#[must_use]
pub fn plain(raw: &[u8]) -> Option<Cow<'_, str>> {
    if Type::of(raw) != Type::String {
        return None;
    }
    let inner = text::inner(raw);
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(String::from_utf8_lossy(inner));
    }
    let mut out = String::with_capacity(inner.len());
    text::unescape(inner, &mut out);
    Some(Cow::Owned(out))
}

/// An object in the making. The caller gives each name once, and valid raw values.
#[derive(Debug)]
pub struct Builder(Vec<u8>);

impl Default for Builder {
    fn default() -> Self {
        Builder(vec![b'{'])
    }
}

impl Builder {
    /// Whether no member was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    /// Adds a raw value.
    pub fn raw(&mut self, name: &str, value: &[u8]) {
        if !self.is_empty() {
            self.0.push(b',');
        }
        text::write(&mut self.0, name);
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    /// Adds a raw value where there is one that is not `null`.
    pub fn some(&mut self, name: &str, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) if value.as_ref() != b"null" => self.raw(name, value.as_ref()),
            _ => {}
        }
    }

    /// Adds a text.
    pub fn text(&mut self, name: &str, value: &str) {
        let mut raw = Vec::with_capacity(value.len() + 2);
        text::write(&mut raw, value);
        self.raw(name, &raw);
    }

    /// Adds an object, unless it has no member.
    pub fn object(&mut self, name: &str, object: Builder) {
        if !object.is_empty() {
            self.raw(name, &object.end());
        }
    }

    /// The object's bytes.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_are_picked_as_they_are_spelled() {
        let raw = br#" {"a":1.50e-05, "b" : null,"c":"\u0041b","a":{"x":[]}} "#;
        let [a, b, c, d] = pick(raw, ["a", "b", "c", "d"]).unwrap();
        assert_eq!(a, Some(&br#"{"x":[]}"#[..]));
        assert_eq!((b, d), (None, None));
        assert_eq!(plain(c.unwrap()).unwrap(), "Ab");
        assert_eq!(plain(b"12"), None);
        assert!(pick(b"[1]", ["a"]).is_err());
        assert!(pick(b"{\"a\":1", ["a"]).is_err());
    }

    #[test]
    fn an_object_is_put_together() {
        let mut inner = Builder::default();
        inner.some("none", None::<&[u8]>);
        let mut out = Builder::default();
        out.object("empty", inner);
        out.raw("n", b"1.480e-05");
        out.some("null", Some(b"null"));
        out.text("quote\"", "a\n");
        assert_eq!(out.end(), br#"{"n":1.480e-05,"quote\"":"a\n"}"#);
        assert_eq!(Builder::default().end(), b"{}");
    }

    proptest! {
        #[test]
        fn what_is_built_is_picked(name in "[a-z]{1,8}", value in any::<String>()) {
            let mut out = Builder::default();
            out.raw("0", b"0");
            out.text(&name, &value);
            let raw = out.end();
            prop_assert_eq!(plain(member(&raw, &name).unwrap()).unwrap(), value);
        }
    }
}
