//! Whether the levels of a file make a trie of sorted ids with usable numbers.

use rayon::prelude::*;

use super::storage::{BLOCK, LevelView};

/// Nodes that one task checks.
const PIECE: usize = 1 << 16;

/// What is wrong with the levels, if anything is.
pub(super) fn check(levels: &[LevelView<'_>], vocab_size: usize) -> Result<(), String> {
    for (order, level) in (1..).zip(levels) {
        if !all(level.len(), |i| level.logprob(i) <= 1e-9) {
            return Err(format!("a log-probability of order {order} is above 0 or not a number"));
        }
        if !all(level.len(), |i| level.backoff(i) < f64::INFINITY) {
            return Err(format!("a weight of order {order} is infinite or not a number"));
        }
    }
    for (order, pair) in (2..).zip(levels.windows(2)) {
        let (above, level) = (&pair[0], &pair[1]);
        let joined = |i: usize| {
            let start = if i == 0 { 0 } else { above.followers(i - 1).end };
            above.followers(i).start == start
        };
        let end = above.len().checked_sub(1).map_or(0, |last| above.followers(last).end);
        if end != level.len() || !all(above.len(), joined) {
            return Err(format!("the n-grams of order {order} do not follow their contexts"));
        }
        if !all(level.len(), |i| (level.word(i) as usize) < vocab_size) {
            return Err(format!("an n-gram of order {order} ends in an id past the vocabulary"));
        }
        let rising = |i: usize| {
            let mut followers = above.followers(i);
            let next = followers.start + 1;
            followers.next();
            followers.zip(next - 1..).all(|(i, before)| level.word(before) < level.word(i))
        };
        if !all(above.len(), rising) {
            return Err(format!("n-grams of order {order} are not sorted"));
        }
        if !all(level.len().div_ceil(BLOCK), |b| level.samples.get(b) == level.word(b * BLOCK)) {
            return Err(format!("the samples of order {order} are not those of its words"));
        }
    }
    Ok(())
}

fn all(length: usize, holds: impl Fn(usize) -> bool + Sync) -> bool {
    let pieces = length.div_ceil(PIECE);
    let piece = |piece: usize| (piece * PIECE..length.min((piece + 1) * PIECE)).all(&holds);
    (0..pieces).into_par_iter().all(piece)
}
