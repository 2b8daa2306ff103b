//! The ids of acknowledged records, so that one sent again after a crash is recognised. Bounded: the
//! oldest are forgotten first.

use crate::{queue::IdKey, record::Digest};
use std::collections::{HashMap, VecDeque};

/// Remembered ids and the seals of their entries.
#[derive(Debug)]
pub(super) struct Ids {
    seals: HashMap<IdKey, (u64, Digest)>,
    order: VecDeque<IdKey>,
    limit: usize,
}

impl Ids {
    /// Remembers at most `limit` ids.
    #[must_use]
    pub(super) fn new(limit: usize) -> Self {
        Ids { seals: HashMap::new(), order: VecDeque::new(), limit }
    }

    /// Sequence number and chain hash of the entry with that id.
    #[must_use]
    pub(super) fn get(&self, key: &IdKey) -> Option<(u64, Digest)> {
        self.seals.get(key).copied()
    }

    /// Whether nothing more fits without forgetting.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.order.len() >= self.limit
    }

    /// Remembers an id; the first entry under it stays.
    pub(super) fn put(&mut self, key: IdKey, seal: (u64, Digest)) {
        if self.limit == 0 || self.seals.contains_key(&key) {
            return;
        }
        if self.is_full()
            && let Some(oldest) = self.order.pop_front()
        {
            self.seals.remove(&oldest);
        }
        self.seals.insert(key, seal);
        self.order.push_back(key);
    }

    /// Remembers an id sealed before all that are remembered; nothing is forgotten for it. Its seal,
    /// being the first, takes the place of a later one.
    pub(super) fn put_older(&mut self, key: IdKey, seal: (u64, Digest)) {
        if let Some(later) = self.seals.get_mut(&key) {
            *later = seal;
        } else if !self.is_full() {
            self.seals.insert(key, seal);
            self.order.push_front(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_the_first_seal_stays() {
        let mut ids = Ids::new(2);
        for n in 0..3u8 {
            ids.put([n; 16], (u64::from(n), [n; 32]));
        }
        ids.put([1; 16], (9, [9; 32]));
        assert_eq!(ids.get(&[0; 16]), None);
        assert_eq!(ids.get(&[1; 16]), Some((1, [1; 32])));
        assert_eq!(ids.get(&[2; 16]), Some((2, [2; 32])));
    }

    #[test]
    fn older_ids_fill_what_is_free_and_go_first() {
        let mut ids = Ids::new(3);
        for n in [5u8, 6] {
            ids.put([n; 16], (u64::from(n), [n; 32]));
        }
        for n in [4u8, 3, 6] {
            ids.put_older([n; 16], (u64::from(n) - 3, [n; 32]));
        }
        assert_eq!(ids.get(&[3; 16]), None, "no room");
        assert_eq!(ids.get(&[6; 16]), Some((3, [6; 32])), "the first seal stays");
        ids.put([7; 16], (7, [7; 32]));
        assert_eq!(ids.get(&[4; 16]), None, "the oldest goes first");
        assert_eq!(ids.get(&[5; 16]), Some((5, [5; 32])));
    }
}
