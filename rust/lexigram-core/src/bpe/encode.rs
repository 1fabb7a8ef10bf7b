//! The tokens of one piece.
//!
//! The definition stands in [`super::merges`]: apply the merge of lowest rank, leftmost first,
//! until none is left. Both ways here do just that and differ in how they find the next merge:
//! a short piece scans its pairs (at most [`SHORT`] of them, in cache), a long one keeps them in a
//! heap ordered by (rank, position). Each merge ends two pairs and begins at most two, so the heap
//! sees at most 3n entries: O(n log n), without recursion.
//!
//! Invariant of the heap: every adjacent pair that is a merge has an entry with its rank and the
//! position of its left token. An entry is stale when that token is gone or its pair has another
//! rank; it is dropped when popped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::merges::{Merges, NO_RANK};
use super::vocabulary::{NO_TOKEN, Vocabulary};

/// The longest piece, in bytes, whose pairs are scanned.
const SHORT: usize = 64;

/// Encodes pieces by a vocabulary and its merges.
#[derive(Debug, Clone)]
pub struct PieceEncoder {
    /// Tokens and their bytes.
    pub vocabulary: Vocabulary,
    /// The merges between ordinary tokens.
    pub merges: Merges,
    /// The tokens of the single bytes.
    pub byte_ids: [u32; 256],
    /// Whether a piece that is a token becomes that token without merging: tiktoken's rule, and
    /// `ignore_merges` of a tokenizer.json.
    pub whole_pieces: bool,
}

/// Memory that encoding a piece works in, kept between pieces.
#[derive(Debug, Default)]
pub struct Scratch {
    parts: Vec<Part>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    token: u32,
    /// Rank of the pair of this part and the next.
    rank: u32,
    /// The token that this pair becomes.
    merged: u32,
    /// Distance in bytes to the next part, 0 after the last.
    length: u32,
    /// Distance in bytes to the part before.
    back: u32,
}

impl PieceEncoder {
    /// Appends the tokens of `piece` to `out`.
    pub fn encode(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        if self.whole_pieces
            && let Some(id) = self.vocabulary.id(piece)
        {
            out.push(id);
        } else if piece.len() <= SHORT {
            self.encode_short(piece, scratch, out);
        } else {
            self.encode_long(piece, scratch, out);
        }
    }

    fn encode_short(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        self.begin(piece, scratch);
        let parts = &mut scratch.parts;
        loop {
            let ranks = parts.iter().enumerate().map(|(at, part)| (part.rank, at));
            let Some((rank, at)) = ranks.min() else { return };
            if rank == NO_RANK {
                break;
            }
            parts[at].token = parts[at].merged;
            parts.remove(at + 1);
            self.pair_up(parts, at, at + 1);
            if at > 0 {
                self.pair_up(parts, at - 1, at);
            }
        }
        out.extend(parts.iter().map(|part| part.token));
    }

    fn encode_long(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        self.begin(piece, scratch);
        let Scratch { parts, heap } = scratch;
        heap.clear();
        let pairs = parts.iter().enumerate().filter(|(_, part)| part.rank != NO_RANK);
        heap.extend(pairs.map(|(at, part)| Reverse((part.rank, at))));
        while let Some(Reverse((rank, at))) = heap.pop() {
            // A part that was merged away has the rank NO_RANK.
            if parts[at].rank != rank {
                continue;
            }
            let gone = at + parts[at].length as usize;
            let after = gone + parts[gone].length as usize;
            parts[at].token = parts[at].merged;
            parts[at].length += parts[gone].length;
            parts[gone].rank = NO_RANK;
            if after < parts.len() {
                parts[after].back = parts[at].length;
            }
            self.pair_up(parts, at, after);
            if parts[at].rank != NO_RANK {
                heap.push(Reverse((parts[at].rank, at)));
            }
            if at > 0 {
                let before = at - parts[at].back as usize;
                self.pair_up(parts, before, at);
                if parts[before].rank != NO_RANK {
                    heap.push(Reverse((parts[before].rank, before)));
                }
            }
        }
        let mut at = 0;
        while at < parts.len() {
            out.push(parts[at].token);
            at += parts[at].length as usize;
        }
        heap.shrink_to(1 << 16);
        parts.clear();
        parts.shrink_to(1 << 16);
    }

    /// One part for each byte.
    fn begin(&self, piece: &[u8], scratch: &mut Scratch) {
        let parts = &mut scratch.parts;
        parts.clear();
        parts.extend(piece.iter().map(|&byte| Part {
            token: self.byte_ids[byte as usize],
            rank: NO_RANK,
            merged: NO_TOKEN,
            length: 1,
            back: 1,
        }));
        for at in 1..parts.len() {
            self.pair_up(parts, at - 1, at);
        }
    }

    /// Looks up the pair of the parts at `left` and `right`, which may lie beyond the end.
    #[inline]
    fn pair_up(&self, parts: &mut [Part], left: usize, right: usize) {
        let found = match parts.get(right) {
            Some(part) => self.merges.get(parts[left].token, part.token),
            None => (NO_RANK, NO_TOKEN),
        };
        (parts[left].rank, parts[left].merged) = found;
    }
}
