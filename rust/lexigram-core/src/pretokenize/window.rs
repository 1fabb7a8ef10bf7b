//! Piece boundaries of ASCII text, 64 bytes at a time.
//!
//! A window begins where a piece begins, so by the invariant of [`super`] its boundaries depend on
//! nothing before it. Each class of characters is a 64-bit mask with one bit a byte, and the rules
//! of a pattern become a few operations on masks. What a rule needs to know beyond the window is
//! not guessed: [`Windowed::starts`] leaves out every start that is not certain, and the next
//! window begins at the last one that is. Where none is certain, or text is not ASCII, the scanner
//! of the pattern finds one piece. So windows and scanners give the same pieces, which the tests
//! check against the expressions.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use super::{Ends, Scan};

/// Bytes in a window.
pub const WINDOW: usize = 64;

/// The classes of the characters of a window, as far as it is ASCII; bit i stands for byte i, and
/// bits from `valid` on are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    /// `A` to `Z`.
    pub upper: u64,
    /// `a` to `z`.
    pub lower: u64,
    /// `0` to `9`.
    pub number: u64,
    /// White space, line breaks among it.
    pub space: u64,
    /// Carriage return and line feed.
    pub newline: u64,
    /// The space character.
    pub blank: u64,
    /// `'`.
    pub apostrophe: u64,
    /// `/`.
    pub slash: u64,
    /// How many bytes from the first are ASCII.
    pub valid: u32,
}

impl Masks {
    /// Bits for the bytes that are ASCII.
    #[inline(always)]
    pub fn known(&self) -> u64 {
        if self.valid >= 64 { u64::MAX } else { (1 << self.valid) - 1 }
    }
}

/// Computes the masks of a window.
pub(super) trait Classify {
    /// The masks of 64 bytes.
    fn classify(window: &[u8; WINDOW]) -> Masks;
}

/// A pattern whose rules are written on masks.
pub(super) trait Windowed: Scan {
    /// The bytes of a window, not the first, at which a piece certainly begins, such that no
    /// piece begins between them.
    fn starts(&self, masks: &Masks, window: &[u8; WINDOW]) -> u64;
}

/// Appends the ends of the next pieces from `at` on, until `ends` is full.
pub(super) fn fill(scan: &impl Windowed, text: &[u8], at: usize, ends: &mut Ends) {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        return avx2::fill(scan, text, at, ends);
    }
    fill_by::<portable::Portable>(scan, text, at, ends);
}

#[inline(always)]
fn fill_by<C: Classify>(scan: &impl Windowed, text: &[u8], mut at: usize, ends: &mut Ends) {
    while at < text.len() && !ends.is_full() {
        if text[at] < 128
            && let Some(window) = text[at..].first_chunk()
        {
            let starts = scan.starts(&C::classify(window), window);
            if starts != 0 {
                ends.push_all(at, starts);
                at += 63 - starts.leading_zeros() as usize;
                continue;
            }
        }
        at = scan.piece_end(text, at);
        ends.push(at);
    }
}

/// The starts up to byte `limit`, without the first byte's.
#[inline(always)]
pub(super) fn certain(starts: u64, limit: u32) -> u64 {
    starts & !1 & (u64::MAX >> (63 - limit.min(63)))
}

/// The bits that follow the bits of `mask`.
#[inline(always)]
pub(super) fn after(mask: u64) -> u64 {
    mask << 1
}

/// The bits that precede the bits of `mask`.
#[inline(always)]
pub(super) fn before(mask: u64) -> u64 {
    mask >> 1
}

/// The last byte at which a rule of white space can be decided: where the run begins that reaches
/// the end of what is known, or the last known byte if none does.
#[inline(always)]
pub(super) fn decided(space: u64, valid: u32) -> u32 {
    // Shifted so that the last known byte is the highest bit, a run that ends there leads.
    let run = (space << (64 - valid)).leading_ones();
    if run == 0 { valid - 1 } else { valid - run }
}

/// The bytes of digit runs at which a group of `digits` begins: runs are counted from their start.
#[inline(always)]
pub(super) fn digit_groups(number: u64, digits: usize) -> u64 {
    let mut starts = number & !after(number);
    let full = match digits {
        1 => return number,
        3 => number & (number << 1) & (number << 2),
        _ => return starts,
    };
    // The third digit after a start begins a group if the three up to it are digits as well.
    let mut next = (starts << 3) & full & (number << 3);
    while next != 0 {
        starts |= next;
        next = (next << 3) & full & (number << 3);
    }
    starts
}

/// Of the apostrophes `marks`, where the pieces after contractions begin; and the first mark whose
/// contraction may reach the end of what is known, or `valid` if none does.
#[inline(always)]
pub(super) fn contractions(
    mut marks: u64,
    window: &[u8; WINDOW],
    valid: u32,
    length: impl Fn(&[u8], usize) -> usize,
) -> (u64, u32) {
    let mut ends = 0;
    while marks != 0 {
        let at = marks.trailing_zeros();
        if at + 3 >= valid {
            return (ends, at);
        }
        let length = length(window, at as usize);
        if length > 0 {
            ends |= (1 << at) << length;
        }
        marks &= marks - 1;
    }
    (ends, valid)
}

/// Compares the ways to compute masks, for the tests.
#[cfg(test)]
pub(super) fn check_masks(window: &[u8; WINDOW]) {
    let masks = portable::Portable::classify(window);
    assert_eq!(masks.known(), masks.known() & (u64::MAX >> (64 - masks.valid.max(1))));
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        assert_eq!(avx2::masks(window), masks);
    }
}
