//! The inner loops of the cache by AVX-512: a key by one masked load, its hash by two rounds of
//! AES, a bucket compared as a whole.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _MM_HINT_T0, _mm_aesenc_si128, _mm_and_si128, _mm_cvtsi128_si32, _mm_insert_epi8,
    _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm_prefetch, _mm_set_epi32, _mm_set_epi64x,
    _mm_storeu_si128, _mm512_broadcast_i32x4, _mm512_cmpeq_epi64_mask, _mm512_loadu_si512,
};

use super::super::key::{MAX_WORD, long_key};
use super::{Bucket, COUNT_SHIFT, ID_MASK, MAX_TOKENS};

/// Whether this machine has what the functions need.
#[inline]
pub fn available() -> bool {
    is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("bmi2")
}

/// A hash of a key.
#[target_feature(enable = "avx512bw,avx512vl,aes,bmi2")]
pub fn hash(key: u128) -> u32 {
    hash_vector(_mm_set_epi64x((key >> 64) as i64, key as i64))
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,aes,bmi2")]
fn hash_vector(key: __m128i) -> u32 {
    // One round mixes four bytes with each other, the second these with all.
    let salt = _mm_set_epi64x(0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9_u64 as i64);
    let mixed = _mm_aesenc_si128(_mm_aesenc_si128(key, salt), salt);
    _mm_cvtsi128_si32(mixed) as u32
}

/// The keys of the pieces of `text` from `start` on that end at `ends`, and their buckets, which
/// begin to be loaded.
#[target_feature(enable = "avx512bw,avx512vl,aes,bmi2")]
pub fn prepare(
    text: &[u8],
    start: usize,
    ends: &[usize],
    buckets: &[Bucket],
    keys: &mut [u128],
    places: &mut [u32],
) {
    let mask = buckets.len() as u32 - 1;
    let mut from = start;
    for ((&end, key), place) in ends.iter().zip(keys).zip(places) {
        assert!(from <= end && end <= text.len(), "pieces follow each other within the text");
        let length = end - from;
        let vector = if length > MAX_WORD {
            let key = long_key(&text[from..end]);
            _mm_set_epi64x((key >> 64) as i64, key as i64)
        } else {
            let bytes = (1u32 << length) - 1;
            // SAFETY: only the bytes `from..end` are read, which lie within the text.
            let word =
                unsafe { _mm_maskz_loadu_epi8(bytes as u16, text.as_ptr().add(from).cast()) };
            _mm_insert_epi8::<15>(word, length as i32)
        };
        // SAFETY: a `u128` is as long as the vector.
        unsafe { _mm_storeu_si128((&raw mut *key).cast(), vector) };
        *place = hash_vector(vector) & mask;
        _mm_prefetch::<_MM_HINT_T0>((&raw const buckets[*place as usize]).cast());
        from = end;
    }
}

/// Writes the tokens of pieces to `free` as long as their own buckets hold them. Returns how many
/// pieces these are, how many tokens, and how many the last piece has.
#[target_feature(enable = "avx512bw,avx512vl,aes,bmi2")]
pub fn find_known(
    buckets: &[Bucket],
    keys: &[u128],
    places: &[u32],
    free: &mut [std::mem::MaybeUninit<u32>],
) -> (usize, usize, usize) {
    let ids = _mm_set_epi32(-1, -1, -1, ID_MASK as i32);
    let (mut done, mut filled, mut last) = (0, 0, 0);
    for (key, &place) in keys.iter().zip(places) {
        let bucket = &buckets[place as usize];
        let start: *const u8 = (&raw const *bucket).cast();
        // SAFETY: a key is 16 bytes long, a bucket 64.
        let same = unsafe {
            let key = _mm_loadu_si128((&raw const *key).cast());
            _mm512_cmpeq_epi64_mask(_mm512_broadcast_i32x4(key), _mm512_loadu_si512(start.cast()))
        };
        // Bit 0: both halves of the first key are the same; bit 4: of the second.
        let found = same & same >> 1 & 0x11;
        if found == 0 {
            break;
        }
        let offset = 16 + 2 * usize::from(found & 0x10);
        // SAFETY: the offset is 16 or 48: the tokens of an entry.
        let (first, tokens) = unsafe {
            let tokens = start.add(offset);
            (tokens.cast::<u32>().read(), _mm_loadu_si128(tokens.cast()))
        };
        let count = (first >> COUNT_SHIFT) as usize;
        if count == 0 {
            break;
        }
        // Four tokens are written, so many count: cheaper than copying just those.
        let place = &mut free[filled..filled + MAX_TOKENS];
        // SAFETY: the place is as long as the vector.
        unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), _mm_and_si128(tokens, ids)) };
        (filled, done, last) = (filled + count, done + 1, count);
    }
    (done, filled, last)
}
