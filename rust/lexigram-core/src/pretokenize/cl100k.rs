//! `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*`
//! `|\s*[\r\n]+|\s+(?!\S)|\s+`, where `{1,3}` is `{1,n}` in general.

use super::Scan;
use super::class::{
    LETTER, NEWLINE, NOT_SYMBOL, NUMBER, SPACE, at, blank_end, contraction, run, run_without,
};
use super::window::{
    Masks, WINDOW, Windowed, after, before, certain, contractions, decided, digit_groups,
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

impl Windowed for Cl100k {
    #[inline(always)]
    fn starts(&self, masks: &Masks, window: &[u8; WINDOW]) -> u64 {
        if self.joins_end || masks.valid < 2 {
            return 0;
        }
        let Masks { number, space, newline, blank, valid, .. } = *masks;
        let letter = masks.letter();
        let symbol = masks.known() & !(letter | number | space);
        let symbol_start = symbol & !after(symbol) & !after(blank);
        let apostrophe = symbol_start & masks.apostrophe & before(letter);
        let (after_contraction, certain_to) = contractions(apostrophe, window, valid, contraction);
        // Line breaks that close a run of symbols: adding at the start of their run clears it.
        let closing = newline & !newline.wrapping_add(newline & after(symbol));
        let space = space & !closing;
        let indent = space & !newline;
        // A lone symbol, no space before it, is the first character of a word.
        let prefixed = masks.next(symbol_start);
        let letter_start = letter & !after(letter) & !after(indent) & !prefixed;
        let space_start = space & !after(space);
        let last_space = indent & !before(space) & !before(closing);
        let after_lines = indent & after(newline) & !indents_before_newline(indent, newline);
        let starts = letter_start
            | digit_groups(number, self.digits)
            | symbol_start
            | space_start
            | last_space
            | after_lines
            | after_contraction;
        certain(starts, decided(masks.space, valid).min(certain_to))
    }
}

/// The bits of `indent` right after a line break whose run ends at another line break.
#[inline(always)]
pub(super) fn indents_before_newline(indent: u64, newline: u64) -> u64 {
    let mut first = indent & after(newline);
    // Adding at the start of a run carries to the bit after its end.
    if indent.wrapping_add(first) & !indent & newline == 0 {
        return 0;
    }
    let mut found = 0;
    while first != 0 {
        let bit = first & first.wrapping_neg();
        if run_ends_at(indent, bit, newline) {
            found |= bit;
        }
        first &= first - 1;
    }
    found
}

/// Whether the run of `indent` from `bit` ends at a bit of `newline`.
#[inline(always)]
fn run_ends_at(indent: u64, bit: u64, newline: u64) -> bool {
    let from = bit.trailing_zeros();
    let length = (!(indent >> from)).trailing_zeros();
    from + length < 64 && newline >> (from + length) & 1 != 0
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
