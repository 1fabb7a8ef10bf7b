//! Masks of a window by AVX-512: 64 bytes an instruction, which gives the mask itself.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_castsi512_si128,
    _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_cmplt_epi8_mask, _mm512_cvtepu8_epi64,
    _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_movepi8_mask, _mm512_set1_epi8,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::{Ends, Machine, Masks, WINDOW, Windowed, fill_by};

/// Whether this machine has what [`fill`] needs.
#[inline]
pub fn available() -> bool {
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Fills by windows; only where [`available`].
pub fn fill(scan: &impl Windowed, text: &[u8], at: usize, ends: &mut Ends) {
    debug_assert!(available());
    // SAFETY: the features that the function is compiled for were just found.
    unsafe { fill_with_features(scan, text, at, ends) }
}

#[target_feature(enable = "avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
fn fill_with_features(scan: &impl Windowed, text: &[u8], at: usize, ends: &mut Ends) {
    fill_by::<Avx512>(scan, text, at, ends);
}

/// The masks of a window; only where [`available`].
#[cfg(test)]
pub fn masks(window: &[u8; WINDOW]) -> Masks {
    debug_assert!(available());
    // SAFETY: as in `fill`.
    unsafe { classify(window) }
}

/// As [`Ends::push_all`]; only where [`available`].
#[cfg(test)]
pub fn push(ends: &mut Ends, base: usize, bits: u64) {
    debug_assert!(available());
    // SAFETY: as in `fill`.
    unsafe { push_all(ends, base, bits) }
}

struct Avx512;

impl Machine for Avx512 {
    #[inline(always)]
    fn classify(window: &[u8; WINDOW]) -> Masks {
        // SAFETY: only `fill_with_features` uses this type.
        unsafe { classify(window) }
    }

    #[inline(always)]
    fn push_all(ends: &mut Ends, base: usize, bits: u64) {
        // SAFETY: as above.
        unsafe { push_all(ends, base, bits) }
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
fn classify(window: &[u8; WINDOW]) -> Masks {
    // SAFETY: the window is as long as a vector.
    let v = unsafe { _mm512_loadu_si512(window.as_ptr().cast()) };
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(v, splat(byte));
    let range = |from: u8, to: u8| {
        // v - from, unsigned, is at most to - from
        let distance = _mm512_add_epi8(v, splat(from.wrapping_neg()));
        _mm512_cmple_epu8_mask(distance, splat(to - from))
    };
    let blank = equal(b' ');
    let masks = Masks {
        upper: range(b'A', b'Z'),
        lower: range(b'a', b'z'),
        caseless: 0,
        mark: 0,
        number: range(b'0', b'9'),
        space: range(b'\t', b'\r') | blank,
        newline: equal(b'\r') | equal(b'\n'),
        blank,
        apostrophe: equal(b'\''),
        slash: equal(b'/'),
        // As signed bytes, tails are the lowest.
        tail: _mm512_cmplt_epi8_mask(v, splat(0xc0)),
        valid: WINDOW as u32,
    };
    match _mm512_movepi8_mask(v) {
        0 => masks,
        high => masks.complete(window, high),
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
fn push_all(ends: &mut Ends, base: usize, bits: u64) {
    let count = bits.count_ones() as usize;
    let mut rest = _mm512_maskz_compress_epi8(bits, places());
    let base = _mm512_set1_epi64(base as i64);
    // Eight at a time, some of them beyond the last.
    let free = &mut ends.ends[ends.count..ends.count + count.next_multiple_of(8)];
    for eight in free.chunks_exact_mut(8) {
        let ends = _mm512_add_epi64(_mm512_cvtepu8_epi64(_mm512_castsi512_si128(rest)), base);
        // SAFETY: eight numbers are as long as a vector.
        unsafe { _mm512_storeu_si512(eight.as_mut_ptr().cast(), ends) };
        rest = _mm512_alignr_epi64::<1>(_mm512_setzero_si512(), rest);
    }
    ends.count += count;
}

/// The bytes 0 to 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn places() -> __m512i {
    const PLACES: [u8; WINDOW] = {
        let mut places = [0; WINDOW];
        let mut i = 0;
        while i < WINDOW {
            places[i] = i as u8;
            i += 1;
        }
        places
    };
    // SAFETY: the table is as long as a vector.
    unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte as i8)
}
