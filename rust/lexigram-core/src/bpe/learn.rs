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

use super::word_list::{End, WordList};
use super::words::Words;
use crate::prefetch;

/// How many words ahead are asked for.
const AHEAD: usize = 12;

/// The number of pairs that are kept when words are counted: at least so many, ...
const MIN_KEPT: usize = 1000;

/// ... at most this part of all, ...
const PART_KEPT: usize = 2;

/// ... and as many for each merge that is still wanted.
const KEPT_A_MERGE: usize = 4;

/// Pairs are first counted in so many buckets, as a power of two: few enough for their sums to stay
/// in a core's cache.
const BUCKET_BITS: u32 = 18;

#[derive(Debug)]
struct Pair {
    count: u64,
    words: WordList,
}

/// What a merge does to the pairs of one neighbour on one side.
#[derive(Debug, Clone, Default)]
struct Change {
    /// The frequency that the pair with the merged token loses, and that with the new token gains.
    count: u64,
    /// The words of the pair with the new token.
    words: WordList,
}

/// Changes by neighbour.
#[derive(Debug)]
struct Side {
    changes: Vec<Change>,
    touched: Vec<u32>,
}

impl Side {
    /// A pair of `neighbour` in word `word` is replaced, `by` times.
    #[inline(always)]
    fn change(&mut self, neighbour: u32, word: u32, by: u64) {
        let change = &mut self.changes[neighbour as usize];
        if change.count == 0 {
            self.touched.push(neighbour);
        }
        change.count += by;
        change.words.push(word);
    }

    fn take(&mut self, neighbour: u32) -> Change {
        std::mem::take(&mut self.changes[neighbour as usize])
    }
}

/// Learns merges.
#[derive(Debug)]
pub struct Learner {
    words: Words,
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

impl Learner {
    /// `lengths` are those of the tokens there are, by id.
    pub fn new(
        words: Words,
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
        self.max_length == usize::MAX
            || self.lengths[left as usize] + self.lengths[right as usize] <= self.max_length
    }

    /// Counts the pairs of all words, and keeps the most frequent for `wanted` merges.
    #[cold]
    fn count(&mut self, wanted: usize) {
        if self.words.codes().vary() {
            self.count_of::<true>(wanted);
        } else {
            self.count_of::<false>(wanted);
        }
    }

    fn count_of<const VARY: bool>(&mut self, wanted: usize) {
        self.pairs = HashMap::default();
        self.words.compact::<VARY>();
        // A pair is at most as frequent as all pairs of its bucket together. Counting only those
        // of frequent buckets one by one takes little memory, however many rare ones there are.
        let bucket =
            |pair: u64| (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKET_BITS)) as usize;
        let mut sums = vec![0u64; 1 << BUCKET_BITS];
        self.words.for_each_pair::<VARY>(|_, count, (left, right)| {
            let pair = key(left, right);
            if self.is_allowed(pair) {
                sums[bucket(pair)] += count;
            }
        });
        let mut threshold = self.choose_threshold(&sums, wanted);
        loop {
            self.threshold = threshold.max(self.min_frequency);
            self.pairs = self.count_in::<VARY>(|pair| sums[bucket(pair)] >= self.threshold);
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
    fn count_in<const VARY: bool>(
        &self,
        chosen: impl Fn(u64) -> bool,
    ) -> HashMap<u64, Pair, FxBuildHasher> {
        #[derive(Default)]
        struct Counted {
            count: u64,
            units: u32,
            end: End,
        }
        let mut counted: HashMap<u64, Counted, FxBuildHasher> = HashMap::default();
        self.words.for_each_pair::<VARY>(|word, count, (left, right)| {
            let pair = key(left, right);
            if chosen(pair) && self.is_allowed(pair) {
                let pair = counted.entry(pair).or_default();
                pair.count += count;
                pair.units += pair.end.measure(word);
            }
        });
        counted.retain(|_, pair| pair.count >= self.threshold);
        let pair = |(key, Counted { count, units, .. })| {
            (key, Pair { count, words: WordList::with_capacity(units as usize) })
        };
        let mut pairs: HashMap<u64, Pair, FxBuildHasher> = counted.into_iter().map(pair).collect();
        self.words.for_each_pair::<VARY>(|word, _, (left, right)| {
            if let Some(pair) = pairs.get_mut(&key(left, right)) {
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
        let merged = self.pairs.remove(&best).map_or_else(WordList::default, |pair| pair.words);
        if self.words.codes().vary() {
            self.replace::<true>(&merged, (left, right), token);
        } else {
            self.replace::<false>(&merged, (left, right), token);
        }
        self.settle((left, right), token);
        Some((left, right))
    }

    /// Replaces a pair by `token` in words.
    fn replace<const VARY: bool>(
        &mut self,
        merged: &WordList,
        (left, right): (u32, u32),
        token: u32,
    ) {
        let codes = self.words.codes();
        let (pair, new) = ((codes.code(left), codes.code(right)), codes.code(token));
        let mut ahead = merged.iter().skip(AHEAD);
        for word in merged.iter() {
            if let Some(ahead) = ahead.next() {
                prefetch(self.words.head(ahead));
            }
            self.words.merge::<VARY>(
                word,
                pair,
                new,
                |neighbour, by| self.left.change(neighbour, word, by),
                |neighbour, by| self.right.change(neighbour, word, by),
            );
        }
    }

    /// Brings the pairs up to date with what a merge changed.
    fn settle(&mut self, (left, right): (u32, u32), token: u32) {
        // Where the pair follows itself, the new token's pair with `left` was counted, and lost
        // again when that `left` was merged: on the left of the second is then the new token.
        let again = self.left.changes[token as usize].count;
        for neighbour in std::mem::take(&mut self.left.touched) {
            let Change { count, words } = self.left.take(neighbour);
            self.lose(key(neighbour, left), count);
            self.gain(key(neighbour, token), count, words);
        }
        for neighbour in std::mem::take(&mut self.right.touched) {
            let Change { count, words } = self.right.take(neighbour);
            self.lose(key(right, neighbour), count);
            let again = if neighbour == left { again } else { 0 };
            debug_assert!(again <= count, "what was lost again was counted before");
            self.gain(key(token, neighbour), count - again, words);
        }
    }

    /// Takes from a pair's frequency. The merged pair and those not kept are no longer there.
    fn lose(&mut self, lost: u64, by: u64) {
        if let Some(pair) = self.pairs.get_mut(&lost) {
            debug_assert!(by <= pair.count, "a pair occurs as often as it is counted");
            pair.count -= by;
            if pair.count < self.threshold {
                self.pairs.remove(&lost);
            }
        }
    }

    /// A pair with the new token, all of which are now counted.
    fn gain(&mut self, gained: u64, count: u64, mut words: WordList) {
        if count >= self.threshold && self.is_allowed(gained) {
            words.shrink();
            self.pairs.insert(gained, Pair { count, words });
            self.heap.push((count, Reverse(gained)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::Codes;
    use super::*;

    /// Frequent pairs that would be too long must not raise the threshold.
    #[test]
    fn forbidden_pairs_do_not_count_for_the_threshold() {
        let mut words = Words::new(Codes::new(400));
        for (left, right) in (0..40).flat_map(|i| (0..40).map(move |j| (i, j))) {
            words.push([256 + left, 256 + right].into_iter(), 1000).unwrap();
        }
        words.push([0, 1].into_iter(), 5).unwrap();
        let lengths = (0..300).map(|id| if id < 256 { 1 } else { 2 }).collect();
        let mut learner = Learner::new(words, lengths, 1, Some(2));
        learner.count(10);
        assert_eq!((learner.threshold, learner.pairs.len()), (1, 1));
        assert_eq!(learner.merge_best(300, 10), Some((0, 1)));
        assert_eq!(learner.merge_best(301, 9), None);
    }
}
