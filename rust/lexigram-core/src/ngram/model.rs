//! The trained model and its answers.
//!
//! A query holds the trie nodes of all suffixes of its context, one a length. Reading one id
//! looks it up among the continuations of each; the longest that has it gives the value, and the
//! hits are the nodes of the next context. So a token costs at most N − 1 searches, whatever is
//! seen or unseen. For the whole vocabulary, level 1 is copied and each longer context writes
//! over it, shortest first, with the sum of the weights that are still to be paid.

use rayon::prelude::*;

use super::estimate::missing_weight;
use super::kneser_ney::{CountsOfCounts, Discounts};
use super::{MAX_ORDER, Smoothing};
use crate::format::MappedFile;
use crate::{Error, Result};

/// A context of a length that was never seen.
const ABSENT: u32 = u32::MAX;

/// How many tokens one thread scores at a time.
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

/// One level of a model in memory.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The last id of each n-gram; empty in level 1.
    pub words: Vec<u32>,
    /// ln p of each n-gram's last id given the others.
    pub logprobs: Vec<f64>,
    /// Where the continuations of each n-gram begin in the next level; empty in the last level.
    pub children: Vec<u32>,
    /// ln γ of each n-gram as a context; empty in the last level.
    pub backoffs: Vec<f64>,
}

/// The same, wherever it lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LevelView<'a> {
    pub words: &'a [u32],
    pub logprobs: &'a [f64],
    pub children: &'a [u32],
    pub backoffs: &'a [f64],
}

/// One level, read by node. Whoever walks a trie uses these and knows nothing of how it lies.
impl LevelView<'_> {
    /// The last id of n-gram i; in level 1, i itself.
    pub fn word(&self, i: usize) -> u32 {
        self.words.get(i).copied().unwrap_or(i as u32)
    }

    /// ln p of its last id given the others.
    pub fn logprob(&self, i: usize) -> f64 {
        self.logprobs[i]
    }

    /// ln γ of it as a context.
    pub fn backoff(&self, i: usize) -> f64 {
        self.backoffs[i]
    }

    /// Where its continuations lie in the next level.
    pub fn followers(&self, i: usize) -> std::ops::Range<usize> {
        self.children[i] as usize..self.children[i + 1] as usize
    }
}

#[derive(Debug)]
pub(super) enum Storage {
    Memory(Vec<Level>),
    File(MappedFile),
}

/// A type that log-probabilities are given in.
pub trait LogProb: Copy + Send + Sync {
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
}

impl LogProb for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

impl LogProb for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

/// A trained n-gram model; see the [module](super) for what it holds.
#[derive(Debug)]
pub struct Model {
    pub(super) description: Description,
    pub(super) storage: Storage,
    pub(super) tokenizer: Option<String>,
}

impl Model {
    pub(super) fn new(description: Description, levels: Vec<Level>) -> Self {
        Self { description, storage: Storage::Memory(levels), tokenizer: None }
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

    /// ln p of each id given those before it, into `out` of the same length; the first is given
    /// an empty context. A context reaches back to the last separator and includes it.
    pub fn score<T: Copy + Sync + Into<u32>, F: LogProb>(
        &self,
        ids: &[T],
        out: &mut [F],
    ) -> Result<()> {
        if ids.len() != out.len() {
            return Err(Error::Internal("score needs one place for each id".into()));
        }
        self.check_ids(ids)?;
        let query = Query::new(self)?;
        out.par_chunks_mut(SCORE_CHUNK).enumerate().for_each(|(chunk, out)| {
            let from = chunk * SCORE_CHUNK;
            let before = from.saturating_sub(self.order() - 1);
            let mut context = query.context(&ids[before..from]);
            for (out, &id) in out.iter_mut().zip(&ids[from..]) {
                *out = F::from_f64(query.read(&mut context, id.into()));
            }
        });
        Ok(())
    }

    /// ln p of every id after `context`, into `out` of length V.
    pub fn next_logprobs<F: LogProb>(&self, context: &[u32], out: &mut [F]) -> Result<()> {
        self.next_logprobs_rows(context, context.len(), out)
    }

    /// The same for several contexts of one length: `contexts` and `out` hold a row for each.
    pub fn next_logprobs_rows<F: LogProb>(
        &self,
        contexts: &[u32],
        length: usize,
        out: &mut [F],
    ) -> Result<()> {
        self.check_ids(contexts)?;
        let rows = out.len() / self.vocab_size();
        if out.len() != rows * self.vocab_size() || contexts.len() != rows * length {
            return Err(Error::Internal("next_logprobs needs V places for each context".into()));
        }
        let query = Query::new(self)?;
        let fill = |(row, out): (usize, &mut [F])| {
            let context = &contexts[row * length..(row + 1) * length];
            let context = query.context(&context[length.saturating_sub(self.order() - 1)..]);
            query.fill(&context, out);
        };
        match rows {
            1 => fill((0, out)),
            _ => out.par_chunks_mut(self.vocab_size()).enumerate().for_each(fill),
        }
        Ok(())
    }

    fn check_ids<T: Copy + Into<u32>>(&self, ids: &[T]) -> Result<()> {
        let vocab_size = self.vocab_size();
        let outside = |&id: &T| id.into() as usize >= vocab_size;
        match ids.iter().position(outside) {
            None => Ok(()),
            Some(position) => {
                Err(Error::TokenId { id: u64::from(ids[position].into()), position, vocab_size })
            }
        }
    }
}

/// The nodes of a context: `nodes[j]` is that of its last j ids, for j = 1 … `length`.
struct Context {
    nodes: [u32; MAX_ORDER],
    length: usize,
}

/// A model made ready to answer.
struct Query<'a> {
    levels: [LevelView<'a>; MAX_ORDER],
    order: usize,
    separator: Option<u32>,
    /// ln of the weight of a context that was never seen.
    missing: f64,
    /// ln 1/V, where the longest context backs off to that and to no shorter context.
    uniform: Option<f64>,
}

impl<'a> Query<'a> {
    fn new(model: &'a Model) -> Result<Self> {
        let smoothing = model.smoothing();
        let additive = matches!(smoothing, Smoothing::Additive { .. });
        Ok(Self {
            levels: model.levels()?,
            order: model.order(),
            separator: model.document_separator(),
            missing: missing_weight(smoothing).ln(),
            uniform: additive.then(|| -(model.vocab_size() as f64).ln()),
        })
    }

    /// The context that `ids` make.
    fn context<T: Copy + Into<u32>>(&self, ids: &[T]) -> Context {
        let mut context = Context { nodes: [ABSENT; MAX_ORDER], length: 0 };
        for &id in ids {
            let hits = self.hits(&context, id.into());
            self.extend(&mut context, id.into(), &hits);
        }
        context
    }

    /// The nodes of the n-grams that `id` makes with each suffix of the context; `[0]` is `id`.
    fn hits(&self, context: &Context, id: u32) -> [u32; MAX_ORDER] {
        let mut hits = [ABSENT; MAX_ORDER];
        hits[0] = id;
        for (j, hit) in hits.iter_mut().enumerate().take(context.length + 1).skip(1) {
            if context.nodes[j] != ABSENT {
                let (from, to) = self.followers(j, context.nodes[j]);
                if let Ok(i) = self.levels[j].words[from..to].binary_search(&id) {
                    *hit = (from + i) as u32;
                }
            }
        }
        hits
    }

    /// Where the continuations of a node of the j-th level lie in the next.
    fn followers(&self, j: usize, node: u32) -> (usize, usize) {
        let followers = self.levels[j - 1].followers(node as usize);
        (followers.start, followers.end)
    }

    fn extend(&self, context: &mut Context, id: u32, hits: &[u32; MAX_ORDER]) {
        let longest = self.order - 1;
        context.length = match self.separator == Some(id) {
            true => longest.min(1),
            false => longest.min(context.length + 1),
        };
        context.nodes[1..=context.length].copy_from_slice(&hits[..context.length]);
    }

    /// ln p of `id` after the context, which then ends with `id`.
    fn read(&self, context: &mut Context, id: u32) -> f64 {
        let hits = self.hits(context, id);
        let logprob = self.logprob(context, &hits);
        self.extend(context, id, &hits);
        logprob
    }

    fn logprob(&self, context: &Context, hits: &[u32; MAX_ORDER]) -> f64 {
        let mut paid = 0.0;
        for j in (1..=context.length).rev() {
            if hits[j] != ABSENT {
                return paid + self.levels[j].logprob(hits[j] as usize);
            }
            paid += self.backoff(context, j);
            if let Some(uniform) = self.uniform {
                return paid + uniform;
            }
        }
        paid + self.levels[0].logprob(hits[0] as usize)
    }

    /// ln of the weight of the context's last j ids.
    fn backoff(&self, context: &Context, j: usize) -> f64 {
        match context.nodes[j] {
            ABSENT => self.missing,
            node => self.levels[j - 1].backoff(node as usize),
        }
    }

    /// ln p of every id after the context.
    fn fill<F: LogProb>(&self, context: &Context, out: &mut [F]) {
        // What is still to be paid when a context of j ids has the word.
        let mut owed = [0.0; MAX_ORDER];
        for j in (1..=context.length).rev() {
            owed[j - 1] = owed[j] + self.backoff(context, j);
        }
        let mut shortest = 1;
        match self.uniform {
            Some(uniform) if context.length > 0 => {
                shortest = context.length;
                out.fill(F::from_f64(owed[shortest - 1] + uniform));
            }
            _ => {
                for (out, &logprob) in out.iter_mut().zip(self.levels[0].logprobs) {
                    *out = F::from_f64(owed[0] + logprob);
                }
            }
        }
        for j in (shortest..=context.length).filter(|&j| context.nodes[j] != ABSENT) {
            let (from, to) = self.followers(j, context.nodes[j]);
            let level = &self.levels[j];
            for (&word, &logprob) in level.words[from..to].iter().zip(&level.logprobs[from..to]) {
                out[word as usize] = F::from_f64(owed[j] + logprob);
            }
        }
    }
}
