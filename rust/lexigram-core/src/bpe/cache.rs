//! The tokens of words seen before.
//!
//! Words of up to 15 bytes with up to four tokens, which is nearly every word of real text. A word
//! is its own key: its bytes in a `u128` with its length in the last byte, so that two words are
//! equal exactly if their keys are, and no word has the key 0. An entry is 32 bytes, a bucket of
//! two entries is one cache line. A new word takes the place of the older of the two.
//!
//! Bound: the table begins small and doubles as it fills, up to [`MAX_BUCKETS`] buckets.

/// 2^18 buckets of 64 bytes: 16 MiB.
pub const MAX_BUCKETS: usize = 1 << 18;

/// 2^8 buckets: 16 KiB.
const MIN_BUCKETS: usize = 1 << 8;

/// The longest word, in bytes.
pub const MAX_WORD: usize = 15;

/// The largest number of tokens of a word.
pub const MAX_TOKENS: usize = 4;

const COUNT_SHIFT: u32 = 30;
const ID_MASK: u32 = (1 << COUNT_SHIFT) - 1;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Entry {
    key: u128,
    /// Up to four tokens; the upper two bits of the first hold their number less one.
    tokens: [u32; MAX_TOKENS],
}

const FREE: Entry = Entry { key: 0, tokens: [0; MAX_TOKENS] };

/// A bounded map from words to tokens.
#[derive(Debug)]
pub struct WordCache {
    buckets: Vec<[Entry; 2]>,
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
        Self { buckets: vec![[FREE; 2]; buckets], max_buckets, room: buckets }
    }

    /// The key of the word `text[start..end]`, or `None` for one too long.
    #[inline]
    pub fn key(text: &[u8], start: usize, end: usize) -> Option<u128> {
        let length = end - start;
        if length > MAX_WORD {
            return None;
        }
        let bytes: [u8; 16] = match text.get(start..start + 16) {
            Some(bytes) => bytes.try_into().ok()?,
            None => {
                let mut bytes = [0; 16];
                bytes[..length].copy_from_slice(&text[start..end]);
                bytes
            }
        };
        let mask = (1u128 << (8 * length)) - 1;
        Some(u128::from_le_bytes(bytes) & mask | (length as u128) << 120)
    }

    /// The tokens of a word: four of which the first so many count.
    #[inline]
    pub fn get(&self, key: u128) -> Option<([u32; MAX_TOKENS], usize)> {
        let bucket = &self.buckets[self.bucket(key)];
        let entry = bucket.iter().find(|entry| entry.key == key)?;
        let [first, second, third, fourth] = entry.tokens;
        let count = (first >> COUNT_SHIFT) as usize + 1;
        Some(([first & ID_MASK, second, third, fourth], count))
    }

    /// Remembers the tokens of a word unless there are too many.
    pub fn insert(&mut self, key: u128, tokens: &[u32]) {
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return;
        }
        let mut entry = Entry { key, tokens: [0; MAX_TOKENS] };
        entry.tokens[..tokens.len()].copy_from_slice(tokens);
        entry.tokens[0] |= (tokens.len() as u32 - 1) << COUNT_SHIFT;
        if self.room == 0 && self.buckets.len() < self.max_buckets {
            self.grow();
        }
        self.room = self.room.saturating_sub(1);
        self.put(entry);
    }

    fn put(&mut self, entry: Entry) {
        let bucket = self.bucket(entry.key);
        let [newer, older] = &mut self.buckets[bucket];
        *older = *newer;
        *newer = entry;
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.buckets.len() * 2;
        let old = std::mem::replace(&mut self.buckets, vec![[FREE; 2]; size]);
        self.room = size / 2;
        for [newer, older] in old {
            for entry in [older, newer].into_iter().filter(|entry| entry.key != 0) {
                self.put(entry);
            }
        }
    }

    #[inline]
    fn bucket(&self, key: u128) -> usize {
        // A 64 by 64 bit product folded onto itself mixes all bits of the key into the low ones.
        let (low, high) = (key as u64, (key >> 64) as u64);
        let product =
            u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xd1b5_4a32_d192_ed03);
        ((product >> 64) as u64 ^ product as u64) as usize & (self.buckets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn what_it_returns_is_what_was_inserted(
            words in prop::collection::vec(("[\\x00a-e]{1,15}", prop::collection::vec(0..ID_MASK, 1..6)), 1..2000),
        ) {
            let mut cache = WordCache::new(512);
            let mut all: HashMap<&String, Vec<u32>> = HashMap::new();
            for (word, tokens) in &words {
                let key = WordCache::key(word.as_bytes(), 0, word.len()).unwrap();
                if let Some((tokens, count)) = cache.get(key) {
                    prop_assert_eq!(&tokens[..count], &all[word][..]);
                } else {
                    all.insert(word, tokens.clone());
                    cache.insert(key, tokens);
                    prop_assert_eq!(cache.get(key).is_some(), tokens.len() <= MAX_TOKENS);
                }
            }
        }

        #[test]
        fn a_key_depends_on_the_word_alone(before in "[a-z]{0,20}", word in "[a-z]{1,15}", after in "[a-z]{0,20}") {
            let text = format!("{before}{word}{after}");
            let alone = WordCache::key(word.as_bytes(), 0, word.len());
            prop_assert_eq!(alone, WordCache::key(text.as_bytes(), before.len(), before.len() + word.len()));
        }
    }

    #[test]
    fn long_words_have_no_key() {
        assert_eq!(WordCache::key(&[b'a'; 16], 0, 16), None);
        assert!(WordCache::key(&[b'a'; 15], 0, 15).is_some());
        assert_ne!(WordCache::key(b"a\0", 0, 1), WordCache::key(b"a\0", 0, 2));
    }
}
