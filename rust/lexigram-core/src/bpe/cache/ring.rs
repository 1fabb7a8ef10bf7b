//! Records of the pieces that the table of words cannot hold itself: longer ones, and those of many
//! tokens.
//!
//! A record is the tokens of a piece, then its bytes. Records are written one after the other into
//! a ring and never moved; a new one overwrites the oldest. Positions count all that was ever
//! written, so whether a record still stands follows from its position alone.

use std::mem::size_of;

use super::super::memory::Zeroed;

/// Words of the ring: 4 MiB.
const WORDS: usize = 1 << 20;

/// The longest piece, in bytes; longer ones hardly come twice.
pub const MAX_PIECE: usize = 256;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// In words, counted from the first that was ever written.
    pub position: u64,
    /// How many tokens it has.
    pub tokens: u16,
    /// How many bytes it has.
    pub bytes: u16,
}

impl Record {
    fn words(self) -> usize {
        usize::from(self.tokens) + usize::from(self.bytes).div_ceil(size_of::<u32>())
    }
}

/// The last records, as many as there is room for.
#[derive(Debug, Clone)]
pub struct Ring {
    words: Zeroed<u32>,
    /// The position after the last record.
    head: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self { words: Zeroed::new(WORDS), head: 0 }
    }
}

impl Ring {
    /// Keeps a piece of at most [`MAX_PIECE`] bytes.
    pub fn insert(&mut self, piece: &[u8], tokens: &[u32]) -> Option<Record> {
        if piece.len() > MAX_PIECE || tokens.len() > piece.len() {
            return None;
        }
        let (bytes, count) = (piece.len() as u16, tokens.len() as u16);
        let words = Record { position: 0, tokens: count, bytes }.words();
        // A record lies in one piece: what is left at the end of the ring may be too short.
        let left = WORDS - (self.head % WORDS as u64) as usize;
        if left < words {
            self.head += left as u64;
        }
        let at = (self.head % WORDS as u64) as usize;
        let record = Record { position: self.head, tokens: count, bytes };
        let room = &mut self.words.as_mut_slice()[at..at + words];
        let (ids, rest) = room.split_at_mut(tokens.len());
        ids.copy_from_slice(tokens);
        bytemuck::cast_slice_mut(rest)[..piece.len()].copy_from_slice(piece);
        self.head += words as u64;
        Some(record)
    }

    /// The tokens of `piece`, if `record` is its record and still stands.
    pub fn get(&self, record: Record, piece: &[u8]) -> Option<&[u32]> {
        let (tokens, rest) = self.parts(record)?;
        let bytes = bytemuck::cast_slice::<u32, u8>(rest).get(..usize::from(record.bytes))?;
        (bytes == piece).then_some(tokens)
    }

    /// The tokens of a piece that is known to be the one of `record`, if that still stands.
    pub fn tokens(&self, record: Record) -> Option<&[u32]> {
        self.parts(record).map(|(tokens, _)| tokens)
    }

    fn parts(&self, record: Record) -> Option<(&[u32], &[u32])> {
        if self.head - record.position > WORDS as u64 {
            return None;
        }
        let at = (record.position % WORDS as u64) as usize;
        Some(self.words.as_slice()[at..at + record.words()].split_at(record.tokens.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stand_until_they_are_overwritten() {
        let mut ring = Ring::default();
        let piece = |i: u32| i.to_string().repeat(1 + i as usize % 40).into_bytes();
        let (mut records, mut found, mut words) = (Vec::new(), 0, 0);
        for i in 0..100_000u32 {
            let tokens = [i, i + 1].repeat(1 + i as usize % 7);
            let Some(record) = ring.insert(&piece(i), &tokens) else {
                assert!(piece(i).len() > MAX_PIECE || tokens.len() > piece(i).len());
                continue;
            };
            words += record.words();
            records.push((i, tokens, record));
            let recent = records.len().saturating_sub(50);
            for (j, tokens, record) in &records[recent..] {
                assert_eq!(ring.get(*record, &piece(*j)), Some(&tokens[..]));
                assert_eq!(ring.tokens(*record), Some(&tokens[..]));
                assert_eq!(ring.get(*record, &piece(j + 1)), None);
            }
        }
        assert!(words > 2 * WORDS, "the ring went round");
        for (j, tokens, record) in &records {
            if let Some(kept) = ring.get(*record, &piece(*j)) {
                assert_eq!(kept, &tokens[..]);
                found += record.words();
            }
        }
        assert!(found > WORDS - 1000 && found <= WORDS, "{found}");
    }
}
