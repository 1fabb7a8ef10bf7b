//! A corpus as training sees it: distinct pieces as words of tokens, each with its count.
//!
//! All words lie in one vector of units, 16 bits each where ids allow it: the count in two units,
//! the tokens, an end mark. A word is known by the place where it begins. It only ever gets
//! shorter, so what merges leave behind its end is not used again.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::{Error, Result};

/// What a token is stored in.
pub trait Unit: Copy + Eq {
    /// The end of a word: no token.
    const END: Self;

    /// An id below [`Unit::END`].
    fn of(id: u32) -> Self;

    /// The id.
    fn id(self) -> u32;
}

impl Unit for u16 {
    const END: Self = Self::MAX;

    fn of(id: u32) -> Self {
        id as Self
    }

    fn id(self) -> u32 {
        self.into()
    }
}

impl Unit for u32 {
    const END: Self = Self::MAX;

    fn of(id: u32) -> Self {
        id
    }

    fn id(self) -> u32 {
        self
    }
}

/// Units before the tokens of a word.
const HEADER: usize = 2;

/// Words and their counts.
#[derive(Debug)]
pub struct Words<U> {
    units: Vec<U>,
    starts: Vec<u32>,
    /// The counts that two units do not hold.
    large: HashMap<u32, u64, FxBuildHasher>,
}

impl<U: Unit> Words<U> {
    /// No words.
    pub fn new() -> Self {
        Self { units: Vec::new(), starts: Vec::new(), large: HashMap::default() }
    }

    /// Adds a word; words of fewer than two tokens have no pair and are left out.
    pub fn push(&mut self, tokens: impl Iterator<Item = u32>, count: u64) -> Result<()> {
        let start = u32::try_from(self.units.len()).map_err(|_| {
            let limit = "distinct pieces of at most 4 billion bytes can be trained on; \
                         use a pattern that cuts text into shorter pieces, or less text";
            Error::argument("text", "the corpus", limit)
        })?;
        let bits = 8 * size_of::<U>() as u32;
        let held = if bits == 32 { count } else { count.min(u64::from(u32::MAX)) };
        if held != count || (bits == 16 && count == u64::from(u32::MAX)) {
            self.large.insert(start, count);
        }
        let mask = (1u64 << bits) - 1;
        self.units.extend([(held & mask) as u32, (held >> bits) as u32].map(U::of));
        self.units.extend(tokens.map(U::of));
        self.units.push(U::END);
        if self.units.len() < start as usize + HEADER + 3 {
            self.units.truncate(start as usize);
            return Ok(());
        }
        self.starts.push(start);
        Ok(())
    }

    /// How often a word occurs.
    #[inline]
    pub fn count(&self, word: u32) -> u64 {
        let at = word as usize;
        let bits = 8 * size_of::<U>() as u32;
        let held = u64::from(self.units[at].id()) | u64::from(self.units[at + 1].id()) << bits;
        if bits == 16 && held == u64::from(u32::MAX) {
            return self.large.get(&word).copied().unwrap_or(held);
        }
        held
    }

    /// The units from the first token of a word on.
    #[inline]
    pub fn tokens_mut(&mut self, word: u32) -> &mut [U] {
        &mut self.units[word as usize + HEADER..]
    }

    /// The first unit of a word, to be loaded early.
    #[inline]
    pub fn head(&self, word: u32) -> &U {
        &self.units[word as usize]
    }

    /// Calls `take` with each word, its count, and each of its pairs.
    pub fn for_each_pair(&self, mut take: impl FnMut(u32, u64, (u32, u32))) {
        for &word in &self.starts {
            let (count, tokens) = (self.count(word), &self.units[word as usize + HEADER..]);
            for pair in tokens.windows(2) {
                if pair[1] == U::END {
                    break;
                }
                take(word, count, (pair[0].id(), pair[1].id()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<U: Unit>() {
        let mut words = Words::<U>::new();
        let max = u64::from(u32::MAX);
        let counts = [1, 65_535, 65_536, max - 1, max, max + 1, 1 << 60];
        for &count in &counts {
            words.push([7, 8, 9].into_iter(), count).unwrap();
            words.push([7].into_iter(), count).unwrap();
            words.push([].into_iter(), count).unwrap();
        }
        let mut found = Vec::new();
        words.for_each_pair(|word, count, pair| {
            assert_eq!(words.count(word), count);
            found.push((count, pair));
        });
        let expected: Vec<_> = counts.iter().flat_map(|&c| [(c, (7, 8)), (c, (8, 9))]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn counts_of_any_size_are_kept() {
        check::<u16>();
        check::<u32>();
    }
}
