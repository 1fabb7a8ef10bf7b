//! Character classes of the patterns: one byte of flags for each Unicode scalar value.
//!
//! The tables are generated from the Unicode data that the `regex` crates carry (general category
//! and White_Space); `pretokenize::tests` compares every scalar value and can rewrite the file.
//! Layout: `INDEX[c >> 6]` names a block, `BLOCKS[block][c & 63]` holds the flags. Six bits are
//! what one UTF-8 continuation byte carries.

use super::class_tables::{BLOCKS, INDEX};

/// Upper case and title case letters: Lu, Lt.
pub const UPPER: u8 = 1;
/// Lower case letters: Ll.
pub const LOWER: u8 = 2;
/// Letters without case: Lm, Lo.
pub const CASELESS: u8 = 4;
/// Marks: M.
pub const MARK: u8 = 8;
/// Numbers: N.
pub const NUMBER: u8 = 16;
/// White space: `\s`.
pub const SPACE: u8 = 32;
/// Carriage return and line feed, which are white space too.
pub const NEWLINE: u8 = 64;

/// Letters: `\p{L}`.
pub const LETTER: u8 = UPPER | LOWER | CASELESS;
/// What `[^\s\p{L}\p{N}]` excludes.
pub const NOT_SYMBOL: u8 = LETTER | NUMBER | SPACE;

/// The flags of a character; 0 beyond Unicode.
pub fn of(c: u32) -> u8 {
    match INDEX.get((c >> 6) as usize) {
        Some(&block) => BLOCKS[block as usize][(c & 63) as usize],
        None => 0,
    }
}

/// The flags of the ASCII characters: the first two blocks.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut c = 0;
    while c < 128 {
        table[c] = BLOCKS[INDEX[c >> 6] as usize][c & 63];
        c += 1;
    }
    table
};

/// The flags of an ASCII character.
#[inline(always)]
pub fn of_ascii(byte: u8) -> u8 {
    ASCII[byte as usize & 127]
}

/// Flags and length in bytes of the character at `at`, or `None` at the end.
#[inline(always)]
pub fn at(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let first = *text.get(at)?;
    if first < 128 {
        return Some((of_ascii(first), 1));
    }
    Some(wide(text, at, first))
}

/// As [`at`] for a character of several bytes. On text that is not UTF-8, which callers never
/// pass, the length still stays inside the text.
fn wide(text: &[u8], at: usize, first: u8) -> (u8, usize) {
    let tail = |i: usize| u32::from(text.get(at + i).copied().unwrap_or(0) & 63);
    let first = u32::from(first);
    let (c, length) = match first {
        0..0xe0 => ((first & 31) << 6 | tail(1), 2),
        0xe0..0xf0 => ((first & 15) << 12 | tail(1) << 6 | tail(2), 3),
        _ => ((first & 7) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4),
    };
    (of(c), length.min(text.len() - at))
}

/// The end of the run of characters from `at` whose flags meet `wanted`.
#[inline(always)]
pub fn run(text: &[u8], mut from: usize, wanted: u8) -> usize {
    while let Some((class, length)) = at(text, from) {
        if class & wanted == 0 {
            break;
        }
        from += length;
    }
    from
}

/// The end of the run of characters from `at` whose flags avoid `unwanted`.
#[inline(always)]
pub fn run_without(text: &[u8], mut from: usize, unwanted: u8) -> usize {
    while let Some((class, length)) = at(text, from) {
        if class & unwanted != 0 {
            break;
        }
        from += length;
    }
    from
}

/// What the branches `\s*[\r\n]+ | \s+(?!\S) | \s+` take at `from`, where white space stands; the
/// first of them only if `lines`. Up to the last line break of the run if there is one, otherwise
/// the run without its last character, which is left for the next piece unless the text ends.
pub fn blank_end(text: &[u8], from: usize, lines: bool) -> usize {
    let (mut end, mut last, mut after_line) = (from, from, None);
    while let Some((class, length)) = at(text, end) {
        if class & SPACE == 0 {
            break;
        }
        last = end;
        end += length;
        if class & NEWLINE != 0 {
            after_line = Some(end);
        }
    }
    match after_line {
        Some(cut) if lines => cut,
        _ if end == text.len() || last == from => end,
        _ => last,
    }
}

/// The length of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at `at`, or 0. Simple case folding equates `s`
/// with U+017F, long s, and changes no other letter here beyond ASCII case.
pub fn contraction(text: &[u8], at: usize) -> usize {
    if text.get(at) != Some(&b'\'') {
        return 0;
    }
    let lower = |i: usize| text.get(at + i).map_or(0, u8::to_ascii_lowercase);
    match (lower(1), lower(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') => 3,
        (0xc5, 0xbf) => 3,
        _ => 0,
    }
}
