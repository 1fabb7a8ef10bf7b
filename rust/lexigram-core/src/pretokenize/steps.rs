//! Pre-tokenizers that are more than one pattern: the sequences in files of Hugging Face.
//!
//! Definition. Text is one piece at first. Each step takes every piece apart on its own: it finds
//! matches in the piece, and what it does with matches and with the text between them is its
//! behavior. Pieces that a step removes, or leaves empty, are gone. The step that stands for bytes
//! may put a space before a piece, split by GPT-2's pattern, and writes the bytes of the text as
//! the characters of the byte alphabet, which is what later steps see (Falcon's do).
//!
//! So the pieces need not join to the text: [`Cut`] holds the bytes that are encoded, and where
//! each piece of them ends.

use std::borrow::Cow;
use std::ops::Range;

use fancy_regex::Regex;

use super::{Pretokenizer, find};
use crate::Result;
use crate::bpe::alphabet;

/// What becomes of matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// Each is a piece.
    Isolated,
    /// Each is gone.
    Removed,
    /// Each ends the piece before it.
    MergedWithPrevious,
    /// Each begins the piece after it.
    MergedWithNext,
    /// Each run of them is a piece.
    Contiguous,
}

/// What a step looks for.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// The pieces of a published pattern, which cover the text.
    Known(Pretokenizer),
    /// Matches of an expression.
    Regex(Box<Regex>),
    /// A text, each time it occurs.
    Literal(String),
    /// Numeric characters.
    Numeric,
    /// White space.
    Blank,
}

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Takes pieces apart at matches.
    Split {
        /// What it looks for.
        matcher: Matcher,
        /// What becomes of it.
        behavior: Behavior,
        /// Whether the text between matches is taken for matches.
        invert: bool,
    },
    /// Text becomes bytes.
    ByteLevel {
        /// Whether a piece that does not begin with a space gets one.
        prefix: bool,
        /// Whether pieces are split by GPT-2's pattern.
        split: Option<Pretokenizer>,
    },
}

/// The steps of a pre-tokenizer.
#[derive(Debug, Clone)]
pub struct Steps {
    steps: Vec<Step>,
    /// What the steps are, as text: equal texts are equal steps.
    description: String,
}

/// What is to be encoded.
#[derive(Debug)]
pub struct Cut<'t> {
    /// The bytes of all pieces.
    pub bytes: Cow<'t, [u8]>,
    /// Where each piece ends.
    pub ends: Vec<usize>,
}

impl Steps {
    /// `description` must be the same for equal steps only.
    pub fn new(steps: Vec<Step>, description: String) -> Self {
        Self { steps, description }
    }

    /// What the steps are.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whether the pieces of every text join to the text.
    pub fn keep_text(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Split { behavior, .. } => *behavior != Behavior::Removed,
            Step::ByteLevel { prefix, .. } => !prefix,
        })
    }

    /// The pieces of a text.
    pub fn cut<'t>(&self, text: &'t str) -> Result<Cut<'t>> {
        let mut text = Cow::Borrowed(text);
        let mut pieces = Vec::from_iter((!text.is_empty()).then_some(0..text.len()));
        let mut in_alphabet = false;
        for (number, step) in self.steps.iter().enumerate() {
            match step {
                Step::Split { matcher, behavior, invert } => {
                    pieces = split(&text, &pieces, matcher, *behavior, *invert)?;
                }
                Step::ByteLevel { prefix, split: pattern } => {
                    if *prefix {
                        (text, pieces) = with_spaces(&text, &pieces);
                    }
                    if let Some(pattern) = pattern {
                        let matcher = Matcher::Known(pattern.clone());
                        pieces = split(&text, &pieces, &matcher, Behavior::Isolated, false)?;
                    }
                    if number + 1 < self.steps.len() {
                        (text, pieces) = to_alphabet(&text, &pieces);
                        in_alphabet = true;
                    }
                }
            }
        }
        Ok(join(text, &pieces, in_alphabet))
    }
}

/// The pieces end to end.
fn join<'t>(text: Cow<'t, str>, pieces: &[Range<usize>], in_alphabet: bool) -> Cut<'t> {
    let mut at = 0;
    let joined = pieces.iter().all(|piece| piece.start == std::mem::replace(&mut at, piece.end));
    if joined && at == text.len() && !in_alphabet {
        let bytes = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        return Cut { bytes, ends: pieces.iter().map(|piece| piece.end).collect() };
    }
    let (mut bytes, mut ends) = (Vec::with_capacity(text.len()), Vec::with_capacity(pieces.len()));
    for piece in pieces {
        let piece = &text[piece.clone()];
        match in_alphabet {
            true => bytes.extend(alphabet::to_bytes(piece).unwrap_or_default()),
            false => bytes.extend_from_slice(piece.as_bytes()),
        }
        ends.push(bytes.len());
    }
    Cut { bytes: Cow::Owned(bytes), ends }
}

fn with_spaces<'t>(text: &str, pieces: &[Range<usize>]) -> (Cow<'t, str>, Vec<Range<usize>>) {
    rewrite(text, pieces, |piece, out| {
        if !piece.starts_with(' ') {
            out.push(' ');
        }
        out.push_str(piece);
    })
}

fn to_alphabet<'t>(text: &str, pieces: &[Range<usize>]) -> (Cow<'t, str>, Vec<Range<usize>>) {
    rewrite(text, pieces, |piece, out| out.push_str(&alphabet::to_text(piece.as_bytes())))
}

fn rewrite<'t>(
    text: &str,
    pieces: &[Range<usize>],
    write: impl Fn(&str, &mut String),
) -> (Cow<'t, str>, Vec<Range<usize>>) {
    let mut out = String::with_capacity(text.len() + pieces.len());
    let pieces = pieces.iter().map(|piece| {
        let start = out.len();
        write(&text[piece.clone()], &mut out);
        start..out.len()
    });
    let pieces = pieces.collect();
    (Cow::Owned(out), pieces)
}

fn split(
    text: &str,
    pieces: &[Range<usize>],
    matcher: &Matcher,
    behavior: Behavior,
    invert: bool,
) -> Result<Vec<Range<usize>>> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut parts = Vec::new();
    for piece in pieces {
        parts.clear();
        let base = piece.start;
        matcher.parts(&text[piece.clone()], |part, is_match| {
            parts.push((base + part.start..base + part.end, is_match != invert));
        })?;
        merge(&parts, behavior, &mut out);
    }
    Ok(out)
}

/// Appends the pieces that the behavior makes of matches and the text between them.
fn merge(parts: &[(Range<usize>, bool)], behavior: Behavior, out: &mut Vec<Range<usize>>) {
    let first = out.len();
    let mut before = false;
    match behavior {
        Behavior::Isolated => out.extend(parts.iter().map(|(part, _)| part.clone())),
        Behavior::Removed => {
            let kept = parts.iter().filter(|(_, is_match)| !is_match);
            out.extend(kept.map(|(part, _)| part.clone()));
        }
        Behavior::Contiguous | Behavior::MergedWithPrevious => {
            for (part, is_match) in parts {
                let joins = match behavior {
                    Behavior::Contiguous => *is_match == before,
                    _ => *is_match && !before,
                };
                before = *is_match;
                match out[first..].last_mut() {
                    Some(last) if joins => last.end = part.end,
                    _ => out.push(part.clone()),
                }
            }
        }
        Behavior::MergedWithNext => {
            for (part, is_match) in parts.iter().rev() {
                let joins = *is_match && !before;
                before = *is_match;
                match out[first..].last_mut() {
                    Some(last) if joins => last.start = part.start,
                    _ => out.push(part.clone()),
                }
            }
            out[first..].reverse();
        }
    }
    let mut kept = first;
    for at in first..out.len() {
        if !out[at].is_empty() {
            out.swap(kept, at);
            kept += 1;
        }
    }
    out.truncate(kept);
}

impl Matcher {
    /// Calls `take` with each match and each text between two, in order, and whether it is a match.
    fn parts(&self, text: &str, mut take: impl FnMut(Range<usize>, bool)) -> Result<()> {
        let mut at = 0;
        let mut found = |part: Range<usize>| {
            if part.start > at {
                take(at..part.start, false);
            }
            at = part.end;
            take(part, true);
        };
        match self {
            Self::Known(pattern) => pattern.for_each(text, |piece| {
                found(piece);
                Ok(())
            })?,
            Self::Literal(literal) if literal.is_empty() => {}
            Self::Literal(literal) => {
                text.match_indices(literal).for_each(|(at, part)| found(at..at + part.len()));
            }
            Self::Numeric => characters(text, char::is_numeric, found),
            Self::Blank => characters(text, char::is_whitespace, found),
            Self::Regex(regex) => {
                // As Oniguruma's: an empty match right after a match does not count.
                let (mut from, mut last) = (0, None);
                while from <= text.len()
                    && let Some(part) = find(regex, text, from)?
                {
                    if part.is_empty() && last == Some(part.end) {
                        from += text[from..].chars().next().map_or(1, char::len_utf8);
                        continue;
                    }
                    (from, last) = (part.end, Some(part.end));
                    found(part);
                }
            }
        }
        if at < text.len() {
            take(at..text.len(), false);
        }
        Ok(())
    }
}

fn characters(text: &str, is: impl Fn(char) -> bool, mut found: impl FnMut(Range<usize>)) {
    for (at, c) in text.char_indices() {
        if is(c) {
            found(at..at + c.len_utf8());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(steps: Vec<Step>, text: &str) -> Vec<String> {
        let cut = Steps::new(steps, String::new()).cut(text).map(|cut| {
            let mut start = 0;
            let pieces = cut.ends.iter().map(|&end| {
                let piece = &cut.bytes[std::mem::replace(&mut start, end)..end];
                String::from_utf8_lossy(piece).into_owned()
            });
            pieces.collect()
        });
        cut.unwrap()
    }

    fn split(matcher: Matcher, behavior: Behavior, invert: bool) -> Step {
        Step::Split { matcher, behavior, invert }
    }

    #[test]
    fn behaviors() {
        use Behavior::*;
        for (behavior, invert, expected) in [
            (Isolated, false, "the|-|final|-|-|countdown|-"),
            (Removed, false, "the|final|countdown"),
            (Removed, true, "-|-|-|-"),
            (MergedWithPrevious, false, "the-|final-|-|countdown-"),
            (MergedWithNext, false, "the|-final|-|-countdown|-"),
            (Contiguous, false, "the|-|final|--|countdown|-"),
        ] {
            for matcher in
                [Matcher::Literal("-".into()), Matcher::Regex(Box::new(Regex::new("-").unwrap()))]
            {
                let got = pieces(vec![split(matcher, behavior, invert)], "the-final--countdown-");
                assert_eq!(got.join("|"), expected, "{behavior:?}");
            }
        }
        let empty = Matcher::Regex(Box::new(Regex::new("(?=b)|c*").unwrap()));
        assert_eq!(pieces(vec![split(empty, Isolated, false)], "abccd").join("|"), "a|b|cc|d");
        assert_eq!(pieces(vec![split(Matcher::Blank, Removed, false)], "  ").len(), 0);
        assert_eq!(pieces(vec![split(Matcher::Literal("".into()), Isolated, false)], "ab"), ["ab"]);
    }

    #[test]
    fn bytes_in_the_middle() {
        let gpt2 = Pretokenizer::new(Some("gpt2")).unwrap();
        let bytes = |prefix| Step::ByteLevel { prefix, split: Some(gpt2.clone()) };
        let digits = || split(Matcher::Numeric, Behavior::Isolated, false);
        assert_eq!(pieces(vec![digits(), bytes(false)], "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(pieces(vec![digits(), bytes(true)], "a 12"), [" a", " ", " 1", " 2"]);
        assert_eq!(pieces(vec![bytes(false), digits()], "a 12"), ["a", " ", "1", "2"]);
        // The second byte of "ò" is written as a number in the byte alphabet.
        assert_eq!(pieces(vec![bytes(true), digits()], "ò"), [" \u{fffd}", "\u{fffd}"]);
        assert_eq!(pieces(vec![bytes(true)], ""), Vec::<String>::new());
    }
}
