//! The root of a Merkle tree over a set of hashes, as in RFC 9162 (leaves and nodes told apart by their first byte): one
//! number for a data set, by which somebody can later be shown that a sample was in it without being shown the others.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

/// Of a set: its order does not matter, and a member counts once. The root of nothing is the hash of nothing.
pub fn root(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    let mut sorted: Vec<Hash> = hashes.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let leaves: Vec<Hash> =
        sorted.iter().map(|hash| Sha256::new_with_prefix([0]).chain_update(hash).finalize().into()).collect();
    subtree(&leaves)
}

fn subtree(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            // The largest power of two below their number: the left tree is full.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Sha256::new_with_prefix([1]).chain_update(subtree(left)).chain_update(subtree(right)).finalize().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> Hash {
        Sha256::digest([n]).into()
    }

    #[test]
    fn the_root_knows_the_set_and_not_its_order() {
        let of = |all: &[u8]| root(all.iter().map(|n| leaf(*n)));
        assert_eq!(of(&[1, 2, 3, 4, 5]), of(&[5, 3, 1, 4, 2, 2]));
        let others = [&[1, 2, 3, 4][..], &[1, 2, 3, 4, 6], &[1, 2, 3, 4, 5, 6], &[], &[1]];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(of(other), of(&[1, 2, 3, 4, 5]));
            assert!(others[..at].iter().all(|before| of(before) != of(other)));
        }
    }

    /// As RFC 9162 writes it out for three leaves: ((a b) c).
    #[test]
    fn an_odd_leaf_goes_up_as_it_is() {
        let mut all = [leaf(1), leaf(2), leaf(3)];
        all.sort_unstable();
        let l = all.map(|hash| -> Hash { Sha256::digest([&[0][..], &hash].concat()).into() });
        let ab: Hash = Sha256::digest([&[1][..], &l[0], &l[1]].concat()).into();
        let abc: Hash = Sha256::digest([&[1][..], &ab, &l[2]].concat()).into();
        assert_eq!(root(all), abc);
    }
}
