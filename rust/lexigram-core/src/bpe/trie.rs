//! Finds the longest token that begins a text.
//!
//! A node is a prefix of tokens. The nodes of two bytes are looked up in one table; from there on
//! the children of a node lie side by side, ordered by their bytes, and nearly always are few.

use super::vocabulary::NO_TOKEN;

/// A set of byte strings with ids.
#[derive(Debug, Clone)]
pub struct Trie {
    /// The token of each single byte.
    single: [u32; 256],
    /// Node of each two bytes, `NONE` if no token begins with them.
    pairs: Vec<u32>,
    /// Children of node `i` are `first[i]..first[i + 1]`, which are nodes themselves.
    first: Vec<u32>,
    /// The last byte of each node.
    bytes: Vec<u8>,
    /// The token of each node, or `NO_TOKEN`.
    tokens: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Default for Trie {
    fn default() -> Self {
        Self::new([])
    }
}

impl Trie {
    /// From byte strings, each with its id; of equal ones the lowest.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a [u8], u32)>) -> Self {
        Self::with_prefixes(tokens, |_, _| {})
    }

    /// As [`Trie::new`]; gives to `prefix` each id, in no order, and that of the longest other
    /// string that begins its string, if there is one.
    pub fn with_prefixes<'a>(
        tokens: impl IntoIterator<Item = (&'a [u8], u32)>,
        mut prefix: impl FnMut(u32, u32),
    ) -> Self {
        let sorted = sorted(tokens);
        let mut trie = Self {
            single: [NO_TOKEN; 256],
            pairs: vec![NONE; 1 << 16],
            first: Vec::new(),
            bytes: Vec::new(),
            tokens: Vec::new(),
        };
        // Breadth first: ranges of strings that share their first `depth` bytes, and the longest
        // string that begins them.
        let mut level: Vec<(usize, usize, u32)> = Vec::new();
        let mut at = 0;
        while at < sorted.len() {
            let (token, id) = sorted[at];
            if token.len() < 2 {
                trie.single[token[0] as usize] = id;
                at += 1;
                continue;
            }
            let same = sorted[at..].iter().take_while(|(other, _)| other.starts_with(&token[..2]));
            let end = at + same.count();
            trie.pairs[usize::from(token[0]) << 8 | usize::from(token[1])] = level.len() as u32;
            trie.bytes.push(token[1]);
            level.push((at, end, trie.single[token[0] as usize]));
            at = end;
        }
        let mut depth = 2;
        while !level.is_empty() {
            let mut next = Vec::new();
            for &(mut at, end, mut longest) in &level {
                let (token, id) = sorted[at];
                if token.len() == depth {
                    trie.tokens.push(id);
                    if longest != NO_TOKEN {
                        prefix(id, longest);
                    }
                    (at, longest) = (at + 1, id);
                } else {
                    trie.tokens.push(NO_TOKEN);
                }
                // Nodes of this level come first, then the children in order.
                trie.first.push((trie.bytes.len()) as u32);
                while at < end {
                    let byte = sorted[at].0[depth];
                    let same = sorted[at..end].iter().take_while(|(other, _)| other[depth] == byte);
                    let after = at + same.count();
                    trie.bytes.push(byte);
                    next.push((at, after, longest));
                    at = after;
                }
            }
            level = next;
            depth += 1;
        }
        trie.first.push(trie.bytes.len() as u32);
        // So that any range of children can be read as a block.
        trie.bytes.resize(trie.bytes.len() + BLOCK, 0);
        trie
    }

    /// The id of the longest string in the set that begins `text`; `NO_TOKEN` if none does.
    #[inline]
    pub fn longest(&self, text: &[u8]) -> u32 {
        let mut found = match text.first() {
            Some(&byte) => self.single[byte as usize],
            None => return NO_TOKEN,
        };
        let Some(&second) = text.get(1) else { return found };
        let mut node = self.pairs[usize::from(text[0]) << 8 | usize::from(second)];
        if node == NONE {
            return found;
        }
        for &byte in &text[2..] {
            if self.tokens[node as usize] != NO_TOKEN {
                found = self.tokens[node as usize];
            }
            let (start, end) = (self.first[node as usize], self.first[node as usize + 1]);
            match child(&self.bytes, start as usize, end as usize, byte) {
                Some(child) => node = child as u32,
                None => return found,
            }
        }
        match self.tokens[node as usize] {
            NO_TOKEN => found,
            token => token,
        }
    }
}

/// Children that are compared at once.
const BLOCK: usize = 16;

/// The place of `byte` among the ordered `bytes[start..end]`, after which a block follows.
#[inline(always)]
fn child(bytes: &[u8], start: usize, end: usize, byte: u8) -> Option<usize> {
    if end - start > 2 * BLOCK {
        return bytes[start..end].binary_search(&byte).ok().map(|i| start + i);
    }
    let mut at = start;
    while at < end {
        let block: &[u8; BLOCK] = bytes[at..].first_chunk()?;
        let found = equal(block, byte).trailing_zeros() as usize;
        if found < BLOCK {
            return (at + found < end).then_some(at + found);
        }
        at += BLOCK;
    }
    None
}

/// A bit for each byte of a block that is `byte`.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn equal(block: &[u8; BLOCK], byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: SSE2 is part of every x86-64, and the block is as long as a vector.
    unsafe {
        let block = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))) as u32
    }
}

/// A bit for each byte of a block that is `byte`.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
fn equal(block: &[u8; BLOCK], byte: u8) -> u32 {
    block.iter().zip(0..).fold(0, |bits, (&other, i)| bits | u32::from(other == byte) << i)
}

/// Strings in order, each once. They are compared by their first eight bytes, which nearly always
/// differ, without a look at the strings.
fn sorted<'a>(tokens: impl IntoIterator<Item = (&'a [u8], u32)>) -> Vec<(&'a [u8], u32)> {
    let begin = |token: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..token.len().min(8)].copy_from_slice(&token[..token.len().min(8)]);
        u64::from_be_bytes(bytes)
    };
    let keyed = tokens.into_iter().filter(|(token, _)| !token.is_empty());
    let mut keyed: Vec<(u64, (&[u8], u32))> = keyed.map(|entry| (begin(entry.0), entry)).collect();
    keyed.sort_unstable();
    keyed.dedup_by(|a, b| a.1.0 == b.1.0);
    keyed.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn longest_is_the_longest(
            set in prop::collection::hash_set("[abc]{1,12}", 0..40),
            texts in prop::collection::vec("[abcd]{0,15}", 1..20),
        ) {
            let set: Vec<String> = set.into_iter().collect();
            let entries = set.iter().zip(0..).map(|(token, id)| (token.as_bytes(), id));
            let mut prefixes = vec![NO_TOKEN; set.len()];
            let twice = entries.clone().chain(entries.map(|(token, id)| (token, id + 1000)));
            let trie = Trie::with_prefixes(twice, |id, prefix| prefixes[id as usize] = prefix);
            for (token, prefix) in set.iter().zip(prefixes) {
                prop_assert_eq!(trie.longest(&token.as_bytes()[..token.len() - 1]), prefix);
            }
            for text in texts {
                let begins = set.iter().zip(0..).filter(|(token, _)| text.starts_with(token.as_str()));
                let longest = begins.max_by_key(|(token, _)| token.len()).map_or(NO_TOKEN, |(_, id)| id);
                prop_assert_eq!(trie.longest(text.as_bytes()), longest);
            }
        }
    }
}
