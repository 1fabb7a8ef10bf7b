//! The vocabulary of a word model: words are byte strings without white space, numbered from 0.
//!
//! A word model is a token model with a separator. Id 0 is `<unk>`, which stands for every word
//! that the vocabulary lacks; id 1 is the separator, `<s>` as context and `</s>` as prediction;
//! the words follow in the order in which they first appear (KenLM numbers them so too, with one
//! id more). Invariant: every word stands in one slot, at or after the place that its hash names,
//! with no free slot between; at least half of the slots are free.

use crate::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// The id of `<unk>`.
pub const UNKNOWN: u32 = 0;

/// The id that `<s>` and `</s>` share.
pub const SENTENCE_END: u32 = 1;

const FREE: u32 = u32::MAX;

/// White space, as lmplz has it.
const WHITE: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 5 {
        table[b"\0\t\n\r "[i] as usize] = true;
        i += 1;
    }
    table
};

/// Whether a byte separates words.
pub(super) fn is_white(byte: u8) -> bool {
    WHITE[byte as usize]
}

/// The words of a text.
pub(super) fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| is_white(byte)).filter(|word| !word.is_empty())
}

/// Words and their ids.
#[derive(Clone, Debug)]
pub struct Words {
    bytes: Vec<u8>,
    /// Word i ends there.
    ends: Vec<usize>,
    /// The upper half of a word's hash, and its id or FREE; a power of two of them.
    slots: Vec<(u32, u32)>,
}

impl Default for Words {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), slots: vec![(0, FREE); 16] }
    }
}

impl Words {
    /// `<unk>` and `</s>`, the first two of a model.
    pub fn of_model() -> Self {
        let mut words = Self::default();
        words.insert(b"<unk>");
        words.insert(b"</s>");
        words
    }

    /// The texts of the ids of a token model, for an ARPA file.
    pub fn of_tokens(tokens: &[String]) -> Result<Self> {
        let mut words = Self::default();
        for (id, token) in tokens.iter().enumerate() {
            if words.insert(token.as_bytes()) as usize != id {
                let limit = "the text of another id too; name each id differently";
                return Err(Error::argument("token", format!("{token:?} (id {id})"), limit));
            }
        }
        Ok(words)
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The word with this id, which is below [`Words::len`].
    pub fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let from = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[from..self.ends[id]]
    }

    /// All words, by id.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len() as u32).map(|id| self.get(id))
    }

    /// The id of a word.
    pub fn find(&self, word: &[u8]) -> Option<u32> {
        let id = self.slots[self.slot(word, xxh3_64(word))].1;
        (id != FREE).then_some(id)
    }

    /// The id by which a model reads a word: `<unk>` for those it lacks and for the markers,
    /// which no text means as words.
    pub fn id_in_text(&self, word: &[u8]) -> u32 {
        self.find(word).filter(|&id| id != SENTENCE_END).unwrap_or(UNKNOWN)
    }

    /// The id of a word, which is appended if it is new.
    pub fn insert(&mut self, word: &[u8]) -> u32 {
        let hash = xxh3_64(word);
        let mut slot = self.slot(word, hash);
        if self.slots[slot].1 == FREE {
            if self.slots.len() < 2 * (self.len() + 1) {
                self.grow();
                slot = self.slot(word, hash);
            }
            self.slots[slot] = ((hash >> 32) as u32, self.len() as u32);
            self.bytes.extend(word);
            self.ends.push(self.bytes.len());
        }
        self.slots[slot].1
    }

    /// Where the word is, or the free slot where it would go.
    fn slot(&self, word: &[u8], hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let tag = (hash >> 32) as u32;
        let mut slot = hash as usize & mask;
        loop {
            let (found, id) = self.slots[slot];
            if id == FREE || found == tag && self.get(id) == word {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.slots = vec![(0, FREE); 2 * self.slots.len()];
        let mask = self.slots.len() - 1;
        for id in 0..self.len() as u32 {
            let hash = xxh3_64(self.get(id));
            let mut slot = hash as usize & mask;
            while self.slots[slot].1 != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = ((hash >> 32) as u32, id);
        }
    }

    /// The words in a row, each with a line feed after it: how a model file holds them.
    pub(super) fn to_lines(&self) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.bytes.len() + self.len());
        for word in self.iter() {
            lines.extend(word);
            lines.push(b'\n');
        }
        lines
    }

    /// The reverse of [`Words::to_lines`]; says what is wrong with lines that are none.
    pub(super) fn from_lines(lines: &[u8]) -> std::result::Result<Self, String> {
        let mut words = Self::default();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let number = words.len();
            let word = line.strip_suffix(b"\n").unwrap_or_default();
            if word.is_empty() || word.iter().any(|&byte| is_white(byte)) {
                return Err(format!("word {number} of its vocabulary is empty or has white space"));
            }
            if words.insert(word) as usize != number {
                return Err(format!("word {number} of its vocabulary stands there twice"));
            }
        }
        match [b"<unk>".as_slice(), b"</s>"].map(|marker| words.find(marker)) {
            [Some(UNKNOWN), Some(SENTENCE_END)] => Ok(words),
            _ => Err("its vocabulary does not begin with <unk> and </s>".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_hash_map(list in prop::collection::vec("[a-c]{1,4}", 0..300)) {
            let mut words = Words::of_model();
            let mut naive = HashMap::from([("<unk>".to_owned(), 0), ("</s>".to_owned(), 1)]);
            for word in &list {
                let next = naive.len() as u32;
                let id = *naive.entry(word.clone()).or_insert(next);
                prop_assert_eq!(words.insert(word.as_bytes()), id);
            }
            prop_assert_eq!(words.len(), naive.len());
            for (word, &id) in &naive {
                prop_assert_eq!(words.find(word.as_bytes()), Some(id));
                prop_assert_eq!(words.get(id), word.as_bytes());
            }
            prop_assert_eq!(words.find(b"d"), None);
            let again = Words::from_lines(&words.to_lines()).unwrap();
            prop_assert!(again.iter().eq(words.iter()));
        }
    }

    #[test]
    fn lines_that_are_no_vocabulary_are_refused() {
        for lines in [
            "",
            "<unk>\n",
            "</s>\n<unk>\n",
            "<unk>\n</s>\na",
            "<unk>\n</s>\n\n",
            "<unk>\n</s>\na\na\n",
            "<unk>\n</s>\na b\n",
        ] {
            assert!(Words::from_lines(lines.as_bytes()).is_err(), "{lines:?}");
        }
    }
}
