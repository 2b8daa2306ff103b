//! No text opens that nobody signed, and a signed text opens as it was signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veritail::ledger::note::{Checkpoint, Signer, Verifier, open};

fuzz_target!(|text: &str| {
    let signer = Signer::new("fuzz", [1; 32]);
    let keys = [Verifier::parse(&signer.vkey()).expect("a signer's own key is one")];
    // The fuzzer cannot sign: what opens was signed here, so it is none of its texts.
    assert!(open(text, &keys).is_err());
    let _ = Verifier::parse(text);
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        let again = Checkpoint::parse(&checkpoint.to_text());
        assert_eq!(again, Ok(checkpoint), "a checkpoint survives being written");
    }
    if let Ok(opened) = open(&signer.sign(text), &keys) {
        assert_eq!(opened.trim_end_matches('\n'), text.trim_end_matches('\n'));
    }
});
