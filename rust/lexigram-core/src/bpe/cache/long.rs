//! The tokens of pieces that the table of words cannot hold: longer ones, and those of many tokens.
//!
//! A slot names a piece's bytes and tokens in two growing buffers; a hit compares the bytes. When
//! a buffer is full, everything is forgotten.
//!
//! Bound: [`SLOTS`] slots of 16 bytes, [`MAX_BYTES`] and [`MAX_TOKENS`]: 3.5 MiB.

use xxhash_rust::xxh3::xxh3_64;

/// The longest piece, in bytes; longer ones hardly come twice.
pub const MAX_PIECE: usize = 256;

const SLOTS: usize = 1 << 15;
const MAX_BYTES: usize = 1 << 20;
const MAX_TOKENS: usize = 1 << 19;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u32,
    bytes: u32,
    tokens: u32,
    length: u16,
    count: u16,
}

/// A bounded map from pieces to tokens.
#[derive(Debug, Default)]
pub struct PieceCache {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    tokens: Vec<u32>,
}

impl PieceCache {
    /// The tokens of a piece seen before.
    #[inline]
    pub fn get(&self, piece: &[u8]) -> Option<&[u32]> {
        let (slot, hash) = place(piece);
        let slot = self.slots.get(slot)?;
        if slot.hash != hash || usize::from(slot.length) != piece.len() {
            return None;
        }
        let bytes = slot.bytes as usize;
        if self.bytes[bytes..bytes + piece.len()] != *piece {
            return None;
        }
        Some(&self.tokens[slot.tokens as usize..][..slot.count.into()])
    }

    /// Remembers the tokens of a piece of at most [`MAX_PIECE`] bytes.
    pub fn insert(&mut self, piece: &[u8], tokens: &[u32]) {
        if piece.is_empty() || piece.len() > MAX_PIECE {
            return;
        }
        if self.bytes.len() + piece.len() > MAX_BYTES
            || self.tokens.len() + tokens.len() > MAX_TOKENS
        {
            self.slots.clear();
            self.bytes.clear();
            self.tokens.clear();
        }
        self.slots.resize(SLOTS, Slot::default());
        let (slot, hash) = place(piece);
        self.slots[slot] = Slot {
            hash,
            bytes: self.bytes.len() as u32,
            tokens: self.tokens.len() as u32,
            length: piece.len() as u16,
            count: tokens.len() as u16,
        };
        self.bytes.extend_from_slice(piece);
        self.tokens.extend_from_slice(tokens);
    }
}

fn place(piece: &[u8]) -> (usize, u32) {
    let hash = xxh3_64(piece);
    (hash as usize % SLOTS, (hash >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_returns_is_what_was_inserted() {
        let mut cache = PieceCache::default();
        assert_eq!(cache.get(b""), None);
        let piece = |i: u32| i.to_string().repeat(1 + i as usize % 40).into_bytes();
        let mut found = 0;
        for i in 0..60_000u32 {
            let tokens = [i, i + 1];
            cache.insert(&piece(i), &tokens);
            for j in i.saturating_sub(100)..=i {
                if piece(j).len() <= MAX_PIECE
                    && let Some(tokens) = cache.get(&piece(j))
                {
                    assert_eq!(tokens, [j, j + 1]);
                    found += 1;
                }
            }
            assert!(cache.bytes.capacity() <= 2 * MAX_BYTES && cache.tokens.len() <= MAX_TOKENS);
        }
        assert!(found > 1_000_000, "{found}");
    }
}
