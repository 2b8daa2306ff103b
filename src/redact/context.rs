//! Words that say what a number is, or that it is something else.
//!
//! English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, Ukrainian,
//! Chinese, Japanese, Korean. A word counts when it begins shortly before the number, or in the
//! name of the JSON member; labels of earlier hits do not count as words.

use super::site::Site;
use std::ops::Range;

/// Words that speak for one kind of number.
pub(super) struct Words {
    /// Beginnings of words, lower case: `phone` is found in `phoneNumber`, not in `saxophone`.
    begin: &'static [&'static str],
    /// Whole words, lower case: `call` is not found in `callId`.
    whole: &'static [&'static str],
    /// Parts of words outside ASCII, found anywhere. Capitals are left out by leaving out the first
    /// letter.
    wide: &'static [&'static str],
}

/// Payment cards.
pub(super) const CARD: Words = Words {
    begin: &[
        "card",
        "credit",
        "debit",
        "visa",
        "mastercard",
        "amex",
        "american express",
        "maestro",
        "unionpay",
        "diners",
        "kredit",
        "karte",
        "carte",
        "tarjeta",
        "cartao",
        "carta di",
        "karta",
        "creditcard",
    ],
    whole: &["cc", "pan", "ccn"],
    wide: &["карт", "卡", "カード", "카드", "artão"],
};

/// Social security numbers.
pub(super) const SSN: Words = Words {
    begin: &["ssn", "social security", "social_security", "socialsecurity", "social sec"],
    whole: &["ss#", "soc sec"],
    wide: &[],
};

/// Telephone numbers.
pub(super) const PHONE: Words = Words {
    begin: &[
        "phone",
        "telephone",
        "telefon",
        "telefoon",
        "cellphone",
        "cellular",
        "celular",
        "cellulare",
        "mobile",
        "mobil",
        "movil",
        "whatsapp",
        "fax",
        "handy",
        "rufnummer",
        "voicemail",
        "hotline",
        "msisdn",
        "answering",
        "messages to",
        "message on my",
    ],
    whole: &["tel", "cell", "call", "dial", "sms", "mob", "ph", "reach me", "text me", "kom"],
    wide: &[
        "éléphone",
        "eléfono",
        "óvil",
        "елефон",
        "обильн",
        "обіль",
        "тел.",
        "Тел.",
        "电话",
        "手机",
        "電話",
        "手機",
        "携帯",
        "전화",
        "휴대",
        "연락처",
    ],
};

/// Words whose numbers are formatted like telephone or social security numbers and are neither.
pub(super) const OTHER_NUMBERS: &[&str] = &[
    "order", "tracking", "part", "isbn", "issn", "serial", "version", "build", "release", "zip",
    "lot", "sku", "ean", "upc", "invoice", "ticket", "score", "section", "range", "model",
];

/// Words whose numbers are bare.
pub(super) const OTHER_IDS: &[&str] = &[
    "order",
    "tracking",
    "part",
    "isbn",
    "issn",
    "serial",
    "version",
    "build",
    "release",
    "zip",
    "lot",
    "sku",
    "ean",
    "upc",
    "invoice",
    "ticket",
    "score",
    "section",
    "range",
    "model",
    "id",
    "account",
    "acct",
    "ref",
    "reference",
    "ts",
    "time",
    "timestamp",
    "epoch",
    "created",
    "updated",
    "commit",
    "port",
    "pid",
    "uid",
    "size",
    "bytes",
    "tokens",
    "seed",
    "user",
    "gen",
    "iban",
    "latency",
    "duration",
    "count",
    "total",
    "unix",
];

/// Words between a telling word and its number.
const FILLERS: &[&str] =
    &["number", "numbers", "no", "nr", "num", "code", "is", "was", "are", "the", "of"];

/// Words that stand right behind a telephone number: `788-063-Office`.
const BEHIND: &[&str] = &["fax", "mobile", "cell", "phone", "office", "home", "work", "desk"];

impl Words {
    /// Whether one of the words begins shortly before `at`, or in the member's name.
    pub(super) fn near(&self, site: &Site<'_>, at: usize) -> bool {
        site.stretches(at).any(|stretch| self.in_bytes(site.bytes, stretch))
            || site.key.is_some_and(|key| self.in_bytes(key.as_bytes(), 0..key.len()))
    }

    fn in_bytes(&self, bytes: &[u8], range: Range<usize>) -> bool {
        let mut before = range.start.checked_sub(1).and_then(|at| bytes.get(at)).copied();
        for at in range.clone() {
            let rest = bytes.get(at..range.end).unwrap_or_default();
            let Some(&byte) = rest.first() else { return false };
            if byte >= 0x80 {
                if self.wide.iter().any(|word| rest.starts_with(word.as_bytes())) {
                    return true;
                }
            } else if byte.is_ascii_alphabetic() && begins_word(before, byte) {
                let label = before == Some(b'[') && is_label(rest);
                if !label && self.at_start(rest) {
                    return true;
                }
            }
            before = Some(byte);
        }
        false
    }

    fn at_start(&self, rest: &[u8]) -> bool {
        let starts = |word: &&&str| {
            rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
        };
        self.begin.iter().any(|word| starts(&word))
            || self
                .whole
                .iter()
                .filter(starts)
                .any(|word| !rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric))
    }
}

/// Whether a word begins with `byte` after `before`; a capital within a word begins one.
fn begins_word(before: Option<u8>, byte: u8) -> bool {
    before.is_none_or(|before| {
        !before.is_ascii_alphabetic() || (before.is_ascii_lowercase() && byte.is_ascii_uppercase())
    })
}

/// Whether `rest` continues a `[` to a label.
fn is_label(rest: &[u8]) -> bool {
    let name = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b'_';
    rest.get(rest.iter().take_while(name).count()) == Some(&b']')
}

impl Site<'_> {
    /// Whether one of [`BEHIND`] and then the end of a line or of a field follow `at`. What comes
    /// after a space is not asked: it may be a hit that the output no longer has.
    pub(super) fn called_behind(&self, at: usize) -> bool {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let Some((b' ' | b'-', rest)) = rest.split_first() else { return false };
        let len = rest.iter().take(8).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let ends = matches!(rest.get(len), None | Some(b'\n' | b'\r' | b'\\' | b',' | b';' | b')'));
        ends && is_one_of(rest.get(..len).unwrap_or_default(), BEHIND)
    }

    /// Whether the last word before `at`, fillers left out, is one of `words`; at the beginning of
    /// the text, whether the member's name ends in one.
    pub(super) fn denied(&self, at: usize, words: &[&str]) -> bool {
        let mut end = at;
        for _ in 0..3 {
            let mut gap = 0;
            while gap < 4
                && matches!(
                    self.before(end),
                    b' ' | b':' | b'#' | b'.' | b'=' | b'"' | b'\'' | b'-'
                )
            {
                (end, gap) = (end - 1, gap + 1);
            }
            let mut start = end;
            while self.before(start).is_ascii_alphabetic() && end - start < 12 {
                start -= 1;
            }
            let word = self.bytes.get(start..end).unwrap_or_default();
            if start == end {
                return end == 0 && self.key.is_some_and(|key| names(key, words));
            }
            if !is_one_of(word, FILLERS) {
                return is_one_of(word, words);
            }
            end = start;
        }
        false
    }
}

/// Whether a part of the member's name is one of `words`.
fn names(key: &str, words: &[&str]) -> bool {
    key.split(|c: char| !c.is_ascii_alphabetic()).any(|part| is_one_of(part.as_bytes(), words))
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}
