//! Masks of a window by AVX2: 32 bytes an instruction.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
};

use super::{Ends, Machine, Masks, WINDOW, Windowed, fill_by};

/// Whether this machine has what [`fill`] needs.
#[inline]
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1")
}

/// Fills by windows; only where [`available`].
pub fn fill(scan: &impl Windowed, text: &[u8], at: usize, ends: &mut Ends) {
    debug_assert!(available());
    // SAFETY: the features that the function is compiled for were just found.
    unsafe { fill_with_features(scan, text, at, ends) }
}

#[target_feature(enable = "avx2,bmi1")]
fn fill_with_features(scan: &impl Windowed, text: &[u8], at: usize, ends: &mut Ends) {
    fill_by::<Avx2>(scan, text, at, ends);
}

/// The masks of a window; only where [`available`].
#[cfg(test)]
pub fn masks(window: &[u8; WINDOW]) -> Masks {
    debug_assert!(available());
    // SAFETY: as in `fill`.
    unsafe { classify(window) }
}

struct Avx2;

impl Machine for Avx2 {
    #[inline(always)]
    fn classify(window: &[u8; WINDOW]) -> Masks {
        // SAFETY: only `fill_with_features` uses this type.
        unsafe { classify(window) }
    }

    #[inline(always)]
    fn push_all(ends: &mut Ends, base: usize, bits: u64) {
        ends.push_all(base, bits);
    }
}

#[inline]
#[target_feature(enable = "avx2,bmi1")]
fn classify(window: &[u8; WINDOW]) -> Masks {
    let [low, high]: [__m256i; 2] = bytemuck::cast(*window);
    let mask = |test: &dyn Fn(__m256i) -> __m256i| bits(test(low)) | bits(test(high)) << 32;
    let equal = |byte: u8| move |v| _mm256_cmpeq_epi8(v, splat(byte));
    let range = |from: u8, to: u8| {
        move |v| {
            // v - from, unsigned, is at most to - from
            let distance = _mm256_add_epi8(v, splat(from.wrapping_neg()));
            _mm256_cmpeq_epi8(_mm256_min_epu8(distance, splat(to - from)), distance)
        }
    };
    let blank = mask(&equal(b' '));
    let masks = Masks {
        upper: mask(&range(b'A', b'Z')),
        lower: mask(&range(b'a', b'z')),
        caseless: 0,
        mark: 0,
        number: mask(&range(b'0', b'9')),
        space: mask(&range(b'\t', b'\r')) | blank,
        newline: mask(&|v| _mm256_or_si256(equal(b'\r')(v), equal(b'\n')(v))),
        blank,
        apostrophe: mask(&equal(b'\'')),
        slash: mask(&equal(b'/')),
        // As signed bytes, tails are the lowest.
        tail: mask(&|v| _mm256_cmpgt_epi8(splat(0xc0), v)),
        valid: WINDOW as u32,
    };
    match bits(low) | bits(high) << 32 {
        0 => masks,
        beyond => masks.complete(window, beyond),
    }
}

#[inline(always)]
fn splat(byte: u8) -> __m256i {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe { _mm256_set1_epi8(byte as i8) }
}

#[inline(always)]
fn bits(v: __m256i) -> u64 {
    // SAFETY: as in `splat`.
    u64::from(unsafe { _mm256_movemask_epi8(v) } as u32)
}
