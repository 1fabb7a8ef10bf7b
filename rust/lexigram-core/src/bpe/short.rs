//! The tokens of a short piece.
//!
//! Every token is known by its first byte; one bit a byte says where tokens begin. For each of them
//! the rank of its merge with the next is kept, with its place in the lowest bits, so that the
//! lowest number is the best merge and of equals the leftmost. After a merge only its own rank and
//! that of its left neighbour change. Nothing branches on the ranks found, which cannot be
//! foreseen: only the number of merges is.

use std::hint::select_unpredictable;

use super::merges::Merges;
use super::pairs::NO_RANK;
use super::vocabulary::NO_TOKEN;

/// The longest piece, in bytes.
pub const SHORT: usize = 32;

const PLACE_BITS: u32 = SHORT.trailing_zeros();

/// Below it, ranks leave room for a place.
const MAX_RANK: u32 = u32::MAX >> PLACE_BITS;

/// No merge: greater than every rank with a place.
const NONE: u32 = u32::MAX;

/// Whether `encode` can be used.
pub fn applies(piece: &[u8], merges: &Merges) -> bool {
    piece.len() <= SHORT && merges.rank_limit() < MAX_RANK
}

/// The tokens of `piece`, for which it [`applies`], in the memory given.
#[inline]
pub fn encode<'t>(
    piece: &[u8],
    byte_ids: &[u32; 256],
    merges: &Merges,
    tokens: &'t mut [u32; SHORT + 1],
) -> &'t [u32] {
    let mut ranks = [NONE; SHORT];
    let ranks = &mut ranks[..piece.len().next_multiple_of(4).min(SHORT)];
    for (token, &byte) in tokens.iter_mut().zip(piece) {
        *token = byte_ids[byte as usize];
    }
    // What follows the last token.
    tokens[piece.len()] = NO_TOKEN;
    for (place, bytes) in (0..).zip(piece.windows(2)) {
        ranks[place as usize] = with_place(merges.rank_of_bytes(bytes[0], bytes[1]), place);
    }
    // Where tokens begin; the bit after the last stands for the end.
    let mut starts = u64::MAX >> (63 - piece.len());
    let mut best = lowest(ranks);
    while best != NONE {
        let at = best % SHORT as u32;
        let token = merges.token(best >> PLACE_BITS);
        let after = starts & (u64::MAX << at << 1);
        let gone = after.trailing_zeros();
        starts &= !(1 << gone);
        let next = (after & (after - 1)).trailing_zeros();
        tokens[at as usize] = token;
        let rank = with_place(merges.rank(token, tokens[next as usize]), at);
        let before = starts & !(u64::MAX << at);
        let mut left = (gone, NONE);
        if before != 0 {
            let place = 63 - before.leading_zeros();
            left = (place, with_place(merges.rank(tokens[place as usize], token), place));
        }
        best = replace(ranks, [(gone, NONE), (at, rank), left]);
    }
    let mut count = 0;
    starts &= !(1 << piece.len());
    while starts != 0 {
        tokens[count] = tokens[starts.trailing_zeros() as usize];
        (count, starts) = (count + 1, starts & (starts - 1));
    }
    &tokens[..count]
}

/// As [`encode`], of two pieces. A merge waits for what the one before it looked up; those of the
/// other piece are done meanwhile.
#[inline]
pub fn encode_two<'t>(
    pieces: [&[u8]; 2],
    byte_ids: &[u32; 256],
    merges: &Merges,
    tokens: &'t mut [[u32; SHORT + 1]; 2],
) -> [&'t [u32]; 2] {
    let [one, two] = tokens;
    let mut one = Piece::new(pieces[0], byte_ids, merges, one);
    let mut two = Piece::new(pieces[1], byte_ids, merges, two);
    while one.best != NONE && two.best != NONE {
        one.merge(merges);
        two.merge(merges);
    }
    while one.best != NONE {
        one.merge(merges);
    }
    while two.best != NONE {
        two.merge(merges);
    }
    [one.finish(), two.finish()]
}

/// A piece on its way.
struct Piece<'t> {
    /// By its first byte each token, and what follows the last.
    tokens: &'t mut [u32; SHORT + 1],
    /// By the first byte of the left token each merge's rank with its place, else [`NONE`]: a
    /// multiple of four, of which `width` are in use.
    ranks: [u32; SHORT],
    width: usize,
    length: usize,
    /// Where tokens begin; the bit after the last stands for the end.
    starts: u64,
    /// The lowest of the ranks.
    best: u32,
}

impl<'t> Piece<'t> {
    #[inline(always)]
    fn new(
        piece: &[u8],
        byte_ids: &[u32; 256],
        merges: &Merges,
        tokens: &'t mut [u32; SHORT + 1],
    ) -> Self {
        let mut ranks = [NONE; SHORT];
        for (token, &byte) in tokens.iter_mut().zip(piece) {
            *token = byte_ids[byte as usize];
        }
        tokens[piece.len()] = NO_TOKEN;
        for (place, bytes) in (0..).zip(piece.windows(2)) {
            ranks[place as usize] = with_place(merges.rank_of_bytes(bytes[0], bytes[1]), place);
        }
        let width = piece.len().next_multiple_of(4).min(SHORT);
        let best = lowest(&ranks[..width]);
        let starts = u64::MAX >> (63 - piece.len());
        Self { tokens, ranks, width, length: piece.len(), starts, best }
    }

    /// Applies the best merge, of which there must be one.
    #[inline(always)]
    fn merge(&mut self, merges: &Merges) {
        let Self { tokens, ranks, width, starts, best, .. } = self;
        let at = *best % SHORT as u32;
        let token = merges.token(*best >> PLACE_BITS);
        let after = *starts & (u64::MAX << at << 1);
        let gone = after.trailing_zeros();
        *starts &= !(1 << gone);
        let next = (after & (after - 1)).trailing_zeros();
        tokens[at as usize] = token;
        let rank = with_place(merges.rank(token, tokens[next as usize]), at);
        let before = *starts & !(u64::MAX << at);
        let mut left = (gone, NONE);
        if before != 0 {
            let place = 63 - before.leading_zeros();
            left = (place, with_place(merges.rank(tokens[place as usize], token), place));
        }
        *best = replace(&mut ranks[..*width], [(gone, NONE), (at, rank), left]);
    }

    #[inline(always)]
    fn finish(self) -> &'t [u32] {
        let Self { tokens, mut starts, length, .. } = self;
        let mut count = 0;
        starts &= !(1 << length);
        while starts != 0 {
            tokens[count] = tokens[starts.trailing_zeros() as usize];
            (count, starts) = (count + 1, starts & (starts - 1));
        }
        &tokens[..count]
    }
}

#[inline(always)]
fn with_place(rank: u32, place: u32) -> u32 {
    select_unpredictable(rank == NO_RANK, NONE, rank << PLACE_BITS | place)
}

/// Replaces ranks at places, and returns the lowest of all. Whole vectors are written: one that was
/// written in parts could not be read until the parts have left for the cache.
#[inline(always)]
fn replace(ranks: &mut [u32], new: [(u32, u32); 3]) -> u32 {
    let mut lowest = [NONE; 4];
    for (four, first) in ranks.chunks_exact_mut(4).zip((0..).step_by(4)) {
        for i in 0..4 {
            let here = first + i as u32;
            let mut rank = four[i];
            for (place, new) in new {
                rank = if place == here { new } else { rank };
            }
            four[i] = rank;
            lowest[i] = rank.min(lowest[i]);
        }
    }
    let [a, b, c, d] = lowest;
    a.min(b).min(c.min(d))
}

/// The lowest of ranks, a multiple of four of them.
#[inline(always)]
fn lowest(ranks: &[u32]) -> u32 {
    let mut lowest = [NONE; 4];
    for four in ranks.chunks_exact(4) {
        for (lowest, &rank) in lowest.iter_mut().zip(four) {
            *lowest = rank.min(*lowest);
        }
    }
    let [a, b, c, d] = lowest;
    a.min(b).min(c.min(d))
}
