//! Any bytes are traces or are refused, in either encoding; whatever a span means is one record
//! that the entry's encoder takes.
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
    sources::otlp::{Encoding, Meant, judge, read},
};

static POLICY: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let redactor = Redactor::new(&Config::default()).expect("the built-in rules are good");
    Arc::new(Policy::new(redactor, (Content::Redacted, Hash::Sha256), &[7; 32]))
});

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let encoding = if first & 1 == 0 { Encoding::Json } else { Encoding::Protobuf };
    let mut encoder = Encoder::new(POLICY.clone());
    let origin = Origin::Http { peer: [127, 0, 0, 1].into() };
    let _ = read(body, encoding, &mut |span| {
        if let Meant::Record(capture, record) = judge(span) {
            let mut entry = vec![b'{'];
            let taken = encoder.encode_as(capture, &record, ("traces", &origin), &mut entry);
            taken.expect("what we put together ourselves is a record");
            entry.push(b'}');
            json::check(&entry).expect("an entry is JSON without duplicate names");
        }
        true
    });
});
