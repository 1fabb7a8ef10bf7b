//! The texts of JSON Lines, for the lines about which there can be no doubt.
//!
//! Definition. A line is *plain* if it is UTF-8 and one JSON object (RFC 8259, and the numbers NaN,
//! Infinity and −Infinity that Python reads) with the wanted field at its top, whose last value is a
//! string. Its text is that string with its escapes replaced; surrogate pairs are joined. A line of
//! white space alone is *blank*. Any other line is *doubtful*, and so is a plain one with
//!
//! * a key at the top written with an escape: it may be the wanted field;
//! * half of a surrogate pair in the text, which has no UTF-8;
//! * more than [`MAX_DEPTH`] levels or a number of more than [`MAX_DIGITS`] digits: Python has limits
//!   of its own there.
//!
//! Invariant: the text of a plain line is what Python's `json.loads` finds there (tested against
//! it). Doubtful lines are Python's to read and to complain about, so nothing depends on this file
//! being generous.

use std::ops::Range;

use super::texts::{Part, Texts, in_order};

const MAX_DEPTH: usize = 64;
const MAX_DIGITS: usize = 1000;
/// Lines of about this many bytes are one unit of work.
const UNIT: usize = 1 << 18;

/// The texts of some lines.
#[derive(Debug, Default)]
pub struct Rows {
    /// The texts of the plain lines.
    pub texts: Texts,
    /// The doubtful lines.
    pub doubtful: Vec<Doubtful>,
    /// How many lines there are, blank ones included.
    pub num_lines: usize,
}

/// A line that must be read otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubtful {
    /// The number of texts that stand before it.
    pub before: usize,
    /// Its number in the block, from 0.
    pub line: usize,
    /// Its bytes, the line feed included.
    pub place: Range<usize>,
}

/// Reads `block`, which is whole lines (the last may lack its line feed).
pub fn read(block: &[u8], field: &str, threads: usize) -> Rows {
    let mut cuts = vec![0];
    while let Some(&from) = cuts.last()
        && from < block.len()
    {
        let rest = &block[from..];
        let end = rest.get(UNIT..).and_then(|later| later.iter().position(|&b| b == b'\n'));
        cuts.push(end.map_or(block.len(), |at| from + UNIT + at + 1));
    }
    let units =
        in_order(cuts.len() - 1, threads, |i| read_unit(&block[cuts[i]..cuts[i + 1]], field));
    let mut rows = Rows::default();
    let mut parts = Vec::with_capacity(units.len());
    let mut before = 0;
    for (unit, start) in units.into_iter().zip(cuts) {
        for doubtful in unit.doubtful {
            rows.doubtful.push(Doubtful {
                before: before + doubtful.before,
                line: rows.num_lines + doubtful.line,
                place: start + doubtful.place.start..start + doubtful.place.end,
            });
        }
        before += unit.part.ends.len();
        rows.num_lines += unit.num_lines;
        parts.push(unit.part);
    }
    rows.texts = parts.into();
    rows
}

struct Unit {
    part: Part,
    doubtful: Vec<Doubtful>,
    num_lines: usize,
}

fn read_unit(bytes: &[u8], field: &str) -> Unit {
    let mut part = Part { text: String::with_capacity(bytes.len()), ends: Vec::new() };
    let (mut doubtful, mut num_lines, mut start) = (Vec::new(), 0, 0);
    let whole = std::str::from_utf8(bytes).ok();
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let place = start..start + line.len();
        let length = part.text.len();
        let text = match whole {
            Some(whole) => whole.get(place.clone()),
            None => std::str::from_utf8(line).ok(),
        };
        let plain = text.and_then(|text| Line { text, at: 0 }.text(field, &mut part.text));
        if plain.is_some() {
            part.end();
        } else {
            part.text.truncate(length);
            if !line.iter().all(|b| matches!(b, b' ' | 9..=13)) {
                let before = part.ends.len();
                doubtful.push(Doubtful { before, line: num_lines, place: place.clone() });
            }
        }
        num_lines += 1;
        start = place.end;
    }
    Unit { part, doubtful, num_lines }
}

/// What is read of a line, and how far. Every function returns `None` where there is doubt.
struct Line<'a> {
    text: &'a str,
    at: usize,
}

impl Line<'_> {
    /// Appends the text of a plain line to `out`, which is left with anything if it is not plain.
    fn text(&mut self, field: &str, out: &mut String) -> Option<()> {
        let start = out.len();
        let mut found = false;
        self.space();
        self.take(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            return None;
        }
        loop {
            let key = self.plain_string()?;
            let wanted = self.text[key] == *field;
            self.space();
            self.take(b':')?;
            self.space();
            if wanted {
                out.truncate(start); // of equal keys, the last counts
                found = self.peek() == Some(b'"');
            }
            if wanted && found {
                self.string(Some(out))?;
            } else {
                self.value(1)?;
            }
            self.space();
            match self.next()? {
                b',' => self.space(),
                b'}' => break,
                _ => return None,
            }
        }
        self.space();
        (found && self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string(None),
            b'{' => self.members(b'}', depth, true),
            b'[' => self.members(b']', depth, false),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'N' => self.word("NaN"),
            b'I' => self.word("Infinity"),
            _ => self.number(),
        }
    }

    /// An object or an array, from its bracket on.
    fn members(&mut self, close: u8, depth: usize, keys: bool) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            if keys {
                self.string(None)?;
                self.space();
                self.take(b':')?;
                self.space();
            }
            self.value(depth + 1)?;
            self.space();
            match self.next()? {
                b',' => self.space(),
                end => return (end == close).then_some(()),
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.word("Infinity");
            }
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        (self.at - start <= MAX_DIGITS).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// A string without an escape: where its characters are.
    fn plain_string(&mut self) -> Option<Range<usize>> {
        self.take(b'"')?;
        let start = self.at;
        self.at = special(self.text.as_bytes(), start)?;
        let end = self.at;
        self.take(b'"')?;
        Some(start..end)
    }

    /// A string; its characters are appended to `out`, if it is given.
    fn string(&mut self, mut out: Option<&mut String>) -> Option<()> {
        self.take(b'"')?;
        loop {
            let start = self.at;
            self.at = special(self.text.as_bytes(), start)?;
            if let Some(out) = &mut out {
                out.push_str(&self.text[start..self.at]);
            }
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape(out.as_deref_mut())?,
                _ => return None, // a control character
            }
        }
    }

    fn escape(&mut self, out: Option<&mut String>) -> Option<()> {
        let plain = match self.next()? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'u' => {
                let first = self.hex()?;
                // In a value that no one wants, half of a pair does no harm.
                let Some(out) = out else { return Some(()) };
                out.push(self.character(first)?);
                return Some(());
            }
            _ => return None,
        };
        if let Some(out) = out {
            out.push(plain);
        }
        Some(())
    }

    /// The character of an escape of which four digits are read, or of two that are a pair.
    fn character(&mut self, first: u32) -> Option<char> {
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first); // none for a second half
        }
        self.take(b'\\')?;
        self.take(b'u')?;
        let second = self.hex()?.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// The first quote, backslash or control character from `at` on.
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // A byte of `word` is zero where its high bit in `zero(word)` is set and none below it is.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(word) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let slash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        // The lowest mark is always right: a borrow only reaches bytes above a marked one.
        let marks = (quote | slash | control) & HIGH;
        if marks != 0 {
            return Some(at + (marks.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let found = rest.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..0x20));
    found.map(|i| at + i)
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;
