//! The merges of a vocabulary: which two adjacent tokens become one, and in which order.
//!
//! Definition. A merge `(left, right) -> token` has a rank; no two merges have the same pair or
//! the same rank. To encode a piece, start with one token a byte; as long as an adjacent pair is a
//! merge, apply the one of lowest rank, the leftmost of equals.
//!
//! A rank file (`.tiktoken`) holds tokens only. There a pair may merge whenever its joined bytes
//! are a token, and that token's id is the rank.
//!
//! Lemma. Let encoding the bytes of token `t` alone by such a rule end in `t`, with the last merge
//! `(x, y)`. Then in every piece, `t` only ever arises from `(x, y)`. Proof: let `t` arise at the
//! bytes `S`. No earlier merge crossed the ends of `S`. The merges inside `S` were, each at its
//! time, the lowest and leftmost in the piece, so also inside `S`; the state inside `S` changes
//! by these merges alone. They are therefore the merges of `S` encoded alone, which end in
//! `(x, y)`. ∎
//!
//! So a rank file is the same as one merge for each token that its own bytes encode to, which is
//! what [`Merges::from_ranks`] finds.

use super::naive;
use super::vocabulary::Vocabulary;
use crate::{Error, Result};

/// A rank that no merge has.
pub const NO_RANK: u32 = u32::MAX;

/// What [`Merges::packed`] returns for no merge: greater than every merge.
pub const NO_MERGE: u64 = u64::MAX;

/// One merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The left token.
    pub left: u32,
    /// The right token.
    pub right: u32,
    /// The token that they become.
    pub token: u32,
}

/// All merges in the order of their ranks, and a hash table from pairs to ranks.
#[derive(Debug, Clone)]
pub struct Merges {
    merges: Vec<Merge>,
    /// `(left << 32 | right, rank << 32 | token)`; free slots have the key `FREE`.
    slots: Vec<(u64, u64)>,
    shift: u32,
    /// The packed merge of each two bytes.
    bytes: Vec<u64>,
}

const FREE: u64 = u64::MAX;

impl PartialEq for Merges {
    fn eq(&self, other: &Self) -> bool {
        self.merges == other.merges
    }
}

impl Eq for Merges {}

impl Merges {
    /// From merges in the order of their ranks, between tokens of which `byte_ids` are the bytes;
    /// fails when a pair occurs twice.
    pub fn new(merges: Vec<Merge>, byte_ids: &[u32; 256]) -> Result<Self> {
        let size = (merges.len() * 2).next_power_of_two().max(2);
        let shift = 64 - size.trailing_zeros();
        let slots = vec![(FREE, NO_MERGE); size];
        let mut table = Self { merges: Vec::new(), slots, shift, bytes: Vec::new() };
        for (rank, merge) in merges.iter().enumerate() {
            let pair = pair(merge.left, merge.right);
            let slot = table.slot(pair);
            if table.slots[slot].0 == pair {
                let value = format!("({}, {})", merge.left, merge.right);
                return Err(Error::argument("merges", value, "a pair may be merged only once"));
            }
            table.slots[slot] = (pair, (rank as u64) << 32 | u64::from(merge.token));
        }
        table.merges = merges;
        let pairs = (0..1 << 16).map(|pair| (byte_ids[pair >> 8], byte_ids[pair & 255]));
        table.bytes = pairs.map(|(left, right)| table.packed(left, right)).collect();
        Ok(table)
    }

    /// The merges that a rank file stands for, where ids are ranks.
    pub fn from_ranks(vocabulary: &Vocabulary, byte_ids: &[u32; 256]) -> Result<Self> {
        let mut merges = Vec::new();
        for (id, token) in vocabulary.iter() {
            if token.len() < 2 || vocabulary.id(token) != Some(id) {
                continue;
            }
            if let Some((left, right)) = naive::last_merge(token, vocabulary) {
                merges.push(Merge { left, right, token: id });
            }
        }
        Self::new(merges, byte_ids)
    }

    /// The merges in the order of their ranks.
    pub fn as_slice(&self) -> &[Merge] {
        &self.merges
    }

    /// The rank of a pair and the token that it becomes; `(NO_RANK, NO_TOKEN)` for no merge.
    #[inline]
    pub fn get(&self, left: u32, right: u32) -> (u32, u32) {
        let merge = self.packed(left, right);
        ((merge >> 32) as u32, merge as u32)
    }

    /// The merge of a pair as one number, rank above token; [`NO_MERGE`] for none.
    #[inline]
    pub fn packed(&self, left: u32, right: u32) -> u64 {
        self.slots[self.slot(pair(left, right))].1
    }

    /// As [`Merges::packed`], of two bytes.
    #[inline]
    pub fn of_bytes(&self, left: u8, right: u8) -> u64 {
        self.bytes[usize::from(left) << 8 | usize::from(right)]
    }

    #[inline]
    fn slot(&self, pair: u64) -> usize {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing: the upper bits of the product depend on all bits of the pair.
        let mixed = (pair ^ pair >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (mixed >> self.shift) as usize;
        while self.slots[slot].0 != pair && self.slots[slot].0 != FREE {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}
