//! Masks of a window on any machine.

use super::super::class::{self, LOWER, NEWLINE, NUMBER, SPACE, UPPER};
use super::{Ends, Machine, Masks, WINDOW};

/// One byte after the other.
pub struct Portable;

impl Machine for Portable {
    #[inline]
    fn classify(window: &[u8; WINDOW]) -> Masks {
        let mask = |test: &dyn Fn(u8) -> bool| {
            let bits = window.iter().enumerate().map(|(i, &byte)| u64::from(test(byte)) << i);
            bits.fold(0, |mask, bit| mask | bit)
        };
        let ascii = |flag: u8| mask(&|byte| byte < 128 && class::of_ascii(byte) & flag != 0);
        let masks = Masks {
            upper: ascii(UPPER),
            lower: ascii(LOWER),
            caseless: 0,
            mark: 0,
            number: ascii(NUMBER),
            space: ascii(SPACE),
            newline: ascii(NEWLINE),
            blank: mask(&|byte| byte == b' '),
            apostrophe: mask(&|byte| byte == b'\''),
            slash: mask(&|byte| byte == b'/'),
            tail: mask(&|byte| byte & 0xc0 == 0x80),
            valid: 0,
        };
        masks.complete(window, mask(&|byte| byte >= 128))
    }

    #[inline(always)]
    fn push_all(ends: &mut Ends, base: usize, bits: u64) {
        ends.push_all(base, bits);
    }
}
