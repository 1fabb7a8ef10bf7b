//! The tokens of one piece.
//!
//! The definition stands in [`super::merges`]: apply the merge of lowest rank, leftmost first,
//! until none is left. Three ways do just that:
//!
//! * a short piece keeps the rank of each pair and scans them for the lowest, see [`super::short`];
//! * a longer one is searched in linear time, see [`super::linear`], once so many of them have come
//!   that its tables are worth building;
//! * before, and where it does not apply because merges are not ordered, pairs are kept in a heap
//!   by (rank, position). Each merge ends two pairs and begins at most two, so the heap sees at most 3n
//!   entries: O(n log n), without recursion. Invariant: every adjacent pair that is a merge has an
//!   entry with its rank and the position of its left token; an entry is stale when that token is
//!   gone or its pair has another rank, and is dropped when popped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::linear::{Linear, Search};
use super::memory::made;
use super::merges::{Merges, NO_RANK};
use super::short::{self, SHORT};
use super::vocabulary::Vocabulary;

/// Encodes pieces by a vocabulary and its merges.
#[derive(Debug)]
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
    /// Built when many long pieces have come; `None` in it if merges are not ordered.
    linear: OnceLock<Option<Linear>>,
    /// Bytes of the long pieces that came before.
    long_bytes: AtomicUsize,
}

/// When so many bytes of long pieces have come, the tables for them are built.
const MANY: usize = 1 << 16;

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
        let (linear, long_bytes) = (OnceLock::new(), AtomicUsize::new(0));
        Self { vocabulary, merges, byte_ids, whole_pieces, linear, long_bytes }
    }

    /// Appends the tokens of `piece` to `out`.
    pub fn encode(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        if self.whole_pieces
            && let Some(id) = self.vocabulary.id(piece)
        {
            return out.push(id);
        }
        if short::applies(piece, &self.merges) {
            let mut tokens = [0; SHORT + 1];
            let tokens = short::encode(piece, &self.byte_ids, &self.merges, &mut tokens);
            return out.extend_from_slice(tokens);
        }
        let few = |before: usize| before + piece.len() < MANY;
        if self.linear.get().is_none()
            && few(self.long_bytes.fetch_add(piece.len(), Ordering::Relaxed))
        {
            return self.encode_by_heap(piece, scratch, out);
        }
        let build = || Linear::new(&self.vocabulary, &self.byte_ids, &self.merges);
        match made(&self.linear, build) {
            Some(linear) if linear.encode(piece, &self.merges, &mut scratch.search, out) => {}
            _ => self.encode_by_heap(piece, scratch, out),
        }
    }

    fn encode_by_heap(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        let Scratch { parts, heap, .. } = scratch;
        parts.clear();
        parts.extend(piece.iter().map(|&byte| Part {
            token: self.byte_ids[byte as usize],
            rank: NO_RANK,
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
            parts[at].token = self.merges.token(rank);
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
        let rank = match parts.get(right) {
            Some(part) => self.merges.rank(parts[left].token, part.token),
            None => NO_RANK,
        };
        parts[left].rank = rank;
        if rank != NO_RANK {
            heap.push(Reverse((rank, left)));
        }
    }
}
