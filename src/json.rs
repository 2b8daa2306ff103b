//! JSON as bytes: a strict scanner (RFC 8259) that yields raw ranges, so that what is not touched
//! keeps its spelling: numbers their digits, texts their escapes. Nothing is built in memory and
//! nothing recurses, whatever the depth.
//!
//! Input must be UTF-8 where it matters to the caller; the scanner itself only looks at ASCII.

pub mod object;
pub mod text;

use memchr::memchr2;
use std::collections::HashSet;

/// Nesting accepted by [`check`]; the ledger writes nothing deeper.
pub const MAX_DEPTH: usize = 128;

/// What is wrong, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct Error {
    /// Offset of the offending byte.
    pub at: usize,
    /// What is wrong there.
    pub kind: Kind,
}

/// The ways in which bytes are not the JSON that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// A byte that JSON does not allow here.
    #[error("not JSON")]
    Syntax,
    /// The text ends inside a value.
    #[error("cut off")]
    Truncated,
    /// A control character inside a string.
    #[error("control character in a string")]
    Control,
    /// A backslash that starts no escape.
    #[error("bad escape")]
    Escape,
    /// More after the value.
    #[error("trailing characters")]
    Trailing,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested too deep")]
    Depth,
    /// A member name that stands twice in one object.
    #[error("duplicate member name")]
    Duplicate,
}

/// What a raw value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `"…"`
    String,
    /// `-`, `0`–`9`
    Number,
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `true`, `false`
    Bool,
    /// `null`
    Null,
}

impl Type {
    /// The type of a raw value as the scanner yields it.
    #[must_use]
    pub fn of(raw: &[u8]) -> Type {
        match raw.first() {
            Some(b'"') => Type::String,
            Some(b'{') => Type::Object,
            Some(b'[') => Type::Array,
            Some(b't' | b'f') => Type::Bool,
            Some(b'n') => Type::Null,
            _ => Type::Number,
        }
    }
}

/// Walks over JSON bytes.
#[derive(Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Whether any control character stands anywhere: without one, strings need no second look.
    control: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        // One vectorised pass over all is cheaper than a look at each string.
        let control = bytes.iter().fold(false, |any, b| any | (*b < 0x20));
        Scanner { bytes, pos: 0, control }
    }

    /// Offset of the next byte to be read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.pos
    }

    fn fail<T>(&self, kind: Kind) -> Result<T, Error> {
        let kind = if self.pos >= self.bytes.len() { Kind::Truncated } else { kind };
        Err(Error { at: self.pos, kind })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.pos += 1;
        }
    }

    /// Skips white space, then takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { self.fail(Kind::Syntax) }
    }

    /// A string, quotes included.
    fn string(&mut self) -> Result<&'a [u8], Error> {
        let start = self.pos;
        self.expect_here(b'"')?;
        loop {
            let rest = self.bytes.get(self.pos..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.pos = self.bytes.len();
                return self.fail(Kind::Truncated);
            };
            if self.control
                && let Some(bad) = rest[..found].iter().position(|b| *b < 0x20)
            {
                self.pos += bad;
                return self.fail(Kind::Control);
            }
            self.pos += found;
            if rest[found] == b'"' {
                self.pos += 1;
                return Ok(&self.bytes[start..self.pos]);
            }
            self.escape()?;
        }
    }

    fn expect_here(&mut self, byte: u8) -> Result<(), Error> {
        if self.peek() == Some(byte) {
            self.pos += 1;
            Ok(())
        } else {
            self.fail(Kind::Syntax)
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        let rest = &self.bytes[self.pos + 1..];
        match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => {
                self.pos += 6;
            }
            _ => return self.fail(Kind::Escape),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.pos;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.pos += 1;
        }
        if self.pos == start { self.fail(Kind::Syntax) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Error> {
        self.pos += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.pos += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Error> {
        if self.bytes[self.pos..].starts_with(word) {
            self.pos += word.len();
            Ok(())
        } else {
            self.fail(Kind::Syntax)
        }
    }

    fn scalar(&mut self) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.fail(Kind::Syntax),
        }
    }

    /// One value of any depth, as its raw bytes; white space before it is skipped.
    ///
    /// # Errors
    /// When the bytes here are no JSON value.
    pub fn value(&mut self) -> Result<&'a [u8], Error> {
        self.space();
        let start = self.pos;
        if !matches!(self.peek(), Some(b'{' | b'[')) {
            self.scalar()?;
            return Ok(&self.bytes[start..self.pos]);
        }
        let mut open = Vec::with_capacity(8);
        loop {
            // At the start of a value.
            self.space();
            match self.peek() {
                Some(b'{') => {
                    self.pos += 1;
                    if !self.take(b'}') {
                        open.push(b'}');
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.pos += 1;
                    if !self.take(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // After a value.
            loop {
                let Some(close) = open.last().copied() else {
                    return Ok(&self.bytes[start..self.pos]);
                };
                if self.take(close) {
                    open.pop();
                } else {
                    self.expect(b',')?;
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                }
            }
        }
    }

    /// A member's name (quotes included) and its colon.
    fn name(&mut self) -> Result<&'a [u8], Error> {
        self.space();
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Fails when anything but white space is left.
    ///
    /// # Errors
    /// [`Kind::Trailing`].
    pub fn end(&mut self) -> Result<(), Error> {
        self.space();
        if self.pos == self.bytes.len() {
            Ok(())
        } else {
            Err(Error { at: self.pos, kind: Kind::Trailing })
        }
    }
}

/// The members of one object, or the elements of one array, in order, as raw ranges.
#[derive(Debug)]
pub struct Items<'a> {
    scanner: Scanner<'a>,
    close: u8,
    first: bool,
    done: bool,
}

/// A raw member: its name with quotes (empty for an element of an array) and its value.
pub type Item<'a> = (&'a [u8], &'a [u8]);

/// Iterates over the members of the object or the elements of the array that `bytes` is, and fails
/// once on what is wrong, trailing characters included.
#[must_use]
pub fn items(bytes: &[u8]) -> Items<'_> {
    let mut scanner = Scanner::new(bytes);
    scanner.space();
    let close = match scanner.peek() {
        Some(b'[') => b']',
        _ => b'}',
    };
    Items { scanner, close, first: true, done: false }
}

impl<'a> Items<'a> {
    fn advance(&mut self) -> Result<Option<Item<'a>>, Error> {
        if self.first {
            let open = if self.close == b'}' { b'{' } else { b'[' };
            self.scanner.expect(open)?;
        }
        if self.scanner.take(self.close) {
            // A comma before the bracket never gets here: it demanded another item.
            self.done = true;
            self.scanner.end()?;
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.scanner.expect(b',')?;
        }
        let name: &[u8] = if self.close == b'}' { self.scanner.name()? } else { &[] };
        Ok(Some((name, self.scanner.value()?)))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.advance();
        self.done |= item.is_err();
        item.transpose()
    }
}

/// Members of an object with their names; same as [`items`], for callers that want an object.
#[must_use]
pub fn members(bytes: &[u8]) -> Items<'_> {
    let mut items = items(bytes);
    items.close = b'}';
    items
}

/// Elements of an array, without their empty names; for callers that want an array.
pub fn elements(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let mut items = items(bytes);
    items.close = b']';
    items.map(|item| item.map(|(_, value)| value))
}

/// Checks that `bytes` is exactly one JSON value, no deeper than [`MAX_DEPTH`], in which no object
/// has two members of one name (compared after unescaping).
///
/// # Errors
/// The first thing that is wrong.
pub fn check(bytes: &[u8]) -> Result<(), Error> {
    let mut scanner = Scanner::new(bytes);
    // One entry an open container: `Some(start of its names)` for an object.
    let mut open: Vec<(u8, usize)> = Vec::with_capacity(8);
    let mut names: Vec<&[u8]> = Vec::with_capacity(32);
    loop {
        scanner.space();
        let bracket = scanner.peek();
        let mut opened = false;
        if let Some(b'{' | b'[') = bracket {
            let close = if bracket == Some(b'{') { b'}' } else { b']' };
            scanner.pos += 1;
            if !scanner.take(close) {
                if open.len() == MAX_DEPTH {
                    return scanner.fail(Kind::Depth);
                }
                open.push((close, names.len()));
                opened = true;
                if close == b'}' {
                    names.push(scanner.name()?);
                }
            }
        } else {
            scanner.scalar()?;
        }
        while !opened {
            let Some((close, base)) = open.last().copied() else {
                return scanner.end();
            };
            if scanner.take(close) {
                if close == b'}' && has_duplicate(&names[base..]) {
                    return Err(Error { at: scanner.pos, kind: Kind::Duplicate });
                }
                names.truncate(base);
                open.pop();
            } else {
                scanner.expect(b',')?;
                if close == b'}' {
                    names.push(scanner.name()?);
                }
                opened = true;
            }
        }
    }
}

/// Whether two raw names (quotes included) are the same name.
fn has_duplicate(names: &[&[u8]]) -> bool {
    if names.iter().any(|name| name.contains(&b'\\')) {
        let mut seen = HashSet::new();
        return names.iter().any(|name| {
            let mut plain = String::new();
            text::unescape(name, &mut plain);
            !seen.insert(plain)
        });
    }
    if names.len() > 64 {
        let mut seen = HashSet::with_capacity(names.len());
        return names.iter().any(|name| !seen.insert(*name));
    }
    names.iter().enumerate().any(|(i, name)| names[..i].contains(name))
}

#[cfg(test)]
mod tests;
