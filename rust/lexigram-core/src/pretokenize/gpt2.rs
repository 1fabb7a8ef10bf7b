//! `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

use super::Scan;
use super::class::{LETTER, NOT_SYMBOL, NUMBER, SPACE, at, blank_end, run, run_without};

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

/// The length of `'s|'t|'re|'ve|'m|'ll|'d` at `from`, or 0: lower case only.
fn contraction(text: &[u8], from: usize) -> usize {
    let byte = |i: usize| text.get(from + i).copied().unwrap_or(0);
    match (byte(1), byte(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        _ => 0,
    }
}
