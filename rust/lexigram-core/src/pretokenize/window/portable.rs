//! Masks of a window on any machine.

use super::super::class::{self, LOWER, NEWLINE, NUMBER, SPACE, UPPER};
use super::{Classify, Masks, WINDOW};

/// One byte after the other.
pub struct Portable;

impl Classify for Portable {
    #[inline]
    fn classify(window: &[u8; WINDOW]) -> Masks {
        let valid = window.iter().position(|&byte| byte >= 128).unwrap_or(WINDOW);
        let mut masks = Masks {
            upper: 0,
            lower: 0,
            number: 0,
            space: 0,
            newline: 0,
            blank: 0,
            apostrophe: 0,
            slash: 0,
            valid: valid as u32,
        };
        for (i, &byte) in window[..valid].iter().enumerate() {
            let class = class::of_ascii(byte);
            let bit = |set: bool| u64::from(set) << i;
            masks.upper |= bit(class & UPPER != 0);
            masks.lower |= bit(class & LOWER != 0);
            masks.number |= bit(class & NUMBER != 0);
            masks.space |= bit(class & SPACE != 0);
            masks.newline |= bit(class & NEWLINE != 0);
            masks.blank |= bit(byte == b' ');
            masks.apostrophe |= bit(byte == b'\'');
            masks.slash |= bit(byte == b'/');
        }
        masks
    }
}
