//! E-mail addresses: `local@label.tld`, the domain in any script.

use super::site::Site;
use std::ops::Range;

/// Longest local part (RFC 5321, 4.5.3.1.1).
const LOCAL: usize = 64;

/// Longest domain (RFC 5321, 4.5.3.1.2, less its dot).
const DOMAIN: usize = 254;

/// Last labels that no registry has and that files and units end in: `icon@2x.png`,
/// `getty@tty1.service`.
const FILES: &[&str] = &[
    "avif", "bmp", "bz2", "conf", "css", "csv", "dll", "exe", "gif", "gz", "htm", "html", "ico",
    "jar", "jpeg", "jpg", "js", "json", "jsx", "lock", "log", "mount", "pdf", "png", "scss",
    "service", "slice", "socket", "svg", "tar", "target", "tgz", "timer", "toml", "ts", "tsx",
    "ttf", "txt", "wasm", "webp", "whl", "woff", "xml", "xz", "yaml", "yml",
];

/// The address around the `@` at `at`.
pub(super) fn find(site: &Site<'_>, at: usize) -> Option<Range<usize>> {
    let end = domain(site, at + 1)?;
    let start = local(site, at)?;
    let url = site.bytes.get(..start).is_some_and(|before| before.ends_with(b"://"));
    let login =
        site.bytes.get(start..at) == Some(&b"git"[..]) && matches!(site.at(end), b':' | b'/');
    // `scheme://user@host` is a login; with a password before the `@` it is taken all the same.
    let userinfo = url && start >= site.floor() + 3;
    (!login && !userinfo).then_some(start..end)
}

/// Where a local part that ends before `at` begins.
fn local(site: &Site<'_>, at: usize) -> Option<usize> {
    if site.before(at) == b'.' {
        return None;
    }
    let mut start = at;
    loop {
        let byte = site.before(start);
        start -= match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => 1,
            b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' => 1,
            // A letter of two bytes: Latin with marks, Greek, Cyrillic. Scripts that are written
            // without spaces would take the sentence along.
            0x80..=0xBF if matches!(site.before(start - 1), 0xC3..=0xD4) => 2,
            _ => break,
        };
        if at - start > LOCAL {
            return None;
        }
    }
    if site.before(start) == b'\\' && start + 1 < at && site.escaped(start + 1) {
        start += 1;
    }
    while matches!(site.at(start), b'.' | b'%' | b'+' | b'-' | b'\'') {
        start += 1;
    }
    (start < at).then_some(start)
}

/// Where the domain that begins at `from` ends: after its last label that can be a top level.
fn domain(site: &Site<'_>, from: usize) -> Option<usize> {
    let limit = site.bytes.len().min(from + DOMAIN);
    let mut end = None;
    let mut start = from;
    loop {
        let Some(rest) = site.bytes.get(start..limit) else { return end };
        let label = Label::at(rest);
        if label.len == 0 {
            return end;
        }
        if start > from && label.top > 0 {
            end = Some(start + label.top);
        }
        start += label.len;
        if site.at(start) != b'.' {
            return end;
        }
        start += 1;
    }
}

/// One label of a domain.
struct Label {
    /// Its length in bytes.
    len: usize,
    /// How much of it can be a top level; 0 when none of it can.
    top: usize,
}

impl Label {
    /// The label that `rest` begins with.
    fn at(rest: &[u8]) -> Label {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let ascii = rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
        let wide = wide_letters(rest.get(ascii..).unwrap_or_default());
        let len = if wide == 0 { ascii } else { mixed(rest) };
        // In a script without spaces the sentence goes on behind `.com`.
        let head = rest.get(..ascii).unwrap_or_default();
        let top = match head {
            [] if wide >= 4 => len,
            _ if is_top(head) => ascii,
            _ => 0,
        };
        Label { len, top }
    }
}

/// Length of the letters, digits and dashes of any script that `rest` begins with.
fn mixed(rest: &[u8]) -> usize {
    let mut len = 0;
    while let Some(tail) = rest.get(len..) {
        let ascii = tail.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
        let wide = wide_letters(tail.get(ascii..).unwrap_or_default());
        len += ascii + wide;
        if wide == 0 {
            break;
        }
    }
    len
}

/// Length in bytes of the letters outside ASCII that `rest` begins with.
fn wide_letters(rest: &[u8]) -> usize {
    let run = rest.iter().position(u8::is_ascii).unwrap_or(rest.len());
    let run = rest.get(..run).unwrap_or_default();
    // The domain's limit may cut a character; what precedes it is good.
    let text = match std::str::from_utf8(run) {
        Ok(text) => text,
        Err(cut) => std::str::from_utf8(run.get(..cut.valid_up_to()).unwrap_or_default())
            .unwrap_or_default(),
    };
    text.char_indices().find(|(_, c)| !c.is_alphabetic()).map_or(text.len(), |(at, _)| at)
}

/// Whether `label` can be a top level: two letters or more, or punycode; no file's ending.
fn is_top(label: &[u8]) -> bool {
    let letters = (2..=24).contains(&label.len()) && label.iter().all(u8::is_ascii_alphabetic);
    let puny = label.len() > 4 && label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--"));
    let file = FILES.iter().any(|ending| label.eq_ignore_ascii_case(ending.as_bytes()));
    (letters && !file) || puny
}
