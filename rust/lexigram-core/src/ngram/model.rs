//! The trained model: what it is, and the ways to ask it.
//!
//! [`query`](super::query) answers for the whole vocabulary, [`lanes`](super::lanes) for each id of
//! an array; [`storage`](super::storage) is what both read.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::kneser_ney::{CountsOfCounts, Discounts};
use super::lanes::{Lanes, Root};
use super::query::Query;
pub(super) use super::storage::{Level, LevelView};
use super::storage::{NO_LEVEL, OwnedLevel};
use super::words::Words;
use super::work::Threads;
use super::{MAX_ORDER, Smoothing};
use crate::bpe::memory::made;
use crate::{Error, Result};

/// How many tokens one task scores at a time.
const SCORE_CHUNK: usize = 1 << 14;

/// What a model is, apart from its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    pub order: usize,
    pub vocab_size: usize,
    pub document_separator: Option<u32>,
    pub smoothing: Smoothing,
    pub num_tokens: u64,
    /// The n-grams of each order; for order 1, the ids that were seen.
    pub num_ngrams: Vec<u64>,
    pub counts_of_counts: Vec<CountsOfCounts>,
}

impl Description {
    /// The number of trie nodes of `order`: level 1 has one for each id.
    pub fn num_nodes(&self, order: usize) -> u64 {
        if order == 1 { self.vocab_size as u64 } else { self.num_ngrams[order - 1] }
    }
}

#[derive(Debug)]
pub(super) enum Storage {
    Memory(Vec<OwnedLevel>),
    File(Box<super::file::ModelFile>),
}

/// A type that log-probabilities are given in.
pub trait LogProb: Copy + Send + Sync {
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
    /// Rounds to float32, which models are kept in.
    fn to_f32(self) -> f32;
}

impl LogProb for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self as f32
    }
}

impl LogProb for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }

    fn to_f32(self) -> f32 {
        self
    }
}

/// A trained n-gram model; see the [module](super) for what it holds.
#[derive(Debug)]
pub struct Model {
    pub(super) description: Description,
    pub(super) storage: Storage,
    pub(super) tokenizer: Option<String>,
    /// The words of a word model; see [`Model::words`].
    pub(super) words: OnceLock<Words>,
    /// Whether an n-gram's suffixes are always there, so that a search may end at the first
    /// suffix that is not.
    pub(super) suffixes: bool,
    /// The bits of a quantised log-probability.
    pub(super) quantized: Option<u32>,
    /// Level 1 as scoring reads it, made when it is first asked for.
    pub(super) roots: OnceLock<Vec<Root>>,
}

impl Model {
    /// A model of `levels`, each sorted by its ids, and kept in float32. Of each n-gram the
    /// suffixes must be there.
    pub(super) fn new<F: LogProb>(description: Description, levels: Vec<Level<F>>) -> Self {
        let vocab_size = description.vocab_size;
        let pack = |(order, level)| OwnedLevel::new(level, order, vocab_size);
        Self::packed(description, (1..).zip(levels).map(pack).collect())
    }

    /// A model of levels that are packed.
    pub(super) fn packed(description: Description, levels: Vec<OwnedLevel>) -> Self {
        let storage = Storage::Memory(levels);
        let (tokenizer, words, roots) = (None, OnceLock::new(), OnceLock::new());
        Self { description, storage, tokenizer, words, suffixes: true, quantized: None, roots }
    }

    /// Says whether every n-gram's suffixes are there: as in each model that was counted or read
    /// from an ARPA file. Only a test makes others; a file may be one.
    #[cfg(test)]
    pub(super) fn set_suffixes(&mut self, are_there: bool) {
        self.suffixes = are_there;
    }

    /// The levels of the trie, wherever they lie.
    pub(super) fn levels(&self) -> [LevelView<'_>; MAX_ORDER] {
        match &self.storage {
            Storage::Memory(levels) => {
                let below = |i: usize| levels.get(i + 1).map_or(0, |level| level.nodes);
                std::array::from_fn(|i| levels.get(i).map_or(NO_LEVEL, |l| l.view(below(i))))
            }
            Storage::File(file) => file.levels(),
        }
    }

    /// N, the length of the longest n-grams.
    pub fn order(&self) -> usize {
        self.description.order
    }

    /// V, the number of token ids.
    pub fn vocab_size(&self) -> usize {
        self.description.vocab_size
    }

    /// The id that stands for both ends of a document.
    pub fn document_separator(&self) -> Option<u32> {
        self.description.document_separator
    }

    /// How the counts became scores.
    pub fn smoothing(&self) -> Smoothing {
        self.description.smoothing
    }

    /// The number of ids it was trained on.
    pub fn num_tokens(&self) -> u64 {
        self.description.num_tokens
    }

    /// The number of n-grams of each order.
    pub fn num_ngrams(&self) -> &[u64] {
        &self.description.num_ngrams
    }

    /// The bits of a log-probability in a model that was saved quantised.
    pub fn quantized(&self) -> Option<u32> {
        self.quantized
    }

    /// n₁ … n₄ of each order, before pruning; of adjusted counts for Kneser-Ney, else of counts.
    pub fn counts_of_counts(&self) -> &[CountsOfCounts] {
        &self.description.counts_of_counts
    }

    /// The Kneser-Ney discounts of each order; none for other smoothings.
    pub fn discounts(&self) -> Vec<Discounts> {
        match self.description.smoothing {
            Smoothing::ModifiedKneserNey => {
                self.counts_of_counts().iter().map(|&n| Discounts::new(n)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The text of the tokenizer.json that the ids belong to, if one was attached.
    pub fn tokenizer(&self) -> Option<&str> {
        self.tokenizer.as_deref()
    }

    /// Attaches the text of a tokenizer.json; [`Model::save`] keeps it.
    pub fn set_tokenizer(&mut self, json: Option<String>) {
        self.tokenizer = json;
    }

    /// Other levels for the same ids, with the same tokenizer and words.
    pub(super) fn with_levels(&self, description: Description, levels: Vec<Level>) -> Result<Self> {
        let mut model = Self::new(description, levels);
        model.tokenizer.clone_from(&self.tokenizer);
        if let Some(words) = self.words()? {
            model.set_words(words.clone());
        }
        Ok(model)
    }

    /// Attaches the words that the ids stand for; [`Model::save`] keeps them.
    pub(super) fn set_words(&mut self, words: Words) {
        self.words = OnceLock::from(words);
    }

    /// ln p of each id given those before it, into `out` of the same length; the first is given
    /// an empty context. A context reaches back to the last separator and includes it.
    pub fn score<T: Copy + Sync + Into<u32>, F: LogProb>(
        &self,
        ids: &[T],
        out: &mut [F],
    ) -> Result<()> {
        self.score_batch(ids, &[0, ids.len()], None, out)
    }

    /// The same for several sequences, each of which begins with an empty context: sequence i is
    /// `ids[offsets[i]..offsets[i + 1]]`. `num_threads` as in [`super::Options`].
    pub fn score_batch<T: Copy + Sync + Into<u32>, F: LogProb>(
        &self,
        ids: &[T],
        offsets: &[usize],
        num_threads: Option<usize>,
        out: &mut [F],
    ) -> Result<()> {
        self.read(ids, offsets, num_threads, out, |logprob, _| F::from_f64(logprob))
    }

    /// The length of the n-gram that gave each of these scores; 0 for the uniform distribution
    /// that additive smoothing backs off to.
    pub fn order_used<T: Copy + Sync + Into<u32>>(
        &self,
        ids: &[T],
        offsets: &[usize],
        num_threads: Option<usize>,
        out: &mut [u8],
    ) -> Result<()> {
        self.read(ids, offsets, num_threads, out, |_, order| order)
    }

    /// Puts what `what` makes of each id's ln p and of the order that gave it.
    fn read<T: Copy + Sync + Into<u32>, R: Send>(
        &self,
        ids: &[T],
        offsets: &[usize],
        num_threads: Option<usize>,
        out: &mut [R],
        what: impl Fn(f64, u8) -> R + Copy + Sync,
    ) -> Result<()> {
        check_offsets(offsets, ids.len())?;
        Threads::check(num_threads)?;
        if ids.len() != out.len() {
            return Err(Error::Internal("score needs one place for each id".into()));
        }
        self.check_ids(ids)?;
        let query = Query::new(self);
        let roots = made(&self.roots, || Root::all(&query.levels[0]));
        let work = |(chunk, out): (usize, &mut [R])| {
            Lanes::new(&query, roots, ids, offsets, chunk * SCORE_CHUNK, out, what).run();
        };
        if ids.len() <= SCORE_CHUNK || num_threads == Some(1) {
            out.chunks_mut(SCORE_CHUNK).enumerate().for_each(work);
            return Ok(());
        }
        let threads = Threads::new(num_threads)?;
        threads.run(|| out.par_chunks_mut(SCORE_CHUNK).enumerate().for_each(work));
        Ok(())
    }

    /// ln p of every id after `context`, into `out` of length V.
    pub fn next_logprobs<F: LogProb>(&self, context: &[u32], out: &mut [F]) -> Result<()> {
        self.next_logprobs_batch(context, &[0, context.len()], None, out)
    }

    /// The same for several contexts: number i is `contexts[offsets[i]..offsets[i + 1]]`, and
    /// `out` holds a row of length V for each.
    pub fn next_logprobs_batch<F: LogProb>(
        &self,
        contexts: &[u32],
        offsets: &[usize],
        num_threads: Option<usize>,
        out: &mut [F],
    ) -> Result<()> {
        check_offsets(offsets, contexts.len())?;
        Threads::check(num_threads)?;
        self.check_ids(contexts)?;
        let rows = offsets.len() - 1;
        if out.len() != rows * self.vocab_size() {
            return Err(Error::Internal("next_logprobs needs V places for each context".into()));
        }
        let query = Query::new(self);
        let fill = |(row, out): (usize, &mut [F])| {
            let context = &contexts[offsets[row]..offsets[row + 1]];
            query.fill(&query.context(context), out);
        };
        if rows <= 1 || num_threads == Some(1) {
            out.chunks_mut(self.vocab_size()).enumerate().for_each(fill);
            return Ok(());
        }
        let threads = Threads::new(num_threads)?;
        threads.run(|| out.par_chunks_mut(self.vocab_size()).enumerate().for_each(fill));
        Ok(())
    }

    fn check_ids<T: Copy + Into<u32>>(&self, ids: &[T]) -> Result<()> {
        let vocab_size = self.vocab_size();
        // A sum that can be taken many ids at a time; the place is looked for only if needed.
        let most = ids.iter().fold(0, |most, &id| id.into().max(most));
        if (most as usize) < vocab_size {
            return Ok(());
        }
        let outside = |&id: &T| id.into() as usize >= vocab_size;
        match ids.iter().position(outside) {
            None => Ok(()),
            Some(position) => {
                Err(Error::TokenId { id: u64::from(ids[position].into()), position, vocab_size })
            }
        }
    }
}

/// Whether `offsets` cut `length` ids into sequences.
fn check_offsets(offsets: &[usize], length: usize) -> Result<()> {
    let ends = [offsets.first(), offsets.last()] == [Some(&0), Some(&length)];
    if ends && offsets.is_sorted() {
        return Ok(());
    }
    let limit = format!("use rising numbers, the first 0 and the last {length}, the number of ids");
    Err(Error::argument("offsets", format!("{:?}", &offsets[..offsets.len().min(8)]), limit))
}
