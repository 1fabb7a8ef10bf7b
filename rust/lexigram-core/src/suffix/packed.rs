//! Numbers of a fixed width, end to end: how a suffix array of n positions takes log₂ n bits each.

/// Zeros after the last number, so that eight bytes can be read wherever one begins.
pub const PADDING: usize = 8;

/// The bits that the numbers 0 … n − 1 need, at least 1.
pub fn width(n: usize) -> u32 {
    (usize::BITS - n.saturating_sub(1).leading_zeros()).max(1)
}

/// The bytes of `number` numbers, padding included.
pub fn num_bytes(number: usize, width: u32) -> usize {
    (number as u64 * u64::from(width)).div_ceil(8) as usize + PADDING
}

/// Appends `values` to `out`. All but the last call for one array give a multiple of eight values,
/// so that each begins at a byte.
pub fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0u64, 0);
    for &value in values {
        bits |= u64::from(value) << filled;
        filled += width;
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(bits as u8);
    }
}

/// Packed numbers, read at random.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    pub bytes: &'a [u8],
    /// 1 to 32 bits.
    pub width: u32,
}

impl Packed<'_> {
    /// Number `i`; 0 past the end.
    #[inline(always)]
    pub fn get(&self, i: u32) -> u32 {
        let bit = u64::from(i) * u64::from(self.width);
        let at = (bit >> 3) as usize;
        let Some(eight) = self.bytes.get(at..at + 8) else { return 0 };
        let bits = u64::from_le_bytes(eight.try_into().expect("8 bytes")) >> (bit & 7);
        (bits & ((1 << self.width) - 1)) as u32
    }

    /// Begins to load number `i`.
    #[inline(always)]
    pub fn prefetch(&self, i: u32) {
        let at = (u64::from(i) * u64::from(self.width)) >> 3;
        if let Some(byte) = self.bytes.get(at as usize) {
            crate::prefetch(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_read(values in prop::collection::vec(0u32..1 << 31, 0..100), cut in 0usize..12) {
            let largest = values.iter().max().map_or(0, |&v| v as usize);
            let width = width(largest + 1);
            let mut bytes = Vec::new();
            let cut = (cut * 8).min(values.len());
            pack(&values[..cut], width, &mut bytes);
            pack(&values[cut..], width, &mut bytes);
            bytes.extend([0; PADDING]);
            prop_assert_eq!(bytes.len(), num_bytes(values.len(), width));
            let packed = Packed { bytes: &bytes, width };
            for (i, &value) in values.iter().enumerate() {
                prop_assert_eq!(packed.get(i as u32), value);
            }
            prop_assert_eq!(packed.get(u32::MAX), 0);
        }
    }
}
