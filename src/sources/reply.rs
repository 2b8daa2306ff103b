//! What a client is told of one record, the same on every socket.

use crate::{
    json::text,
    record::{Outcome, Reply},
};

/// Appends a reply as one JSON object, without a line end.
pub(super) fn write(out: &mut Vec<u8>, reply: &Reply) {
    let seq = match &reply.outcome {
        Outcome::Sealed { seq, .. } => {
            out.extend_from_slice(b"{\"ack\":");
            text::write(out, &reply.id);
            seq
        }
        Outcome::Quarantined { seq, reason } => {
            out.extend_from_slice(b"{\"quarantined\":");
            text::write(out, reason);
            seq
        }
    };
    out.extend_from_slice(format!(",\"n\":{},\"seq\":{seq}", reply.n).as_bytes());
    if let Outcome::Sealed { chain_hash, .. } = &reply.outcome {
        out.extend_from_slice(b",\"chain_hash\":\"");
        out.extend_from_slice(const_hex::encode(chain_hash).as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_json() {
        let mut out = Vec::new();
        let sealed = Outcome::Sealed { seq: 7, chain_hash: [0xab; 32] };
        write(&mut out, &Reply { n: 2, id: "a\"b".into(), outcome: sealed });
        out.push(b'\n');
        let refused = Outcome::Quarantined { seq: 8, reason: "not_json".into() };
        write(&mut out, &Reply { n: 3, id: "".into(), outcome: refused });
        let lines: Vec<serde_json::Value> = std::str::from_utf8(&out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                serde_json::json!({"ack": "a\"b", "n": 2, "seq": 7, "chain_hash": "ab".repeat(32)}),
                serde_json::json!({"quarantined": "not_json", "n": 3, "seq": 8}),
            ]
        );
    }
}
