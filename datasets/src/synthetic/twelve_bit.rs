//! The 12-bit information-plane task (Shwartz-Ziv and Tishby 2017, arXiv 1703.00810).
//!
//! The 12 binary inputs are the vertices of an icosahedron and the rule is invariant under its symmetries: with w ones, n1
//! pairs of ones on neighbouring vertices, n3 on opposite vertices and n2 on the remaining ones,
//!
//! y = 1 exactly when 103 w + 2 n1 - 22 n2 - 34 n3 >= 430.
//!
//! The rule was recovered from the label vector that the authors published and reproduces all 4096 labels; the tests hold
//! its SHA-256.

use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::shape::ImageShape;
use crate::stream::stream;
use rand::seq::SliceRandom;

/// Number of binary inputs.
pub const BITS: usize = 12;

/// Number of patterns.
pub const PATTERNS: usize = 1 << BITS;

/// Number of training patterns: 80 % of all, rounded down.
pub const TRAIN: usize = PATTERNS * 4 / 5;

/// Score from which on the label is 1.
pub const THRESHOLD: i32 = 430;

/// The five neighbours of each vertex; vertex 0 is the most significant bit.
const NEIGHBOURS: [[usize; 5]; BITS] = [
    [1, 3, 5, 10, 11],
    [0, 2, 3, 4, 11],
    [1, 3, 4, 8, 9],
    [0, 1, 2, 8, 10],
    [1, 2, 6, 9, 11],
    [0, 6, 7, 10, 11],
    [4, 5, 7, 9, 11],
    [5, 6, 8, 9, 10],
    [2, 3, 7, 9, 10],
    [2, 4, 6, 7, 8],
    [0, 3, 5, 7, 8],
    [0, 1, 4, 5, 6],
];

/// The opposite of each vertex.
const OPPOSITE: [usize; BITS] = [9, 7, 5, 6, 10, 2, 3, 1, 11, 0, 4, 8];

/// Input `bit` (0 = most significant) of a pattern.
#[must_use]
pub fn bit(pattern: usize, bit: usize) -> u8 {
    (pattern >> (BITS - 1 - bit) & 1) as u8
}

/// The counts (w, n1, n2, n3) of a pattern.
#[must_use]
pub fn counts(pattern: usize) -> (i32, i32, i32, i32) {
    let is_one = |vertex: usize| bit(pattern, vertex) == 1;
    let ones = (0..BITS).filter(|&vertex| is_one(vertex)).count() as i32;
    let mut neighbours = 0;
    let mut opposites = 0;
    for vertex in (0..BITS).filter(|&vertex| is_one(vertex)) {
        neighbours += NEIGHBOURS[vertex].iter().filter(|&&other| is_one(other)).count() as i32;
        opposites += i32::from(is_one(OPPOSITE[vertex]));
    }
    // Every pair was counted from both ends.
    let (neighbours, opposites) = (neighbours / 2, opposites / 2);
    let remaining = ones * (ones - 1) / 2 - neighbours - opposites;
    (ones, neighbours, remaining, opposites)
}

/// The score whose threshold gives the label.
#[must_use]
pub fn score(pattern: usize) -> i32 {
    let (w, n1, n2, n3) = counts(pattern);
    103 * w + 2 * n1 - 22 * n2 - 34 * n3
}

/// Label of a pattern in `0..4096`.
#[must_use]
pub fn label(pattern: usize) -> u8 {
    u8::from(score(pattern) >= THRESHOLD)
}

/// All 4096 patterns in counting order, with inputs 0 and 1.
#[must_use]
pub fn all() -> RawSplit {
    split(&(0..PATTERNS).collect::<Vec<_>>())
}

/// A random 80 % of the patterns for training and the others for testing.
///
/// Information is usually measured on [`all`] patterns, not on either split.
#[must_use]
pub fn dataset(seed: u64) -> Dataset {
    let mut order: Vec<usize> = (0..PATTERNS).collect();
    order.shuffle(&mut stream(seed, "data.twelve-bit.split"));
    let (train, test) = order.split_at(TRAIN);
    Dataset {
        name: "twelve-bit".to_owned(),
        source: format!("generated: the 12-bit task ({} train, {} test patterns)", train.len(), test.len()),
        shape: ImageShape::flat(BITS),
        classes: 2,
        outputs: None,
        train: split(train),
        test: split(test),
    }
}

fn split(patterns: &[usize]) -> RawSplit {
    let inputs =
        patterns.iter().flat_map(|&pattern| (0..BITS).map(move |index| f64::from(bit(pattern, index)))).collect();
    let labels = patterns.iter().map(|&pattern| label(pattern)).collect();
    RawSplit { n: patterns.len(), inputs: SplitInputs::Real(inputs), labels, targets: None }
}

#[cfg(test)]
mod tests {
    use super::{NEIGHBOURS, OPPOSITE, PATTERNS, TRAIN, all, counts, dataset, label, score};
    use crate::checksum::{Checksum, checksum_of};
    use std::collections::BTreeSet;

    #[test]
    fn the_labels_are_the_published_ones() {
        let labels: Vec<u8> = (0..PATTERNS).map(label).collect();
        let published = Checksum::Sha256("77732f16f85e91b49d3997196b56163b3bd362d8cf631468a8de3f986e88359f");
        assert_eq!(checksum_of(&labels[..], published).unwrap(), published.hex());
        assert_eq!(labels.iter().filter(|&&label| label == 1).count(), 2118);
        assert_eq!(all().labels, labels);
    }

    #[test]
    fn no_score_comes_near_the_threshold() {
        let scores: Vec<i32> = (0..PATTERNS).map(score).collect();
        assert_eq!(scores.iter().filter(|&&score| score < 430).max(), Some(&427));
        assert_eq!(scores.iter().filter(|&&score| score >= 430).min(), Some(&432));
    }

    #[test]
    fn there_are_64_distinct_counts() {
        assert_eq!((0..PATTERNS).map(counts).collect::<BTreeSet<_>>().len(), 64);
    }

    #[test]
    fn labels_by_number_of_ones() {
        for (ones, positives, patterns) in [(4, 0, 495), (5, 60, 792), (6, 532, 924), (7, 732, 792), (8, 495, 495)] {
            let with_ones: Vec<usize> = (0..PATTERNS).filter(|&pattern| counts(pattern).0 == ones).collect();
            assert_eq!(with_ones.len(), patterns);
            assert_eq!(with_ones.iter().filter(|&&pattern| label(pattern) == 1).count(), positives, "{ones} ones");
        }
    }

    #[test]
    fn neighbours_and_opposites_are_mutual() {
        for vertex in 0..12 {
            assert_eq!(OPPOSITE[OPPOSITE[vertex]], vertex);
            for &other in &NEIGHBOURS[vertex] {
                assert!(NEIGHBOURS[other].contains(&vertex));
                assert_ne!(OPPOSITE[vertex], other);
            }
        }
    }

    #[test]
    fn the_splits_share_no_pattern_and_miss_none() {
        let data = dataset(3);
        assert_eq!((data.train.n, data.test.n), (TRAIN, PATTERNS - TRAIN));
        let mut seen = BTreeSet::new();
        for split in [&data.train, &data.test] {
            let mut row = [0.0; 12];
            for index in 0..split.n {
                split.copy_row(index, &mut row);
                let pattern = row.iter().fold(0, |value, &bit| 2 * value + bit as usize);
                assert_eq!(split.labels[index], label(pattern));
                assert!(seen.insert(pattern));
            }
        }
        assert_eq!(seen.len(), PATTERNS);
        assert_ne!(data.train.inputs, dataset(4).train.inputs);
    }
}
