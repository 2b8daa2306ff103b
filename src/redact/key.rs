//! Keys and tokens: a vendor's prefix, the alphabet of what follows, and a length.

use super::site::Site;
use std::ops::Range;

/// Bytes of a key that are looked at to tell whether it is one; if so, all of it is taken.
const LONGEST: usize = 512;

/// Bytes of a user's name and password in a URL, at most.
const USERINFO: usize = 192;

/// Bytes of a part of a JSON Web Token, at most.
const LONGEST_PART: usize = 4096;

/// A key's format.
pub(super) struct Key {
    /// What it begins with.
    pub(super) prefix: &'static str,
    /// What follows.
    pub(super) body: Body,
    /// How much follows at least, in bytes.
    pub(super) min: usize,
}

/// What a key's body is made of.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// Letters and digits.
    Alnum,
    /// Letters and digits, both of them.
    MixedAlnum,
    /// Letters, digits, `-` and `_`.
    Token,
    /// The same, with at least one letter and one digit: dashed words are no key.
    MixedToken,
    /// Capital letters and digits.
    Upper,
    /// Three base64url parts joined by dots, the second a JSON object like the first (RFC 7519).
    Jwt,
}

impl Key {
    /// The key that begins at `start`, where the prefix is not yet compared.
    pub(super) fn find(&self, site: &Site<'_>, start: usize) -> Option<Range<usize>> {
        let rest = site.bytes.get(start..)?.strip_prefix(self.prefix.as_bytes())?;
        if self.inside_word(site, start) {
            return None;
        }
        let len = match self.body {
            Body::Jwt => jwt(rest)?,
            body => rest.iter().take(LONGEST).take_while(|byte| body.has(**byte)).count(),
        };
        let found = rest.get(..len)?;
        let mixed =
            || found.iter().any(u8::is_ascii_digit) && found.iter().any(u8::is_ascii_alphabetic);
        let convincing = match self.body {
            Body::MixedAlnum | Body::MixedToken => mixed(),
            Body::Upper => !rest.get(len).is_some_and(u8::is_ascii_alphanumeric),
            Body::Alnum | Body::Token | Body::Jwt => true,
        };
        if len < self.min || !convincing {
            return None;
        }
        let beyond = rest.get(len..)?.iter().take_while(|byte| self.body.has(**byte)).count();
        Some(start..start + self.prefix.len() + len + beyond)
    }

    /// Whether `start` is inside a longer word. A token is no token inside another's base64url: that
    /// also keeps a text full of beginnings from being read again at each of them.
    fn inside_word(&self, site: &Site<'_>, start: usize) -> bool {
        let before = site.before(start);
        let joined = matches!(self.body, Body::Jwt) && matches!(before, b'_' | b'-');
        joined || (before.is_ascii_alphanumeric() && !site.escaped(start))
    }
}

impl Body {
    fn has(self, byte: u8) -> bool {
        match self {
            Body::Alnum | Body::MixedAlnum => byte.is_ascii_alphanumeric(),
            Body::Token | Body::MixedToken | Body::Jwt => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
            }
            Body::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        }
    }
}

/// The password in `scheme://user:password@host`, for the `@` at `at`.
pub(super) fn url_password(site: &Site<'_>, at: usize) -> Option<Range<usize>> {
    let floor = site.floor().max(at.saturating_sub(USERINFO));
    let before = site.bytes.get(floor..at)?;
    // Nothing of these stands in what precedes the host, unless it is encoded; and a placeholder is
    // no password.
    let foreign = |byte: &u8| byte.is_ascii_whitespace() || b"/@[]<>{}$*\"'`|".contains(byte);
    let start = floor + before.iter().rposition(foreign)? + 1;
    let colon = site.bytes.get(start..at)?.iter().position(|byte| *byte == b':')?;
    let password = start + colon + 1..at;
    let url = start >= floor + 3 && site.bytes.get(start - 3..start) == Some(&b"://"[..]);
    (url && !password.is_empty()).then_some(password)
}

/// Length of what is left of a token after its `eyJ`.
fn jwt(rest: &[u8]) -> Option<usize> {
    let part = |from: usize| {
        let part = rest.get(from..).unwrap_or_default();
        part.iter().take(LONGEST_PART).take_while(|byte| Body::Jwt.has(**byte)).count()
    };
    let header = part(0);
    let payload = header + 1;
    if !rest.get(header..)?.starts_with(b".eyJ") {
        return None;
    }
    let signature = payload + part(payload);
    match rest.get(signature) {
        Some(b'.') => Some(signature + 1 + part(signature + 1)),
        _ => None,
    }
}

/// What wakes the rule of `prefix` in the pass: the letters and digits before its first `-` or `_`,
/// and that separator, packed into a number. `None` when the prefix has no separator.
pub(super) fn head(prefix: &str) -> Option<u64> {
    let separator = prefix.bytes().position(|byte| matches!(byte, b'-' | b'_'))?;
    pack(prefix.as_bytes().get(..=separator)?)
}

/// At most 8 bytes as a number; `None` when there are more.
pub(super) fn pack(bytes: &[u8]) -> Option<u64> {
    let packed = bytes.iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte));
    (bytes.len() <= 8).then_some(packed)
}
