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
//! * `best_fit`: a document with its separator is one piece if it has at most T tokens; a longer
//!   one is cut into pieces of T and a rest. Pieces in the order of falling length (equal lengths in
//!   the order of the stream) go to the row with the least room that still holds them. Invariant:
//!   every token is a target exactly once an epoch; nothing is cut that fits a row. (Best-fit
//!   decreasing: Johnson, "Near-optimal bin packing algorithms", MIT thesis, 1973; for training,
//!   Ding et al., "Fewer truncations improve language modeling", ICML 2024, arXiv:2404.10830.)

use std::ops::Range;

use super::dataset::Dataset;
use super::order::offset;
use crate::{Error, Result};

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
    BestFit {
        /// The pieces, row after row.
        pieces: Vec<Piece>,
        /// Where each row begins in `pieces`, and the end.
        rows: Vec<usize>,
    },
}

/// Targets `start` to `start + length` of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first target.
    pub start: u64,
    /// The number of targets, at least 1 and at most T.
    pub length: u32,
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
            Packing::BestFit => {
                let pieces = cut(dataset, seq_len)?;
                Ok(best_fit(&pieces, seq_len))
            }
        }
    }

    /// The number of rows of an epoch.
    pub fn num_rows(&self) -> u64 {
        match self {
            Self::Contiguous { num_tokens, seq_len, keep_rest: false } => num_tokens / seq_len,
            Self::Contiguous { num_tokens, seq_len, keep_rest: true } => {
                num_tokens.div_ceil(*seq_len)
            }
            Self::BestFit { rows, .. } => rows.len() as u64 - 1,
        }
    }

    /// Where the circle of `contiguous` is cut first in an epoch.
    pub fn cut_at(&self, seed: u64, epoch: u64) -> u64 {
        match self {
            Self::Contiguous { num_tokens, .. } => offset(*num_tokens, seed, epoch),
            Self::BestFit { .. } => 0,
        }
    }

    /// Calls `each` with the runs of targets of a row; `cut` is where the circle begins.
    pub fn row(&self, row: u64, cut: u64, mut each: impl FnMut(Range<u64>)) {
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
            Self::BestFit { pieces, rows } => {
                for piece in &pieces[rows[row as usize]..rows[row as usize + 1]] {
                    each(piece.start..piece.start + u64::from(piece.length));
                }
            }
        }
    }
}

/// All documents as pieces of at most `seq_len` targets, in the order of the stream.
fn cut(dataset: &Dataset, seq_len: u32) -> Result<Vec<Piece>> {
    // Every document and every T tokens end one piece at most; pieces are numbered with 32 bits.
    let most = dataset.num_documents() + dataset.num_tokens() / u64::from(seq_len);
    if most > u64::from(u32::MAX) {
        let limit =
            "can plan up to 4294967295 pieces; use packing=\"contiguous\" or split the dataset";
        return Err(Error::argument("packing", "\"best_fit\"", limit));
    }
    let mut pieces = Vec::new();
    for document in 0..dataset.num_documents() {
        let range = dataset.document(document)?;
        let mut start = range.start;
        while start <= range.end {
            let length = u64::from(seq_len).min(range.end + 1 - start);
            pieces.push(Piece { start, length: length as u32 });
            start += length;
        }
    }
    Ok(pieces)
}

/// Best-fit decreasing. Rows are kept in stacks by the room they have left; as lengths only fall,
/// the least sufficient room is found by walking up from the length.
fn best_fit(pieces: &[Piece], seq_len: u32) -> Plan {
    let full = seq_len as usize;
    let mut falling: Vec<u32> = (0..pieces.len() as u32).collect();
    falling.sort_by_key(|&i| std::cmp::Reverse(pieces[i as usize].length));
    let mut by_room: Vec<Vec<u32>> = vec![Vec::new(); full];
    let mut rooms = Rooms::new(full);
    let mut row_of = vec![0u32; pieces.len()];
    let mut num_rows = 0u32;
    for &i in &falling {
        let length = pieces[i as usize].length as usize;
        let (row, room) = match rooms.at_least(length) {
            Some(room) => (by_room[room].pop().unwrap_or_default(), room),
            None => {
                num_rows += 1;
                (num_rows - 1, full)
            }
        };
        if room < full && by_room[room].is_empty() {
            rooms.remove(room);
        }
        row_of[i as usize] = row;
        if room > length {
            by_room[room - length].push(row);
            rooms.insert(room - length);
        }
    }
    gather(pieces, &falling, &row_of, num_rows as usize)
}

/// The pieces row after row; within a row, longest first.
fn gather(pieces: &[Piece], falling: &[u32], row_of: &[u32], num_rows: usize) -> Plan {
    let mut rows = vec![0usize; num_rows + 1];
    for &row in row_of {
        rows[row as usize + 1] += 1;
    }
    for row in 0..num_rows {
        rows[row + 1] += rows[row];
    }
    let mut next = rows.clone();
    let mut placed = vec![Piece { start: 0, length: 0 }; pieces.len()];
    for &i in falling {
        let at = &mut next[row_of[i as usize] as usize];
        placed[*at] = pieces[i as usize];
        *at += 1;
    }
    Plan::BestFit { pieces: placed, rows }
}

/// A set of numbers below a limit that finds the least member from a number on.
struct Rooms(Vec<u64>);

impl Rooms {
    fn new(limit: usize) -> Self {
        Self(vec![0; limit / 64 + 1])
    }

    fn insert(&mut self, room: usize) {
        self.0[room / 64] |= 1 << (room % 64);
    }

    fn remove(&mut self, room: usize) {
        self.0[room / 64] &= !(1 << (room % 64));
    }

    fn at_least(&self, room: usize) -> Option<usize> {
        let first = room / 64;
        let masked = self.0.get(first)? & (u64::MAX << (room % 64));
        let rest = self.0[first + 1..].iter().copied();
        let mut words = std::iter::once(masked).chain(rest).zip(first..);
        words.find(|(word, _)| *word != 0).map(|(word, i)| i * 64 + word.trailing_zeros() as usize)
    }
}
