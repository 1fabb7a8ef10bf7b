//! Piece boundaries, 64 bytes of text at a time.
//!
//! A window begins where a piece begins, so by the invariant of [`super`] its boundaries depend on
//! nothing before it. Each class of characters is a 64-bit mask with one bit a byte, all bytes of a
//! character alike, and the rules of a pattern become a few operations on masks. ASCII is
//! classified by vector instructions where the machine has them, other characters one by one.
//! White space and numbers beyond ASCII are rare, and the rules count them by the character: what
//! is known of a window ends before the first of them.
//!
//! What a rule needs to know beyond the window is not guessed: [`Windowed::starts`] leaves out
//! every start that is not certain, and the next window begins at the last one that is. Where none
//! is certain the scanner of the pattern finds one piece. So windows and scanners give the same
//! pieces, which the tests check against the expressions.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::class::{self, CASELESS, LOWER, MARK, NUMBER, SPACE, UPPER};
use super::{Ends, Scan};

/// Bytes in a window.
pub const WINDOW: usize = 64;

/// The classes of the characters of a window, as far as they are known; bit i stands for byte i,
/// and bits from `valid` on are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    /// Upper case and title case letters.
    pub upper: u64,
    /// Lower case letters.
    pub lower: u64,
    /// Letters without case.
    pub caseless: u64,
    /// Marks.
    pub mark: u64,
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
    /// Bytes of a character after its first.
    pub tail: u64,
    /// How many bytes from the first are known.
    pub valid: u32,
}

impl Masks {
    /// Bits for the bytes that are known.
    #[inline(always)]
    pub fn known(&self) -> u64 {
        below(self.valid)
    }

    /// Letters.
    #[inline(always)]
    pub fn letter(&self) -> u64 {
        self.upper | self.lower | self.caseless
    }

    /// The first bytes of the characters that follow those that begin at `starts`. Adding at the
    /// first tail of a character carries to the byte after its last.
    #[inline(always)]
    pub fn next(&self, starts: u64) -> u64 {
        after(starts).wrapping_add(self.tail) & !self.tail
    }

    /// The masks of ASCII completed by the characters beyond it; `high` are their bytes. Bits
    /// beyond the known bytes are cleared.
    #[inline(always)]
    fn complete(mut self, window: &[u8; WINDOW], high: u64) -> Self {
        let mut leads = high & !self.tail;
        let mut valid = if self.tail & 1 == 0 { WINDOW as u32 } else { 0 };
        while leads != 0 {
            let at = leads.trailing_zeros();
            let byte = |i: u32| u32::from(window[(at + i) as usize & (WINDOW - 1)]);
            let (c, length) = match byte(0) {
                first @ 0..0xe0 => ((first & 31) << 6 | byte(1) & 63, 2),
                first @ 0xe0..0xf0 => ((first & 15) << 12 | (byte(1) & 63) << 6 | byte(2) & 63, 3),
                first => {
                    let tails = (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | byte(3) & 63;
                    ((first & 7) << 18 | tails, 4)
                }
            };
            let flags = class::of(c);
            if at + length > WINDOW as u32 || flags & (NUMBER | SPACE) != 0 {
                valid = at;
                break;
            }
            let bytes = below(length) << at;
            let if_set = |flag: u8| if flags & flag == 0 { 0 } else { bytes };
            self.upper |= if_set(UPPER);
            self.lower |= if_set(LOWER);
            self.caseless |= if_set(CASELESS);
            self.mark |= if_set(MARK);
            leads &= leads - 1;
        }
        self.valid = valid;
        let known = self.known();
        for mask in [&mut self.number, &mut self.space, &mut self.newline, &mut self.blank] {
            *mask &= known;
        }
        for mask in [&mut self.upper, &mut self.lower, &mut self.caseless, &mut self.mark] {
            *mask &= known;
        }
        self.apostrophe &= known;
        self.slash &= known;
        self.tail &= known;
        self
    }
}

/// The bits below `count`, which is at most 64.
#[inline(always)]
fn below(count: u32) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// What can be done in more than one way.
pub(super) trait Machine {
    /// The masks of 64 bytes of UTF-8 that begin with a character.
    fn classify(window: &[u8; WINDOW]) -> Masks;

    /// Appends an end at `base` plus the place of each bit, in order.
    fn push_all(ends: &mut Ends, base: usize, bits: u64);
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
    {
        if avx512::available() {
            return avx512::fill(scan, text, at, ends);
        }
        if avx2::available() {
            return avx2::fill(scan, text, at, ends);
        }
    }
    fill_by::<portable::Portable>(scan, text, at, ends);
}

#[inline(always)]
fn fill_by<M: Machine>(scan: &impl Windowed, text: &[u8], mut at: usize, ends: &mut Ends) {
    while at < text.len() && !ends.is_full() {
        if let Some(window) = text[at..].first_chunk() {
            let starts = scan.starts(&M::classify(window), window);
            if starts != 0 {
                M::push_all(ends, at, starts);
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

/// Compares the ways to compute masks, for the tests; `window` is cut from UTF-8.
#[cfg(test)]
pub(super) fn check_masks(window: &[u8; WINDOW]) {
    let masks = portable::Portable::classify(window);
    let all = masks.letter() | masks.mark | masks.number | masks.space | masks.tail;
    assert_eq!(all & !masks.known(), 0);
    let mut ends = Ends::default();
    portable::Portable::push_all(&mut ends, 5, masks.letter());
    #[cfg(target_arch = "x86_64")]
    {
        if avx2::available() {
            assert_eq!(avx2::masks(window), masks);
        }
        if avx512::available() {
            assert_eq!(avx512::masks(window), masks);
            let mut other = Ends::default();
            avx512::push(&mut other, 5, masks.letter());
            assert_eq!(other.as_slice(), ends.as_slice());
        }
    }
}
