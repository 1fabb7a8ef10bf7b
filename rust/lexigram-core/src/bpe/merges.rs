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
//!
//! It goes through the tokens by rank and encodes the bytes of each by the merges of lower rank
//! ([`super::last_merge`]). Where that ends in two tokens, they are the last merge: up to there the
//! rule, which may use merges of higher rank too, would have taken the same ones, as a lower one was
//! there each time. Where it ends in more, as can be in a file whose parts do not come before the
//! whole, the rule itself is followed.

use bytemuck::{Pod, Zeroable};

use super::batch::beside;
use super::last_merge;
use super::memory::Zeroed;
use super::naive;
use super::pairs::{Cuckoo, MAX_SIZE, Pairs};
use super::token_index::Filling;
use super::vocabulary::{NO_TOKEN, Tokens, Vocabulary};
use crate::{Error, Result};

pub use super::pairs::NO_RANK;

/// One merge.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct Merge {
    /// The left token.
    pub left: u32,
    /// The right token.
    pub right: u32,
    /// The token that they become.
    pub token: u32,
}

/// All merges in the order of their ranks, and the ranks by pair.
#[derive(Debug)]
pub struct Merges {
    merges: Vec<Merge>,
    pairs: Pairs,
    /// The rank of each two bytes.
    bytes: Vec<u32>,
    /// Whether the ids of the tokens made go up with the ranks, as they do in nearly every file.
    /// Then ids are used as ranks, and from a rank to its token there is nothing to look up.
    ids_are_ranks: bool,
}

/// How many merges before it is entered, the places of one are asked for.
const AHEAD: usize = 12;

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
        let ids = merges.iter().flat_map(|merge| [merge.left, merge.right, merge.token]);
        let size = ids.max().map_or(0, |id| id as usize + 1);
        let mut table = Self::with_room_for(merges.len(), size);
        table.ids_are_ranks = merges.windows(2).all(|pair| pair[0].token < pair[1].token);
        for merge in merges {
            table.push(merge)?;
        }
        let pairs = (0..1 << 16).map(|pair| (byte_ids[pair >> 8], byte_ids[pair & 255]));
        table.bytes = pairs.map(|(left, right)| table.rank(left, right)).collect();
        Ok(table)
    }

    /// The merges that a rank file stands for, where ids are ranks, found on at most so many
    /// `threads`. One that has nothing to do, while merges are entered, goes on with `filling`, the
    /// index of the tokens.
    pub fn from_ranks(
        tokens: &Tokens,
        byte_ids: &[u32; 256],
        filling: &Filling<'_>,
        threads: usize,
    ) -> Result<Self> {
        let mut table = Self::with_room_for(tokens.num_tokens(), tokens.size());
        let longer = |&(_, token): &(u32, &[u8])| token.len() > 1;
        let longer: Vec<(u32, &[u8])> = tokens.ordinary_from(0).filter(longer).collect();
        let mut found = Vec::new();
        let mut at = 0;
        while at < longer.len() {
            let batch = last_merge::batch(&longer, at, threads);
            last_merge::find_all(batch, byte_ids, &table, threads, &mut found);
            let enter = || table.enter(batch, &found, byte_ids, filling);
            beside(threads > 1, |stop| filling.fill(stop), enter)?;
            at += batch.len();
        }
        Ok(table)
    }

    /// Enters the merges of tokens, in their order, of which some are `found`.
    fn enter(
        &mut self,
        batch: &[(u32, &[u8])],
        found: &[Option<(u32, u32)>],
        byte_ids: &[u32; 256],
        filling: &Filling<'_>,
    ) -> Result<()> {
        for (i, &(id, token)) in batch.iter().enumerate() {
            if let Some(&Some((left, right))) = found.get(i + AHEAD) {
                self.pairs.expect(left, right);
            }
            let ahead = found.get(i).copied().flatten();
            let last_merge = ahead
                .or_else(|| last_merge::find(token, byte_ids, self))
                .or_else(|| naive::last_merge(token, |part| filling.id(part)));
            let Some((left, right)) = last_merge else { continue };
            self.push(Merge { left, right, token: id })?;
            if let &[first, second] = token {
                self.bytes[pair_of_bytes(first, second)] = self.rank(left, right);
            }
        }
        Ok(())
    }

    /// From merges and tables that [`Merges::tables`] gave elsewhere; `None` if they are not of one
    /// another, or not of this vocabulary, in a way that could lead astray: then every merge joins
    /// tokens to one of their length, whatever else may be wrong.
    pub(super) fn from_tables(
        merges: Vec<Merge>,
        slots: Zeroed<u64>,
        bytes: Vec<u32>,
        vocabulary: &Vocabulary,
    ) -> Option<Self> {
        let size = vocabulary.size();
        // In half of the memory of a look-up in the vocabulary; the last is that of no token.
        let lengths = (0..size as u32).map(|id| u16::try_from(vocabulary.length(id)).ok());
        let lengths: Vec<u16> = lengths.chain([Some(0)]).collect::<Option<_>>()?;
        let length = |id: u32| u32::from(lengths[(id as usize).min(size)]);
        // Without branches: half of the slots are free, and which cannot be foreseen.
        let joins = |left: u32, right: u32, token: u32| {
            let (left, right) = (length(left), length(right));
            (left > 0) & (right > 0) & (left + right == length(token))
        };
        let ids_are_ranks = merges.is_sorted_by(|a, b| a.token < b.token);
        let token = |rank: u32| match ids_are_ranks {
            true => rank,
            false => merges.get(rank as usize).map_or(NO_TOKEN, |merge| merge.token),
        };
        let known = |left, right, rank| joins(left, right, token(rank));
        let pairs = Pairs::Compact(Cuckoo::from_slots(slots, known)?);
        let two = |rank: u32| length(token(rank)) == 2;
        let sound = size <= MAX_SIZE
            && bytes.len() == 1 << 16
            && bytes.iter().all(|&rank| rank == NO_RANK || two(rank))
            && merges.iter().all(|merge| joins(merge.left, merge.right, merge.token));
        sound.then_some(Self { merges, pairs, bytes, ids_are_ranks })
    }

    /// The merges, and the tables of them where they can be kept in a file: the slots of pairs, and
    /// the ranks of each two bytes.
    pub(super) fn tables(&self) -> Option<(&[Merge], &[u64], &[u32])> {
        match &self.pairs {
            Pairs::Compact(cuckoo) => Some((&self.merges, cuckoo.slots(), &self.bytes)),
            Pairs::Wide(_) => None,
        }
    }

    /// Room for so many merges of ids below `size`.
    fn with_room_for(merges: usize, size: usize) -> Self {
        let pairs = Pairs::new(merges, size);
        Self {
            merges: Vec::with_capacity(merges),
            pairs,
            bytes: vec![NO_RANK; 1 << 16],
            ids_are_ranks: true,
        }
    }

    /// Appends the merge of the next rank.
    fn push(&mut self, merge: Merge) -> Result<()> {
        if self.rank(merge.left, merge.right) != NO_RANK {
            let value = format!("({}, {})", merge.left, merge.right);
            return Err(Error::argument("merges", value, "a pair may be merged only once"));
        }
        let rank = if self.ids_are_ranks { merge.token } else { self.merges.len() as u32 };
        self.pairs.insert(merge.left, merge.right, rank);
        self.merges.push(merge);
        Ok(())
    }

    /// The merges in the order of their ranks.
    pub fn as_slice(&self) -> &[Merge] {
        &self.merges
    }

    /// The rank of a pair, [`NO_RANK`] if it is no merge. Ranks go up in the order of the merges,
    /// but may leave gaps.
    #[inline(always)]
    pub fn rank(&self, left: u32, right: u32) -> u32 {
        self.pairs.rank(left, right)
    }

    /// As [`Merges::rank`], of two bytes.
    #[inline(always)]
    pub fn rank_of_bytes(&self, left: u8, right: u8) -> u32 {
        self.bytes[pair_of_bytes(left, right)]
    }

    /// A number above all ranks.
    pub fn rank_limit(&self) -> u32 {
        let last = self.merges.last().map_or(0, |merge| merge.token);
        (self.merges.len() as u32).max(if self.ids_are_ranks { last + 1 } else { 0 })
    }

    /// The token that the merge of a rank makes.
    #[inline(always)]
    pub fn token(&self, rank: u32) -> u32 {
        if self.ids_are_ranks { rank } else { self.merges[rank as usize].token }
    }
}

#[inline]
fn pair_of_bytes(left: u8, right: u8) -> usize {
    usize::from(left) << 8 | usize::from(right)
}
