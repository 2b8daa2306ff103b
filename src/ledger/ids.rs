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
}
