//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

use super::Scan;
use super::class::{LETTER, NOT_SYMBOL, NUMBER, SPACE, at, blank_end, run, run_without};
use super::window::{Masks, WINDOW, Windowed, after, before, certain, contractions, decided};

/// The scanner of GPT-2's pattern.
#[derive(Debug, Clone, Copy)]
pub struct Gpt2;

impl Scan for Gpt2 {
    #[inline]
    fn piece_end(&self, text: &[u8], from: usize) -> usize {
        let first = text[from];
        if first == b'\'' {
            let length = contraction(text, from);
            if length > 0 {
                return from + length;
            }
        }
        let body = from + usize::from(first == b' ');
        match at(text, body) {
            Some((class, length)) if class & LETTER != 0 => run(text, body + length, LETTER),
            Some((class, length)) if class & NUMBER != 0 => run(text, body + length, NUMBER),
            Some((class, length)) if class & SPACE == 0 => {
                run_without(text, body + length, NOT_SYMBOL)
            }
            _ => blank_end(text, from, false),
        }
    }
}

impl Windowed for Gpt2 {
    #[inline(always)]
    fn starts(&self, masks: &Masks, window: &[u8; WINDOW]) -> u64 {
        let Masks { number, space, blank, apostrophe, valid, .. } = *masks;
        if valid < 2 {
            return 0;
        }
        let letter = masks.letter();
        let symbol = masks.known() & !(letter | number | space);
        // A space before a run of any class is its first character.
        let fresh = |run: u64| run & !after(run) & !after(blank);
        let symbol_start = fresh(symbol);
        let marks = symbol_start & apostrophe & before(letter);
        let (after_contraction, certain_to) = contractions(marks, window, valid, contraction);
        let space_start = space & !after(space);
        let last_space = space & !before(space);
        // Without a contraction the letters after an apostrophe begin a piece, as after any symbol.
        let starts = (fresh(letter) & !in_contraction(marks, after_contraction))
            | fresh(number)
            | symbol_start
            | space_start
            | last_space
            | after_contraction;
        certain(starts, decided(space, valid).min(certain_to))
    }
}

/// The first letters of the contractions among `marks`, which end before the bits of `ends`.
#[inline(always)]
fn in_contraction(marks: u64, ends: u64) -> u64 {
    // A contraction is two or three bytes long.
    (after(marks) & before(ends)) | (after(marks) & (ends >> 2))
}

/// The length of `'s|'t|'re|'ve|'m|'ll|'d` at `from`, or 0: lower case only.
fn contraction(text: &[u8], from: usize) -> usize {
    let byte = |i: usize| text.get(from + i).copied().unwrap_or(0);
    match (byte(1), byte(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}
