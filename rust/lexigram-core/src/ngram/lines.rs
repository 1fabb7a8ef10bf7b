//! Making a level's [`Line`]s: numbers of followers, and codes of weights.

use rayon::prelude::*;

use super::line::{Line, RARE};
use super::model::LogProb;
use super::storage::{BLOCK, OwnedLevel};
use crate::bpe::memory::advise_huge;

/// Blocks that one task packs.
const CHUNK: usize = 1 << 11;

/// At most about that many weights are looked at for the table.
const SAMPLE: usize = 1 << 20;

/// A table of 255 weights, and the way from a weight to its code.
pub(super) struct Codes {
    pub table: Box<[f32; 256]>,
    /// (bit pattern, code), at the first free place from the hash on; code 255: free.
    slots: Vec<(u32, u8)>,
}

const SLOTS: usize = 1024;

fn slot(pattern: u32) -> usize {
    (pattern.wrapping_mul(0x9e37_79b9) >> 22) as usize
}

impl Codes {
    /// The most frequent weights of an even sample of the level. Any 255 do: a weight without a
    /// code is kept elsewhere.
    fn new<F: LogProb>(weights: &[F]) -> Self {
        let step = weights.len().div_ceil(SAMPLE).max(1);
        let mut sample: Vec<u32> =
            weights.par_iter().step_by(step).map(|weight| weight.to_f32().to_bits()).collect();
        sample.par_sort_unstable();
        let mut counted: Vec<(usize, u32)> =
            sample.chunk_by(u32::eq).map(|equal| (equal.len(), equal[0])).collect();
        counted.sort_unstable_by_key(|&(count, pattern)| (std::cmp::Reverse(count), pattern));
        Self::from_patterns(counted.into_iter().map(|(_, pattern)| pattern))
    }

    fn from_patterns(patterns: impl Iterator<Item = u32>) -> Self {
        let mut codes = Self { table: Box::new([0.0; 256]), slots: vec![(0, RARE); SLOTS] };
        for (pattern, code) in patterns.zip(0..RARE) {
            codes.table[usize::from(code)] = f32::from_bits(pattern);
            let mut at = slot(pattern);
            while codes.slots[at].1 != RARE {
                at = (at + 1) % SLOTS;
            }
            codes.slots[at] = (pattern, code);
        }
        codes
    }

    fn code(&self, pattern: u32) -> u8 {
        let mut at = slot(pattern);
        loop {
            let (found, code) = self.slots[at];
            if found == pattern || code == RARE {
                return code;
            }
            at = (at + 1) % SLOTS;
        }
    }
}

/// Makes the lines of a level from where the followers of each node begin and from its weights.
pub(super) fn fill<F: LogProb>(level: &mut OwnedLevel, children: &[u32], backoffs: &[F]) {
    let codes = Codes::new(backoffs);
    let parts: Vec<_> = backoffs
        .par_chunks(CHUNK * BLOCK)
        .enumerate()
        .map(|(chunk, backoffs)| {
            let from = chunk * CHUNK * BLOCK;
            part(&children[from..=from + backoffs.len()], backoffs, &codes)
        })
        .collect();
    level.lines.reserve_exact(backoffs.len().div_ceil(BLOCK));
    advise_huge(level.lines.spare_capacity_mut());
    for (lines, long, rare) in parts {
        let (long_before, rare_before) = (level.long.len() as u32, level.rare.len() as u32);
        level.lines.extend(lines.into_iter().map(|line| Line {
            long: line.long + long_before,
            rare: line.rare + rare_before,
            ..line
        }));
        level.long.extend(long);
        level.rare.extend(rare);
    }
    level.backoffs = codes.table;
}

/// The lines of some blocks, with places in `long` and `rare` from their own first on.
fn part<F: LogProb>(
    children: &[u32],
    backoffs: &[F],
    codes: &Codes,
) -> (Vec<Line>, Vec<u32>, Vec<f32>) {
    let (mut lines, mut long, mut rare) = (Vec::new(), Vec::new(), Vec::new());
    for (block, backoffs) in backoffs.chunks(BLOCK).enumerate() {
        let children = &children[block * BLOCK..];
        let mut line = Line {
            child: children[0],
            long: long.len() as u32,
            rare: rare.len() as u32,
            zero: 0,
            degrees: [0; 2],
            codes: [0; BLOCK],
        };
        let mut rest = 0;
        for (at, backoff) in backoffs.iter().enumerate() {
            let degree = children[at + 1] - children[at];
            line.degrees[at / 16] |= u64::from(degree.min(15)) << (4 * (at % 16));
            if degree >= 15 {
                rest += degree - 15;
                long.push(rest);
            }
            let backoff = backoff.to_f32();
            line.codes[at] = codes.code(backoff.to_bits());
            if line.codes[at] == RARE {
                rare.push(backoff);
            }
        }
        lines.push(line);
    }
    (lines, long, rare)
}
