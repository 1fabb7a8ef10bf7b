//! BLAKE2b (RFC 7693) with a key and a digest of 8 bytes: which side of a split a document is on.
//!
//! `lexigram.data.split_of` takes it from Python's hashlib; this one is for documents that never
//! become Python objects. Tests hold the two together.

/// The first eight words of the fraction of the square roots of 2, 3, 5, …, 19 (RFC 7693, 2.6).
const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The order of a block's words in each round (RFC 7693, 2.7); rounds 10 and 11 are as 0 and 1.
const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const BLOCK: usize = 128;

/// The digest of 8 bytes, as a little-endian number, of `bytes` under an 8-byte key.
pub fn keyed64(key: u64, bytes: &[u8]) -> u64 {
    let mut state = IV;
    state[0] ^= 0x0101_0000 ^ (8 << 8) ^ 8; // fanout 1, depth 1, key of 8 bytes, digest of 8
    let mut first = [0; BLOCK];
    first[..8].copy_from_slice(&key.to_le_bytes());
    compress(&mut state, &first, BLOCK as u64, bytes.is_empty());
    let mut done = BLOCK as u64;
    let mut rest = bytes;
    while let Some((block, later)) = rest.split_first_chunk::<BLOCK>() {
        done += BLOCK as u64;
        compress(&mut state, block, done, later.is_empty());
        rest = later;
    }
    if !rest.is_empty() {
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        compress(&mut state, &last, done + rest.len() as u64, true);
    }
    state[0]
}

fn compress(state: &mut [u64; 8], block: &[u8; BLOCK], done: u64, last: bool) {
    let mut words = [0u64; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&IV);
    v[12] ^= done;
    if last {
        v[14] = !v[14];
    }
    round::<0>(&mut v, &words);
    round::<1>(&mut v, &words);
    round::<2>(&mut v, &words);
    round::<3>(&mut v, &words);
    round::<4>(&mut v, &words);
    round::<5>(&mut v, &words);
    round::<6>(&mut v, &words);
    round::<7>(&mut v, &words);
    round::<8>(&mut v, &words);
    round::<9>(&mut v, &words);
    round::<0>(&mut v, &words);
    round::<1>(&mut v, &words);
    for i in 0..8 {
        state[i] ^= v[i] ^ v[i + 8];
    }
}

/// One round. Its number is known when it is compiled, and so is every place in `v` and `words`.
#[inline(always)]
fn round<const R: usize>(v: &mut [u64; 16], words: &[u64; 16]) {
    let order = &SIGMA[R];
    mix(v, [0, 4, 8, 12], words[order[0]], words[order[1]]);
    mix(v, [1, 5, 9, 13], words[order[2]], words[order[3]]);
    mix(v, [2, 6, 10, 14], words[order[4]], words[order[5]]);
    mix(v, [3, 7, 11, 15], words[order[6]], words[order[7]]);
    mix(v, [0, 5, 10, 15], words[order[8]], words[order[9]]);
    mix(v, [1, 6, 11, 12], words[order[10]], words[order[11]]);
    mix(v, [2, 7, 8, 13], words[order[12]], words[order[13]]);
    mix(v, [3, 4, 9, 14], words[order[14]], words[order[15]]);
}

/// The function G (RFC 7693, 3.1).
#[inline(always)]
fn mix(v: &mut [u64; 16], [a, b, c, d]: [usize; 4], x: u64, y: u64) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(32);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(24);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(63);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `hashlib.blake2b(content, digest_size=8, key=key.to_bytes(8, "little"))`.
    #[test]
    fn as_hashlib() {
        let long: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        let expected = [
            (0, 0, 0x3c1b_4fbf_d8ff_afc3),
            (0, 1, 0x237c_db85_b461_2b3c),
            (7, 127, 0xf80c_0aa1_3833_ff1f),
            (7, 128, 0x5811_ed49_e7b8_4c53),
            (u64::MAX, 129, 0x4b27_e0f7_2fdf_3fc3),
            (5, 256, 0x3222_a610_fa5b_f48a),
            (5, 1000, 0xf0ba_5373_655f_3c7d),
        ];
        for (key, length, digest) in expected {
            assert_eq!(keyed64(key, &long[..length]), digest, "{length}");
        }
    }
}
