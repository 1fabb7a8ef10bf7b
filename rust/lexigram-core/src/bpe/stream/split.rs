//! Finds added tokens in a text that arrives in parts.
//!
//! Definition: what is found is what [`Finder`] finds in the whole text. Invariant: with `n` the
//! length of the longest token, a place from which `n` bytes are there is decided. Either a token
//! begins at it, and the longest such token is among the `n` bytes, or none does. So a token is
//! certain if it begins `n` bytes before the end, text is certain up to there, and fewer than `n`
//! bytes wait. Tokens that heed what is around them are looked for when all of the text is there.

use super::super::added::Finder;
use crate::Result;

/// A part of the text.
pub enum Part<'t> {
    /// Text without a token.
    Text(&'t str),
    /// A token; the text around it is two texts.
    Token(u32),
}

/// The search for a set of tokens.
#[derive(Debug)]
pub struct Split {
    finder: Finder,
    waiting: String,
}

impl Split {
    /// The search by this finder.
    pub fn new(finder: Finder) -> Self {
        Self { finder, waiting: String::new() }
    }

    /// Bytes that wait for the text to go on.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes more text, `end`: the last of it, and hands on what is certain.
    pub fn push(
        &mut self,
        text: &str,
        end: bool,
        mut take: impl FnMut(Part<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.finder.is_empty() {
            return if text.is_empty() { Ok(()) } else { take(Part::Text(text)) };
        }
        self.waiting.push_str(text);
        if !self.finder.is_plain() {
            return if end { self.finish(take) } else { Ok(()) };
        }
        let longest = self.finder.longest();
        let size = self.waiting.len();
        let open = if end { size } else { (size + 1).saturating_sub(longest) };
        let mut at = 0;
        while let Some((found, id)) = self.finder.find(&self.waiting, at)? {
            if !end && found.start + longest > size {
                break;
            }
            if found.start > at {
                take(Part::Text(&self.waiting[at..found.start]))?;
            }
            take(Part::Token(id))?;
            at = found.end;
        }
        let certain = (at..=open).rev().find(|&at| self.waiting.is_char_boundary(at)).unwrap_or(at);
        if certain > at {
            take(Part::Text(&self.waiting[at..certain]))?;
        }
        self.waiting.drain(..certain);
        Ok(())
    }

    /// All of the text, by tokens that heed what is around them.
    fn finish(&mut self, mut take: impl FnMut(Part<'_>) -> Result<()>) -> Result<()> {
        let mut matches = self.finder.matches(&self.waiting);
        for (before, token) in matches.by_ref() {
            if !before.is_empty() {
                take(Part::Text(&self.waiting[before]))?;
            }
            take(Part::Token(token.id))?;
        }
        let rest = matches.rest();
        if rest < self.waiting.len() {
            take(Part::Text(&self.waiting[rest..]))?;
        }
        self.waiting.clear();
        Ok(())
    }
}
