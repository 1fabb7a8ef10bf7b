//! Token ids and the bytes they stand for, both ways.
//!
//! Ids need not be contiguous (cl100k_base has gaps): a gap is an entry without bytes, and no
//! token is empty. Of the two ways, bytes of an id ([`Tokens`]) are needed for all that is built
//! of a vocabulary, ids of bytes ([`super::token_index`]) for little of it; so they are built apart.

use std::ops::Deref;

use super::memory::Zeroed;
#[cfg(test)]
use super::token_index::Filling;
use super::token_index::TokenIndex;
use crate::{Error, Result};

/// The id that no token has.
pub const NO_TOKEN: u32 = u32::MAX;

/// The largest id allowed: ids index arrays, and four bits stay free for the word cache.
pub const MAX_ID: u32 = (1 << 28) - 1;

/// The largest vocabulary whose ids may leave gaps, as a multiple of the number of tokens.
const MAX_SPARSITY: usize = 64;

/// The tokens of a vocabulary by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    bytes: Vec<u8>,
    /// Token `id` is `bytes[starts[id]..starts[id + 1]]`.
    starts: Vec<u32>,
    /// The ids of tokens that are not ordinary, rising.
    others: Vec<u32>,
    num_tokens: usize,
}

/// The tokens of a vocabulary. Special tokens are entries too, but not in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Tokens,
    index: TokenIndex,
}

impl Tokens {
    /// From `(id, bytes, ordinary)` entries; only ordinary tokens can be looked up by their bytes.
    /// Fails on an empty token, a doubled id, an id out of range.
    pub fn new<'a, I>(entries: I) -> Result<Self>
    where
        I: IntoIterator<Item = (u32, &'a [u8], bool), IntoIter: Clone>,
    {
        let entries = entries.into_iter();
        // Most files are in order; a sorted copy would be half of the memory of loading one.
        if entries.clone().is_sorted_by_key(|(id, ..)| id) {
            return Self::of_sorted(entries);
        }
        let mut sorted: Vec<_> = entries.collect();
        sorted.sort_unstable_by_key(|&(id, ..)| id);
        Self::of_sorted(sorted.iter().copied())
    }

    /// As [`Tokens::new`], of entries in the order of their ids.
    fn of_sorted<'a>(entries: impl Iterator<Item = (u32, &'a [u8], bool)> + Clone) -> Result<Self> {
        let (mut num_tokens, mut num_bytes, mut num_others) = (0, 0, 0);
        let (mut size, mut last) = (0, None);
        for (id, token, ordinary) in entries.clone() {
            if let Some((last, other)) = last
                && last == id
            {
                let limit = format!(
                    "it stands for both {:?} and {:?}; ids must differ",
                    String::from_utf8_lossy(other),
                    String::from_utf8_lossy(token)
                );
                return Err(Error::argument("token id", id, limit));
            }
            if token.is_empty() {
                return Err(Error::argument("token id", id, "its token is empty; remove it"));
            }
            (size, last) = (id as usize + 1, Some((id, token)));
            num_tokens += 1;
            num_bytes += token.len();
            num_others += usize::from(!ordinary);
        }
        if size > MAX_ID as usize + 1 || size > MAX_SPARSITY * num_tokens.max(1024) {
            let limit = format!(
                "the largest id of {num_tokens} tokens must be at most {MAX_ID} and \
                 {MAX_SPARSITY} times their number (1024, if there are fewer); number the tokens \
                 without large gaps"
            );
            return Err(Error::argument("token id", size - 1, limit));
        }
        if num_bytes > u32::MAX as usize {
            return Err(Error::argument("vocabulary", num_bytes, "at most 4 GiB of tokens"));
        }
        let mut tokens = Self {
            bytes: Vec::with_capacity(num_bytes),
            starts: Vec::with_capacity(size + 1),
            others: Vec::with_capacity(num_others),
            num_tokens,
        };
        for (id, token, ordinary) in entries {
            tokens.starts.resize(id as usize + 1, tokens.bytes.len() as u32);
            tokens.bytes.extend_from_slice(token);
            if !ordinary {
                tokens.others.push(id);
            }
        }
        tokens.starts.push(num_bytes as u32);
        Ok(tokens)
    }

    /// One more than the largest id.
    pub fn size(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many ids have a token.
    pub fn num_tokens(&self) -> usize {
        self.num_tokens
    }

    /// The bytes of a token; empty for an id without one.
    #[inline]
    pub fn token(&self, id: u32) -> &[u8] {
        match self.starts.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => &self.bytes[start as usize..end as usize],
            _ => &[],
        }
    }

    /// The length of a token in bytes; 0 for an id without one.
    #[inline]
    pub fn length(&self, id: u32) -> usize {
        match self.starts.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => (end - start) as usize,
            _ => 0,
        }
    }

    /// The ids that have a token, in order, with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> + Clone {
        let tokens = (0..self.size() as u32).map(|id| (id, self.token(id)));
        tokens.filter(|(_, token)| !token.is_empty())
    }

    /// Whether an id is that of an ordinary token.
    pub fn is_ordinary(&self, id: u32) -> bool {
        !self.token(id).is_empty() && self.others.binary_search(&id).is_err()
    }

    /// The ids of ordinary tokens with their bytes, of ids from `first` on.
    pub fn ordinary_from(&self, first: u32) -> impl Iterator<Item = (u32, &[u8])> + Clone {
        let others = &self.others[self.others.partition_point(|&id| id < first)..];
        let tokens = (first..self.size() as u32).map(|id| (id, self.token(id)));
        let mut others = others.iter().copied().peekable();
        tokens.filter(move |(id, token)| others.next_if_eq(id).is_none() && !token.is_empty())
    }

    /// How many tokens are ordinary.
    pub fn num_ordinary(&self) -> usize {
        self.num_tokens - self.others.len()
    }

    /// The ids of the 256 single bytes, or an error that names the missing ones. The 13 bytes that
    /// never occur in UTF-8 may be missing (`NO_TOKEN`), as they are in some files.
    pub fn byte_ids(&self) -> Result<[u32; 256]> {
        let mut ids = [NO_TOKEN; 256];
        for (id, token) in self.ordinary_from(0) {
            if let &[byte] = token {
                ids[byte as usize] = id;
            }
        }
        let absent = |&byte: &u8| ids[byte as usize] == NO_TOKEN;
        let missing: Vec<u8> = (0..=255).filter(absent).filter(|&b| !never_in_utf8(b)).collect();
        if missing.is_empty() {
            return Ok(ids);
        }
        let value = format!("{} of 256 bytes", (0..=255).filter(|byte| !absent(byte)).count());
        let limit = format!(
            "a byte-level vocabulary needs a token for every single byte; missing: {:02x?}",
            &missing[..missing.len().min(8)]
        );
        Err(Error::argument("vocabulary", value, limit))
    }
}

impl Vocabulary {
    /// Tokens and the index of them.
    pub fn new(tokens: Tokens, index: TokenIndex) -> Self {
        Self { tokens, index }
    }

    /// As [`Tokens::new`]; fails also when two ordinary tokens are equal.
    #[cfg(test)]
    pub fn of<'a, I>(entries: I) -> Result<Self>
    where
        I: IntoIterator<Item = (u32, &'a [u8], bool), IntoIter: Clone>,
    {
        let tokens = Tokens::new(entries)?;
        let index = Filling::new(&tokens).finish()?;
        Ok(Self { tokens, index })
    }

    /// From tables that [`Vocabulary`] built elsewhere; `None` if some look-up in them could go
    /// astray. That they are of this or that vocabulary is not checked.
    pub(super) fn from_tables(
        bytes: Vec<u8>,
        starts: Vec<u32>,
        slots: Zeroed<[u32; 2]>,
        others: Vec<u32>,
    ) -> Option<Self> {
        let size = starts.len().checked_sub(1).filter(|&size| size <= MAX_ID as usize)?;
        let whole = starts[0] == 0 && starts[size] as usize == bytes.len() && starts.is_sorted();
        let rising = others.is_sorted_by(|a, b| a < b);
        if !(whole && rising) {
            return None;
        }
        let num_tokens = starts.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let tokens = Tokens { bytes, starts, others, num_tokens };
        (tokens.others.len() <= num_tokens).then_some(())?;
        Some(Self { tokens, index: TokenIndex::from_slots(slots, size)? })
    }

    /// What [`Vocabulary::from_tables`] takes: bytes, starts, other ids, slots.
    #[allow(clippy::type_complexity)]
    pub(super) fn tables(&self) -> (&[u8], &[u32], &[u32], &[[u32; 2]]) {
        let Tokens { bytes, starts, others, .. } = &self.tokens;
        (bytes, starts, others, self.index.slots())
    }

    /// The id of an ordinary token.
    #[inline]
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        self.index.id(token, &self.tokens)
    }
}

/// A vocabulary gives its tokens as they do.
impl Deref for Vocabulary {
    type Target = Tokens;

    #[inline]
    fn deref(&self) -> &Tokens {
        &self.tokens
    }
}

fn never_in_utf8(byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1 | 0xf5..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_lookups() {
        let entries: [(u32, &[u8], bool); 3] =
            [(5, b"b", true), (2, b"a", true), (3, b"ab", false)];
        let vocabulary = Vocabulary::of(entries).unwrap();
        assert_eq!((vocabulary.size(), vocabulary.num_tokens()), (6, 3));
        assert_eq!(vocabulary.token(3), b"ab");
        assert_eq!(vocabulary.token(5), b"b");
        for id in [0, 1, 4, 6, u32::MAX - 1] {
            assert_eq!(vocabulary.token(id), b"", "{id}");
        }
        assert_eq!(vocabulary.id(b"a"), Some(2));
        assert_eq!(vocabulary.id(b"ab"), None, "not ordinary");
        assert_eq!(vocabulary.iter().map(|(id, _)| id).collect::<Vec<_>>(), [2, 3, 5]);
    }

    #[test]
    fn bad_vocabularies() {
        let new = |entries: &[(u32, &'static [u8], bool)]| {
            Vocabulary::of(entries.iter().copied()).unwrap_err().to_string()
        };
        assert!(new(&[(0, b"", true)]).contains("empty"));
        assert!(new(&[(0, b"a", true), (0, b"b", true)]).contains("both \"a\" and \"b\""));
        assert!(new(&[(0, b"a", true), (1, b"a", true)]).contains("ids 0 and 1"));
        assert!(new(&[(1 << 27, b"a", true)]).contains("gaps"));
        assert!(new(&[(u32::MAX, b"a", true)]).contains("gaps"));
        let vocabulary = Vocabulary::of([(0, &b"a"[..], true)]).unwrap();
        let error = vocabulary.byte_ids().unwrap_err().to_string();
        assert!(error.contains("1 of 256") && error.contains("[00, 01"), "{error}");
    }
}
