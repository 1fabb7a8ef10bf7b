//! Training: exact greedy byte-pair encoding.
//!
//! Definition. Every piece of the corpus is a sequence of byte tokens. Repeat: of all pairs of
//! adjacent tokens, weighted by how often their piece occurs, take the most frequent; among equals
//! the one whose left id is lowest, then whose right id is lowest; replace its occurrences in each
//! piece from left to right by a new token. A pair's frequency counts positions, so `aaa` holds
//! `(a, a)` twice.
//!
//! Ids are those that Hugging Face's trainer gives, so that ties fall the same way and files are
//! identical: special tokens first, then the 256 bytes in the order of their characters in the
//! byte alphabet, then one id a merge.
//!
//! Invariants. `pairs[i].count` is the exact frequency, `pairs[i].words` holds every word with the
//! pair (and perhaps words that have lost it). Each pair of positive frequency has an entry in the
//! heap whose count is at least the pair's; a popped entry that says more is pushed again with the
//! true count. So the entry that is popped with its true count is the pair that the definition
//! asks for. A frequency only grows while its pair is new: the pairs that a merge brings forth
//! hold the new token, and get their heap entry after all words are rewritten.
//!
//! Source: Sennrich et al. 2016, section 3.2; the incremental update is that of its `learn_bpe.py`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rustc_hash::FxBuildHasher;

use super::added::{AddedToken, Finder};
use super::alphabet;
use super::batch::default_threads;
use super::count::PieceCounter;
use super::merges::Merge;
use super::tokenizer::{Parts, Tokenizer};
use super::vocabulary::MAX_ID;
use crate::pretokenize::Pretokenizer;
use crate::progress::Progress;
use crate::{Error, Result};

/// How a vocabulary is to be trained.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Special tokens, bytes and merges together. A small corpus may give fewer.
    pub vocab_size: usize,
    /// As in [`Pretokenizer::new`].
    pub pattern: Option<String>,
    /// They get the ids 0, 1, … in this order.
    pub special_tokens: Vec<String>,
    /// 0: one a core. The result does not depend on it.
    pub num_threads: usize,
    /// Pairs that occur less often are not merged.
    pub min_frequency: u64,
    /// The longest token in bytes; `None`: any length.
    pub max_token_length: Option<usize>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            vocab_size: 32_768,
            pattern: Some("cl100k".into()),
            special_tokens: vec![],
            num_threads: 0,
            min_frequency: 1,
            max_token_length: None,
        }
    }
}

/// Learns a tokenizer from text that arrives in batches.
pub struct Trainer {
    options: TrainOptions,
    pretokenizer: Pretokenizer,
    special: Finder,
    added: Vec<AddedToken>,
}

impl Trainer {
    /// Checks the options.
    pub fn new(options: TrainOptions) -> Result<Self> {
        let least = 256 + options.special_tokens.len();
        if options.vocab_size < least || options.vocab_size > MAX_ID as usize {
            let specials = options.special_tokens.len();
            let limit = format!(
                "it must be at least 256 bytes + {specials} special tokens = {least}, and at most {MAX_ID}"
            );
            return Err(Error::argument("vocab_size", options.vocab_size, limit));
        }
        if options.max_token_length == Some(0) {
            return Err(Error::argument("max_token_length", 0, "it must be at least 1"));
        }
        let mut added: Vec<AddedToken> = Vec::new();
        for (id, text) in options.special_tokens.iter().enumerate() {
            let is_byte = alphabet::to_bytes(text).is_some_and(|bytes| bytes.len() == 1);
            let limit = match text {
                _ if text.is_empty() => "a special token must not be empty",
                _ if added.iter().any(|other| other.text == *text) => "it is given twice",
                _ if is_byte => "it stands for a byte; choose a text such as \"<|...|>\"",
                _ => {
                    let (text, id) = (text.clone(), id as u32);
                    added.push(AddedToken::special(text, id));
                    continue;
                }
            };
            return Err(Error::argument("special_tokens", format!("{text:?}"), limit));
        }
        let pretokenizer = Pretokenizer::new(options.pattern.as_deref())?;
        let special = Finder::new(&added)?;
        Ok(Self { options, pretokenizer, special, added })
    }

    /// A counter for the corpus.
    pub fn counter(&self) -> PieceCounter<'_> {
        let threads = match self.options.num_threads {
            0 => default_threads(),
            threads => threads,
        };
        PieceCounter::new(&self.pretokenizer, &self.special, threads)
    }

    /// Where a corpus that arrives in chunks may be cut: the last place in `text` at which neither
    /// a piece nor a special token is taken apart, whatever follows `text`; 0 for none.
    pub fn cut_before(&self, text: &str) -> Result<usize> {
        // A special token that begins before the cut lies within the text.
        let longest = self.added.iter().map(|token| token.text.len()).max().unwrap_or(0);
        let limit = text.len().saturating_sub(longest + 1);
        let (mut cut, mut at) = (self.pretokenizer.cut_before(text, limit), 0);
        while let Some((found, _)) = self.special.find(text, at)? {
            if found.end > cut {
                cut = cut.min(found.start);
                break;
            }
            at = found.end;
        }
        Ok(cut)
    }

    /// Learns the merges from counted pieces. `progress` counts merges.
    pub fn finish(&self, words: &[(Box<[u8]>, u64)], progress: &dyn Progress) -> Result<Tokenizer> {
        if words.is_empty() {
            return Err(Error::Empty {
                what: "the training text".into(),
                remedy: "give at least one text that is not empty",
            });
        }
        let first = self.added.len() as u32;
        let mut ids = [0; 256];
        let mut tokens = Vec::with_capacity(self.options.vocab_size);
        for (id, byte) in (first..).zip(alphabet::bytes_in_order()) {
            ids[byte as usize] = id;
            tokens.push((id, vec![byte]));
        }
        let mut learner = Learner::new(words, &ids, self.options.max_token_length);
        let wanted = self.options.vocab_size - 256 - self.added.len();
        let mut merges = Vec::with_capacity(wanted);
        while merges.len() < wanted {
            if merges.len() % 64 == 0 {
                progress.report(merges.len() as u64, wanted as u64)?;
            }
            let token = first + 256 + merges.len() as u32;
            let Some((left, right)) = learner.merge_best(token, self.options.min_frequency) else {
                break;
            };
            let part = |id: u32| &tokens[(id - first) as usize].1[..];
            let joined = [part(left), part(right)].concat();
            if let Some(special) = self.conflict(&joined) {
                return Err(Error::argument(
                    "special_tokens",
                    format!("{special:?}"),
                    "it arises as an ordinary token too; choose a text such as \"<|...|>\"",
                ));
            }
            tokens.push((token, joined));
            merges.push(Merge { left, right, token });
        }
        progress.report(wanted as u64, wanted as u64)?;
        Tokenizer::new(Parts {
            tokens,
            merges: Some(merges),
            added: self.added.clone(),
            pattern: self.options.pattern.clone(),
            ..Parts::default()
        })
    }

    /// A special token that a file would write like the ordinary token `token`.
    fn conflict(&self, token: &[u8]) -> Option<&str> {
        let same = |text: &str| alphabet::to_bytes(text).is_some_and(|bytes| bytes == token);
        self.added.iter().map(|added| added.text.as_str()).find(|text| same(text))
    }
}

struct PairState {
    count: i64,
    words: Vec<u32>,
}

/// The corpus as words of tokens, with the frequencies of its pairs.
struct Learner {
    /// The tokens of all words; word `w` has `lengths[w]` of them from `starts[w]` on.
    tokens: Vec<u32>,
    starts: Vec<usize>,
    lengths: Vec<u32>,
    counts: Vec<i64>,
    index: HashMap<(u32, u32), u32, FxBuildHasher>,
    pairs: Vec<PairState>,
    heap: BinaryHeap<(i64, Reverse<(u32, u32)>)>,
    /// Length of each token in bytes, from id 0 on.
    token_lengths: Vec<usize>,
    max_length: usize,
}

impl Learner {
    fn new(words: &[(Box<[u8]>, u64)], ids: &[u32; 256], max_length: Option<usize>) -> Self {
        let last = ids.iter().max().map_or(0, |&id| id as usize);
        let mut learner = Self {
            tokens: Vec::with_capacity(words.iter().map(|(word, _)| word.len()).sum()),
            starts: Vec::with_capacity(words.len()),
            lengths: Vec::with_capacity(words.len()),
            counts: Vec::with_capacity(words.len()),
            index: HashMap::default(),
            pairs: Vec::new(),
            heap: BinaryHeap::new(),
            token_lengths: vec![1; last + 1],
            max_length: max_length.unwrap_or(usize::MAX),
        };
        for (w, (word, count)) in words.iter().enumerate() {
            learner.starts.push(learner.tokens.len());
            learner.lengths.push(word.len() as u32);
            learner.counts.push(i64::try_from(*count).unwrap_or(i64::MAX));
            learner.tokens.extend(word.iter().map(|&byte| ids[byte as usize]));
            let start = learner.starts[w];
            for at in start + 1..start + word.len() {
                let pair = (learner.tokens[at - 1], learner.tokens[at]);
                learner.change(pair, learner.counts[w], w as u32);
            }
        }
        let entries = learner
            .index
            .iter()
            .map(|(&pair, &i)| (learner.pairs[i as usize].count, Reverse(pair)));
        learner.heap = entries.collect();
        learner
    }

    /// Adds to a pair's frequency; a positive change comes from word `w`.
    fn change(&mut self, pair: (u32, u32), by: i64, w: u32) {
        let new = self.pairs.len() as u32;
        let i = *self.index.entry(pair).or_insert(new);
        if i == new {
            self.pairs.push(PairState { count: 0, words: Vec::new() });
        }
        let state = &mut self.pairs[i as usize];
        state.count += by;
        if by > 0 && state.words.last() != Some(&w) {
            state.words.push(w);
        }
    }

    /// Merges the best pair into `token` and returns it; `None` if no pair is frequent enough.
    fn merge_best(&mut self, token: u32, min_frequency: u64) -> Option<(u32, u32)> {
        let pair = loop {
            let (count, Reverse(pair)) = self.heap.pop()?;
            let actual = self.index.get(&pair).map_or(0, |&i| self.pairs[i as usize].count);
            if actual < i64::try_from(min_frequency.max(1)).unwrap_or(i64::MAX) {
                continue;
            }
            let (left, right) = (pair.0 as usize, pair.1 as usize);
            if self.token_lengths[left] + self.token_lengths[right] > self.max_length {
                continue;
            }
            if actual == count {
                break pair;
            }
            self.heap.push((actual, Reverse(pair)));
        };
        self.token_lengths
            .push(self.token_lengths[pair.0 as usize] + self.token_lengths[pair.1 as usize]);
        let i = self.index.remove(&pair)?;
        let words = std::mem::take(&mut self.pairs[i as usize].words);
        let first_new = self.pairs.len();
        let mut new_pairs = Vec::new();
        for w in words {
            self.rewrite(w, pair, token, &mut new_pairs);
        }
        debug_assert!(new_pairs.iter().all(|pair| self.index[pair] as usize >= first_new));
        new_pairs.sort_unstable();
        new_pairs.dedup();
        for pair in new_pairs {
            let count = self.pairs[self.index[&pair] as usize].count;
            if count > 0 {
                self.heap.push((count, Reverse(pair)));
            }
        }
        Some(pair)
    }

    /// Replaces `pair` by `token` in word `w`, from left to right, and keeps the frequencies.
    fn rewrite(&mut self, w: u32, pair: (u32, u32), token: u32, new_pairs: &mut Vec<(u32, u32)>) {
        let (start, length) = (self.starts[w as usize], self.lengths[w as usize] as usize);
        let by = self.counts[w as usize];
        let (mut read, mut write) = (0, 0);
        while read < length {
            let here = self.tokens[start + read];
            if here != pair.0 || read + 1 >= length || self.tokens[start + read + 1] != pair.1 {
                self.tokens[start + write] = here;
                (read, write) = (read + 1, write + 1);
                continue;
            }
            if write > 0 {
                let before = self.tokens[start + write - 1];
                self.lose((before, pair.0), pair, by);
                self.change((before, token), by, w);
                new_pairs.push((before, token));
            }
            if read + 2 < length {
                let after = self.tokens[start + read + 2];
                self.lose((pair.1, after), pair, by);
                self.change((token, after), by, w);
                new_pairs.push((token, after));
            }
            self.tokens[start + write] = token;
            (read, write) = (read + 2, write + 1);
        }
        self.lengths[w as usize] = write as u32;
    }

    /// Takes from a pair's frequency. The pair that is being merged is no longer kept.
    fn lose(&mut self, lost: (u32, u32), merged: (u32, u32), by: i64) {
        if lost != merged
            && let Some(&i) = self.index.get(&lost)
        {
            self.pairs[i as usize].count -= by;
        }
    }
}
