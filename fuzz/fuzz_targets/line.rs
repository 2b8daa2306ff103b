//! Whatever reads as a line is one: its parts put together again give the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veritail::ledger::line::{self, TRAILER};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(line) = line::parse(bytes) {
        assert_eq!(line.core.len() + TRAILER, bytes.len());
        assert!(line.core.ends_with(line.body));
        assert!(found_by_name(&line));
        let (chain_hash, signature) = (hex(&line.chain_hash), hex(&line.signature));
        let trailer = format!(",\"chain_hash\":\"{chain_hash}\",\"signature\":\"{signature}\"}}");
        assert_eq!([line.core, trailer.as_bytes()].concat(), bytes);
    }
});

/// The envelope's members are found by name with the values that the pattern found by place.
fn found_by_name(line: &line::Line<'_>) -> bool {
    let quoted = |text: &str| format!("\"{text}\"").into_bytes();
    line.member("seq") == Some(line.seq.to_string().as_bytes())
        && line.member("stream") == Some(&quoted(line.stream))
        && line.member("event_type") == Some(&quoted(line.event_type))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
