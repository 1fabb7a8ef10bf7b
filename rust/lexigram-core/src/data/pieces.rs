//! Documents that stand between delimiters in a text.
//!
//! Definition. Delimiters are found from the front, each where the one before has ended at the
//! earliest, as Python's `bytes.split` does; a piece is what stands before one. What stands after the
//! last is the caller's: more of it may come. Empty pieces are no documents; pieces that are not
//! UTF-8 are doubtful, as lines are in [`super::json_lines`].

use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::json_lines::Doubtful;
use super::texts::{Part, Texts, in_order};
use crate::{Error, Result};

/// Pieces of about this many bytes are one unit of work.
const UNIT: usize = 1 << 18;

/// The documents of a block.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Those that are UTF-8.
    pub texts: Texts,
    /// The others; `line` is the number of the piece.
    pub doubtful: Vec<Doubtful>,
    /// How many pieces there are, empty ones included.
    pub num_pieces: usize,
    /// Where the last delimiter ends.
    pub rest: usize,
    /// Line feeds before that.
    pub line_feeds: usize,
}

/// Reads the pieces that a delimiter ends in `block`.
pub fn read(block: &[u8], delimiter: &[u8], threads: usize) -> Result<Pieces> {
    let wrong = |_| Error::argument("document_delimiter", delimiter.len(), "it is too long");
    let finder = AhoCorasick::new([delimiter]).map_err(wrong)?;
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut units = vec![0];
    let (mut start, mut filled) = (0, 0);
    for found in finder.find_iter(block) {
        places.push(start..found.start());
        filled += found.end() - start;
        if filled >= UNIT {
            units.push(places.len());
            filled = 0;
        }
        start = found.end();
    }
    units.push(places.len());
    let read = in_order(units.len() - 1, threads, |i| {
        let numbers = units[i]..units[i + 1];
        let (first, last) = (places.get(numbers.start), places[..numbers.end].last());
        let bytes = first.zip(last).map_or(0, |(first, last)| last.end.saturating_sub(first.start));
        let mut part = Part { text: String::with_capacity(bytes), ends: Vec::new() };
        let mut doubtful = Vec::new();
        for line in numbers {
            let place = places[line].clone();
            match std::str::from_utf8(&block[place.clone()]) {
                Ok("") => (),
                Ok(text) => part.push(text),
                Err(_) => doubtful.push(Doubtful { before: part.ends.len(), line, place }),
            }
        }
        (part, doubtful)
    });
    let mut pieces = Pieces { num_pieces: places.len(), rest: start, ..Pieces::default() };
    let mut parts = Vec::with_capacity(read.len());
    let mut before = 0;
    for (part, doubtful) in read {
        let moved = doubtful.into_iter().map(|d| Doubtful { before: before + d.before, ..d });
        pieces.doubtful.extend(moved);
        before += part.ends.len();
        parts.push(part);
    }
    pieces.texts = parts.into();
    pieces.line_feeds = block[..start].iter().filter(|&&b| b == b'\n').count();
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Python's `bytes.split`, naively.
    fn split(mut block: &[u8], delimiter: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut pieces = Vec::new();
        while let Some(at) = block.windows(delimiter.len()).position(|w| w == delimiter) {
            pieces.push(block[..at].to_vec());
            block = &block[at + delimiter.len()..];
        }
        (pieces, block.to_vec())
    }

    proptest! {
        #[test]
        fn as_split(
            block in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n'), Just(0xff)], 0..60),
            delimiter in "[ab\n]{1,3}", threads in 1usize..3,
        ) {
            let delimiter = delimiter.as_bytes();
            let found = read(&block, delimiter, threads).unwrap();
            let (pieces, rest) = split(&block, delimiter);
            prop_assert_eq!(found.num_pieces, pieces.len());
            prop_assert_eq!(&block[found.rest..], rest);
            let feeds = block[..found.rest].iter().filter(|&&b| b == b'\n').count();
            prop_assert_eq!(found.line_feeds, feeds);
            let mut texts = Vec::new();
            let mut doubtful = Vec::new();
            for (number, piece) in pieces.into_iter().enumerate() {
                match String::from_utf8(piece) {
                    Ok(text) if text.is_empty() => (),
                    Ok(text) => texts.push(text),
                    Err(error) => doubtful.push((texts.len(), number, error.into_bytes())),
                }
            }
            prop_assert_eq!(found.texts.iter().collect::<Vec<_>>(), texts);
            let seen = found.doubtful.into_iter();
            let seen: Vec<_> = seen.map(|d| (d.before, d.line, block[d.place].to_vec())).collect();
            prop_assert_eq!(seen, doubtful);
        }
    }
}
