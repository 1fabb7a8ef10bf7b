//! The tokens of words seen before.
//!
//! Words of up to 15 bytes with up to four tokens, which is nearly every word of real text. A word
//! is its own key: its bytes in a `u128` with its length in the last byte, so that two words are
//! equal exactly if their keys are, and no word has the key 0. An entry is 32 bytes, a bucket of
//! two entries is one cache line, and four buckets are a group. A new word takes the first free
//! place in its own bucket, then in the other buckets of its group; where there is none, it
//! takes the place of the older word of its own bucket. So words that came early, which are the
//! frequent ones, are found with one cache line.
//!
//! Bound: the table begins small and doubles as it fills, up to [`MAX_BUCKETS`] buckets.

use bytemuck::{Pod, Zeroable};

use self::memory::Zeroed;

pub mod long;
mod memory;
mod prefetch;

/// 2^17 buckets of 64 bytes: 8 MiB.
pub const MAX_BUCKETS: usize = 1 << 17;

/// 2^8 buckets: 16 KiB.
const MIN_BUCKETS: usize = 1 << 8;

/// Buckets in a group.
const GROUP: u32 = 4;

/// The longest word, in bytes.
pub const MAX_WORD: usize = 15;

/// The largest number of tokens of a word.
pub const MAX_TOKENS: usize = 4;

/// The key of every piece that is too long: no word has it, and it is never stored.
pub const NO_KEY: u128 = u128::MAX;

/// For each length, the bits of a key that are the word's bytes, and its length in the last byte.
/// The last entry is for all longer ones.
const KEEP: [(u128, u128); MAX_WORD + 2] = {
    let mut keep = [(0, NO_KEY); MAX_WORD + 2];
    let mut length = 0;
    while length <= MAX_WORD {
        keep[length] = ((1 << (8 * length)) - 1, (length as u128) << 120);
        length += 1;
    }
    keep
};

const COUNT_SHIFT: u32 = 30;
const ID_MASK: u32 = (1 << COUNT_SHIFT) - 1;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    key: u128,
    /// Up to four tokens; the upper two bits of the first hold their number less one.
    tokens: [u32; MAX_TOKENS],
}

type Bucket = [Entry; 2];

/// The key of the word `text[start..end]`; [`NO_KEY`] for one that is too long.
#[inline(always)]
pub fn key(text: &[u8], start: usize, end: usize) -> u128 {
    let bytes = match text[start..].first_chunk::<16>() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => bytes_near_end(&text[start..]),
    };
    let (mask, tag) = KEEP[(end - start).min(MAX_WORD + 1)];
    bytes & mask | tag
}

#[cold]
fn bytes_near_end(rest: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// A bounded map from words to tokens.
#[derive(Debug)]
pub struct WordCache {
    buckets: Zeroed<Bucket>,
    max_buckets: usize,
    /// How many words may still come before the table doubles.
    room: usize,
}

impl Default for WordCache {
    fn default() -> Self {
        Self::new(MAX_BUCKETS)
    }
}

impl WordCache {
    /// A cache that grows to at most `max_buckets` buckets, a power of two.
    pub fn new(max_buckets: usize) -> Self {
        assert!(max_buckets.is_power_of_two(), "a hash selects a bucket by its bits");
        let buckets = max_buckets.min(MIN_BUCKETS);
        Self { buckets: Zeroed::new(buckets), max_buckets, room: buckets }
    }

    /// The table, with room for `words` more words where the bound allows.
    pub fn table(&mut self, words: usize) -> Table<'_> {
        while self.room < words && self.buckets.as_slice().len() < self.max_buckets {
            self.grow();
        }
        let buckets = self.buckets.as_mut_slice();
        Table { mask: buckets.len() - 1, buckets, room: &mut self.room }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.buckets.as_slice().len() * 2;
        let old = std::mem::replace(&mut self.buckets, Zeroed::new(size));
        let mut room = size * 3 / 2;
        let buckets = self.buckets.as_mut_slice();
        let mut table = Table { mask: size - 1, buckets, room: &mut room };
        for entry in old.as_slice().iter().flatten().filter(|entry| entry.key != 0) {
            table.put(*entry);
        }
        self.room = room;
    }
}

/// A [`WordCache`] in use. It does not grow while it is.
pub struct Table<'c> {
    buckets: &'c mut [Bucket],
    mask: usize,
    room: &'c mut usize,
}

impl Table<'_> {
    /// Where a word is looked for; begins to load that place.
    #[inline(always)]
    pub fn expect(&self, key: u128) -> u32 {
        let bucket = self.bucket(key);
        prefetch::prefetch(&self.buckets[bucket]);
        bucket as u32
    }

    /// The tokens of a word at the place that [`Table::expect`] gave: four of which the first so
    /// many count.
    #[inline(always)]
    pub fn get(&self, key: u128, place: u32) -> Option<([u32; MAX_TOKENS], usize)> {
        let [newer, older] = &self.buckets[place as usize & self.mask];
        let entry = if newer.key == key { newer } else { older };
        if entry.key != key {
            return None;
        }
        let [first, second, third, fourth] = entry.tokens;
        let count = (first >> COUNT_SHIFT) as usize + 1;
        Some(([first & ID_MASK, second, third, fourth], count))
    }

    /// As [`Table::get`], in the other buckets of the group.
    pub fn get_far(&self, key: u128) -> Option<([u32; MAX_TOKENS], usize)> {
        let own = self.bucket(key) as u32;
        (1..GROUP).find_map(|other| self.get(key, own ^ other))
    }

    /// Remembers the tokens of a word, and returns true, unless it or they are too long.
    pub fn insert(&mut self, key: u128, tokens: &[u32]) -> bool {
        if key == NO_KEY || tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return false;
        }
        let mut entry = Entry { key, tokens: [0; MAX_TOKENS] };
        entry.tokens[..tokens.len()].copy_from_slice(tokens);
        entry.tokens[0] |= (tokens.len() as u32 - 1) << COUNT_SHIFT;
        self.put(entry);
        true
    }

    fn put(&mut self, entry: Entry) {
        *self.room = self.room.saturating_sub(1);
        let own = self.bucket(entry.key);
        for other in 0..GROUP as usize {
            if let Some(free) = self.buckets[own ^ other].iter_mut().find(|entry| entry.key == 0) {
                *free = entry;
                return;
            }
        }
        let [newer, older] = &mut self.buckets[own];
        *older = *newer;
        *newer = entry;
    }

    #[inline(always)]
    fn bucket(&self, key: u128) -> usize {
        // A 64 by 64 bit product folded onto itself mixes all bits of the key into the low ones.
        let product =
            u128::from(key as u64) * u128::from((key >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03);
        ((product >> 64) as u64 ^ product as u64) as usize & self.mask
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn look(table: &Table<'_>, key: u128) -> Option<([u32; MAX_TOKENS], usize)> {
        table.get(key, table.expect(key)).or_else(|| table.get_far(key))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn what_it_returns_is_what_was_inserted(
            words in prop::collection::vec(("[\\x00a-e]{1,15}", prop::collection::vec(0..ID_MASK, 1..6)), 1..2000),
        ) {
            let mut cache = WordCache::new(512);
            let mut all: HashMap<&String, Vec<u32>> = HashMap::new();
            for batch in words.chunks(100) {
                let mut table = cache.table(batch.len());
                for (word, tokens) in batch {
                    let key = key(word.as_bytes(), 0, word.len());
                    if let Some((tokens, count)) = look(&table, key) {
                        prop_assert_eq!(&tokens[..count], &all[word][..]);
                    } else {
                        all.insert(word, tokens.clone());
                        prop_assert_eq!(table.insert(key, tokens), tokens.len() <= MAX_TOKENS);
                        prop_assert_eq!(look(&table, key).is_some(), tokens.len() <= MAX_TOKENS);
                    }
                }
            }
        }

        #[test]
        fn a_key_depends_on_the_word_alone(before in "[a-z]{0,20}", word in "[a-z]{1,15}", after in "[a-z]{0,20}") {
            let text = format!("{before}{word}{after}");
            let alone = key(word.as_bytes(), 0, word.len());
            prop_assert_eq!(alone, key(text.as_bytes(), before.len(), before.len() + word.len()));
        }
    }

    #[test]
    fn long_words_have_no_key() {
        assert_eq!(key(&[b'a'; 16], 0, 16), NO_KEY);
        assert_eq!(key(&[b'a'; 40], 0, 16), NO_KEY);
        assert_ne!(key(&[b'a'; 15], 0, 15), NO_KEY);
        assert_ne!(key(b"a\0", 0, 1), key(b"a\0", 0, 2));
        assert!(!WordCache::default().table(1).insert(NO_KEY, &[1]));
    }
}
