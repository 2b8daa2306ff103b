//! Which calls have their answer already: a set of sequence numbers that is small where they are
//! close together, as the calls of a stretch of ledger are. Pure.

use std::collections::BTreeMap;

/// Sequence numbers that one page stands for.
const PAGE: u64 = 4096;
const WORDS: usize = 64;

/// A set of sequence numbers.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    pages: BTreeMap<u64, Box<[u64; WORDS]>>,
}

/// The word and the bit within a page.
fn bit(seq: u64) -> (usize, u64) {
    (usize::try_from(seq % PAGE / 64).unwrap_or_default(), 1 << (seq % 64))
}

impl Answered {
    /// Adds a number.
    pub fn insert(&mut self, seq: u64) {
        let (word, bit) = bit(seq);
        let page = self.pages.entry(seq / PAGE).or_insert_with(|| Box::new([0; WORDS]));
        if let Some(word) = page.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether a number was added.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let (word, bit) = bit(seq);
        let page = self.pages.get(&(seq / PAGE));
        page.and_then(|page| page.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Lets go of pages that lie wholly before `seq`.
    pub fn forget_before(&mut self, seq: u64) {
        while self.pages.first_key_value().is_some_and(|(page, _)| (page + 1) * PAGE <= seq) {
            self.pages.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(
            put in proptest::collection::btree_set(0u64..20_000, 0..200),
            asked in proptest::collection::vec(0u64..20_000, 0..200),
            before in 0u64..20_000,
        ) {
            let mut set = Answered::default();
            put.iter().for_each(|seq| set.insert(*seq));
            for seq in asked.iter().chain(&put) {
                prop_assert_eq!(set.contains(*seq), put.contains(seq));
            }
            set.forget_before(before);
            let kept: BTreeSet<u64> = put.iter().copied().filter(|seq| *seq >= before).collect();
            for seq in asked.iter().chain(&kept).filter(|seq| **seq >= before) {
                prop_assert_eq!(set.contains(*seq), kept.contains(seq));
            }
            prop_assert!(set.pages.len() as u64 <= 20_000 / PAGE + 1);
        }
    }

    #[test]
    fn memory_goes_with_what_is_forgotten() {
        let mut set = Answered::default();
        (0..100_000).for_each(|seq| set.insert(seq));
        assert_eq!(set.pages.len(), 25);
        set.forget_before(99_999);
        assert_eq!(set.pages.len(), 1);
    }
}
