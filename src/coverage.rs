//! Who saw which call: what the application reported against what OpenRouter's own traces
//! (Broadcast) tell, by generation id. Pure: entries in, differences out.
//!
//! A call that Broadcast saw and nobody reported is one that the audit would have missed. The reverse
//! proves less: Broadcast is best effort, sampled, bound to a region and to one workspace.
//!
//! Broadcast comes a minute or more after the call. Over a range of the ledger, give a few minutes
//! before it too, or the calls of those minutes count as unreported.

use crate::{
    entry::fields,
    json::{self, object::plain, text},
    record::Digest,
};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// First 16 bytes of the SHA-256 of a generation id: what is remembered of each must be small.
type Key = [u8; 16];

/// A call that only one side told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Sequence number of the entry that tells of it.
    pub seq: u64,
    /// Its generation id; empty where only the entry itself has it still.
    pub generation_id: String,
}

/// How many calls were seen by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Different generation ids that the application reported.
    pub reported: u64,
    /// Different generation ids that Broadcast told of.
    pub witnessed: u64,
    /// Those that both did.
    pub both: u64,
    /// Calls that the application reported without a generation id, which nobody can match.
    pub without_id: u64,
}

/// The comparison, one entry at a time, in any order. Costs some 40 bytes a call, and the id of each
/// that Broadcast alone told of.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Reported calls by key: their entry, and whether Broadcast told of them too.
    reported: HashMap<Key, (u64, bool)>,
    unreported: HashMap<Key, Missing>,
    counts: Counts,
}

impl Coverage {
    /// Takes a sealed entry's bytes (LF or not). Entries that tell of no call pass by.
    pub fn take(&mut self, entry: &[u8]) {
        let Some(seen) = Seen::read(entry) else { return };
        let Some(id) = seen.generation_id else {
            self.counts.without_id += u64::from(!seen.by_broadcast);
            return;
        };
        let key = key(&id);
        if seen.by_broadcast {
            match self.reported.get_mut(&key) {
                Some((_, true)) => {}
                Some((_, witnessed)) => {
                    *witnessed = true;
                    self.counts.witnessed += 1;
                    self.counts.both += 1;
                }
                None if self.unreported.contains_key(&key) => {}
                None => {
                    self.unreported.insert(key, Missing { seq: seen.seq, generation_id: id });
                    self.counts.witnessed += 1;
                }
            }
        } else if !self.reported.contains_key(&key) {
            let witnessed = self.unreported.remove(&key).is_some();
            self.reported.insert(key, (seen.seq, witnessed));
            self.counts.reported += 1;
            self.counts.both += u64::from(witnessed);
        }
    }

    /// [`Coverage::take`] for all of them.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut coverage = Coverage::default();
        entries.into_iter().for_each(|entry| coverage.take(entry));
        coverage
    }

    /// How many there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Calls seen by Broadcast and never reported by the application, in the ledger's order.
    #[must_use]
    pub fn unreported(&self) -> Vec<Missing> {
        let mut all: Vec<Missing> = self.unreported.values().cloned().collect();
        all.sort_by_key(|missing| missing.seq);
        all
    }

    /// Sequence numbers of reported calls that Broadcast did not tell of, in the ledger's order.
    #[must_use]
    pub fn unwitnessed(&self) -> Vec<u64> {
        let unseen = self.reported.values().filter(|(_, witnessed)| !witnessed);
        let mut all: Vec<u64> = unseen.map(|(seq, _)| *seq).collect();
        all.sort_unstable();
        all
    }
}

/// What an entry tells of a call.
struct Seen {
    seq: u64,
    by_broadcast: bool,
    generation_id: Option<String>,
}

impl Seen {
    fn read(entry: &[u8]) -> Option<Self> {
        let (mut seq, mut by_broadcast, mut generation_id) = (None, None, None);
        for (name, value) in json::members(entry).map_while(Result::ok) {
            match text::inner(name) {
                b"seq" => seq = std::str::from_utf8(value).ok()?.parse().ok(),
                b"event_type" => {
                    let event_type = plain(value)?;
                    let is_broadcast = event_type == fields::BROADCAST;
                    if !is_broadcast && fields::is_reserved(&event_type) {
                        return None;
                    }
                    by_broadcast = Some(is_broadcast);
                }
                b"generation_id" => {
                    generation_id = plain(value).map(std::borrow::Cow::into_owned);
                    break;
                }
                _ => {}
            }
        }
        Some(Seen { seq: seq?, by_broadcast: by_broadcast?, generation_id })
    }
}

fn key(id: &str) -> Key {
    let digest: Digest = Sha256::digest(id).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(seq: u64, event_type: &str, id: Option<&str>) -> String {
        let id = id.map(|id| format!(",\"generation_id\":\"{id}\"")).unwrap_or_default();
        format!(
            "{{\"v\":1,\"stream\":\"s\",\"seq\":{seq},\"event_type\":\"{event_type}\",\"id\":\"x\"{id},\
             \"metadata\":{{\"generation_id\":\"gen-other\"}}}}"
        )
    }

    fn coverage(entries: &[String]) -> Coverage {
        Coverage::of(entries.iter().map(String::as_bytes))
    }

    #[test]
    fn each_side_is_told_what_the_other_lacks() {
        let found = coverage(&[
            entry(0, "segment_open", None),
            entry(1, "chat_completion", Some("gen-a-both")),
            entry(2, "chat_completion", Some("gen-app-only")),
            entry(3, "broadcast", Some("gen-a-both")),
            entry(4, "broadcast", Some("gen-theirs")),
            entry(5, "embedding", Some("gen-late")),
            entry(6, "chat_completion", None),
            entry(7, "generation", Some("gen-theirs")),
            entry(8, "broadcast", Some("gen-theirs")),
            entry(9, "broadcast", Some("gen-a-both")),
            entry(10, "broadcast", Some("gen-early")),
            entry(11, "chat_completion", Some("gen-early")),
        ]);
        let theirs = Missing { seq: 4, generation_id: "gen-theirs".into() };
        assert_eq!(found.unreported(), [theirs]);
        assert_eq!(found.unwitnessed(), [2, 5]);
        let counts = Counts { reported: 4, witnessed: 3, both: 2, without_id: 1 };
        assert_eq!(found.counts(), counts);
    }

    #[test]
    fn what_is_no_entry_passes_by() {
        for no_entry in [&b""[..], b"{", b"{\"seq\":1}", b"[]", b"{\"event_type\":\"broadcast\"}"] {
            let found = Coverage::of([no_entry]);
            assert_eq!(found.counts(), Counts::default());
        }
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(
            told in prop::collection::vec((0..8u8, any::<bool>()), 0..40)
        ) {
            let entries: Vec<String> = told.iter().enumerate().map(|(seq, (id, by_broadcast))| {
                let event_type = if *by_broadcast { "broadcast" } else { "chat_completion" };
                entry(seq as u64, event_type, Some(&format!("gen-{id}xx")))
            }).collect();
            let reversed: Vec<String> = entries.iter().rev().cloned().collect();
            let (one, other) = (coverage(&entries), coverage(&reversed));
            prop_assert_eq!(one.counts(), other.counts());
            let ids = |found: &Coverage| {
                let mut ids: Vec<String> =
                    found.unreported().into_iter().map(|missing| missing.generation_id).collect();
                ids.sort();
                ids
            };
            prop_assert_eq!(ids(&one), ids(&other));
            let counts = one.counts();
            prop_assert_eq!(counts.witnessed, counts.both + one.unreported().len() as u64);
            prop_assert_eq!(counts.reported, counts.both + one.unwitnessed().len() as u64);
        }
    }
}
