//! What a context needs of 32 nodes, in one cache line: the numbers of their followers, and the codes
//! of their weights. What does not fit is elsewhere in the level; the line says where.

use bytemuck::{Pod, Zeroable};

use super::storage::BLOCK;

/// A node with that many followers or more has the rest elsewhere.
const MANY: u32 = 15;
/// The code of a weight that is not in the table.
pub(super) const RARE: u8 = 255;

/// What a context needs of the 32 nodes of a block: one cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Pod, Zeroable, PartialEq)]
pub(super) struct Line {
    /// The first follower of the first node.
    pub child: u32,
    /// Where the block's entries begin in `long`.
    pub long: u32,
    /// Where the block's entries begin in `rare`.
    pub rare: u32,
    pub zero: u32,
    /// The number of followers of each node, 4 bits each, at most 15.
    pub degrees: [u64; 2],
    /// The code of each node's weight.
    pub codes: [u8; BLOCK],
}

/// Sums the sixteen fields of 4 bits of each word.
fn sum_fields(words: [u64; 2]) -> u32 {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    let bytes = |x: u64| (x & LOW) + ((x >> 4) & LOW);
    let sum = bytes(words[0]) + bytes(words[1]);
    let pairs = (sum & 0x00ff_00ff_00ff_00ff) + ((sum >> 8) & 0x00ff_00ff_00ff_00ff);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as u32
}

/// A one in every field of 4 bits that is 15.
fn full_fields(words: [u64; 2]) -> [u64; 2] {
    words.map(|x| x & (x >> 1) & (x >> 2) & (x >> 3) & 0x1111_1111_1111_1111)
}

/// All bits of the fields of 4 bits before the `at`-th.
#[inline]
fn fields_before(at: usize) -> [u64; 2] {
    let mask = (1u64 << (4 * (at & 15))) - 1;
    if at < 16 { [mask, 0] } else { [u64::MAX, mask] }
}

impl Line {
    /// The followers of the `at`-th node, as the next level's nodes.
    #[inline]
    pub fn followers(&self, at: usize, long: &[u32]) -> (u32, u32) {
        let (masks, word, shift) = (fields_before(at), at / 16, 4 * (at & 15));
        let before = [self.degrees[0] & masks[0], self.degrees[1] & masks[1]];
        let degree = (self.degrees[word] >> shift) as u32 & 15;
        let base = self.child.wrapping_add(sum_fields(before));
        let full = full_fields(self.degrees);
        if full == [0, 0] {
            return (base, base.wrapping_add(degree));
        }
        let rank = sum_fields([full[0] & masks[0], full[1] & masks[1]]);
        let rest = |rank: u32| {
            long.get(self.long.wrapping_add(rank) as usize).copied().unwrap_or_default()
        };
        let from = if rank == 0 { base } else { base.wrapping_add(rest(rank - 1)) };
        match degree < MANY {
            true => (from, from.wrapping_add(degree)),
            false => (from, base.wrapping_add(MANY).wrapping_add(rest(rank))),
        }
    }

    /// The weight of the `at`-th node.
    #[inline]
    pub fn backoff(&self, at: usize, table: &[f32; 256], rare: &[f32]) -> f32 {
        match self.codes[at] {
            RARE => rare.get(self.place_in_rare(at)).copied().unwrap_or_default(),
            code => table[usize::from(code)],
        }
    }

    /// Where the weight of the `at`-th node, which must be [`RARE`], lies.
    #[inline]
    fn place_in_rare(&self, at: usize) -> usize {
        let mut before = 0;
        for (eight, first) in self.codes.as_chunks::<8>().0.iter().zip((0..).step_by(8)) {
            // A one for every byte of ones: `RARE`.
            let mut ones = u64::from_le_bytes(*eight);
            for shift in [4, 2, 1] {
                ones &= ones >> shift;
            }
            let inside = 8 * at.saturating_sub(first).min(8) as u32;
            let mask = 1u64.checked_shl(inside).unwrap_or(0).wrapping_sub(1);
            before += (ones & 0x0101_0101_0101_0101 & mask).count_ones();
        }
        self.rare as usize + before as usize
    }

    /// Begins to load what [`Line::followers`] reads elsewhere.
    #[inline]
    pub fn prefetch_long(&self, at: usize, long: &[u32]) {
        let full = full_fields(self.degrees);
        if full != [0, 0] {
            let masks = fields_before(at);
            let rank = sum_fields([full[0] & masks[0], full[1] & masks[1]]);
            let place = self.long.wrapping_add(rank.saturating_sub(1)) as usize;
            long.get(place).into_iter().for_each(crate::prefetch);
        }
    }

    /// Begins to load what [`Line::backoff`] reads elsewhere.
    #[inline]
    pub fn prefetch_rare(&self, at: usize, rare: &[f32]) {
        if self.codes[at] == RARE {
            rare.get(self.place_in_rare(at)).into_iter().for_each(crate::prefetch);
        }
    }
}
