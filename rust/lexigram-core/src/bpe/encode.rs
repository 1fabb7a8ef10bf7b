//! The tokens of one piece.
//!
//! The definition stands in [`super::merges`]: apply the merge of lowest rank, leftmost first,
//! until none is left. Three ways do just that:
//!
//! * a short piece keeps the rank of each pair and scans them for the lowest;
//! * a longer one is searched in linear time, see [`super::linear`];
//! * where that does not apply, because merges are not ordered, pairs are kept in a heap by (rank,
//!   position). Each merge ends two pairs and begins at most two, so the heap sees at most 3n
//!   entries: O(n log n), without recursion. Invariant: every adjacent pair that is a merge has an
//!   entry with its rank and the position of its left token; an entry is stale when that token is
//!   gone or its pair has another rank, and is dropped when popped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;

use super::linear::{Linear, Search};
use super::merges::{Merges, NO_MERGE, NO_RANK};
use super::vocabulary::Vocabulary;

/// The longest piece, in bytes, whose pairs are scanned.
const SHORT: usize = 32;

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
    /// Built when the first long piece comes; `None` in it if merges are not ordered.
    linear: OnceLock<Option<Linear>>,
}

/// Memory that encoding a piece works in, kept between pieces. It belongs to one encoder.
#[derive(Debug, Default)]
pub struct Scratch {
    parts: Vec<Part>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
    search: Search,
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
    /// An encoder of these parts.
    pub fn new(
        vocabulary: Vocabulary,
        merges: Merges,
        byte_ids: [u32; 256],
        whole_pieces: bool,
    ) -> Self {
        Self { vocabulary, merges, byte_ids, whole_pieces, linear: OnceLock::new() }
    }

    /// Appends the tokens of `piece` to `out`.
    pub fn encode(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        if self.whole_pieces
            && let Some(id) = self.vocabulary.id(piece)
        {
            return out.push(id);
        }
        if piece.len() <= SHORT {
            return self.encode_short(piece, out);
        }
        let build = || Linear::new(&self.vocabulary, &self.byte_ids, &self.merges);
        match self.linear.get_or_init(build) {
            Some(linear) => linear.encode(piece, &self.merges, &mut scratch.search, out),
            None => self.encode_by_heap(piece, scratch, out),
        }
    }

    fn encode_short(&self, piece: &[u8], out: &mut Vec<u32>) {
        let mut tokens = [0; SHORT];
        // The merge of each token and the next: rank above token, so that the lowest is the best.
        let mut pairs = [NO_MERGE; SHORT];
        let mut count = piece.len();
        for (token, &byte) in tokens.iter_mut().zip(piece) {
            *token = self.byte_ids[byte as usize];
        }
        for at in 1..count {
            pairs[at - 1] = self.merges.of_bytes(piece[at - 1], piece[at]);
        }
        while count > 1 {
            let (mut at, mut best) = (0, pairs[0]);
            for (i, &pair) in pairs[1..count - 1].iter().enumerate() {
                if pair < best {
                    (at, best) = (i + 1, pair);
                }
            }
            if best == NO_MERGE {
                break;
            }
            tokens[at] = best as u32;
            tokens.copy_within(at + 2..count, at + 1);
            pairs.copy_within(at + 2..count, at + 1);
            count -= 1;
            pairs[count - 1] = NO_MERGE;
            if at + 1 < count {
                pairs[at] = self.merges.packed(tokens[at], tokens[at + 1]);
            }
            if at > 0 {
                pairs[at - 1] = self.merges.packed(tokens[at - 1], tokens[at]);
            }
        }
        out.extend_from_slice(&tokens[..count]);
    }

    fn encode_by_heap(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        let Scratch { parts, heap, .. } = scratch;
        parts.clear();
        parts.extend(piece.iter().map(|&byte| Part {
            token: self.byte_ids[byte as usize],
            rank: NO_RANK,
            merged: 0,
            length: 1,
            back: 1,
        }));
        heap.clear();
        for at in 1..parts.len() {
            self.pair_up(parts, heap, at - 1, at);
        }
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
            self.pair_up(parts, heap, at, after);
            if at > 0 {
                let before = at - parts[at].back as usize;
                self.pair_up(parts, heap, before, at);
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

    /// Looks up the pair of the parts at `left` and `right`, which may lie beyond the end.
    fn pair_up(
        &self,
        parts: &mut [Part],
        heap: &mut BinaryHeap<Reverse<(u32, usize)>>,
        left: usize,
        right: usize,
    ) {
        let merge = match parts.get(right) {
            Some(part) => self.merges.packed(parts[left].token, part.token),
            None => NO_MERGE,
        };
        (parts[left].rank, parts[left].merged) = ((merge >> 32) as u32, merge as u32);
        if merge != NO_MERGE {
            heap.push(Reverse((parts[left].rank, left)));
        }
    }
}
