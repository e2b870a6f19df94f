//! Which questions are nearly the same: Jaccard's index over the 3-grams of their letters and digits.
//!
//! Exact, and far from all pairs: two sets that are alike by t share at least one of the rarest
//! |x| − ⌈t·|x|⌉ + 1 grams of each (Chaudhuri et al., 2006; Bayardo et al., 2007), so only those are looked up.

use std::collections::HashMap;

/// Grams in ascending order of their hash, each once.
pub type Grams = Vec<u64>;

/// Letters and digits alone, in lower case: 急性 心肌梗死 and 急性心肌梗死 are one.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// Blanks, punctuation and case tell no two questions apart. A text of fewer than three characters is one gram.
pub fn grams(text: &str) -> Grams {
    let letters: Vec<char> = plain(text).chars().collect();
    // Three characters of 21 bits each: no hash, so no collision.
    let pack = |gram: &[char]| gram.iter().fold(0, |packed, c| packed << 21 | u64::from(u32::from(*c)));
    let mut grams: Grams = match letters.len() {
        0 => Vec::new(),
        1 | 2 => vec![pack(&letters)],
        _ => letters.windows(3).map(pack).collect(),
    };
    grams.sort_unstable();
    grams.dedup();
    grams
}

pub fn jaccard(a: &Grams, b: &Grams) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, both) = (i + 1, j + 1, both + 1),
        }
    }
    let all = a.len() + b.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

/// A pair of sets that are alike, the earlier first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub first: usize,
    pub second: usize,
    pub jaccard: f64,
}

/// All pairs that are alike by `threshold` or more, in order of the second.
pub fn pairs(sets: &[Grams], threshold: f64) -> Vec<Pair> {
    let mut number: HashMap<u64, usize> = HashMap::new();
    sets.iter().flatten().for_each(|gram| *number.entry(*gram).or_default() += 1);
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (second, set) in sets.iter().enumerate() {
        let mut rarest = set.clone();
        rarest.sort_unstable_by_key(|gram| (number[gram], *gram));
        rarest.truncate(set.len() + 1 - (threshold * set.len() as f64).ceil() as usize);
        let mut near: Vec<usize> = rarest.iter().filter_map(|gram| seen.get(gram)).flatten().copied().collect();
        near.sort_unstable();
        near.dedup();
        for first in near {
            let jaccard = jaccard(&sets[first], set);
            if jaccard >= threshold {
                found.push(Pair { first, second, jaccard });
            }
        }
        rarest.into_iter().for_each(|gram| seen.entry(gram).or_default().push(second));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_counts_grams_and_not_spelling() {
        assert_eq!(jaccard(&grams("头痛三天，发热"), &grams("头痛 三天。发热！")), 1.0);
        assert_eq!(jaccard(&grams("abcd"), &grams("ABCE")), 1.0 / 3.0);
        assert_eq!(jaccard(&grams(""), &grams("")), 0.0);
        assert_eq!(jaccard(&grams("痛"), &grams("痛")), 1.0);
    }

    /// Thousands of texts over a small alphabet, where many are alike: the shortcut finds what all pairs give.
    #[test]
    fn the_shortcut_finds_every_pair_that_all_pairs_would() {
        let mut dice = crate::dice::dice(7);
        for round in 0..30 {
            let mut texts: Vec<String> = Vec::new();
            for _ in 0..60 {
                let mut text: String = match texts.is_empty() || dice(2) == 0 {
                    true => (0..dice(40)).map(|_| char::from(b'a' + dice(6) as u8)).collect(),
                    false => texts[dice(texts.len())].clone(),
                };
                text.push(char::from(b'a' + dice(6) as u8));
                texts.push(text);
            }
            let sets: Vec<Grams> = texts.iter().map(|text| grams(text)).collect();
            for threshold in [0.5, 0.7, 1.0] {
                let mut slow = Vec::new();
                for second in 0..sets.len() {
                    for first in 0..second {
                        let jaccard = jaccard(&sets[first], &sets[second]);
                        if jaccard >= threshold {
                            slow.push(Pair { first, second, jaccard });
                        }
                    }
                }
                assert_eq!(pairs(&sets, threshold), slow, "round {round}, {threshold}");
            }
        }
    }
}
