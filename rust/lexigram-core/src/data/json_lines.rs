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
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn texts(block: &[u8]) -> (Vec<String>, Vec<usize>) {
        let rows = read(block, "text", 1);
        let doubtful = rows.doubtful.iter().map(|d| d.line).collect();
        (rows.texts.iter().map(str::to_owned).collect(), doubtful)
    }

    fn one(line: &str) -> Option<String> {
        let (mut texts, doubtful) = texts(line.as_bytes());
        assert_eq!(texts.len() + doubtful.len(), 1, "{line}");
        texts.pop()
    }

    #[test]
    fn by_hand() {
        let good = [
            (r#"{"text": "a"}"#, "a"),
            (" \t{ \"text\" :\r\"a\" } \r\n", "a"),
            (r#"{"text":"a","text":"b"}"#, "b"),
            (r#"{"text":1,"text":"b"}"#, "b"),
            (r#"{"a":{"text":"x"},"text":"","n":[1,-0.5e+3,null,true,NaN,-Infinity]}"#, ""),
            (
                r#"{"text":"\ud83d\ude00\u00e9\n\/\"\\\b\f\r\t\u0000"}"#,
                "😀é\n/\"\\\u{8}\u{c}\r\t\0",
            ),
            (r#"{"x":"\ud800","text":"ü"}"#, "ü"),
        ];
        for (line, text) in good {
            assert_eq!(one(line).as_deref(), Some(text), "{line}");
        }
        let depth = |n| format!("{{\"a\":{}{},\"text\":\"x\"}}", "[".repeat(n), "]".repeat(n));
        assert!(one(&depth(MAX_DEPTH)).is_some());
        let digits = format!("{{\"n\":{},\"text\":\"x\"}}", "1".repeat(MAX_DIGITS + 1));
        let doubtful = [
            r#"{"text":"b","text":1}"#,
            r#"{"te\u0078t":"a","text":"b"}"#,
            r#"{"text":"\ud800"}"#,
            r#"{"text":"\ud800\u0041"}"#,
            r#"{"text":"\udc00"}"#,
            "{}",
            "[]",
            "x",
            r#"{"text":"a"}}"#,
            r#"{"text":"a",}"#,
            r#"{"n":01,"text":"a"}"#,
            r#"{"n":1.,"text":"a"}"#,
            r#"{"n":-,"text":"a"}"#,
            r#"{"text":"a"} x"#,
            "{\"text\":\"a\tb\"}",
            r#"{"text":"\x"}"#,
            r#"{"text":"\u12g4"}"#,
            r#"{"text":"\u+123"}"#,
            r#"{text:"a"}"#,
            r#"{"text":"a"#,
            "\u{feff}{\"text\":\"a\"}",
            r#"{"text" "a"}"#,
            r#"{"a":tru,"text":"a"}"#,
            &depth(MAX_DEPTH + 1),
            &digits,
        ];
        for line in doubtful {
            assert_eq!(one(line), None, "{line}");
        }
    }

    #[test]
    fn lines_and_their_places() {
        let block = b"{\"text\":\"a\"}\n \x0b\n\xff\n{\"text\":\"b\"}\nx";
        let rows = read(block, "text", 2);
        assert_eq!(rows.texts.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rows.num_lines, 5);
        let expected = [(1, 2, 16..18), (2, 4, 31..32)];
        let expected = expected.map(|(before, line, place)| Doubtful { before, line, place });
        assert_eq!(rows.doubtful, expected);
        assert_eq!(read(b"", "text", 2).num_lines, 0);
    }

    proptest! {
        #[test]
        fn special_is_the_first(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1eu8..0x24, 0x5bu8..0x5e], 0..40)) {
            let naive = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            prop_assert_eq!(special(&bytes, 0), naive);
        }

        /// Against serde_json: what is plain is right, and what a writer of JSON writes is plain.
        #[test]
        fn as_serde_json(texts_in in prop::collection::vec(".*", 0..8), noise in ".*", n: f64, threads in 1usize..4) {
            let mut block = String::new();
            for text in &texts_in {
                let row = json!({"id": n, "noise": {"text": noise, "list": [noise]}, "text": text});
                block += &format!("{row}\n");
            }
            let rows = read(block.as_bytes(), "text", threads);
            prop_assert!(rows.doubtful.is_empty());
            prop_assert_eq!(rows.texts.iter().collect::<Vec<_>>(), texts_in);
        }

        /// A line with a byte changed is doubtful, or serde_json finds the same.
        #[test]
        fn changed_bytes(text in ".{0,9}", at in 0usize..60, byte: u8) {
            let mut line = json!({"a": [1.5, "\u{1}"], "text": text, "b": null}).to_string().into_bytes();
            let at = at % line.len();
            line[at] = byte;
            line.retain(|&b| b != b'\n');
            for text in read(&line, "text", 1).texts.iter() {
                if let Ok(row) = serde_json::from_slice::<Value>(&line) {
                    prop_assert_eq!(row["text"].as_str(), Some(text));
                } else {
                    // Only numbers that Python reads and serde_json does not.
                    let shown = String::from_utf8_lossy(&line).into_owned();
                    prop_assert!(shown.contains('E') || shown.contains('e'), "{}", shown);
                }
            }
        }
    }
}
