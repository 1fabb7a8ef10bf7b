//! Which tokens make up which row.
//!
//! A piece is a run of consecutive targets of the stream; a row of length T is one or more pieces of
//! T targets in all, or fewer, and then the rest is padding. The input at each target is the token
//! before it in the stream, which is read as a circle.
//!
//! * `contiguous`: the circle is cut every T tokens, beginning at a place that the seed and the epoch
//!   choose. Invariant: the ⌊N / T⌋ rows of an epoch hold ⌊N / T⌋·T different targets; the N mod T
//!   targets left out lie elsewhere in each epoch. With `keep_rest` they make one more, padded row,
//!   and every token is a target exactly once.
//! * `best_fit`: whole documents, as many as fit; see [`super::best_fit`]. Invariant: every token is a
//!   target exactly once an epoch; nothing is cut that fits a row.

use std::ops::Range;

use super::best_fit::BestFit;
use super::dataset::Dataset;
use super::order::offset;
use crate::Result;

/// How documents become rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// The stream, cut every T tokens.
    Contiguous,
    /// Whole documents, as many as fit.
    BestFit,
}

/// The rows of an epoch.
#[derive(Debug)]
pub enum Plan {
    /// See [`Packing::Contiguous`].
    Contiguous {
        /// N, the number of tokens.
        num_tokens: u64,
        /// T.
        seq_len: u64,
        /// Whether the N mod T tokens that fill no row make one more.
        keep_rest: bool,
    },
    /// See [`Packing::BestFit`].
    BestFit(BestFit),
}

impl Plan {
    /// The plan for a dataset; constant time for `contiguous`, one pass over the documents for
    /// `best_fit`. `seq_len` is at least 1.
    pub fn new(dataset: &Dataset, packing: Packing, seq_len: u32, keep_rest: bool) -> Result<Self> {
        match packing {
            Packing::Contiguous => Ok(Self::Contiguous {
                num_tokens: dataset.num_tokens(),
                seq_len: u64::from(seq_len),
                keep_rest,
            }),
            Packing::BestFit => Ok(Self::BestFit(BestFit::new(dataset, seq_len)?)),
        }
    }

    /// The number of rows of an epoch.
    pub fn num_rows(&self) -> u64 {
        match self {
            Self::Contiguous { num_tokens, seq_len, keep_rest: false } => num_tokens / seq_len,
            Self::Contiguous { num_tokens, seq_len, keep_rest: true } => {
                num_tokens.div_ceil(*seq_len)
            }
            Self::BestFit(plan) => plan.num_rows(),
        }
    }

    /// Where the circle of `contiguous` is cut first in an epoch.
    pub fn cut_at(&self, seed: u64, epoch: u64) -> u64 {
        match self {
            Self::Contiguous { num_tokens, .. } => offset(*num_tokens, seed, epoch),
            Self::BestFit(_) => 0,
        }
    }

    /// Calls `each` with the runs of targets of a row; `cut` is where the circle begins.
    pub fn row(&self, row: u64, cut: u64, each: &mut dyn FnMut(Range<u64>)) {
        match self {
            Self::Contiguous { num_tokens, seq_len, .. } => {
                let length = (*seq_len).min(num_tokens - row * seq_len);
                // cut < N and row·T < N, so that the sum passes the end once at most.
                let start = (cut + row * seq_len) % num_tokens;
                let first = length.min(num_tokens - start);
                each(start..start + first);
                if first < length {
                    each(0..length - first);
                }
            }
            Self::BestFit(plan) => plan.row(row, each),
        }
    }
}
