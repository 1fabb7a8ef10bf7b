//! With `U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, `V = [\p{Ll}\p{Lm}\p{Lo}\p{M}]` and
//! `C = (?i:'s|'t|'re|'ve|'m|'ll|'d)`:
//!
//! `[^\r\n\p{L}\p{N}]?U*V+C?|[^\r\n\p{L}\p{N}]?U+V*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*`
//! `|\s*[\r\n]+|\s+(?!\S)|\s+`
//!
//! The first two branches backtrack. What they match at `q`, after the optional first character,
//! follows from the run of `U` from `q` to `u`:
//!
//! * If a character of `V` stands at `u` (it can only be Ll), `U*` keeps the run and `V+` runs on.
//! * Otherwise `U*` gives back characters until `V+` can begin: at the last character of the run
//!   that is in both classes (Lm, Lo, M). What follows it is not in `V`, so `V+` takes it alone.
//! * If the run has none, the first branch fails and the second takes the run, if it is not empty.
//!
//! With the optional first character both branches are tried before either is without it, within
//! each branch first. A first character that can also begin `U` or `V` is a mark (it is no letter);
//! without it the first branch matches at least the mark, so the second branch is never tried with
//! a mark in front.

use super::Scan;
use super::cl100k::{indents_before_newline, number_end};
use super::class::{
    CASELESS, LETTER, LOWER, MARK, NEWLINE, NOT_SYMBOL, NUMBER, SPACE, UPPER, at, blank_end,
    contraction, run, run_without,
};

use super::window::{
    Masks, WINDOW, Windowed, after, before, certain, contractions, decided, digit_groups,
};

const U: u8 = UPPER | CASELESS | MARK;
const V: u8 = LOWER | CASELESS | MARK;
const BOTH: u8 = CASELESS | MARK;

/// The scanner of o200k.
#[derive(Debug, Clone, Copy)]
pub struct O200k;

impl Scan for O200k {
    #[inline]
    fn piece_end(&self, text: &[u8], from: usize) -> usize {
        let Some((class, length)) = at(text, from) else { return from };
        let next = from + length;
        if class & NUMBER != 0 {
            return number_end(text, next, 3);
        }
        if let Some(end) = word_end(text, from, class, next) {
            return end + contraction(text, end);
        }
        if class & SPACE == 0 {
            return symbols_end(text, next);
        }
        match at(text, next) {
            Some((class, length)) if text[from] == b' ' && class & NOT_SYMBOL == 0 => {
                symbols_end(text, next + length)
            }
            _ => blank_end(text, from, true),
        }
    }
}

impl Windowed for O200k {
    #[inline(always)]
    fn starts(&self, masks: &Masks, window: &[u8; WINDOW]) -> u64 {
        let Masks { upper, lower, number, space, newline, blank, slash, valid, .. } = *masks;
        if valid < 2 {
            return 0;
        }
        // What words are made of: letters and marks.
        let both = masks.caseless | masks.mark;
        let letter = upper | lower | both;
        let symbol = masks.known() & !(letter | number | space);
        // Contractions belong to the word before; what follows them begins a piece.
        let marks = masks.apostrophe & after(letter) & before(letter);
        let (after_contraction, certain_to) = contractions(marks, window, valid, contraction);
        let contracted = marks & (after_contraction >> 2 | after_contraction >> 3);
        let symbol_start = symbol & !after(symbol) & !after(blank) & !contracted;
        // Line breaks that close a run of symbols: adding at the start of their run clears it.
        let closing = newline & !newline.wrapping_add(newline & after(symbol));
        let open = space & !closing;
        let indent = open & !newline;
        // A lone symbol, no space before it, is the first character of a word.
        let prefixed = masks.next(symbol_start);
        let letter_start =
            letter & !after(letter) & !after(indent) & !prefixed & !after(contracted);
        let hump = upper & after(lower) & !contracted_letters(contracted, after_contraction);
        let space_start = open & !after(open);
        let last_space = indent & !before(space);
        let after_lines = indent & after(newline) & !indents_before_newline(indent, newline);
        let starts = letter_start
            | hump
            | digit_groups(number, 3)
            | symbol_start
            | space_start
            | last_space
            | after_lines
            | after_contraction;
        // Rare, and left to the scanner: a slash after such a line break, which closes the run as
        // well; a mark after a symbol, which may belong to its run; an upper case letter after one
        // that is in both classes, before which a word may or may not end.
        let strange = slash & after(closing) | masks.mark & after(symbol) | upper & after(both);
        let known_to = if strange == 0 { valid } else { strange.trailing_zeros() - 1 };
        // An apostrophe at the end may go on as a contraction.
        let last = masks.apostrophe & after(letter) & (7 << (valid.max(3) - 3));
        let known_to = if last == 0 { known_to } else { known_to.min(last.trailing_zeros() - 1) };
        // One right after a contraction begins a piece, whatever follows.
        let second = marks & after_contraction;
        let known_to = if second == 0 { known_to } else { known_to.min(second.trailing_zeros()) };
        certain(starts, decided(space, valid).min(certain_to.saturating_sub(1)).min(known_to))
    }
}

/// The second letters of contractions of three bytes, which end before the bits of `ends`.
#[inline(always)]
fn contracted_letters(contracted: u64, ends: u64) -> u64 {
    contracted << 2 & before(ends)
}

/// What the first two branches match at `from`, without `C?`.
fn word_end(text: &[u8], from: usize, class: u8, next: usize) -> Option<usize> {
    if class & LETTER != 0 {
        return Some(match body(text, from) {
            Body::First(end) | Body::Second(end) => end,
            Body::None => next,
        });
    }
    if class & NEWLINE != 0 {
        return None;
    }
    match body(text, next) {
        Body::First(end) => Some(end),
        // The first branch without the optional character comes before the second with it.
        _ if class & MARK != 0 => Some(next),
        Body::Second(end) => Some(end),
        Body::None => None,
    }
}

enum Body {
    First(usize),
    Second(usize),
    None,
}

/// `U*V+` at `from` if it matches, else `U+V*`.
fn body(text: &[u8], from: usize) -> Body {
    let (mut end, mut both) = (from, None);
    while let Some((class, length)) = at(text, end) {
        if class & U == 0 {
            if class & LOWER != 0 {
                return Body::First(run(text, end + length, V));
            }
            break;
        }
        end += length;
        if class & BOTH != 0 {
            both = Some(end);
        }
    }
    match both {
        Some(end) => Body::First(end),
        None if end > from => Body::Second(end),
        None => Body::None,
    }
}

/// The end of `[^\s\p{L}\p{N}]*[\r\n/]*`.
fn symbols_end(text: &[u8], from: usize) -> usize {
    let mut end = run_without(text, from, NOT_SYMBOL);
    while matches!(text.get(end), Some(b'\r' | b'\n' | b'/')) {
        end += 1;
    }
    end
}
