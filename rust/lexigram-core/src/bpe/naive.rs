//! Byte-pair encoding as its definition says it, slowly: the oracle of the fast paths.

use std::collections::BTreeMap;

use super::merges::{Merge, Merges, NO_RANK};
use super::vocabulary::Vocabulary;

/// The tokens of a piece: applies the merge of lowest rank, the leftmost of equals, until no
/// adjacent pair is a merge.
pub fn encode(piece: &[u8], byte_ids: &[u32; 256], merges: &Merges) -> Vec<u32> {
    let mut tokens: Vec<u32> = piece.iter().map(|&byte| byte_ids[byte as usize]).collect();
    loop {
        let ranks = tokens.windows(2).map(|pair| merges.rank(pair[0], pair[1]));
        let best = ranks.enumerate().min_by_key(|&(_, rank)| rank);
        match best {
            Some((at, rank)) if rank != NO_RANK => {
                tokens.splice(at..at + 2, [merges.token(rank)]);
            }
            _ => return tokens,
        }
    }
}

/// As [`encode`] by a rank file's rule: a pair may merge if its joined bytes are a token, whose id
/// is the rank. The parts are byte strings; no table of merges is involved.
pub fn encode_by_ranks(piece: &[u8], vocabulary: &Vocabulary) -> Vec<u32> {
    let mut ends: Vec<usize> = (0..=piece.len()).collect();
    loop {
        let joined = ends.windows(3).map(|w| vocabulary.id(&piece[w[0]..w[2]]));
        let best = joined.enumerate().filter_map(|(i, id)| Some((id?, i))).min();
        match best {
            Some((_, at)) => {
                ends.remove(at + 1);
            }
            None => break,
        }
    }
    ends.windows(2).filter_map(|w| vocabulary.id(&piece[w[0]..w[1]])).collect()
}

/// The two tokens whose merge ends the encoding of `token` by [`encode_by_ranks`], if that
/// encoding ends in the one token. `id_of` gives the ids of the vocabulary.
pub fn last_merge(token: &[u8], id_of: impl Fn(&[u8]) -> Option<u32>) -> Option<(u32, u32)> {
    let mut ends: Vec<usize> = (0..=token.len()).collect();
    while ends.len() > 3 {
        let joined = ends.windows(3).map(|w| id_of(&token[w[0]..w[2]]));
        let (_, at) = joined.enumerate().filter_map(|(i, id)| Some((id?, i))).min()?;
        ends.remove(at + 1);
    }
    Some((id_of(&token[..ends[1]])?, id_of(&token[ends[1]..])?))
}

/// The merges that training on `words` (their byte tokens and counts) gives, as
/// [`super::train`] defines them: ids of merges count from `first` on.
pub fn train(
    words: &[(Vec<u32>, u64)],
    first: u32,
    num_merges: usize,
    min_frequency: u64,
) -> Vec<Merge> {
    let mut words = words.to_vec();
    let mut merges = Vec::new();
    while merges.len() < num_merges {
        let mut frequencies: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (word, count) in &words {
            for pair in word.windows(2) {
                *frequencies.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        // Of equal maxima `max_by_key` returns the last one: the lowest pair, in reverse order.
        let best = frequencies.into_iter().rev().max_by_key(|&(_, frequency)| frequency);
        let Some(((left, right), _)) = best.filter(|&(_, f)| f >= min_frequency.max(1)) else {
            break;
        };
        let token = first + merges.len() as u32;
        merges.push(Merge { left, right, token });
        for (word, _) in &mut words {
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == (left, right) {
                    word.splice(at..at + 2, [token]);
                }
                at += 1;
            }
        }
    }
    merges
}
