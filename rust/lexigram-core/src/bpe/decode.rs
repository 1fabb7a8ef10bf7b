//! From ids back to bytes.
//!
//! Most tokens have at most 15 bytes. Their bytes stand in a table of 16-byte entries, length last;
//! decoding copies whole entries and steps by the length, which needs no loop over bytes. Longer
//! tokens, and ids without a token, are marked and take the way through the vocabulary.

use super::vocabulary::Vocabulary;
use crate::{Error, Result};

const ENTRY: usize = 16;

/// In the place of the length: not a token of at most 15 bytes.
const OTHER: u8 = u8::MAX;

/// Output is gathered in blocks of this many bytes.
const BLOCK: usize = 1 << 12;

/// The bytes of short tokens by id.
#[derive(Debug, Clone)]
pub struct TokenBytes {
    entries: Vec<[u8; ENTRY]>,
}

impl TokenBytes {
    /// The table of a vocabulary.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let entry = |id| {
            let token = vocabulary.token(id);
            let mut entry = [0; ENTRY];
            entry[ENTRY - 1] = OTHER;
            if !token.is_empty() && token.len() < ENTRY {
                entry[..token.len()].copy_from_slice(token);
                entry[ENTRY - 1] = token.len() as u8;
            }
            entry
        };
        Self { entries: (0..vocabulary.size() as u32).map(entry).collect() }
    }

    /// The bytes of the tokens, joined.
    pub fn decode(&self, ids: &[u32], vocabulary: &Vocabulary) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(ids.len() * 5);
        let mut block = [0; BLOCK + ENTRY];
        let mut filled = 0;
        for (position, &id) in ids.iter().enumerate() {
            let entry = self.entries.get(id as usize).copied().unwrap_or([OTHER; ENTRY]);
            if entry[ENTRY - 1] == OTHER {
                out.extend_from_slice(&block[..filled]);
                filled = 0;
                out.extend_from_slice(token_at(vocabulary, id, position)?);
                continue;
            }
            block[filled..filled + ENTRY].copy_from_slice(&entry);
            filled += usize::from(entry[ENTRY - 1]);
            if filled >= BLOCK {
                out.extend_from_slice(&block[..filled]);
                filled = 0;
            }
        }
        out.extend_from_slice(&block[..filled]);
        Ok(out)
    }
}

/// The bytes of one token; `position` is named in the error.
pub fn token_at(vocabulary: &Vocabulary, id: u32, position: usize) -> Result<&[u8]> {
    match vocabulary.token(id) {
        [] => Err(Error::TokenId { id: id.into(), position, vocab_size: vocabulary.size() }),
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decoding_joins_tokens(
            tokens in prop::collection::btree_map(0..300u32, prop::collection::vec(any::<u8>(), 1..40), 1..60),
            choices in prop::collection::vec(0..1000usize, 0..3000),
        ) {
            let entries = tokens.iter().map(|(&id, token)| (id, &token[..], false));
            let vocabulary = Vocabulary::of(entries).unwrap();
            let table = TokenBytes::new(&vocabulary);
            let known: Vec<u32> = tokens.keys().copied().collect();
            let mut ids: Vec<u32> = choices.iter().map(|choice| known[choice % known.len()]).collect();
            let joined: Vec<u8> = ids.iter().flat_map(|id| tokens[id].clone()).collect();
            prop_assert_eq!(table.decode(&ids, &vocabulary).unwrap(), joined);
            let at = choices.first().map_or(0, |choice| choice % (ids.len() + 1));
            for bad in [u32::MAX, vocabulary.size() as u32].into_iter().chain((0..300).find(|id| !tokens.contains_key(id))) {
                ids.insert(at, bad);
                let error = table.decode(&ids, &vocabulary).unwrap_err().to_string();
                let named = format!("id {bad} at position {at} ");
                prop_assert!(error.contains(&named), "{}", error);
                ids.remove(at);
            }
        }
    }
}
