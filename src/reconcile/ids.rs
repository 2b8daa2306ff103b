//! The generation ids of a stretch of time, kept small: a digest and what is known of each.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// An application reported the call.
pub(super) const CALL: u8 = 1;
/// The generation endpoint answered for it.
pub(super) const ANSWER: u8 = 1 << 1;
/// Broadcast told of it.
pub(super) const BROADCAST: u8 = 1 << 2;
/// It belongs to the stretch itself, not to the margin around it.
pub(super) const WITHIN: u8 = 1 << 3;
/// OpenRouter lists it.
pub(super) const LISTED: u8 = 1 << 4;
/// Its call has been counted.
pub(super) const COUNTED_CALL: u8 = 1 << 5;
/// Its figures have been counted.
pub(super) const COUNTED: u8 = 1 << 6;
/// Its absence on the other side has been told.
pub(super) const NAMED: u8 = 1 << 7;

/// More ids than were allowed.
#[derive(Debug)]
pub(super) struct Full;

/// Ids and their flags.
#[derive(Debug)]
pub(super) struct Ids {
    // The first 16 bytes of a SHA-256: two ids that share them do not come about.
    flags: HashMap<[u8; 16], u8>,
    most: usize,
}

impl Ids {
    /// Room for `most` ids.
    pub(super) fn new(most: usize) -> Self {
        Ids { flags: HashMap::new(), most }
    }

    /// What is known of an id; 0 when nothing is.
    pub(super) fn get(&self, id: &str) -> u8 {
        self.flags.get(&key(id)).copied().unwrap_or(0)
    }

    /// Adds flags to an id, known or not.
    pub(super) fn mark(&mut self, id: &str, flags: u8) -> Result<(), Full> {
        let key = key(id);
        if self.flags.len() >= self.most && !self.flags.contains_key(&key) {
            return Err(Full);
        }
        *self.flags.entry(key).or_default() |= flags;
        Ok(())
    }

    /// Adds flags to a known id; returns what was known before, 0 when nothing was.
    pub(super) fn add(&mut self, id: &str, flags: u8) -> u8 {
        self.flags.get_mut(&key(id)).map_or(0, |known| {
            let before = *known;
            *known |= flags;
            before
        })
    }
}

fn key(id: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(id).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_add_up_and_room_is_bounded() {
        let mut ids = Ids::new(2);
        assert_eq!(ids.add("a", CALL), 0);
        assert_eq!(ids.get("a"), 0, "adding to an unknown id keeps nothing");
        ids.mark("a", CALL).unwrap();
        ids.mark("b", ANSWER).unwrap();
        assert!(ids.mark("c", CALL).is_err());
        ids.mark("a", ANSWER).unwrap();
        assert_eq!(ids.add("a", LISTED), CALL | ANSWER);
        assert_eq!((ids.get("a"), ids.get("c")), (CALL | ANSWER | LISTED, 0));
    }
}
