//! `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*`
//! `|\s*[\r\n]+|\s+(?!\S)|\s+`, where `{1,3}` is `{1,n}` in general.

use super::Scan;
use super::class::{
    LETTER, NEWLINE, NOT_SYMBOL, NUMBER, SPACE, at, blank_end, contraction, run, run_without,
};

/// The scanner of cl100k and of its relatives that group digits otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Cl100k {
    /// How many digits a piece holds at most.
    pub digits: usize,
    /// Whether white space at the very end of the text is one piece: a branch `\s+\z` before
    /// those of white space.
    pub joins_end: bool,
}

impl Scan for Cl100k {
    #[inline]
    fn piece_end(&self, text: &[u8], from: usize) -> usize {
        let Some((class, length)) = at(text, from) else { return from };
        let next = from + length;
        if class & LETTER != 0 {
            return run(text, next, LETTER);
        }
        if class & NUMBER != 0 {
            return number_end(text, next, self.digits);
        }
        let apostrophe = contraction(text, from);
        if apostrophe > 0 {
            return from + apostrophe;
        }
        let following = at(text, next);
        if class & NEWLINE == 0
            && let Some((class, length)) = following
            && class & LETTER != 0
        {
            return run(text, next + length, LETTER);
        }
        if class & SPACE == 0 {
            return symbols_end(text, next);
        }
        match following {
            Some((class, length)) if text[from] == b' ' && class & NOT_SYMBOL == 0 => {
                symbols_end(text, next + length)
            }
            _ if self.joins_end && run(text, next, SPACE) == text.len() => text.len(),
            _ => blank_end(text, from, true),
        }
    }
}

/// The end of `[^\s\p{L}\p{N}]*[\r\n]*`.
fn symbols_end(text: &[u8], from: usize) -> usize {
    run(text, run_without(text, from, NOT_SYMBOL), NEWLINE)
}

/// The end of `\p{N}{1,digits}` whose first character ends at `end`.
pub(super) fn number_end(text: &[u8], mut end: usize, digits: usize) -> usize {
    for _ in 1..digits {
        match at(text, end) {
            Some((class, length)) if class & NUMBER != 0 => end += length,
            _ => break,
        }
    }
    end
}
