//! A table of pieces and how often each occurs.
//!
//! Entries lie one after the other in the order of their first occurrence: the count in four bytes
//! (a larger one has the rest in a map), the length, the bytes. The index is an open addressing
//! table of their places. Pieces are counted in batches: the slots of all are asked for before the
//! first is read, then the entries, so that the waiting for memory overlaps. A distinct piece takes
//! its bytes, five more, and, with slots at most half full, 8 to 16 of the index; entries have up to
//! a quarter more room than they need. That is all that training holds of a corpus.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::key::{hash, key, word_length};
use crate::prefetch;
use crate::pretokenize::MAX_PIECES;
use crate::{Error, Result};

const FREE: u32 = u32::MAX;

/// The bytes of a count, which come before the length.
const COUNT: usize = size_of::<u32>();

/// The length that says that it is that of a longer piece: four bytes more have it.
const LONG: u8 = u8::MAX;

/// Behind the last entry are so many bytes, so that a key can be read of every one.
const PADDING: usize = COUNT + size_of::<u128>();

/// Entries are given back in parts of about so many bytes.
const PART_BYTES: usize = 1 << 20;

/// Pieces and their counts.
#[derive(Debug)]
pub struct PieceCounts {
    entries: Vec<u8>,
    /// Places of entries by the hash of their key, a power of two long.
    slots: Vec<u32>,
    len: usize,
    /// What a count has above its four bytes, by the place of the entry.
    high: HashMap<u32, u64, FxBuildHasher>,
    /// Where each part of the entries begins.
    parts: Vec<usize>,
}

impl Default for PieceCounts {
    fn default() -> Self {
        let (entries, slots) = (vec![0; PADDING], vec![FREE; 1 << 10]);
        Self { entries, slots, len: 0, high: HashMap::default(), parts: vec![0] }
    }
}

/// The error of more text than places can tell apart.
pub fn too_much_text() -> Error {
    let limit = "distinct pieces of at most 4 billion bytes can be trained on; \
                 use a pattern that cuts text into shorter pieces, or less text";
    Error::argument("text", "the corpus", limit)
}

/// A piece as it is looked for.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    piece: &'p [u8],
    /// Of a short piece: its entry from the length on, and which bits of that are its own.
    short: Option<(u128, u128)>,
}

impl<'p> Wanted<'p> {
    #[inline(always)]
    fn new(key: u128, piece: &'p [u8]) -> Self {
        let short =
            word_length(key).map(|length| (key.rotate_left(8), u128::MAX >> (120 - 8 * length)));
        Self { piece, short }
    }
}

impl PieceCounts {
    /// How many distinct pieces there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory that it takes, in bytes. It depends on what pieces there are, but not on the
    /// order in which they came.
    pub fn memory(&self) -> usize {
        self.entries.capacity() + size_of_val(&self.slots[..])
    }

    /// Counts successive pieces of `text`, of which the first begins at `start` and which end at
    /// `ends`, at most [`MAX_PIECES`] of them.
    pub fn count(&mut self, text: &[u8], start: usize, ends: &[usize]) -> Result<()> {
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
            let wanted = Wanted::new(key, &text[from..end]);
            if wanted.short.is_some() && self.is_at(place, wanted) {
                self.increase(place, 1);
            } else {
                self.add_key(key, &text[from..end], 1)?;
            }
            from = end;
        }
        Ok(())
    }

    /// Counts a piece so many times.
    pub fn add(&mut self, piece: &[u8], count: u64) -> Result<()> {
        self.add_key(key(piece, 0, piece.len()), piece, count)
    }

    fn add_key(&mut self, key: u128, piece: &[u8], count: u64) -> Result<()> {
        let wanted = Wanted::new(key, piece);
        let mask = self.slots.len() - 1;
        let mut slot = hash(key) as usize & mask;
        while self.slots[slot] != FREE {
            let place = self.slots[slot] as usize;
            if self.is_at(place, wanted) {
                self.increase(place, count);
                return Ok(());
            }
            slot = (slot + 1) & mask;
        }
        let place = self.end();
        let length = (piece.len() as u32).to_le_bytes();
        let (short, long) = match word_length(key) {
            Some(_) => (length[0], &[][..]),
            None => (LONG, &length[..]),
        };
        let end = place + COUNT + 1 + long.len() + piece.len() + PADDING;
        if end >= FREE as usize {
            return Err(too_much_text());
        }
        self.slots[slot] = place as u32;
        self.reserve(end);
        self.entries.truncate(place);
        for bytes in [&[0; COUNT], &[short][..], long, piece, &[0; PADDING]] {
            self.entries.extend_from_slice(bytes);
        }
        self.increase(place, count);
        self.len += 1;
        if self.parts.last().is_some_and(|&part| place - part >= PART_BYTES) {
            self.parts.push(place);
        }
        if self.len * 2 > self.slots.len() {
            self.grow();
        }
        Ok(())
    }

    /// Makes room for so many bytes of entries. Vectors would double, and take more than they
    /// need; the steps are the same whatever the order of pieces.
    #[inline]
    fn reserve(&mut self, length: usize) {
        if length <= self.entries.capacity() {
            return;
        }
        let mut capacity = 1 << 12;
        while capacity < length {
            capacity += capacity / 4;
        }
        self.entries.reserve_exact(capacity - self.entries.len());
    }

    #[cold]
    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = std::mem::take(&mut self.slots);
        slots.fill(FREE);
        slots.resize(mask + 1, FREE);
        for (place, piece) in self.pieces(0, self.end()) {
            let long = if self.entries[place + COUNT] == LONG { size_of::<u32>() } else { 0 };
            let start = place + COUNT + 1 + long;
            // The key is read from all entries: there are bytes behind every piece.
            let mut slot = hash(key(&self.entries, start, start + piece.len())) as usize & mask;
            while slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            slots[slot] = place as u32;
        }
        self.slots = slots;
    }

    /// Whether the entry at a place, which may be [`FREE`], is that of a piece.
    #[inline(always)]
    fn is_at(&self, place: usize, wanted: Wanted<'_>) -> bool {
        let Some(entry) = self.entries.get(place..).and_then(|entry| entry.get(COUNT..)) else {
            return false;
        };
        match wanted.short {
            Some((short, mask)) => {
                entry.first_chunk().is_some_and(|bytes| u128::from_le_bytes(*bytes) & mask == short)
            }
            None => entry[0] == LONG && long_piece(entry).0 == wanted.piece,
        }
    }

    /// Adds to the count of the entry at `place`.
    #[inline(always)]
    fn increase(&mut self, place: usize, by: u64) {
        if let Some(bytes) = self.entries.get_mut(place..).and_then(|entry| entry.first_chunk_mut())
        {
            let low = u64::from(u32::from_le_bytes(*bytes)) + (by & u64::from(u32::MAX));
            *bytes = (low as u32).to_le_bytes();
            let high = (by >> u32::BITS) + (low >> u32::BITS);
            if high > 0 {
                self.carry(place, high);
            }
        }
    }

    #[cold]
    fn carry(&mut self, place: usize, by: u64) {
        *self.high.entry(place as u32).or_default() += by;
    }

    /// Where the last entry ends.
    fn end(&self) -> usize {
        self.entries.len() - PADDING
    }

    /// The places and pieces of the entries from one place to another.
    fn pieces(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, &[u8])> {
        let mut at = from;
        std::iter::from_fn(move || {
            if at >= to {
                return None;
            }
            let (place, entry) = (at, &self.entries[at + COUNT..]);
            let (piece, length) = match entry[0] {
                LONG => long_piece(entry),
                length => (&entry[1..=usize::from(length)], 1 + usize::from(length)),
            };
            at += COUNT + length;
            Some((place, piece))
        })
    }

    fn count_at(&self, place: usize) -> u64 {
        let low = self.entries[place..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let high = if self.high.is_empty() { None } else { self.high.get(&(place as u32)) };
        high.map_or(0, |high| high << u32::BITS) + u64::from(low)
    }

    /// Calls `take` with each piece and its count, in the order of their first occurrence.
    pub fn for_each(&self, mut take: impl FnMut(&[u8], u64)) {
        self.pieces(0, self.end()).for_each(|(place, piece)| take(piece, self.count_at(place)));
    }

    /// As [`PieceCounts::for_each`] in another order, giving back memory as it goes.
    pub fn drain(mut self, mut take: impl FnMut(&[u8], u64) -> Result<()>) -> Result<()> {
        self.slots = Vec::new();
        let mut end = self.end();
        while let Some(part) = self.parts.pop() {
            for (place, piece) in self.pieces(part, end) {
                take(piece, self.count_at(place))?;
            }
            end = part;
            self.entries.truncate(end);
            self.entries.shrink_to_fit();
        }
        Ok(())
    }

    /// The pieces and their counts.
    pub fn to_vec(&self) -> Vec<(Box<[u8]>, u64)> {
        let mut pieces = Vec::with_capacity(self.len());
        self.for_each(|piece, count| pieces.push((piece.into(), count)));
        pieces
    }

    /// Adds all counts of another table.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        other.drain(|piece, count| self.add(piece, count))
    }

    /// Counts of pieces.
    pub fn of<P: AsRef<[u8]>>(counts: impl IntoIterator<Item = (P, u64)>) -> Result<Self> {
        let mut table = Self::default();
        for (piece, count) in counts {
            table.add(piece.as_ref(), count)?;
        }
        Ok(table)
    }
}

/// The piece of an entry from the length on, and what it takes with its length.
fn long_piece(entry: &[u8]) -> (&[u8], usize) {
    let length = entry[1..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let start = 1 + size_of::<u32>();
    (&entry[start..start + length], start + length)
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
                if i % 3 == 0 { &mut other } else { &mut table }
                    .count(text.as_bytes(), 0, &ends)
                    .unwrap();
            }
            table.merge(other).unwrap();
            let mut found = HashMap::new();
            table.for_each(|piece, count| { found.insert(piece.to_vec(), count); });
            prop_assert_eq!(&found, &expected);
            // The memory is that of the pieces, in whatever order.
            let again = PieceCounts::of(found).unwrap();
            prop_assert_eq!(table.memory(), again.memory());
            let bytes: usize = expected.keys().map(|piece| piece.len() + 25).sum();
            prop_assert!(table.memory() <= 5 * bytes / 4 + 10_000);
            let mut drained = HashMap::new();
            table.drain(|piece, count| { drained.insert(piece.to_vec(), count); Ok(()) }).unwrap();
            prop_assert_eq!(drained, expected);
        }
    }

    #[test]
    fn counts_have_64_bits_and_tables_many_parts() {
        let max = u64::from(u32::MAX);
        let mut expected: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut table = PieceCounts::default();
        let more = [(0, 1), (2, 1), (4, max + 7), (5, 3 << 40), (5, max)];
        for (i, count) in (0..100_000).map(|i| (i, i % 3 * max + 1)).chain(more) {
            let piece = format!("{}{i}", "x".repeat(i as usize % 50)).into_bytes();
            table.add(&piece, count).unwrap();
            *expected.entry(piece).or_default() += count;
        }
        assert!(table.parts.len() > 3);
        // One whose four bytes are all ones.
        table.add(b"!", max).unwrap();
        table.count(b"!!!", 0, &[1, 2, 3]).unwrap();
        expected.insert(b"!".to_vec(), max + 3);
        let mut found = HashMap::new();
        table.for_each(|piece, count| assert!(found.insert(piece.to_vec(), count).is_none()));
        assert_eq!(found, expected);
        found.clear();
        let taken = table.drain(|piece, count| {
            assert!(found.insert(piece.to_vec(), count).is_none());
            Ok(())
        });
        taken.unwrap();
        assert_eq!(found, expected);
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
