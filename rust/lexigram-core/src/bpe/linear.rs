//! The tokens of a piece of any length in linear time.
//!
//! Setting. Merges are *ordered*: each part of a merge is a byte or is made by a merge of lower
//! rank. Trained vocabularies and rank files are; for others [`Linear::new`] says no. Encoding is
//! then the same as going through the ranks once, from low to high, and applying each merge from
//! left to right: a merge of rank r only brings forth pairs of higher rank.
//!
//! A token is *reachable* if its own bytes encode to it. Tokens a, b are *compatible* if the bytes
//! of a followed by those of b encode to `[a, b]`.
//!
//! Lemma. Reachable tokens `t1 … tk` are the encoding of their joined bytes if and only if each
//! `t(i), t(i+1)` are compatible. Proof. *If:* suppose a merge crosses the end of some `t(i)`, and
//! take the first. Up to then all merges were inside tokens, and inside a token they are those of
//! its own bytes, rank by rank. So encoding `t(i) t(i+1)` alone does the same up to there, and
//! crosses too: they are not compatible. *Only if:* no merge crosses, so what happens inside
//! `t(i) t(i+1)` is what happens to their bytes alone. ∎
//!
//! Corollary. A prefix of a text has one such sequence, its encoding. So a search that goes from
//! left to right, tries at each place the reachable tokens that begin there, longest first, takes
//! one that is compatible with the token before, and steps back where none fits, finds the
//! encoding; and it comes to each place at most once, since it can only come there by the one
//! encoding of what stands before. A place that it leaves backwards is dead for good. With at most
//! L reachable tokens that begin at a place (L is fixed by the vocabulary), time is O(nL).
//!
//! Compatibility is decided without encoding. Undo the merges inside `a` and `b` from the last to
//! the first, as far as they touch the border: at each time one token `x` ends there and one `y`
//! begins there, until the merge of rank `limit` that was undone to get here. They are compatible
//! unless at some time `(x, y)` is a merge of rank below `limit`: it would have come first. If the
//! undone merge is on the right, a cross merge of equal rank comes first as well, being further
//! left; if on the left, it does not. Of equal ranks on both sides the right one happened last.
//!
//! The idea of searching with compatible pairs is that of Hendrik van Antwerpen and Alexander
//! Neubeck, "So many tokens, so little time" (GitHub, 2024).

use super::merges::{Merges, NO_RANK};
use super::trie::Trie;
use super::vocabulary::{NO_TOKEN, Vocabulary};

/// Tables for encoding in linear time.
#[derive(Debug, Clone)]
pub struct Linear {
    tokens: Vec<Token>,
    trie: Trie,
}

/// How a reachable token comes about.
#[derive(Debug, Clone, Copy)]
struct Token {
    left: u32,
    right: u32,
    /// Rank of its merge plus one; 0 for a byte.
    order: u32,
    /// Length in bytes; 0 for a token out of reach.
    length: u32,
    /// The longest reachable token that begins it; `NO_TOKEN` for a byte.
    prefix: u32,
}

const OUT_OF_REACH: Token =
    Token { left: NO_TOKEN, right: NO_TOKEN, order: 0, length: 0, prefix: NO_TOKEN };

/// The places that are dead, and what fitted lately after a token where another could begin.
#[derive(Debug, Default)]
pub struct Search {
    dead: Vec<u64>,
    known: Vec<(u64, u32)>,
}

const KNOWN: usize = 1 << 12;

impl Linear {
    /// The tables, or `None` if the merges are not ordered.
    pub fn new(vocabulary: &Vocabulary, byte_ids: &[u32; 256], merges: &Merges) -> Option<Self> {
        let mut tokens = vec![OUT_OF_REACH; vocabulary.size()];
        for &id in byte_ids.iter().filter(|&&id| id != NO_TOKEN) {
            tokens[id as usize].length = 1;
        }
        let mut linear = Self { tokens, trie: Trie::default() };
        let mut used = vec![false; vocabulary.size()];
        for merge in merges.as_slice() {
            let order = merges.rank(merge.left, merge.right).checked_add(1)?;
            let parts = [merge.left, merge.right];
            parts.iter().for_each(|&part| used[part as usize] = true);
            let made = linear.tokens[merge.token as usize].length == 0;
            let within_reach = parts.iter().all(|&part| linear.tokens[part as usize].length > 0);
            if made && within_reach && linear.compatible(merges, merge.left, merge.right, order) {
                // A part of an earlier merge must not be made only now.
                if used[merge.token as usize] {
                    return None;
                }
                let length = parts.iter().map(|&part| linear.tokens[part as usize].length).sum();
                linear.tokens[merge.token as usize] =
                    Token { left: merge.left, right: merge.right, order, length, prefix: NO_TOKEN };
            }
        }
        let Self { tokens, .. } = &mut linear;
        let reachable: Vec<(&[u8], u32)> = vocabulary
            .iter()
            .filter(|(id, _)| tokens[*id as usize].length > 0)
            .map(|(id, token)| (token, id))
            .collect();
        linear.trie =
            Trie::with_prefixes(reachable, |id, prefix| tokens[id as usize].prefix = prefix);
        Some(linear)
    }

    /// Whether the bytes of `left` and `right` encode to these two tokens, looking only at what
    /// happens before the merge of order `limit`.
    fn compatible(&self, merges: &Merges, mut left: u32, mut right: u32, mut limit: u32) -> bool {
        loop {
            let rank = merges.rank(left, right);
            if rank != NO_RANK && rank + 1 < limit {
                return false;
            }
            let (l, r) = (&self.tokens[left as usize], &self.tokens[right as usize]);
            if l.order > r.order {
                limit = l.order;
                left = l.right;
            } else if r.order > 0 {
                limit = r.order + 1;
                right = r.left;
            } else {
                return true;
            }
        }
    }

    /// The longest token that begins `token`, itself included, and is compatible with `before`;
    /// `NO_TOKEN` for none.
    #[inline]
    fn fitting(&self, merges: &Merges, known: &mut [(u64, u32)], before: u32, token: u32) -> u32 {
        let pair = u64::from(before) << 32 | u64::from(token);
        let slot = (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % KNOWN;
        if known[slot].0 != pair {
            let mut fitting = token;
            while fitting != NO_TOKEN && !self.compatible(merges, before, fitting, u32::MAX) {
                fitting = self.tokens[fitting as usize].prefix;
            }
            known[slot] = (pair, fitting);
        }
        known[slot].1
    }

    /// Appends the tokens of `piece`, each of whose bytes has a token. Returns whether there are any,
    /// as there are unless merges are not of this vocabulary.
    pub fn encode(
        &self,
        piece: &[u8],
        merges: &Merges,
        search: &mut Search,
        out: &mut Vec<u32>,
    ) -> bool {
        let Search { dead, known } = search;
        dead.clear();
        dead.resize(piece.len() / 64 + 1, 0);
        // No pair of tokens is this one.
        known.resize(KNOWN, (u64::MAX, NO_TOKEN));
        let base = out.len();
        let (mut at, mut token) = (0, self.trie.longest(piece));
        while at < piece.len() {
            // The longest one from `token` down that fits, and comes to a place that is not dead.
            while token != NO_TOKEN {
                if out.len() > base {
                    token = self.fitting(merges, known, out[out.len() - 1], token);
                }
                let Some(of) = self.tokens.get(token as usize) else { break };
                let end = at + of.length as usize;
                if dead[end / 64] >> (end % 64) & 1 == 0 {
                    break;
                }
                token = of.prefix;
            }
            if token == NO_TOKEN {
                dead[at / 64] |= 1 << (at % 64);
                if out.len() == base {
                    return false;
                }
                let Some(last) = out.pop() else { return false };
                at -= self.tokens[last as usize].length as usize;
                token = self.tokens[last as usize].prefix;
                continue;
            }
            out.push(token);
            at += self.tokens[token as usize].length as usize;
            if at < piece.len() {
                token = self.trie.longest(&piece[at..]);
            }
        }
        dead.shrink_to(1 << 10);
        true
    }
}
