//! N-gram language models over token ids: counts, smoothing, queries, and the file they live in.
//!
//! A stream of ids is cut into documents, the n-grams of orders 1 to N are counted exactly
//! ([`count`]), the counts become probabilities (`estimate`, with the discounts of `kneser_ney`),
//! and the model answers for one token ([`Model::score`]) or for the whole vocabulary at once
//! ([`Model::next_logprobs`]).
//!
//! # Documents
//!
//! Without a `document_separator` the stream is one document without padding; the start of the
//! stream counts as one distinct left neighbour of what stands there. With a separator `s` the
//! stream is `document s document s …`, and each document is read as `s w₁ … wₙ s`: the first `s`
//! is context only (the begin marker), the second is predicted (the end). No n-gram crosses a
//! separator, so `s` stands only first or last in an n-gram. A last document without its `s` is
//! unfinished: its tokens count, its end does not. A leading `s` ends an empty document.
//!
//! # Shape
//!
//! Every smoothing here is a back-off trie: a value for each n-gram that was seen, a weight for
//! each context, and `p(w|h) = value(hw)` if `hw` was seen, else `weight(h) · p(w|h′)` with `h′`
//! the context without its oldest token. The trie is stored forward, one level an order: the
//! n-grams of a level are sorted by their ids, the continuations of a context are neighbours, and
//! `children` says where they begin. Level 1 is dense: its index is the token id.
//!
//! ```
//! use lexigram_core::ngram::{Model, Options, Smoothing};
//! use lexigram_core::progress::Silent;
//! let options = Options::new(2, 4); // order 2, ids 0 to 3
//! let model = Model::train(&[0u32, 1, 2, 0, 1, 3, 0, 1], &options, &Silent).unwrap();
//! let mut logprobs = vec![0.0f64; 4];
//! model.next_logprobs(&[0], &mut logprobs).unwrap();
//! // Log-probabilities are kept in float32.
//! assert!((logprobs.iter().map(|l| l.exp()).sum::<f64>() - 1.0).abs() < 1e-6);
//! assert!(logprobs[1] > logprobs[2]);
//! ```

mod arpa;
mod batches;
mod bits;
mod check;
mod column;
mod copied;
mod corpus;
pub mod count;
mod counts;
mod counts_file;
#[cfg(test)]
mod counts_tests;
mod estimate;
mod file;
mod file_header;
#[cfg(test)]
mod file_tests;
mod key;
mod kneser_ney;
mod lanes;
mod line;
mod lines;
mod model;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod naive_query;
mod normalize;
mod parts;
mod perplexity;
mod prune;
mod quantize;
mod query;
#[cfg(test)]
mod query_tests;
mod scan;
mod storage;
mod suffix;
#[cfg(test)]
mod tests;
mod words;
mod work;

pub use corpus::TextOptions;
pub use count::{Counts, TokenId};
pub use kneser_ney::{CountsOfCounts, Discounts};
pub use model::{LogProb, Model};
pub use perplexity::TextScore;
pub use words::Words;

use crate::progress::Progress;
use crate::{Error, Result};
use work::{Meter, Threads};

/// The longest n-grams that are counted.
pub const MAX_ORDER: usize = 8;

/// The largest vocabulary: level 1 of a model is dense.
pub const MAX_VOCAB_SIZE: usize = 1 << 24;

/// The factor of Stupid Backoff (Brants et al. 2007, section 4: α = 0.4).
pub const STUPID_BACKOFF_FACTOR: f64 = 0.4;

/// How counts become scores. With c the count of an n-gram (for Kneser-Ney the adjusted count),
/// C(h) = Σ_x c(hx) and t(h) the number of distinct continuations of h:
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    /// Interpolated modified Kneser-Ney (Chen and Goodman 1998, section 4.1.6):
    /// `p(w|h) = (c(hw) − D) / C(h) + γ(h) p(w|h′)`, unigrams interpolated with 1/V.
    ModifiedKneserNey,
    /// Witten-Bell (Chen and Goodman 1998, section 2.6):
    /// `p(w|h) = (c(hw) + t(h) p(w|h′)) / (C(h) + t(h))`.
    WittenBell,
    /// `p(w|h) = (c(hw) + k) / (C(h) + kV)`, with no shorter context.
    Additive {
        /// k > 0.
        pseudocount: f64,
    },
    /// `S(w|h) = c(hw) / C(h)` if hw was seen, else `0.4 S(w|h′)`: scores that do not sum to one.
    StupidBackoff,
    /// Those scores over their sum, which has a closed form: see [`Model::normalized`].
    NormalizedStupidBackoff,
    /// Whatever made the ARPA file that the model was read from.
    Arpa,
}

impl Smoothing {
    /// The name in the public interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::ModifiedKneserNey => "modified_kneser_ney",
            Self::WittenBell => "witten_bell",
            Self::Additive { .. } => "additive",
            Self::StupidBackoff => "stupid_backoff",
            Self::NormalizedStupidBackoff => "normalized_stupid_backoff",
            Self::Arpa => "arpa",
        }
    }

    /// The smoothing of that name; `pseudocount` is read by "additive" only.
    pub fn from_name(name: &str, pseudocount: f64) -> Result<Self> {
        match name {
            "modified_kneser_ney" => Ok(Self::ModifiedKneserNey),
            "witten_bell" => Ok(Self::WittenBell),
            "additive" => Ok(Self::Additive { pseudocount }),
            "stupid_backoff" => Ok(Self::StupidBackoff),
            "normalized_stupid_backoff" => Ok(Self::NormalizedStupidBackoff),
            _ => Err(Error::argument(
                "smoothing",
                format!("{name:?}"),
                "use \"modified_kneser_ney\", \"witten_bell\", \"additive\", \"stupid_backoff\" or \
                 \"normalized_stupid_backoff\"",
            )),
        }
    }
}

/// What a model is trained with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The length N of the longest n-grams, 1 to [`MAX_ORDER`].
    pub order: usize,
    /// The number V of token ids, 1 to [`MAX_VOCAB_SIZE`].
    pub vocab_size: usize,
    /// The id that ends every document.
    pub document_separator: Option<u32>,
    /// How counts become scores.
    pub smoothing: Smoothing,
    /// Drops the n-grams of order k whose raw count is at most `prune[k − 1]`; the last entry
    /// holds for all longer orders. Their probability mass goes to the shorter context.
    pub prune: Vec<u32>,
    /// The memory in bytes that counting may take; what does not fit into it goes to temporary
    /// files. `None`: no limit. The model does not depend on it.
    pub memory_limit: Option<u64>,
    /// Worker threads; `None`: as many as there are cores. The model does not depend on it.
    pub num_threads: Option<usize>,
    /// An n-gram whose suffixes enter the counts of counts of their orders with the raw count
    /// where the adjusted one belongs. Empty for the textbook form. lmplz does this with the last
    /// n-gram of its order of work, which matters in small texts only.
    pub raw_suffixes: Vec<u32>,
}

impl Options {
    /// Modified Kneser-Ney, no separator, nothing pruned.
    pub fn new(order: usize, vocab_size: usize) -> Self {
        Self {
            order,
            vocab_size,
            document_separator: None,
            smoothing: Smoothing::ModifiedKneserNey,
            prune: Vec::new(),
            memory_limit: None,
            num_threads: None,
            raw_suffixes: Vec::new(),
        }
    }

    fn check(&self) -> Result<()> {
        if !(1..=MAX_ORDER).contains(&self.order) {
            return Err(Error::argument("order", self.order, format!("use 1 to {MAX_ORDER}")));
        }
        if !(1..=MAX_VOCAB_SIZE).contains(&self.vocab_size) {
            let limit = format!("use 1 to {MAX_VOCAB_SIZE}");
            return Err(Error::argument("vocab_size", self.vocab_size, limit));
        }
        if let Some(id) = self.document_separator
            && id as usize >= self.vocab_size
        {
            let limit = format!("it must be an id of the vocabulary, below {}", self.vocab_size);
            return Err(Error::argument("document_separator", id, limit));
        }
        if let Smoothing::Additive { pseudocount } = self.smoothing
            && !(pseudocount > 0.0 && pseudocount.is_finite())
        {
            return Err(Error::argument("pseudocount", pseudocount, "use a positive number"));
        }
        self.check_prune()
    }

    fn check_prune(&self) -> Result<()> {
        // Thresholds that fall would drop a context and keep its continuation.
        let falls = self.prune.windows(2).any(|pair| pair[0] > pair[1]);
        if self.prune.first().is_some_and(|&t| t > 0) || falls || self.prune.len() > self.order {
            return Err(Error::argument(
                "prune",
                format!("{:?}", self.prune),
                format!(
                    "give at most {} counts, the first 0, none below the one before it",
                    self.order
                ),
            ));
        }
        Ok(())
    }

    /// The highest raw count that is pruned at `order`.
    fn threshold(&self, order: usize) -> u32 {
        self.prune.get(order - 1).or(self.prune.last()).copied().unwrap_or(0)
    }
}

impl count::Counts {
    /// Counts `tokens`; of `options`, smoothing and pruning are not read.
    pub fn count<T: count::TokenId>(
        tokens: &[T],
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self> {
        options.check()?;
        let threads = Threads::new(options.num_threads)?;
        let mut meter = Meter::new(progress, &threads, 2 * tokens.len() as u64);
        count::count(tokens, options, &mut meter)
    }
}

impl Model {
    /// Estimates a model from counts; of `options`, smoothing, pruning and threads are read.
    pub fn from_counts(
        counts: count::Counts,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let options = Options {
            order: counts.order(),
            vocab_size: counts.vocab_size,
            document_separator: counts.document_separator,
            ..options.clone()
        };
        options.check()?;
        if options.smoothing == Smoothing::NormalizedStupidBackoff {
            let raw = Options { smoothing: Smoothing::StupidBackoff, ..options };
            return Self::from_counts(counts, &raw, progress)?.normalized();
        }
        let threads = Threads::new(options.num_threads)?;
        let total = counts.num_tokens * (2 * options.order as u64 - 1);
        let mut meter = Meter::new(progress, &threads, total);
        estimate::estimate(counts, &options, &mut meter)
    }

    /// Counts `tokens` and estimates a model. Progress is in tokens times passes: two that count,
    /// and for each order one that links (but for the first) and one that estimates.
    pub fn train<T: count::TokenId>(
        tokens: &[T],
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self> {
        options.check()?;
        if options.smoothing == Smoothing::NormalizedStupidBackoff {
            let raw = Options { smoothing: Smoothing::StupidBackoff, ..options.clone() };
            return Self::train(tokens, &raw, progress)?.normalized();
        }
        let threads = Threads::new(options.num_threads)?;
        let total = tokens.len() as u64 * (2 * options.order as u64 + 1);
        let mut meter = Meter::new(progress, &threads, total);
        let counts = count::count(tokens, options, &mut meter)?;
        estimate::estimate(counts, options, &mut meter)
    }
}
