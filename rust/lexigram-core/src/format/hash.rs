//! xxh3-64 of a block, with the vectors of AVX2 where the machine has them.
//!
//! The crate chooses its vectors when it is compiled, and a build for every x86-64 gets those of 128
//! bits, at half the speed. This is the hash's path for more than 240 bytes with seed 0: eight sums
//! over stripes of 64 bytes, scrambled after every 16 stripes. Invariant: the same number as the
//! crate's (a test compares them). Source: the specification of xxHash, "XXH3 algorithm overview",
//! github.com/Cyan4973/xxHash, doc/xxhash_spec.md.
#![allow(unsafe_code)]

use xxhash_rust::xxh3::xxh3_64;

/// xxh3-64 with seed 0.
pub fn xxh3(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() > avx2::SHORT && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has AVX2.
        return unsafe { avx2::long(bytes) };
    }
    xxh3_64(bytes)
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use xxhash_rust::const_xxh3::const_custom_default_secret;

    /// Up to here the hash has other paths.
    pub const SHORT: usize = 240;
    const SECRET: [u8; 192] = const_custom_default_secret(0);
    const STRIPE: usize = 64;
    /// After so many stripes the secret is used up.
    const STRIPES: usize = (SECRET.len() - STRIPE) / 8;
    const PRIME32: [u64; 3] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D];
    const PRIME64: [u64; 5] = [
        0x9E37_79B1_85EB_CA87,
        0xC2B2_AE3D_27D4_EB4F,
        0x1656_67B1_9E37_79F9,
        0x85EB_CA77_C2B2_AE63,
        0x27D4_EB2F_1656_67C5,
    ];

    #[target_feature(enable = "avx2")]
    pub unsafe fn long(bytes: &[u8]) -> u64 {
        let start = [
            PRIME32[2], PRIME64[0], PRIME64[1], PRIME64[2], PRIME64[3], PRIME32[1], PRIME64[4],
            PRIME32[0],
        ];
        let mut sums = [load(as_bytes(&start), 0), load(as_bytes(&start), 32)];
        // The last stripe is taken apart: it may overlap the one before.
        let (whole, last) = (&bytes[..bytes.len() - 1], &bytes[bytes.len() - STRIPE..]);
        let mut blocks = whole.chunks_exact(STRIPE * STRIPES);
        for block in blocks.by_ref() {
            for (i, stripe) in block.chunks_exact(STRIPE).enumerate() {
                accumulate(&mut sums, stripe, &SECRET[8 * i..]);
            }
            scramble(&mut sums);
        }
        for (i, stripe) in blocks.remainder().chunks_exact(STRIPE).enumerate() {
            accumulate(&mut sums, stripe, &SECRET[8 * i..]);
        }
        accumulate(&mut sums, last, &SECRET[SECRET.len() - STRIPE - 7..]);

        let mut result = (bytes.len() as u64).wrapping_mul(PRIME64[0]);
        // SAFETY: both are 64 plain bytes.
        let sums: [u64; 8] = unsafe { std::mem::transmute(sums) };
        for (pair, key) in sums.chunks_exact(2).zip(SECRET[11..].chunks_exact(16)) {
            let product =
                u128::from(pair[0] ^ number(key)) * u128::from(pair[1] ^ number(&key[8..]));
            result = result.wrapping_add(product as u64 ^ (product >> 64) as u64);
        }
        result ^= result >> 37;
        result = result.wrapping_mul(0x1656_6791_9E37_79F9);
        result ^ (result >> 32)
    }

    fn number(bytes: &[u8]) -> u64 {
        u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"))
    }

    fn as_bytes(numbers: &[u64; 8]) -> &[u8] {
        bytemuck::cast_slice(numbers)
    }

    /// 32 bytes from `at` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8], at: usize) -> __m256i {
        let bytes = &bytes[at..at + 32];
        // SAFETY: there are 32 bytes; the load needs no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    /// sum[i] += low · high half of (data ^ key)[i]; sum[i ^ 1] += data[i].
    #[inline]
    #[target_feature(enable = "avx2")]
    fn accumulate(sums: &mut [__m256i; 2], stripe: &[u8], secret: &[u8]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let data = load(stripe, 32 * i);
            let mixed = _mm256_xor_si256(data, load(secret, 32 * i));
            let product = _mm256_mul_epu32(mixed, _mm256_srli_epi64::<32>(mixed));
            let swapped = _mm256_shuffle_epi32::<0b01_00_11_10>(data);
            *sum = _mm256_add_epi64(product, _mm256_add_epi64(*sum, swapped));
        }
    }

    /// sum = (sum ^ sum >> 47 ^ key) · prime.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scramble(sums: &mut [__m256i; 2]) {
        let prime = _mm256_set1_epi64x(PRIME32[0] as i64);
        for (i, sum) in sums.iter_mut().enumerate() {
            let mixed = _mm256_xor_si256(*sum, _mm256_srli_epi64::<47>(*sum));
            let mixed = _mm256_xor_si256(mixed, load(&SECRET, SECRET.len() - STRIPE + 32 * i));
            let low = _mm256_mul_epu32(mixed, prime);
            let high = _mm256_mul_epu32(_mm256_srli_epi64::<32>(mixed), prime);
            *sum = _mm256_add_epi64(low, _mm256_slli_epi64::<32>(high));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_as_the_crate() {
        let bytes: Vec<u8> =
            (0..(1 << 20) + 7u32).map(|i| (i.wrapping_mul(i) >> 5) as u8).collect();
        for length in (0..3200).chain((1 << 20) - 70..bytes.len()) {
            assert_eq!(xxh3(&bytes[..length]), xxh3_64(&bytes[..length]), "{length} bytes");
        }
        for start in 0..64 {
            let part = &bytes[start..5000 + 3 * start];
            assert_eq!(xxh3(part), xxh3_64(part), "from byte {start}");
        }
    }
}
