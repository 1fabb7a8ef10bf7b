//! Whole numbers of few bits: packed one after the other, or 16 bits each.
#![allow(unsafe_code)]

use std::hint::select_unpredictable;
use std::ops::Range;

use rayon::prelude::*;

use super::storage::BLOCK;
use crate::bpe::memory::advise_huge;

/// How many numbers one task packs: a multiple of 8, so that each task begins at a byte.
const CHUNK: usize = 1 << 15;

/// Numbers in a slice.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ints<'a> {
    Narrow(&'a [u16]),
    /// Number i is the `width` bits from bit i · `width` on; at least 7 bytes follow the last.
    Packed {
        bytes: &'a [u8],
        width: u32,
    },
}

/// Numbers in memory.
#[derive(Debug)]
pub(super) enum IntsBuffer {
    Narrow(Vec<u16>),
    Packed { bytes: Vec<u8>, width: u32 },
}

/// The bytes of `length` packed numbers, and of what follows them.
pub(super) fn packed_bytes(length: u64, width: u32) -> Option<u64> {
    let bits = length.checked_mul(u64::from(width))?;
    bits.div_ceil(8).checked_add(8)?.checked_next_multiple_of(8)
}

/// The bytes that numbers take: see [`IntsBuffer::new`].
pub(super) fn int_bytes(length: u64, width: u32, multiple: usize) -> Option<u64> {
    match width {
        16 => length.checked_next_multiple_of(multiple as u64)?.checked_mul(2),
        _ => packed_bytes(length, width),
    }
}

impl<'a> Ints<'a> {
    /// Reads what [`IntsBuffer::bytes`] gave.
    pub fn from_bytes(bytes: &'a [u8], width: u32) -> Option<Self> {
        match width {
            16 => bytemuck::try_cast_slice(bytes).ok().map(Ints::Narrow),
            _ => Some(Ints::Packed { bytes, width }),
        }
    }

    pub fn bytes(&self) -> &'a [u8] {
        match *self {
            Ints::Narrow(values) => bytemuck::cast_slice(values),
            Ints::Packed { bytes, .. } => bytes,
        }
    }

    /// The bits of a number.
    pub fn width(&self) -> u32 {
        match *self {
            Ints::Narrow(_) => 16,
            Ints::Packed { width, .. } => width,
        }
    }

    /// Number i; 0 past the end.
    #[inline]
    pub fn get(&self, i: usize) -> u32 {
        match *self {
            Ints::Narrow(values) => values.get(i).copied().unwrap_or_default().into(),
            Ints::Packed { bytes, width } => {
                let bit = i * width as usize;
                let Some(&word) = bytes.get(bit / 8..).and_then(<[u8]>::first_chunk) else {
                    return 0;
                };
                (u64::from_le_bytes(word) >> (bit % 8)) as u32 & ((1 << width) - 1)
            }
        }
    }

    /// Begins to load number i.
    #[inline]
    pub fn prefetch(&self, i: usize) {
        match *self {
            Ints::Narrow(values) => {
                if let Some(value) = values.get(i) {
                    crate::prefetch(value);
                }
            }
            Ints::Packed { bytes, width } => {
                if let Some(byte) = bytes.get(i * width as usize / 8) {
                    crate::prefetch(byte);
                }
            }
        }
    }

    /// How many of the numbers of `range`, which rises, after its first are at most `value`.
    #[inline]
    pub fn rank(&self, range: Range<usize>, value: u32) -> usize {
        match *self {
            Ints::Narrow(values) => {
                let values = values.get(range).unwrap_or_default();
                let (mut at, mut size) = (0, values.len());
                while size > 1 {
                    let half = size / 2;
                    // Which half cannot be foreseen; that the place exists can.
                    let reached = u32::from(values[at + half]) <= value;
                    at = select_unpredictable(reached, at + half, at);
                    size -= half;
                }
                at
            }
            Ints::Packed { .. } => {
                let (mut at, mut size) = (0, range.len());
                while size > 1 {
                    let half = size / 2;
                    let reached = self.get(range.start + at + half) <= value;
                    at = select_unpredictable(reached, at + half, at);
                    size -= half;
                }
                at
            }
        }
    }

    /// The place of `value` in `range`, which lies in one block and rises.
    #[inline]
    pub fn find(&self, range: Range<usize>, value: u32) -> Option<usize> {
        match *self {
            Ints::Narrow(values) => {
                let base = range.start / BLOCK * BLOCK;
                let block = values.get(base..)?.first_chunk::<BLOCK>()?;
                let equal = u64::from(equal(block, value as u16));
                let inside = (1u64 << (range.end - base)) - (1u64 << (range.start - base));
                let found = equal & inside;
                (found != 0 && value <= 0xffff).then(|| base + found.trailing_zeros() as usize)
            }
            Ints::Packed { .. } => {
                let from = range.start + self.rank(range.clone(), value);
                (!range.is_empty() && self.get(from) == value).then_some(from)
            }
        }
    }
}

/// A bit for each of the numbers that equals `value`.
#[inline]
fn equal(block: &[u16; BLOCK], value: u16) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of every x86-64; the four loads need no alignment and read the 64 bytes
    // of the block.
    unsafe {
        use std::arch::x86_64::{
            __m128i, _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16,
            _mm_set1_epi16,
        };
        let start = block.as_ptr().cast::<__m128i>();
        let value = _mm_set1_epi16(value as i16);
        let equal = |i| _mm_cmpeq_epi16(_mm_loadu_si128(start.add(i)), value);
        let low = _mm_movemask_epi8(_mm_packs_epi16(equal(0), equal(1)));
        let high = _mm_movemask_epi8(_mm_packs_epi16(equal(2), equal(3)));
        (low as u32) | ((high as u32) << 16)
    }
    #[cfg(not(target_arch = "x86_64"))]
    block.iter().rev().fold(0, |bits, &word| bits << 1 | u32::from(word == value))
}

impl IntsBuffer {
    /// `length` numbers of `width` bits; if that is 16, zeros follow up to a multiple of
    /// `multiple` numbers.
    pub fn new(
        length: usize,
        width: u32,
        multiple: usize,
        value: impl Fn(usize) -> u32 + Sync,
    ) -> Self {
        if width != 16 {
            return Self::packed(length, width, value);
        }
        let mut values = vec![0u16; length.next_multiple_of(multiple)];
        advise_huge(&mut values);
        values[..length]
            .par_iter_mut()
            .enumerate()
            .with_min_len(CHUNK)
            .for_each(|(i, place)| *place = value(i) as u16);
        Self::Narrow(values)
    }

    /// Packed numbers of 1 to 31 bits.
    pub fn packed(length: usize, width: u32, value: impl Fn(usize) -> u32 + Sync) -> Self {
        let size = packed_bytes(length as u64, width).expect("it fits in memory, as the input did");
        let mut bytes = vec![0; size as usize];
        advise_huge(&mut bytes);
        bytes.par_chunks_mut(CHUNK / 8 * width as usize).enumerate().for_each(|(chunk, out)| {
            let (mut held, mut bits, mut at) = (0u64, 0, 0);
            for i in chunk * CHUNK..length.min((chunk + 1) * CHUNK) {
                held |= u64::from(value(i)) << bits;
                bits += width;
                while bits >= 8 {
                    out[at] = held as u8;
                    (held, bits, at) = (held >> 8, bits - 8, at + 1);
                }
            }
            if bits > 0 {
                out[at] = held as u8;
            }
        });
        Self::Packed { bytes, width }
    }

    pub fn view(&self) -> Ints<'_> {
        match self {
            Self::Narrow(values) => Ints::Narrow(values),
            Self::Packed { bytes, width } => Ints::Packed { bytes, width: *width },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out(
            width in 1u32..32, values in prop::collection::vec(any::<u32>(), 0..200),
        ) {
            let value = |i: usize| values[i] & ((1u64 << width) - 1) as u32;
            let buffer = IntsBuffer::new(values.len(), width, 32, value);
            let bytes = buffer.view().bytes();
            prop_assert_eq!(bytes.len() as u64, int_bytes(values.len() as u64, width, 32).unwrap());
            let ints = Ints::from_bytes(bytes, width).unwrap();
            for i in 0..values.len() {
                prop_assert_eq!(ints.get(i), value(i));
            }
            prop_assert_eq!(ints.get(values.len() + 1000), 0);
        }

        #[test]
        fn a_block_is_searched(
            words in prop::collection::btree_set(0u32..60, 1..=32),
            cut in (0usize..32, 0usize..=32), word in 0u32..70, width in 16u32..=17,
        ) {
            let words: Vec<u32> = words.into_iter().collect();
            let to = cut.1.min(words.len());
            let range = cut.0.min(to)..to;
            let buffer = IntsBuffer::new(words.len(), width, 32, |i| words[i]);
            let expected = words[range.clone()].iter().position(|&w| w == word);
            let expected = expected.map(|i| i + range.start);
            prop_assert_eq!(buffer.view().find(range, word), expected);
        }
    }

    #[test]
    fn packing_in_several_tasks_is_packing() {
        let value = |i: usize| (i as u32).wrapping_mul(0x9e37_79b9) >> 11;
        let buffer = IntsBuffer::packed(3 * CHUNK + 5, 21, value);
        assert!((0..3 * CHUNK + 5).all(|i| buffer.view().get(i) == value(i)));
    }
}
