//! Which source each row of a mixture comes from: exact proportions, a closed form, no table.
//!
//! Definition. Sources i have integer weights w(i); a Huffman tree over the weights splits them. Of the
//! first m rows that reach a node of weight W, its left child, of weight A, gets
//! ⌊(m·A + ⌊W/2⌋) / W⌋, the right child the others. Row n belongs to the leaf that it falls to, walking
//! down from the root, and is that source's row number (rows that fell there before).
//!
//! Invariants. (1) After n = k·Σw rows source i has had exactly k·w(i): each split is exact at
//! multiples of W. (2) After any n rows its count differs from n·w(i)/Σw by less than 1.68: a split
//! rounds by at most ½, and what a node rounds reaches a leaf scaled by the leaf's part of the node;
//! the nodes above a leaf of a Huffman tree weigh at least 1, 1, 2, 3, 5, … times the leaf (a node's
//! sibling is at least as heavy as its own children, or it would have been joined first), so that
//! the sum is at most half of Σ 1/Fibonacci = 3.3599. Two sources: at most ½; three: at most 1.
//! (3) Any row is found in O(depth) steps, whatever n.
//!
//! Sources: Huffman, "A method for the construction of minimum-redundancy codes", Proc. IRE 40
//! (1952); for what can be reached at best (bound 1 − 1/(2k − 2), with a table), Tijdeman, "The
//! chairman assignment problem", Discrete Math. 32 (1980).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Error, Result};

/// The schedule of a mixture.
#[derive(Clone, Debug)]
pub struct Schedule {
    nodes: Vec<Node>,
    root: Child,
    num_sources: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Child {
    Source(usize),
    Node(usize),
}

#[derive(Clone, Copy, Debug)]
struct Node {
    left: Child,
    right: Child,
    left_weight: u64,
    weight: u64,
}

impl Node {
    /// How many of the first `rows` rows that reach the node go left.
    fn left_of(&self, rows: u64) -> u64 {
        let product = u128::from(rows) * u128::from(self.left_weight);
        ((product + u128::from(self.weight / 2)) / u128::from(self.weight)) as u64
    }
}

impl Schedule {
    /// The schedule of sources with these weights: at least one, all positive, the sum below 2^63.
    pub fn new(weights: &[u64]) -> Result<Self> {
        let total = weights.iter().try_fold(0u64, |sum, &w| sum.checked_add(w));
        if weights.contains(&0) || !total.is_some_and(|sum| sum > 0 && sum < 1 << 63) {
            let limit = "must be positive, with a sum below 2^63; write them with fewer digits";
            return Err(Error::argument("weights", format!("{weights:?}"), limit));
        }
        // Equal weights: what came first is joined first.
        let leaves = weights.iter().enumerate().map(|(i, &w)| Reverse((w, i, Child::Source(i))));
        let mut heap: BinaryHeap<_> = leaves.collect();
        let mut nodes = Vec::new();
        loop {
            let Some(Reverse((light, _, right))) = heap.pop() else {
                return Err(Error::argument("weights", "[]", "name at least one source"));
            };
            let Some(Reverse((heavy, _, left))) = heap.pop() else {
                return Ok(Self { nodes, root: right, num_sources: weights.len() });
            };
            let weight = light + heavy;
            heap.push(Reverse((weight, weights.len() + nodes.len(), Child::Node(nodes.len()))));
            nodes.push(Node { left, right, left_weight: heavy, weight });
        }
    }

    /// The source of row `n`, and how many of that source's rows came before.
    pub fn row(&self, n: u64) -> (usize, u64) {
        let (mut child, mut n) = (self.root, n);
        loop {
            match child {
                Child::Source(source) => return (source, n),
                Child::Node(node) => {
                    let node = &self.nodes[node];
                    let left = node.left_of(n);
                    (child, n) = if node.left_of(n + 1) > left {
                        (node.left, left)
                    } else {
                        (node.right, n - left)
                    };
                }
            }
        }
    }

    /// How many of the first `n` rows each source has.
    pub fn counts(&self, n: u64) -> Vec<u64> {
        let mut counts = vec![0; self.num_sources];
        let mut open = vec![(self.root, n)];
        while let Some((child, n)) = open.pop() {
            match child {
                Child::Source(source) => counts[source] = n,
                Child::Node(node) => {
                    let node = &self.nodes[node];
                    let left = node.left_of(n);
                    open.extend([(node.left, left), (node.right, n - left)]);
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights() -> impl Strategy<Value = Vec<u64>> {
        prop_oneof![
            prop::collection::vec(1..20u64, 1..8),
            prop::collection::vec(1..1_000_000u64, 1..8),
            // The worst for a Huffman tree: as deep as can be.
            (2..20usize).prop_map(|k| {
                let mut w = vec![1, 1];
                while w.len() < k {
                    w.push(w[w.len() - 1] + w[w.len() - 2]);
                }
                w
            }),
        ]
    }

    proptest! {
        /// Against counting: `row` enumerates each source's rows, `counts` says how many came
        /// before, and no count is ever further than the bound from its due.
        #[test]
        fn rows_and_counts_agree_and_keep_the_proportions(weights in weights()) {
            let schedule = Schedule::new(&weights).unwrap();
            let total: u64 = weights.iter().sum();
            let mut seen = vec![0u64; weights.len()];
            for n in 0..(2 * total).min(2000) {
                prop_assert_eq!(&schedule.counts(n), &seen);
                for (&count, &w) in seen.iter().zip(&weights) {
                    let due = n as f64 * w as f64 / total as f64;
                    let bound = match weights.len() { 2 => 0.5 + 1e-9, 3 => 1.0 + 1e-9, _ => 1.68 };
                    prop_assert!((count as f64 - due).abs() < bound, "{} {} {}", count, due, n);
                }
                let (source, nth) = schedule.row(n);
                prop_assert_eq!(nth, seen[source]);
                seen[source] += 1;
            }
        }

        #[test]
        fn exact_after_whole_periods_however_far(weights in weights(), periods in 0..1u64 << 40) {
            let schedule = Schedule::new(&weights).unwrap();
            let total: u64 = weights.iter().sum();
            let exact: Vec<u64> = weights.iter().map(|w| w * periods).collect();
            prop_assert_eq!(schedule.counts(periods * total), exact);
            let before = schedule.counts(periods * total + 7);
            let (source, nth) = schedule.row(periods * total + 7);
            prop_assert_eq!(nth, before[source]);
        }
    }

    #[test]
    fn known_schedule() {
        let schedule = Schedule::new(&[7, 3]).unwrap();
        let rows: Vec<usize> = (0..10).map(|n| schedule.row(n).0).collect();
        // ⌊(7n + 5) / 10⌋ = 0 1 1 2 3 4 4 5 6 6 7: row n is the heavy source's where it rises.
        assert_eq!(rows, [0, 1, 0, 0, 0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn bad_weights() {
        for weights in [&[][..], &[0, 1], &[1 << 62, 1 << 62]] {
            assert!(Schedule::new(weights).is_err(), "{weights:?}");
        }
    }
}
