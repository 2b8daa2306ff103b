//! `veritail redact`: what redaction would do to one line, without a ledger. Pure.
//!
//! Whatever is not touched keeps its spelling, so the output differs from the input in the replaced
//! values alone.

use crate::{
    entry::fields,
    json::{self, Type, text},
    redact::{Hit, Redactor, Scope},
};

/// One replaced value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where in the record: `metadata.contact`, `messages[0].content`; empty for a plain text.
    pub path: String,
    /// First byte in the decoded text (UTF-8).
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
    /// What it counts as: `EMAIL`.
    pub kind: String,
    /// The rule that found it.
    pub rule: String,
}

/// Redacts single lines.
#[derive(Debug)]
pub struct Preview<'r> {
    redactor: &'r Redactor,
    explain: bool,
    spans: Vec<Span>,
    hits: Vec<Hit>,
    plain: String,
}

impl<'r> Preview<'r> {
    /// `explain` adds the spans to every line's output.
    #[must_use]
    pub fn new(redactor: &'r Redactor, explain: bool) -> Self {
        Preview { redactor, explain, spans: Vec::new(), hits: Vec::new(), plain: String::new() }
    }

    /// Appends the redacted line to `out`, without LF. A line that is no JSON is taken as a text.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        self.spans.clear();
        let is_json = std::str::from_utf8(line).is_ok() && {
            let mut scanner = json::Scanner::new(line);
            scanner.value().is_ok() && scanner.end().is_ok()
        };
        if !is_json {
            let mut quoted = Vec::with_capacity(line.len() + 2);
            text::write(&mut quoted, &String::from_utf8_lossy(line));
            return self.text_line(&quoted, out);
        }
        match Type::of(line.trim_ascii_start()) {
            Type::Object => self.object_line(line, out),
            _ => self.text_line(line.trim_ascii(), out),
        }
    }

    fn text_line(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        if !self.explain {
            return self.value(raw, (None, Scope::Text), &mut String::new(), out);
        }
        out.extend_from_slice(b"{\"text\":");
        self.value(raw, (None, Scope::Text), &mut String::new(), out);
        self.write_spans(out);
        out.push(b'}');
    }

    fn object_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        for (name, value) in json::members(line).flatten() {
            let plain = text_of(name);
            if self.explain && plain == "spans" {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            self.name(name, "", out);
            let scope = fields::scope(&plain);
            self.value(value, (Some(&plain), scope), &mut plain.clone(), out);
        }
        if self.explain {
            if first {
                out.extend_from_slice(b"\"spans\":[]");
            } else {
                self.write_spans(out);
            }
        }
        out.push(b'}');
    }

    fn name(&mut self, raw: &[u8], path: &str, out: &mut Vec<u8>) {
        self.string(raw, (None, Scope::Text), path, out);
        out.push(b':');
    }

    fn value(
        &mut self,
        raw: &[u8],
        (key, scope): (Option<&str>, Scope),
        path: &mut String,
        out: &mut Vec<u8>,
    ) {
        let length = path.len();
        match Type::of(raw) {
            Type::String => self.string(raw, (key, scope), path, out),
            Type::Number | Type::Bool | Type::Null => out.extend_from_slice(raw),
            // The same bound as an entry's: what is deeper is not kept there either.
            _ if path.bytes().filter(|b| matches!(b, b'.' | b'[')).count() >= json::MAX_DEPTH => {
                out.extend_from_slice(b"\"[TOO_DEEP]\"");
            }
            Type::Array => {
                out.push(b'[');
                for (at, (_, element)) in json::items(raw).flatten().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    path.push_str(&format!("[{at}]"));
                    self.value(element, (key, scope), path, out);
                    path.truncate(length);
                }
                out.push(b']');
            }
            Type::Object => {
                out.push(b'{');
                for (at, (name, member)) in json::items(raw).flatten().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    let plain = text_of(name);
                    self.name(name, path, out);
                    path.push('.');
                    path.push_str(&plain);
                    self.value(member, (Some(&plain), Scope::Text), path, out);
                    path.truncate(length);
                }
                out.push(b'}');
            }
        }
    }

    fn string(
        &mut self,
        raw: &[u8],
        (key, scope): (Option<&str>, Scope),
        path: &str,
        out: &mut Vec<u8>,
    ) {
        self.plain.clear();
        text::unescape(raw, &mut self.plain);
        self.redactor.scan(&self.plain, key, scope, &mut self.hits);
        if self.hits.is_empty() {
            out.extend_from_slice(raw);
            return;
        }
        text::write(out, &self.redactor.replace(&self.plain, &self.hits));
        if self.explain {
            self.spans.extend(self.hits.iter().map(|hit| Span {
                path: path.to_owned(),
                start: hit.start,
                end: hit.end,
                kind: self.redactor.kind(hit.rule).to_owned(),
                rule: self.redactor.name(hit.rule).to_owned(),
            }));
        }
    }

    fn write_spans(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"spans\":[");
        for (at, span) in self.spans.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let json = serde_json::json!({
                "path": span.path, "start": span.start, "end": span.end,
                "type": span.kind, "rule": span.rule,
            });
            out.extend_from_slice(json.to_string().as_bytes());
        }
        out.push(b']');
    }
}

fn text_of(raw: &[u8]) -> String {
    let mut plain = String::new();
    text::unescape(raw, &mut plain);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(line: &str, explain: bool) -> String {
        let redactor = Redactor::new(&crate::redact::config::Config::default()).unwrap();
        let mut out = Vec::new();
        Preview::new(&redactor, explain).line(line.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_touched_keeps_its_spelling() {
        let line = r#"{ "id":"gen-1793000000-abcdefghij0123456789","n": 1.50e1,"p":"\u0061 b"}"#;
        let expected = r#"{"id":"gen-1793000000-abcdefghij0123456789","n":1.50e1,"p":"\u0061 b"}"#;
        assert_eq!(preview(line, false), expected);
        assert_eq!(preview(r#""plain\n""#, false), r#""plain\n""#);
    }

    #[test]
    fn an_escaped_value_is_found_and_the_json_stays_whole() {
        let line = r#"{"prompt":"say \"hi\" to ana\u0040example.com","m":{"k":["x@example.org"]}}"#;
        assert_eq!(
            preview(line, false),
            r#"{"prompt":"say \"hi\" to [EMAIL]","m":{"k":["[EMAIL]"]}}"#
        );
    }

    #[test]
    fn explains_where_and_why() {
        let text: serde_json::Value =
            serde_json::from_str(&preview(r#""é ana@example.com""#, true)).unwrap();
        assert_eq!(text["text"], "é [EMAIL]");
        assert_eq!((&text["spans"][0]["start"], &text["spans"][0]["end"]), (&3.into(), &18.into()));
        assert_eq!(text["spans"][0]["type"], "EMAIL");
        let record: serde_json::Value =
            serde_json::from_str(&preview(r#"{"spans":[1],"m":{"k":["x@example.org"]}}"#, true))
                .unwrap();
        assert_eq!(record["spans"][0]["path"], "m.k[0]");
        assert_eq!(preview("{}", true), r#"{"spans":[]}"#);
    }

    #[test]
    fn what_is_no_json_is_a_text() {
        assert_eq!(preview("mail ana@example.com", false), r#""mail [EMAIL]""#);
    }
}
