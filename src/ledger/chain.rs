//! The chain's keyed part: the MAC over each entry's hash, and the hash that everything starts from.
//!
//! The MAC covers the 64 lower-case hex digits of `chain_hash`, not the line: the triple (`seq`,
//! `chain_hash`, `signature`) can then still be checked where the line itself was re-serialised or
//! its payload erased.

use crate::record::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The key of one stream and key id, derived from the 32-byte master. Whoever has it can forge.
#[derive(Clone)]
pub struct MacKey(
    /// Keyed once, cloned for each use: saves hashing the two key blocks each time.
    Hmac<Sha256>,
);

impl MacKey {
    /// `K = HMAC-SHA256(master, "mac" LF stream LF key_id)`: a key of its own for each stream and id,
    /// so that no entry can be carried over to another stream or under a newer key.
    #[must_use]
    pub fn derive(master: &[u8; 32], stream: &str, key_id: &str) -> Self {
        let mut mac = keyed(master);
        for part in ["mac\n", stream, "\n", key_id] {
            mac.update(part.as_bytes());
        }
        MacKey(keyed(&mac.finalize().into_bytes().into()))
    }

    /// The signature of an entry: HMAC-SHA256 over `chain_hash` as 64 hex digits.
    #[must_use]
    pub fn sign(&self, chain_hash: &Digest) -> Digest {
        self.over(chain_hash).finalize().into_bytes().into()
    }

    /// Whether `signature` is this key's over `chain_hash`; takes the same time either way.
    #[must_use]
    pub fn verify(&self, chain_hash: &Digest, signature: &Digest) -> bool {
        self.over(chain_hash).verify_slice(signature).is_ok()
    }

    fn over(&self, chain_hash: &Digest) -> Hmac<Sha256> {
        let hex = const_hex::Buffer::<32>::new().const_format(chain_hash);
        let mut mac = self.0.clone();
        mac.update(hex.as_str().as_bytes());
        mac
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(secret)")
    }
}

/// HMAC with a 32-byte key. A key of the block size is taken as it is, and HMAC pads a shorter one
/// with zeros (RFC 2104), so padding here gives the same state without a length that could be wrong.
fn keyed(key: &Digest) -> Hmac<Sha256> {
    let mut block = [0u8; 64];
    if let Some(head) = block.first_chunk_mut() {
        *head = *key;
    }
    Hmac::new(&block.into())
}

/// The `prev_hash` of entry 0: SHA-256 of `veritail/genesis/v1` LF stream LF the first public vkey.
/// It pins the stream and its first key, so that a history without its beginning cannot pass.
#[must_use]
pub fn genesis(stream: &str, vkey: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in ["veritail/genesis/v1\n", stream, "\n", vkey] {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code: `printf 'mac\nteller-1\nm1' | openssl mac …` and so on, with
    /// the master `00 01 … 1f` and the chain hash SHA-256("abc").
    #[test]
    fn agrees_with_an_independent_computation() {
        let master = std::array::from_fn(|i| i as u8);
        let hash: Digest = Sha256::digest(b"abc").into();
        let mac = MacKey::derive(&master, "teller-1", "m1");
        assert_eq!(
            const_hex::encode(mac.sign(&hash)),
            "72d5d55d660f7205e53f8c1da2b87ef419d2d41f919a84bc151167605e9ccef9"
        );
        assert_eq!(
            const_hex::encode(genesis("teller-1", "a+b+c")),
            "b1c41ccac4f3c7493de59dc95b8081bff7b92d3fda2b61cc4c81f90d650c86b4"
        );
    }

    #[test]
    fn one_bit_or_another_stream_or_id_is_another_signature() {
        let (master, hash) = ([7; 32], [9; 32]);
        let mac = MacKey::derive(&master, "a", "m1");
        let signature = mac.sign(&hash);
        assert!(mac.verify(&hash, &signature));
        let mut other = signature;
        other[31] ^= 1;
        assert!(!mac.verify(&hash, &other));
        assert!(!mac.verify(&[8; 32], &signature));
        for (stream, id) in [("b", "m1"), ("a", "m2"), ("a\nm", "1")] {
            assert!(!MacKey::derive(&master, stream, id).verify(&hash, &signature));
        }
        assert!(!format!("{mac:?}").contains("07"));
    }
}
