//! Pieces as keys of hash tables.
//!
//! A piece of up to 15 bytes is its own key: its bytes in a `u128` with its length in the last
//! byte, so that two such pieces are equal exactly if their keys are, and none has the key 0. The
//! key of a longer one is a hash with [`LONG`] in the last byte; who uses it keeps the bytes and
//! compares them.

use xxhash_rust::xxh3::xxh3_128;

/// The longest piece, in bytes, that is its own key.
pub const MAX_WORD: usize = 15;

/// The last byte of the keys of longer pieces.
const LONG: u128 = 0xff << 120;

/// For each length, the bits of a key that are the piece's bytes, and its length in the last byte.
const KEEP: [(u128, u128); MAX_WORD + 1] = {
    let mut keep = [(0, 0); MAX_WORD + 1];
    let mut length = 0;
    while length <= MAX_WORD {
        keep[length] = ((1 << (8 * length)) - 1, (length as u128) << 120);
        length += 1;
    }
    keep
};

/// The key of the piece `text[start..end]`.
#[inline(always)]
pub fn key(text: &[u8], start: usize, end: usize) -> u128 {
    let length = end - start;
    if length > MAX_WORD {
        return long_key(&text[start..end]);
    }
    let bytes = match text[start..].first_chunk::<16>() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => bytes_near_end(&text[start..]),
    };
    let (mask, tag) = KEEP[length];
    bytes & mask | tag
}

#[cold]
fn bytes_near_end(rest: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// The key of a piece of more than [`MAX_WORD`] bytes.
#[cold]
pub fn long_key(piece: &[u8]) -> u128 {
    LONG | xxh3_128(piece)
}

/// The length of the piece that is its own key; `None` for the key of a longer one.
pub fn word_length(key: u128) -> Option<usize> {
    let length = (key >> 120) as usize;
    (length <= MAX_WORD).then_some(length)
}

/// A hash of a key on any machine.
#[inline(always)]
pub fn hash(key: u128) -> u32 {
    // A 64 by 64 bit product folded onto itself mixes all bits of the key into the low ones. The
    // constants have bytes that UTF-8 does not: no factor is 0, which would hide the other.
    let low = key as u64 ^ 0xff51_afd7_ed55_8ccd;
    let high = (key >> 64) as u64 ^ 0xd1b5_4aff_d192_ed03;
    let product = u128::from(low) * u128::from(high);
    (product >> 64) as u32 ^ product as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_depends_on_the_piece_alone(before in "[a-z]{0,20}", piece in "[a-z]{1,40}", after in "[a-z]{0,20}") {
            let text = format!("{before}{piece}{after}");
            let alone = key(piece.as_bytes(), 0, piece.len());
            prop_assert_eq!(alone, key(text.as_bytes(), before.len(), before.len() + piece.len()));
            prop_assert_eq!(word_length(alone), (piece.len() <= MAX_WORD).then_some(piece.len()));
        }
    }

    #[test]
    fn keys_of_short_and_long_pieces_differ() {
        assert_eq!(key(&[b'a'; 16], 0, 16) >> 120, 0xff);
        assert_eq!(key(&[b'a'; 16], 0, 15) >> 120, 15);
        assert_ne!(key(b"a\0", 0, 1), key(b"a\0", 0, 2));
        assert_ne!(key(b"\0", 0, 1), 0);
    }
}
