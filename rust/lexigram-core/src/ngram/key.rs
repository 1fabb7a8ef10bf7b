//! What follows a position, packed so that sorting numbers sorts n-grams.
//!
//! A key holds the ids at the N − 1 places after a position, each plus one, the first in the
//! highest bits; from the end of the document on, zeros. So keys compare as the sequences of ids
//! do, a sequence that ends before those that go on. Fields do not straddle words: a word has as
//! many of ⌈log₂(V + 1)⌉ bits as go into 64. With 65,535 ids or fewer, four to a word, the key of a
//! 5-gram is one word.

use super::count::TokenId;

/// The most words of a key: seven fields of 25 bits, two to a word.
pub const MAX_WORDS: usize = 4;

/// A packed key of `W` words.
pub type Key<const W: usize> = [u64; W];

/// The ids as documents: with a separator, one more stands in front of the first document.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a, T> {
    /// The ids.
    pub tokens: &'a [T],
    /// The id that ends every document.
    pub separator: Option<u32>,
}

/// Where each field lies.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The number of fields.
    pub fields: usize,
    /// The number of words that they need.
    pub words: usize,
    bits: u32,
    word: [usize; 8],
    shift: [u32; 8],
    /// How many leading fields of a word are equal, by the leading zeros of the difference.
    equal: [u8; 65],
}

impl Layout {
    /// For n-grams of `order` over `vocab_size` ids.
    pub fn new(order: usize, vocab_size: usize) -> Self {
        let fields = order - 1;
        let bits = usize::BITS - vocab_size.leading_zeros();
        let in_word = 64 / bits as usize;
        let mut layout = Self {
            fields,
            words: fields.div_ceil(in_word),
            bits,
            word: [0; 8],
            shift: [0; 8],
            equal: std::array::from_fn(|zeros| (zeros / bits as usize).min(in_word) as u8),
        };
        for field in 0..fields {
            layout.word[field] = field / in_word;
            layout.shift[field] = 64 - (field % in_word + 1) as u32 * bits;
        }
        layout
    }

    /// The key of what follows the id at `position` of `tokens`, in the same document.
    #[inline]
    pub fn after<const W: usize, T: TokenId>(
        &self,
        stream: &Stream<'_, T>,
        position: usize,
    ) -> Key<W> {
        self.of(&stream.tokens[position + 1..], stream.separator)
    }

    /// The key of the first ids of a slice, up to the end of a document.
    #[inline]
    pub fn of<const W: usize, T: TokenId>(&self, ids: &[T], separator: Option<u32>) -> Key<W> {
        let mut key = [0; W];
        for (field, &id) in ids.iter().enumerate().take(self.fields) {
            let id: u32 = id.into();
            key[self.word[field]] |= u64::from(id + 1) << self.shift[field];
            if separator == Some(id) {
                break;
            }
        }
        key
    }

    /// A field: an id plus one, or 0 past the end of the document.
    #[inline]
    pub fn field<const W: usize>(&self, key: &Key<W>, field: usize) -> u32 {
        (key[self.word[field]] >> self.shift[field]) as u32 & ((1 << self.bits) - 1)
    }

    /// The key with another value in a field.
    pub fn with_field<const W: usize>(&self, key: &Key<W>, field: usize, value: u32) -> Key<W> {
        let (mut key, shift) = (*key, self.shift[field]);
        let word = &mut key[self.word[field]];
        *word = *word & !(((1 << self.bits) - 1) << shift) | u64::from(value) << shift;
        key
    }

    /// The largest value of a field.
    pub fn largest(&self) -> u32 {
        (1 << self.bits) - 1
    }

    /// How many ids there are before the end of the document.
    #[inline]
    pub fn length<const W: usize>(&self, key: &Key<W>) -> usize {
        (0..self.fields).rev().find(|&field| self.field(key, field) > 0).map_or(0, |last| last + 1)
    }

    /// How many leading fields two keys share.
    #[inline]
    pub fn shared<const W: usize>(&self, one: &Key<W>, other: &Key<W>) -> usize {
        let in_word = self.equal[64] as usize;
        for word in 0..W {
            let difference = one[word] ^ other[word];
            if difference != 0 {
                return word * in_word + self.equal[difference.leading_zeros() as usize] as usize;
            }
        }
        self.fields
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<const W: usize>(layout: &Layout, one: &[u32], other: &[u32], separator: Option<u32>) {
        assert!(layout.words <= W);
        let cut = |ids: &[u32]| {
            let end = ids.iter().position(|&id| Some(id) == separator);
            let length = end.map_or(ids.len(), |end| end + 1).min(layout.fields);
            ids[..length].to_vec()
        };
        let keys = [one, other].map(|ids| layout.of::<W, u32>(ids, separator));
        let cuts = [cut(one), cut(other)];
        for (key, cut) in keys.iter().zip(&cuts) {
            assert_eq!(layout.length(key), cut.len());
            for field in 0..layout.fields {
                assert_eq!(layout.field(key, field), cut.get(field).map_or(0, |id| id + 1));
                let changed = layout.with_field(key, field, 1);
                assert_eq!(layout.field(&changed, field), 1);
                assert_eq!(layout.with_field(&changed, field, layout.field(key, field)), *key);
            }
        }
        assert_eq!(keys[0].cmp(&keys[1]), cuts[0].cmp(&cuts[1]));
        let same = (0..layout.fields).take_while(|&i| cuts[0].get(i) == cuts[1].get(i)).count();
        assert_eq!(layout.shared(&keys[0], &keys[1]), same);
    }

    proptest! {
        #[test]
        fn keys_are_sequences(
            order in 1usize..=8,
            vocab_size in prop_oneof![1usize..40, 60_000usize..70_000, Just(1 << 24)],
            one in prop::collection::vec(any::<u32>(), 0..9),
            other in prop::collection::vec(any::<u32>(), 0..9),
            shared in 0usize..9,
            separated in any::<bool>(),
        ) {
            let inside = |ids: &[u32]| ids.iter().map(|id| id % vocab_size as u32).collect();
            let (one, mut other): (Vec<u32>, Vec<u32>) = (inside(&one), inside(&other));
            let shared = shared.min(one.len()).min(other.len());
            other[..shared].copy_from_slice(&one[..shared]);
            let layout = Layout::new(order, vocab_size);
            let separator = separated.then_some(vocab_size as u32 / 2);
            check::<MAX_WORDS>(&layout, &one, &other, separator);
            if layout.words <= 1 {
                check::<1>(&layout, &one, &other, separator);
            }
        }
    }
}
