//! Rising lists of words, as short as their differences: LEB128 of the distance from one to the
//! next. Lists of frequent pairs are dense, so most entries take one or two bytes.

/// Words in the order of their places.
#[derive(Debug, Clone, Default)]
pub struct WordList {
    bytes: Vec<u8>,
    end: End,
}

/// The place behind the last word of a list, 0 if there is none: what the next is told from.
#[derive(Debug, Clone, Copy, Default)]
pub struct End(u32);

impl End {
    /// Moves behind `word`, and returns the distance to it; `None` if it is the last word already.
    #[inline(always)]
    fn step(&mut self, word: u32) -> Option<u32> {
        let end = word + 1;
        debug_assert!(end >= self.0, "words come in the order of their places");
        let step = (end != self.0).then(|| end.wrapping_sub(self.0) - 1);
        self.0 = end;
        step
    }

    /// As [`WordList::push`], on a list of which only the length in bytes is wanted; returns by how
    /// much it grows.
    #[inline(always)]
    pub fn measure(&mut self, word: u32) -> u32 {
        self.step(word).map_or(0, |step| (u32::BITS - step.leading_zeros()).max(1).div_ceil(7))
    }
}

impl WordList {
    /// An empty list with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), end: End::default() }
    }

    /// Appends a word that is not before the last one, unless it is the last one.
    #[inline(always)]
    pub fn push(&mut self, word: u32) {
        let Some(mut step) = self.end.step(word) else { return };
        while step >= 0x80 {
            self.bytes.push(step as u8 | 0x80);
            step >>= 7;
        }
        self.bytes.push(step as u8);
    }

    /// Gives back memory that is not needed if nothing is appended any more.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let (mut bytes, mut end) = (self.bytes.iter(), 0u32);
        std::iter::from_fn(move || {
            let (mut step, mut shift) = (0, 0);
            loop {
                let byte = u32::from(*bytes.next()?);
                step |= (byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
                shift += 7;
            }
            end += step + 1;
            Some(end - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_are_kept(mut words in prop::collection::vec(
            prop_oneof![0..300u32, 0..100_000u32, 0..u32::MAX, Just(u32::MAX - 1)], 0..300,
        )) {
            words.sort_unstable();
            let (mut list, mut end, mut length) = (WordList::default(), End::default(), 0);
            for &word in &words {
                list.push(word);
                length += end.measure(word);
            }
            words.dedup();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), words);
            prop_assert_eq!(list.bytes.len(), length as usize);
        }
    }
}
