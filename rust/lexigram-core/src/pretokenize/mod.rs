//! Pre-tokenization: text is cut into pieces, and no token ever spans two of them.
//!
//! Definition. A pattern is a regular expression. The pieces of a text are its successive leftmost
//! matches; text between two matches is a piece of its own, so that the pieces always join to the
//! whole text. Without a pattern the text is one piece.
//!
//! The three published patterns (GPT-2; cl100k, also in the variants with other digit groups that
//! Llama 3 and Qwen use; o200k) are matched by hand-written scanners. Invariant that the scanners
//! rest on: these expressions look ahead but never behind, so the piece that begins at byte `p`
//! depends on `text[p..]` alone. Each scanner reads a byte a bounded number of times, so splitting
//! is linear. The expressions themselves stay in [`patterns`] and are the oracle of the tests.
//!
//! Sources of the expressions: `encoder.py` of GPT-2 (gpt2); `openai_public.py` of tiktoken
//! (cl100k, o200k). Newer tiktoken spells cl100k with a branch `\s++$` that joins a line break and
//! the blanks after it at the very end of a text. No token of cl100k_base spans those, so ids are
//! the same; pieces are not, and both expressions are known. `"cl100k"` names the original one,
//! which Hugging Face files hold.

mod cl100k;
pub mod class;
mod class_tables;
mod cut;
pub mod dialect;
mod gpt2;
mod o200k;
pub mod patterns;
pub mod steps;
#[cfg(test)]
mod tests;
mod window;

use std::ops::Range;

use fancy_regex::Regex;

use self::dialect::Dialect;
use crate::{Error, Result};

/// When so many pieces are found, [`Pretokenizer::fill`] returns.
const BATCH: usize = 64;

/// How many pieces [`Pretokenizer::fill`] finds at most: a window may go beyond the batch.
pub const MAX_PIECES: usize = BATCH + window::WINDOW;

/// Ends of successive pieces, as byte offsets into the text.
#[derive(Debug, Clone)]
pub struct Ends {
    ends: [usize; MAX_PIECES],
    count: usize,
}

impl Default for Ends {
    fn default() -> Self {
        Self { ends: [0; MAX_PIECES], count: 0 }
    }
}

impl Ends {
    /// The ends found.
    pub fn as_slice(&self) -> &[usize] {
        &self.ends[..self.count]
    }

    /// Replaces the content by the next of ends that are known, and takes these off.
    pub fn take_from(&mut self, known: &mut &[usize]) {
        let (next, rest) = known.split_at(known.len().min(BATCH));
        self.ends[..next.len()].copy_from_slice(next);
        self.count = next.len();
        *known = rest;
    }

    fn push(&mut self, end: usize) {
        self.ends[self.count] = end;
        self.count += 1;
    }

    /// Appends an end at `base` plus the place of each bit, in order.
    #[inline(always)]
    fn push_all(&mut self, base: usize, mut bits: u64) {
        let count = bits.count_ones() as usize;
        let free = &mut self.ends[self.count..self.count + count.next_multiple_of(4)];
        // Four at a time, some of them beyond the last: cheaper than asking after each.
        for four in free.chunks_exact_mut(4) {
            for end in four {
                *end = base + bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
            }
        }
        self.count += count;
    }

    /// Whether no more than a window's ends may follow.
    fn is_full(&self) -> bool {
        self.count >= BATCH
    }
}

/// Finds the piece that begins at a given byte.
pub(crate) trait Scan {
    /// The end of the piece that begins at `at`; `text` is UTF-8, `at < text.len()` is a character
    /// boundary, and so is the result.
    fn piece_end(&self, text: &[u8], at: usize) -> usize;
}

#[derive(Debug, Clone)]
enum Kind {
    Gpt2(gpt2::Gpt2),
    Cl100k(cl100k::Cl100k),
    O200k(o200k::O200k),
    Whole,
    Custom(Box<Regex>),
}

/// Cuts text into pieces by one pattern.
#[derive(Debug, Clone)]
pub struct Pretokenizer {
    kind: Kind,
    regex: Option<String>,
}

impl Pretokenizer {
    /// `pattern` is `"gpt2"`, `"cl100k"`, `"o200k"`, a regular expression, or `None` for no split.
    /// A known expression in any of its published spellings gets its scanner.
    pub fn new(pattern: Option<&str>) -> Result<Self> {
        let Some(pattern) = pattern else {
            return Ok(Self { kind: Kind::Whole, regex: None });
        };
        let regex = patterns::canonical(patterns::by_name(pattern).unwrap_or(pattern));
        let kind = match patterns::recognize(regex) {
            Some(patterns::Known::Gpt2) => Kind::Gpt2(gpt2::Gpt2),
            Some(patterns::Known::Cl100k { digits, joins_end }) => {
                Kind::Cl100k(cl100k::Cl100k { digits, joins_end })
            }
            Some(patterns::Known::O200k) => Kind::O200k(o200k::O200k),
            None if pattern.starts_with("Sequence(") => {
                let limit = "it names the steps of a tokenizer.json and is no pattern; choose \
                             \"gpt2\", \"cl100k\", \"o200k\" or an expression";
                return Err(Error::argument("pattern", format!("{pattern:?}"), limit));
            }
            None => {
                // In a spelling that the readers of a tokenizer.json understand, if there is one.
                let regex = dialect::portable(regex, Dialect::Fancy);
                let regex = regex.unwrap_or_else(|_| pattern.to_owned());
                let kind = Kind::Custom(Box::new(compile(&regex)?));
                return Ok(Self { kind, regex: Some(regex) });
            }
        };
        Ok(Self { kind, regex: Some(regex.to_owned()) })
    }

    /// The pattern as a regular expression; `None` if text is not split.
    pub fn regex(&self) -> Option<&str> {
        self.regex.as_deref()
    }

    /// The short name of a published pattern, otherwise the expression.
    pub fn name(&self) -> Option<&str> {
        self.regex().map(|regex| patterns::name_of(regex).unwrap_or(regex))
    }

    /// Replaces the content of `ends` by the ends of the next pieces from `from` on, at most
    /// [`MAX_PIECES`] and at least one where text is left. Only a custom expression can fail, when it
    /// backtracks beyond its limit.
    pub fn fill(&self, text: &str, from: usize, ends: &mut Ends) -> Result<()> {
        ends.count = 0;
        match &self.kind {
            Kind::Gpt2(scan) => window::fill(scan, text.as_bytes(), from, ends),
            Kind::Cl100k(scan) => window::fill(scan, text.as_bytes(), from, ends),
            Kind::O200k(scan) => window::fill(scan, text.as_bytes(), from, ends),
            Kind::Whole if from < text.len() => ends.push(text.len()),
            Kind::Whole => {}
            Kind::Custom(regex) => fill_by_regex(regex, text, from, ends)?,
        }
        Ok(())
    }

    /// Calls `take` with the range of each piece, in order.
    pub fn for_each(
        &self,
        text: &str,
        mut take: impl FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let mut ends = Ends::default();
        let mut start = 0;
        while start < text.len() {
            self.fill(text, start, &mut ends)?;
            for &end in ends.as_slice() {
                take(start..end)?;
                start = end;
            }
        }
        Ok(())
    }

    /// The ranges of all pieces.
    pub fn split(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut pieces = Vec::new();
        self.for_each(text, |piece| {
            pieces.push(piece);
            Ok(())
        })?;
        Ok(pieces)
    }
}

/// The expression, with `\w` as Oniguruma understands it.
pub(crate) fn compile(regex: &str) -> Result<Regex> {
    let expanded = dialect::expand(regex).unwrap_or_else(|_| regex.to_owned());
    Regex::new(&expanded).map_err(|error| {
        let limit = format!(
            "it must be \"gpt2\", \"cl100k\", \"o200k\", None or a regular expression: {error}"
        );
        Error::argument("pattern", format!("{regex:?}"), limit.replace('\n', " "))
    })
}

/// Text that no match covers is a piece too. An empty match is none, but ends the piece before it.
fn fill_by_regex(regex: &Regex, text: &str, mut at: usize, ends: &mut Ends) -> Result<()> {
    let mut search = at;
    while at < text.len() && !ends.is_full() {
        let found = if search > text.len() { None } else { find(regex, text, search)? };
        let Some(found) = found else {
            ends.push(text.len());
            return Ok(());
        };
        if found.is_empty() {
            if found.start > at {
                ends.push(found.start);
                at = found.start;
            }
            let step = text[found.end..].chars().next().map_or(1, char::len_utf8);
            search = found.end + step;
            continue;
        }
        if found.start > at {
            ends.push(found.start);
        }
        ends.push(found.end);
        (at, search) = (found.end, found.end);
    }
    Ok(())
}

fn find(regex: &Regex, text: &str, from: usize) -> Result<Option<Range<usize>>> {
    match regex.find_from_pos(text, from) {
        Ok(found) => Ok(found.map(|m| m.start()..m.end())),
        Err(error) => Err(Error::argument(
            "pattern",
            format!("{:?}", regex.as_str()),
            format!("matching failed at byte {from} of the text ({error}); use a simpler pattern"),
        )),
    }
}
