//! Rising lists of words, as short as their differences: the distance from one to the next, in
//! 16-bit units that have 15 of its bits each, the lowest first, and say whether another follows.
//! Lists of frequent pairs are dense: most distances take one unit. Bytes instead, as in LEB128,
//! take a little less memory, but whether one or two are needed is a branch that is often missed.

/// The bits of a distance in one unit. The bit above says that another unit follows.
const BITS: u32 = 15;
const MORE: u16 = 1 << BITS;

/// Words in the order of their places.
#[derive(Debug, Clone, Default)]
pub struct WordList {
    units: Vec<u16>,
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

    /// As [`WordList::push`], on a list of which only the length in units is wanted; returns by how
    /// much it grows.
    #[inline(always)]
    pub fn measure(&mut self, word: u32) -> u32 {
        let units = |step| 1 + u32::from(step >> BITS > 0) + u32::from(step >> (2 * BITS) > 0);
        self.step(word).map_or(0, units)
    }
}

impl WordList {
    /// An empty list with room for so many units.
    pub fn with_capacity(units: usize) -> Self {
        Self { units: Vec::with_capacity(units), end: End::default() }
    }

    /// Appends a word that is not before the last one, unless it is the last one.
    #[inline(always)]
    pub fn push(&mut self, word: u32) {
        let Some(mut step) = self.end.step(word) else { return };
        while step >= u32::from(MORE) {
            self.units.push(step as u16 | MORE);
            step >>= BITS;
        }
        self.units.push(step as u16);
    }

    /// Gives back memory that is not needed if nothing is appended any more.
    pub fn shrink(&mut self) {
        self.units.shrink_to_fit();
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let (mut units, mut end) = (self.units.iter(), 0u32);
        std::iter::from_fn(move || {
            let (mut step, mut shift) = (0, 0);
            loop {
                let unit = *units.next()?;
                step |= u32::from(unit & !MORE) << shift;
                if unit < MORE {
                    break;
                }
                shift += BITS;
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
            prop_assert_eq!(list.units.len(), length as usize);
        }
    }
}
