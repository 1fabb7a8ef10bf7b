//! Tokens that are found in text as they stand, before any pattern or merge: special tokens, and
//! the ordinary additions that some Hugging Face files hold.
//!
//! Text is searched from left to right; where several tokens begin, the longest wins. A special
//! token is only looked for when the caller asks, because text is hostile. The automaton skips text
//! in which no token can begin by a vectorised search for the first bytes of the tokens.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use fancy_regex::Regex;

use crate::{Error, Result};

/// One token with its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AddedToken {
    /// What stands in the text.
    pub text: String,
    /// Its id.
    pub id: u32,
    /// Whether it is found only on request and never printed unasked.
    pub special: bool,
    /// Whether it is looked for after normalization, in its own normalized form.
    pub normalized: bool,
    /// Whether it takes the white space before it with it.
    pub lstrip: bool,
    /// Whether it takes the white space after it with it.
    pub rstrip: bool,
    /// Whether it counts only where no word character stands beside it.
    pub single_word: bool,
}

impl AddedToken {
    /// A special token that is found exactly as it stands.
    pub fn special(text: impl Into<String>, id: u32) -> Self {
        Self { text: text.into(), id, special: true, ..Self::default() }
    }
}

/// Finds any of a set of tokens.
#[derive(Debug, Clone, Default)]
pub struct Finder {
    tokens: Vec<AddedToken>,
    automaton: Option<AhoCorasick>,
}

impl Finder {
    /// A finder of these tokens.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a AddedToken>) -> Result<Self> {
        Self::by_text(tokens, |text| text.to_owned())
    }

    /// A finder that looks for what `form` makes of each token's text.
    fn by_text<'a>(
        tokens: impl IntoIterator<Item = &'a AddedToken>,
        form: impl Fn(&str) -> String,
    ) -> Result<Self> {
        let mut found: Vec<AddedToken> = Vec::new();
        let mut texts = Vec::new();
        for token in tokens {
            let text = form(&token.text);
            if !text.is_empty() {
                texts.push(text);
                found.push(token.clone());
            }
        }
        if texts.is_empty() {
            return Ok(Self::default());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&texts)
            .map_err(|e| Error::argument("added tokens", texts.len(), e.to_string()))?;
        Ok(Self { tokens: found, automaton: Some(automaton) })
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether every token is found exactly as it stands, whatever is around it.
    pub fn is_plain(&self) -> bool {
        !self.tokens.iter().any(|token| token.lstrip || token.rstrip || token.single_word)
    }

    /// Length in bytes of the longest text that is found.
    pub fn longest(&self) -> usize {
        self.automaton.as_ref().map_or(0, AhoCorasick::max_pattern_len)
    }

    /// The first token in `text[from..]`: where it stands, and its id. For tokens that are found
    /// exactly as they stand; [`Finder::matches`] heeds the flags of the others.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<(Range<usize>, u32)>> {
        let found = self.next(text, from);
        Ok(found.map(|(range, token)| (range, token.id)))
    }

    /// All tokens in `text`, from left to right.
    pub fn matches<'f, 't>(&'f self, text: &'t str) -> Matches<'f, 't> {
        Matches { finder: self, text, search: 0, taken: 0 }
    }

    fn next(&self, text: &str, from: usize) -> Option<(Range<usize>, &AddedToken)> {
        let found = self.automaton.as_ref()?.find(Input::new(text).range(from..))?;
        Some((found.range(), &self.tokens[found.pattern().as_usize()]))
    }
}

/// The tokens in a text, by [`Finder::matches`].
///
/// The rules are those of Hugging Face's `AddedVocabulary`: the search goes on where the last match
/// ended, also when the match does not count (`single_word`) or has taken blanks (`rstrip`).
#[derive(Debug)]
pub struct Matches<'f, 't> {
    finder: &'f Finder,
    text: &'t str,
    search: usize,
    taken: usize,
}

impl Matches<'_, '_> {
    /// Where the text after the last token begins.
    pub fn rest(&self) -> usize {
        self.taken
    }
}

impl<'f> Iterator for Matches<'f, '_> {
    /// The ordinary text before the token, and the token.
    type Item = (Range<usize>, &'f AddedToken);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (Range { mut start, mut end }, token) = self.finder.next(self.text, self.search)?;
            self.search = end;
            let (before, after) = (&self.text[..start], &self.text[end..]);
            let beside = || is_word(before.chars().next_back()) || is_word(after.chars().next());
            if token.single_word && beside() {
                continue;
            }
            if token.lstrip {
                start = before.trim_end().len().max(self.taken);
            }
            if token.rstrip {
                end += after.len() - after.trim_start().len();
            }
            let ordinary = self.taken..start.max(self.taken);
            self.taken = end;
            // The token before has taken all of it.
            if start >= end {
                continue;
            }
            return Some((ordinary, token));
        }
    }
}

/// Whether a character matches `\w`.
fn is_word(character: Option<char>) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A\w\z").ok());
    let Some(character) = character else { return false };
    if character.is_ascii() {
        return character == '_' || character.is_ascii_alphanumeric();
    }
    let text = character.to_string();
    WORD.as_ref().is_some_and(|word| word.is_match(&text).unwrap_or(false))
}

/// The tokens that a call looks for: before normalization, and after it.
#[derive(Debug, Clone, Default)]
pub struct Finders {
    /// In the text as it came.
    pub raw: Finder,
    /// In normalized text.
    pub normalized: Finder,
}

impl Finders {
    /// `normalize` gives the normalized form of a token's text.
    pub fn new<'a>(
        tokens: impl IntoIterator<Item = &'a AddedToken>,
        normalize: impl Fn(&str) -> String,
    ) -> Result<Self> {
        let (normalized, raw): (Vec<_>, Vec<_>) =
            tokens.into_iter().partition(|token| token.normalized);
        Ok(Self { raw: Finder::new(raw)?, normalized: Finder::by_text(normalized, normalize)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, id: u32) -> AddedToken {
        AddedToken { special: false, ..AddedToken::special(text, id) }
    }

    fn spans(tokens: &[AddedToken], text: &str) -> Vec<String> {
        let finder = Finder::new(tokens).unwrap();
        let mut matches = finder.matches(text);
        let mut out = Vec::new();
        for (before, token) in matches.by_ref() {
            out.push(text[before].to_owned());
            out.push(token.id.to_string());
        }
        out.push(text[matches.rest()..].to_owned());
        out
    }

    #[test]
    fn the_leftmost_and_then_the_longest() {
        let tokens = [plain("<a>", 1), plain("<a><b>", 2), plain("a", 3)];
        assert_eq!(spans(&tokens, "x<a><b>y<a>"), ["x", "2", "y", "1", ""]);
        assert_eq!(spans(&[], "x"), ["x"]);
    }

    #[test]
    fn flags() {
        let wide = AddedToken { lstrip: true, rstrip: true, ..plain("<m>", 1) };
        assert_eq!(spans(std::slice::from_ref(&wide), "a \u{a0}<m>\n b"), ["a", "1", "b"]);
        assert_eq!(spans(std::slice::from_ref(&wide), "<m>  <m>"), ["", "1", "", "1", ""]);
        // A blank that is a token is found again after it was taken.
        assert_eq!(spans(&[wide, plain(" ", 2)], "<m>  b"), ["", "1", "", "2", "", "2", "b"]);
        let blank = AddedToken { lstrip: true, rstrip: true, ..plain(" ", 3) };
        assert_eq!(spans(&[blank], "a   b"), ["a", "3", "b"]);
        let word = AddedToken { single_word: true, ..plain("ab", 1) };
        assert_eq!(
            spans(&[word], "ab abc é\u{301}ab _ab (ab)"),
            ["", "1", " abc é\u{301}ab _ab (", "1", ")"]
        );
    }
}
