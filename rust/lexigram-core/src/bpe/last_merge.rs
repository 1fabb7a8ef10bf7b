//! The last merge of each token of a rank file, on several threads.
//!
//! The last merge of a token follows from the merges of lower rank, so it seems that one must be
//! known before the next can be sought. But those of a few ranks less nearly always do.
//!
//! Lemma. Let encoding the bytes of token `t` by the merges of rank below `k <= t` end in two
//! tokens `(x, y)`. Then so does encoding them by all merges of rank below `t`. Proof. As long as
//! a merge of rank below `k` is there, the lowest is one, so both encodings take the same ones. At
//! `(x, y)` only their own merge could follow. It would make a token of the bytes of `t`, which is
//! `t`, since no two tokens are equal; and its rank is not below `t`. ∎
//!
//! So the tokens are taken in batches, each half as long as all before it together. Those of a
//! batch are encoded by the merges from before the batch, in any order. The few that end in more
//! than two tokens, since one of the batch is a part of another, are left to be sought in order.
//!
//! Threads are started for a batch and end with it: nothing outlives it that a forked process
//! could wait for.

use std::sync::{Mutex, PoisonError};

use super::batch::on_threads;
use super::merges::Merges;
use super::naive;
use super::short::{self, SHORT};
use super::vocabulary::NO_TOKEN;

/// Two tokens that become one, if they were found.
type Parts = Option<(u32, u32)>;

/// How many tokens are sought in order before the first batch: so few take less time than to start
/// a thread.
const FIRST: usize = 1 << 12;

/// How many tokens a thread takes at a time.
const CHUNK: usize = 1 << 9;

/// The batch that begins at a place.
pub fn batch<'t, 'v>(
    tokens: &'t [(u32, &'v [u8])],
    at: usize,
    threads: usize,
) -> &'t [(u32, &'v [u8])] {
    let length = if threads == 1 { tokens.len() } else { (at / 2).max(FIRST) };
    &tokens[at..tokens.len().min(at + length)]
}

/// The two tokens that the bytes of a token encode to.
pub fn find(token: &[u8], byte_ids: &[u32; 256], merges: &Merges) -> Parts {
    match short::applies(token, merges) {
        true => parts(short::encode(token, byte_ids, merges, &mut [0; SHORT + 1])),
        false => parts(&naive::encode(token, byte_ids, merges)),
    }
}

/// As [`find`], of two tokens.
fn find_two(tokens: [&[u8]; 2], byte_ids: &[u32; 256], merges: &Merges) -> [Parts; 2] {
    if tokens.iter().all(|token| short::applies(token, merges)) {
        short::encode_two(tokens, byte_ids, merges, &mut [[0; SHORT + 1]; 2]).map(parts)
    } else {
        tokens.map(|token| find(token, byte_ids, merges))
    }
}

fn parts(tokens: &[u32]) -> Parts {
    match *tokens {
        [left, right] if left != NO_TOKEN && right != NO_TOKEN => Some((left, right)),
        _ => None,
    }
}

/// As [`find`], of each token of a batch. `found` stays empty where that is of no use: with one
/// thread, or with no merges from before.
pub fn find_all(
    batch: &[(u32, &[u8])],
    byte_ids: &[u32; 256],
    merges: &Merges,
    threads: usize,
    found: &mut Vec<Parts>,
) {
    found.clear();
    if threads == 1 || merges.as_slice().is_empty() {
        return;
    }
    found.resize(batch.len(), None);
    let chunks = Mutex::new(batch.chunks(CHUNK).zip(found.chunks_mut(CHUNK)));
    let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    on_threads(threads.min(batch.len().div_ceil(CHUNK)), || {
        while let Some((tokens, found)) = next() {
            for (tokens, found) in tokens.chunks(2).zip(found.chunks_mut(2)) {
                match *tokens {
                    [(_, one), (_, two)] => {
                        found.copy_from_slice(&find_two([one, two], byte_ids, merges));
                    }
                    _ => found[0] = find(tokens[0].1, byte_ids, merges),
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::token_index::Filling;
    use super::super::vocabulary::Vocabulary;
    use super::*;

    /// Tokens that are two others joined: in order, and in an order in which many parts come after
    /// the whole.
    #[test]
    fn any_number_of_threads_finds_the_same() {
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut seen: HashSet<Vec<u8>> = tokens.iter().cloned().collect();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        while tokens.len() < 5 * FIRST {
            let any = tokens.len();
            let token = [&tokens[random(any)][..], &tokens[random(any)]].concat();
            if token.len() < SHORT + 4 && seen.insert(token.clone()) {
                tokens.push(token);
            }
        }
        let mut mixed = tokens.clone();
        (256..mixed.len()).for_each(|i| mixed.swap(i, 256 + random(i - 255)));
        for (tokens, least) in [(tokens, 2 * FIRST), (mixed, 1000)] {
            let entries = tokens.iter().zip(0..).map(|(token, id)| (id, &token[..], true));
            let vocabulary = Vocabulary::of(entries).unwrap();
            let byte_ids = vocabulary.byte_ids().unwrap();
            let merges = |threads| {
                let filling = Filling::new(&vocabulary);
                let merges = Merges::from_ranks(&vocabulary, &byte_ids, &filling, threads).unwrap();
                let index = filling.finish().unwrap();
                assert!(tokens.iter().zip(0..).all(|(t, id)| index.id(t, &vocabulary) == Some(id)));
                merges
            };
            let one = merges(1);
            assert!(one.as_slice().len() > least, "{}", one.as_slice().len());
            for threads in [2, 3, 64] {
                assert!(merges(threads) == one);
            }
        }
    }
}
