//! Tokens that are found in text as they stand, before any pattern or merge: special tokens, and
//! the ordinary additions that some Hugging Face files hold.
//!
//! Text is searched from left to right; where several tokens begin, the longest wins. A special
//! token is only looked for when the caller asks, because text is hostile.

use std::ops::Range;

use fancy_regex::Regex;

use crate::{Error, Result};

/// One token with its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddedToken {
    /// What stands in the text.
    pub text: String,
    /// Its id.
    pub id: u32,
    /// Whether it is found only on request and never printed unasked.
    pub special: bool,
    /// Whether it is looked for after normalization.
    pub normalized: bool,
}

/// Finds any of a set of tokens.
#[derive(Debug, Clone)]
pub struct Finder {
    tokens: Vec<(String, u32)>,
    regex: Option<Regex>,
}

impl Finder {
    /// A finder of these tokens.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a AddedToken>) -> Result<Self> {
        let mut tokens: Vec<(String, u32)> =
            tokens.into_iter().map(|token| (token.text.clone(), token.id)).collect();
        // The alternatives of an expression are tried in order: longer ones first.
        tokens.sort_unstable_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        let regex = if tokens.is_empty() {
            None
        } else {
            let escaped: Vec<_> =
                tokens.iter().map(|(text, _)| fancy_regex::escape(text)).collect();
            let regex = Regex::new(&escaped.join("|"));
            Some(regex.map_err(|e| Error::Internal(format!("special tokens as a pattern: {e}")))?)
        };
        tokens.sort_unstable();
        Ok(Self { tokens, regex })
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The first token in `text[from..]`: where it stands, and its id.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<(Range<usize>, u32)>> {
        let Some(regex) = &self.regex else { return Ok(None) };
        let found = regex
            .find_from_pos(text, from)
            .map_err(|e| Error::Internal(format!("search for special tokens: {e}")))?;
        Ok(found.and_then(|found| {
            let at = self.tokens.binary_search_by(|(text, _)| text.as_str().cmp(found.as_str()));
            at.ok().map(|at| (found.range(), self.tokens[at].1))
        }))
    }
}
