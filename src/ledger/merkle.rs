//! The Merkle tree over all entries of a stream (RFC 6962, section 2.1), kept as its frontier.
//!
//! The frontier is the right edge: the roots of the perfect subtrees that the binary digits of the
//! size name, largest first. It is all that appending needs, at most 64 hashes whatever the size.
//! An odd node is carried up alone, never doubled: doubling gives [A,B,C] and [A,B,C,C] one root.

use crate::record::Digest;
use sha2::{Digest as _, Sha256};

/// Levels are below this, so that a size fits 64 bits.
const LEVELS: u8 = 63;

/// Leaf hash of an entry: SHA-256(0x00 ‖ the 32 bytes of its chain hash).
#[must_use]
pub fn leaf(chain_hash: &Digest) -> Digest {
    Sha256::new().chain_update([0]).chain_update(chain_hash).finalize().into()
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Why a list of hashes is no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frontier's levels must descend, and stay below {LEVELS}")]
pub struct BadFrontier;

/// The right edge of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    /// (level, root of a perfect subtree of 2^level leaves), levels strictly descending.
    parts: Vec<(u8, Digest)>,
    size: u64,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier that [`Frontier::parts`] gave; the size follows from the levels.
    ///
    /// # Errors
    /// [`BadFrontier`] if the levels do not strictly descend or one is too high.
    pub fn from_parts(parts: Vec<(u8, Digest)>) -> Result<Self, BadFrontier> {
        let mut above = LEVELS;
        let mut size = 0;
        for (level, _) in &parts {
            if *level >= above {
                return Err(BadFrontier);
            }
            above = *level;
            size |= 1u64 << level;
        }
        Ok(Frontier { parts, size })
    }

    /// (level, hash) of each perfect subtree, largest first.
    #[must_use]
    pub fn parts(&self) -> Vec<(u8, Digest)> {
        self.parts.clone()
    }

    /// Appends a leaf hash ([`leaf`]).
    pub fn push(&mut self, leaf: Digest) {
        let (mut level, mut hash) = (0, leaf);
        while let Some((_, left)) = self.parts.pop_if(|(at, _)| *at == level) {
            hash = node(&left, &hash);
            level += 1;
        }
        self.parts.push((level, hash));
        self.size += 1;
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; that of the empty tree is SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let folded = self.parts.iter().rev().map(|(_, hash)| *hash).reduce(|r, l| node(&l, &r));
        folded.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MTH(D[n]) as RFC 6962, section 2.1, defines it.
    fn naive(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            more => {
                let half = more.len().next_power_of_two() / 2;
                node(&naive(&more[..half]), &naive(&more[half..]))
            }
        }
    }

    fn frontier(leaves: &[Digest]) -> Frontier {
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    /// Leaf inputs and roots of the Certificate Transparency reference tree (published with RFC
    /// 6962's reference code and used by most implementations since).
    #[test]
    fn agrees_with_the_reference_tree() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        assert_eq!(const_hex::encode(frontier.root()), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            let mut hash = Sha256::new();
            hash.update([0]);
            hash.update(const_hex::decode(input).unwrap());
            frontier.push(hash.finalize().into());
            assert_eq!(const_hex::encode(frontier.root()), *root);
        }
    }

    #[test]
    fn an_odd_node_is_not_doubled() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        assert_ne!(frontier(&[a, b, c]).root(), frontier(&[a, b, c, c]).root());
        assert_ne!(leaf(&a), node(&a, &a));
    }

    #[test]
    fn levels_must_descend() {
        let h = [0; 32];
        for bad in [vec![(0, h), (1, h)], vec![(2, h), (2, h)], vec![(63, h)], vec![(255, h)]] {
            assert_eq!(Frontier::from_parts(bad), Err(BadFrontier));
        }
        assert_eq!(Frontier::from_parts(vec![(62, h), (0, h)]).unwrap().size(), (1 << 62) + 1);
    }

    proptest! {
        #[test]
        fn appending_gives_the_trees_root(leaves in prop::collection::vec(any::<Digest>(), 0..200)) {
            let whole = frontier(&leaves);
            prop_assert_eq!(whole.root(), naive(&leaves));
            prop_assert_eq!(whole.size(), leaves.len() as u64);
            prop_assert_eq!(Frontier::from_parts(whole.parts()), Ok(whole));
        }
    }
}
