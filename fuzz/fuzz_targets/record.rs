//! Any bytes become one entry's body that the ledger accepts, or a refusal; nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use veritail::{
    entry::{Encoder, Policy},
    json,
    record::Origin,
    redact::{
        Redactor,
        config::{Config, Content, Hash},
    },
};

static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let redactor = Redactor::new(&Config::default()).expect("the built-in rules are good");
    Arc::new(Policy::new(redactor, (Content::Redacted, Hash::Sha256), &[7; 32]))
});

fuzz_target!(|line: &[u8]| {
    let mut body = Vec::new();
    let origin = Origin::Stdin { line: 1 };
    let encoded = Encoder::new(POLICY.clone()).encode(line, ("app", &origin), &mut body).is_ok();
    if !encoded {
        assert!(body.is_empty());
        return;
    }
    let object = [b"{", body.as_slice(), b"}"].concat();
    json::check(&object).expect("an entry is JSON without duplicate names");
    assert!(json::text::may_stand(&object) && object.iter().all(|b| *b >= 0x20));
    let value: serde_json::Value = serde_json::from_slice(&object).expect("serde reads it too");
    assert!(value["policy"].is_string());
});
