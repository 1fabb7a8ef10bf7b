//! The merges of a corpus of words, one after the other.
//!
//! `pairs` holds pairs of adjacent tokens with their exact frequencies and the words that have them
//! (and perhaps words that have lost them). Frequencies only fall, but for those of a pair that a
//! merge brings forth: it holds the new token, and its frequency is complete when the merge is.
//! So a pair that is once below a threshold stays below it. Invariant: every pair whose frequency
//! is at least `threshold`, and which is not too long, is in `pairs`, and has an entry in the heap
//! whose count is at least its frequency; a popped entry that says more is pushed again with the
//! true count. So the entry that is popped with its true count is the best pair. When none of at
//! least the threshold is left, the words are counted again for a lower one. Most pairs of a corpus
//! are rare and never needed: they are neither kept nor looked up.
//!
//! A merge touches pairs of the merged tokens and their neighbours only. What it takes and gives is
//! added up by neighbour, in arrays, and the pairs are looked up once each at its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxBuildHasher;

use super::words::{Unit, Words};
use crate::prefetch;

/// How many words ahead are asked for.
const AHEAD: usize = 12;

/// The number of pairs that are kept when words are counted: at least so many, ...
const MIN_KEPT: usize = 1000;

/// ... at most this part of all, ...
const PART_KEPT: usize = 8;

/// ... and as many for each merge that is still wanted.
const KEPT_A_MERGE: usize = 4;

/// Pairs are first counted in so many buckets, as a power of two.
const BUCKET_BITS: u32 = 20;

#[derive(Debug)]
struct Pair {
    count: u64,
    words: Vec<u32>,
}

/// What a merge does to the pairs of one neighbour on one side.
#[derive(Debug, Clone, Default)]
struct Change {
    /// The frequency that the pair with the merged token loses.
    lost: u64,
    /// The frequency of the pair with the new token, and its words.
    gained: u64,
    words: Vec<u32>,
}

/// Changes by neighbour.
#[derive(Debug)]
struct Side {
    changes: Vec<Change>,
    touched: Vec<u32>,
}

impl Side {
    /// A pair of `neighbour` in word `word` is replaced, `by` times.
    #[inline]
    fn change(&mut self, neighbour: u32, word: u32, by: u64) {
        let change = &mut self.changes[neighbour as usize];
        if change.lost == 0 {
            self.touched.push(neighbour);
        }
        change.lost += by;
        change.gained += by;
        if change.words.last() != Some(&word) {
            change.words.push(word);
        }
    }
}

/// Learns merges.
#[derive(Debug)]
pub struct Learner<U> {
    words: Words<U>,
    pairs: HashMap<u64, Pair, FxBuildHasher>,
    heap: BinaryHeap<(u64, Reverse<u64>)>,
    threshold: u64,
    min_frequency: u64,
    /// Length of each token in bytes.
    lengths: Vec<usize>,
    max_length: usize,
    /// Changes by left neighbour, by right neighbour.
    left: Side,
    right: Side,
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn parts(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

impl<U: Unit> Learner<U> {
    /// `lengths` are those of the tokens there are, by id.
    pub fn new(
        words: Words<U>,
        lengths: Vec<usize>,
        min_frequency: u64,
        max_length: Option<usize>,
    ) -> Self {
        let there = lengths.len();
        let side = || Side { changes: vec![Change::default(); there], touched: Vec::new() };
        Self {
            words,
            pairs: HashMap::default(),
            heap: BinaryHeap::new(),
            threshold: u64::MAX,
            min_frequency: min_frequency.max(1),
            lengths,
            max_length: max_length.unwrap_or(usize::MAX),
            left: side(),
            right: side(),
        }
    }

    fn is_allowed(&self, pair: u64) -> bool {
        let (left, right) = parts(pair);
        self.lengths[left as usize] + self.lengths[right as usize] <= self.max_length
    }

    /// Counts the pairs of all words, and keeps the most frequent for `wanted` merges.
    #[cold]
    fn count(&mut self, wanted: usize) {
        self.pairs = HashMap::default();
        // A pair is at most as frequent as all pairs of its bucket together. Counting only those
        // of frequent buckets one by one takes little memory, however many rare ones there are.
        let bucket =
            |pair: u64| (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKET_BITS)) as usize;
        let mut sums = vec![0u64; 1 << BUCKET_BITS];
        self.words.for_each_pair(|_, count, (left, right)| {
            sums[bucket(key(left, right))] += count;
        });
        let mut threshold = self.choose_threshold(&sums, wanted);
        loop {
            self.threshold = threshold.max(self.min_frequency);
            self.pairs = self.count_in(|pair| sums[bucket(pair)] >= self.threshold);
            if !self.pairs.is_empty() || self.threshold == self.min_frequency {
                break;
            }
            threshold = self.threshold / 2;
        }
        self.heap = self.pairs.iter().map(|(&key, pair)| (pair.count, Reverse(key))).collect();
    }

    /// A threshold that about as many pairs reach as will be needed; any is right.
    fn choose_threshold(&self, sums: &[u64], wanted: usize) -> u64 {
        let mut sums: Vec<u64> = sums.iter().copied().filter(|&sum| sum > 0).collect();
        let kept = (sums.len() / PART_KEPT).min(wanted * KEPT_A_MERGE).max(MIN_KEPT);
        if kept >= sums.len() { 1 } else { *sums.select_nth_unstable_by(kept, |a, b| b.cmp(a)).1 }
    }

    /// Counts the pairs among `chosen` ones, and keeps those that reach the threshold.
    fn count_in(&self, chosen: impl Fn(u64) -> bool) -> HashMap<u64, Pair, FxBuildHasher> {
        #[derive(Default)]
        struct Counted {
            count: u64,
            words: u32,
            last: Option<u32>,
        }
        let mut counted: HashMap<u64, Counted, FxBuildHasher> = HashMap::default();
        self.words.for_each_pair(|word, count, (left, right)| {
            let pair = key(left, right);
            if chosen(pair) {
                let pair = counted.entry(pair).or_default();
                pair.count += count;
                pair.words += u32::from(pair.last.replace(word) != Some(word));
            }
        });
        counted.retain(|&pair, of| of.count >= self.threshold && self.is_allowed(pair));
        let pair = |(key, Counted { count, words, .. })| {
            (key, Pair { count, words: Vec::with_capacity(words as usize) })
        };
        let mut pairs: HashMap<u64, Pair, FxBuildHasher> = counted.into_iter().map(pair).collect();
        self.words.for_each_pair(|word, _, (left, right)| {
            if let Some(pair) = pairs.get_mut(&key(left, right))
                && pair.words.last() != Some(&word)
            {
                pair.words.push(word);
            }
        });
        pairs
    }

    /// Merges the best pair into `token`, the next id, and returns it; `None` if no pair is
    /// frequent enough. So many merges are `wanted` yet.
    pub fn merge_best(&mut self, token: u32, wanted: usize) -> Option<(u32, u32)> {
        let best = loop {
            let Some((count, Reverse(key))) = self.heap.pop() else {
                if self.threshold <= self.min_frequency {
                    return None;
                }
                self.count(wanted);
                continue;
            };
            match self.pairs.get(&key).map_or(0, |pair| pair.count) {
                // It fell below the threshold.
                0 => {}
                actual if actual == count => break key,
                actual => self.heap.push((actual, Reverse(key))),
            }
        };
        let (left, right) = parts(best);
        self.lengths.push(self.lengths[left as usize] + self.lengths[right as usize]);
        self.left.changes.push(Change::default());
        self.right.changes.push(Change::default());
        let words = self.pairs.remove(&best).map_or(vec![], |pair| pair.words);
        for (i, &word) in words.iter().enumerate() {
            if let Some(&ahead) = words.get(i + AHEAD) {
                prefetch(self.words.head(ahead));
            }
            self.rewrite(word, (left, right), token);
        }
        self.settle((left, right), token);
        Some((left, right))
    }

    /// Replaces a pair by `token` in a word, from left to right.
    fn rewrite(&mut self, word: u32, (left, right): (u32, u32), token: u32) {
        let by = self.words.count(word);
        let tokens = self.words.tokens_mut(word);
        let (left, right) = (U::of(left), U::of(right));
        let (mut read, mut write) = (0, 0);
        loop {
            let here = tokens[read];
            if here == U::END {
                break;
            }
            if here != left || tokens[read + 1] != right {
                tokens[write] = here;
                (read, write) = (read + 1, write + 1);
                continue;
            }
            if write > 0 {
                self.left.change(tokens[write - 1].id(), word, by);
            }
            let after = tokens[read + 2];
            if after != U::END {
                self.right.change(after.id(), word, by);
            }
            tokens[write] = U::of(token);
            (read, write) = (read + 2, write + 1);
        }
        tokens[write] = U::END;
    }

    /// Brings the pairs up to date with what a merge changed.
    fn settle(&mut self, (left, right): (u32, u32), token: u32) {
        // Where the pair follows itself, the new token's pair with `left` was counted, and lost
        // again when that `left` was merged.
        let again = self.left.changes[token as usize].lost;
        self.right.changes[left as usize].gained =
            self.right.changes[left as usize].gained.saturating_sub(again);
        for neighbour in std::mem::take(&mut self.left.touched) {
            let change = std::mem::take(&mut self.left.changes[neighbour as usize]);
            self.lose(key(neighbour, left), change.lost);
            self.gain(key(neighbour, token), change);
        }
        for neighbour in std::mem::take(&mut self.right.touched) {
            let change = std::mem::take(&mut self.right.changes[neighbour as usize]);
            self.lose(key(right, neighbour), change.lost);
            self.gain(key(token, neighbour), change);
        }
    }

    /// Takes from a pair's frequency. The merged pair and those not kept are no longer there.
    fn lose(&mut self, lost: u64, by: u64) {
        if let Some(pair) = self.pairs.get_mut(&lost) {
            pair.count = pair.count.saturating_sub(by);
            if pair.count < self.threshold {
                self.pairs.remove(&lost);
            }
        }
    }

    fn gain(&mut self, gained: u64, change: Change) {
        if change.gained >= self.threshold && self.is_allowed(gained) {
            let mut words = change.words;
            words.shrink_to_fit();
            self.pairs.insert(gained, Pair { count: change.gained, words });
            self.heap.push((change.gained, Reverse(gained)));
        }
    }
}
