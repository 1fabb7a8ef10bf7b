//! A table of pieces and how often each occurs.
//!
//! Entries lie one after the other in the order of their first occurrence; the index is an open
//! addressing table of their numbers. Pieces are counted in batches: the slots of all are asked for
//! before the first is read, then the entries, so that the waiting for memory overlaps. A distinct
//! piece takes 32 bytes and, with slots at most half full, 8 to 16 more; pieces of more than 15
//! bytes keep their bytes beside. That is all that training holds of a corpus.

use super::key::{hash, key, word_length};
use crate::prefetch;
use crate::pretokenize::MAX_PIECES;

const FREE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u128,
    count: u64,
    /// Where the bytes of a longer piece are among all of these: a length, then the bytes.
    at: u64,
}

/// Pieces and their counts.
#[derive(Debug)]
pub struct PieceCounts {
    entries: Vec<Entry>,
    /// Numbers of entries by the hash of their key, a power of two long.
    slots: Vec<u32>,
    long: Vec<u8>,
}

impl Default for PieceCounts {
    fn default() -> Self {
        Self { entries: Vec::new(), slots: vec![FREE; 1 << 10], long: Vec::new() }
    }
}

impl PieceCounts {
    /// How many distinct pieces there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of_val(&self.entries[..]) + size_of_val(&self.slots[..]) + self.long.len()
    }

    /// Counts successive pieces of `text`, of which the first begins at `start` and which end at
    /// `ends`, at most [`MAX_PIECES`] of them.
    pub fn count(&mut self, text: &[u8], start: usize, ends: &[usize]) {
        let (mut keys, mut places) = ([0; MAX_PIECES], [0; MAX_PIECES]);
        let mask = self.slots.len() - 1;
        let mut from = start;
        for ((&end, slot), place) in ends.iter().zip(&mut keys).zip(&mut places) {
            *slot = key(text, from, end);
            *place = hash(*slot) as usize & mask;
            prefetch(&self.slots[*place]);
            from = end;
        }
        for place in &mut places[..ends.len()] {
            *place = self.slots[*place] as usize;
            if let Some(entry) = self.entries.get(*place) {
                prefetch(entry);
            }
        }
        let mut from = start;
        for ((&end, &key), &place) in ends.iter().zip(&keys).zip(&places) {
            match self.entries.get_mut(place) {
                // The key of a longer piece may be that of another.
                Some(entry) if entry.key == key && word_length(key).is_some() => entry.count += 1,
                _ => self.add_key(key, &text[from..end], 1),
            }
            from = end;
        }
    }

    /// Counts a piece so many times.
    pub fn add(&mut self, piece: &[u8], count: u64) {
        self.add_key(key(piece, 0, piece.len()), piece, count);
    }

    fn add_key(&mut self, key: u128, piece: &[u8], count: u64) {
        let mask = self.slots.len() - 1;
        let mut slot = hash(key) as usize & mask;
        while let Some(entry) = self.entries.get(self.slots[slot] as usize) {
            if entry.key == key && (word_length(key).is_some() || self.long_piece(*entry) == piece)
            {
                self.entries[self.slots[slot] as usize].count += count;
                return;
            }
            slot = (slot + 1) & mask;
        }
        let at = self.long.len() as u64;
        if word_length(key).is_none() {
            self.long.extend_from_slice(&(piece.len() as u64).to_le_bytes());
            self.long.extend_from_slice(piece);
        }
        self.slots[slot] = self.entries.len() as u32;
        self.entries.push(Entry { key, count, at });
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots = Vec::new();
        self.slots.resize(mask + 1, FREE);
        for (number, entry) in (0..).zip(&self.entries) {
            let mut slot = hash(entry.key) as usize & mask;
            while self.slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = number;
        }
    }

    fn long_piece(&self, entry: Entry) -> &[u8] {
        let at = entry.at as usize;
        let (length, bytes) = self.long[at..].split_at(size_of::<u64>());
        let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
        &bytes[..length]
    }

    /// Calls `take` with each piece and its count, in the order of their first occurrence.
    pub fn for_each(&self, mut take: impl FnMut(&[u8], u64)) {
        for entry in &self.entries {
            match word_length(entry.key) {
                Some(length) => take(&entry.key.to_le_bytes()[..length], entry.count),
                None => take(self.long_piece(*entry), entry.count),
            }
        }
    }

    /// The pieces and their counts.
    pub fn to_vec(&self) -> Vec<(Box<[u8]>, u64)> {
        let mut pieces = Vec::with_capacity(self.len());
        self.for_each(|piece, count| pieces.push((piece.into(), count)));
        pieces
    }

    /// Adds all counts of another table.
    pub fn merge(&mut self, other: Self) {
        other.for_each(|piece, count| self.add(piece, count));
    }
}

impl<P: AsRef<[u8]>> FromIterator<(P, u64)> for PieceCounts {
    fn from_iter<I: IntoIterator<Item = (P, u64)>>(counts: I) -> Self {
        let mut table = Self::default();
        counts.into_iter().for_each(|(piece, count)| table.add(piece.as_ref(), count));
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn counts_are_those_of_a_map(
            pieces in prop::collection::vec("[a-c\\x00]{1,4}|[ab]{14,40}|[a-z]{3}", 1..4000),
            batch in 1..=MAX_PIECES,
        ) {
            let mut expected: HashMap<Vec<u8>, u64> = HashMap::new();
            pieces.iter().for_each(|piece| *expected.entry(piece.clone().into_bytes()).or_default() += 1);
            let (mut table, mut other) = (PieceCounts::default(), PieceCounts::default());
            for (i, batch) in pieces.chunks(batch).enumerate() {
                let text = batch.concat();
                let ends: Vec<usize> = batch
                    .iter()
                    .scan(0, |end, piece| { *end += piece.len(); Some(*end) })
                    .collect();
                if i % 3 == 0 { &mut other } else { &mut table }.count(text.as_bytes(), 0, &ends);
            }
            table.merge(other);
            let mut found = HashMap::new();
            table.for_each(|piece, count| { found.insert(piece.to_vec(), count); });
            prop_assert_eq!(found, expected);
            prop_assert!(table.memory() <= 64 * table.len() + table.long.len() + 4096);
        }
    }

    /// The first factor of the hash of such a piece would be 0 if the key were taken as it is.
    #[test]
    fn pieces_that_begin_with_zeros_do_not_share_a_place() {
        let piece = |i: u32| [&[0; 8][..], &i.to_le_bytes()[..3]].concat();
        let hashes: std::collections::HashSet<u32> =
            (0..10_000).map(|i| hash(key(&piece(i), 0, 11)) & 0xffff).collect();
        assert!(hashes.len() > 8000, "{}", hashes.len());
    }
}
