//! What is done to text before it is cut into pieces. Ours never ask for it; files of others may.
//!
//! Each step does what the normalizer of that name does in Hugging Face's tokenizers, on the text
//! between two added tokens.

use std::borrow::Cow;

use fancy_regex::Regex;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::{Error, Result};

/// One step.
#[derive(Debug, Clone)]
pub enum Normalization {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
    /// Each character in lower case, without regard to its neighbours.
    Lowercase,
    /// Without combining marks.
    StripAccents,
    /// Without white space at the ends.
    Strip {
        /// At the beginning.
        left: bool,
        /// At the end.
        right: bool,
    },
    /// With this text before it, unless it is empty.
    Prepend(String),
    /// With `content` for each match of the expression.
    Replace {
        /// What is looked for.
        pattern: Box<Regex>,
        /// What takes its place, literally.
        content: String,
    },
}

impl PartialEq for Normalization {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Normalization {
    /// Whether it is one of Unicode's four normalization forms.
    pub fn is_form(&self) -> bool {
        matches!(self, Self::Nfc | Self::Nfd | Self::Nfkc | Self::Nfkd)
    }

    /// Everything that the result depends on, as text.
    pub fn key(&self) -> String {
        match self {
            Self::Nfc => "Nfc".into(),
            Self::Nfd => "Nfd".into(),
            Self::Nfkc => "Nfkc".into(),
            Self::Nfkd => "Nfkd".into(),
            Self::Lowercase => "Lowercase".into(),
            Self::StripAccents => "StripAccents".into(),
            Self::Strip { left, right } => format!("Strip {left} {right}"),
            Self::Prepend(text) => format!("Prepend {text:?}"),
            Self::Replace { pattern, content } => {
                format!("Replace {:?} {content:?}", pattern.as_str())
            }
        }
    }

    /// The text after this step.
    pub fn apply<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        Ok(match self {
            // ASCII is its own normal form in all four, and has no combining marks.
            Self::Nfc | Self::Nfd | Self::Nfkc | Self::Nfkd | Self::StripAccents
                if text.is_ascii() =>
            {
                Cow::Borrowed(text)
            }
            Self::Nfc => Cow::Owned(text.nfc().collect()),
            Self::Nfd => Cow::Owned(text.nfd().collect()),
            Self::Nfkc => Cow::Owned(text.nfkc().collect()),
            Self::Nfkd => Cow::Owned(text.nfkd().collect()),
            Self::Lowercase => Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()),
            Self::StripAccents => {
                Cow::Owned(text.chars().filter(|&c| !is_combining_mark(c)).collect())
            }
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { text };
                Cow::Borrowed(if *right { text.trim_end() } else { text })
            }
            Self::Prepend(_) if text.is_empty() => Cow::Borrowed(text),
            Self::Prepend(prefix) => Cow::Owned(format!("{prefix}{text}")),
            Self::Replace { pattern, content } => return replace(pattern, content, text),
        })
    }
}

fn replace<'t>(pattern: &Regex, content: &str, text: &'t str) -> Result<Cow<'t, str>> {
    let mut out = String::new();
    let mut at = 0;
    for found in pattern.find_iter(text) {
        let found = found.map_err(|error| {
            let limit = format!("matching failed ({error}); use a simpler expression");
            Error::argument("normalizer", format!("Replace {:?}", pattern.as_str()), limit)
        })?;
        out.push_str(&text[at..found.start()]);
        out.push_str(content);
        at = found.end();
    }
    if at == 0 && out.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(&text[at..]);
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let replace = |pattern: &str, content: &str| Normalization::Replace {
            pattern: Box::new(Regex::new(pattern).unwrap()),
            content: content.into(),
        };
        for (step, before, after) in [
            (Normalization::Nfc, "e\u{301}", "é"),
            (Normalization::Nfkd, "ﬁé", "fie\u{301}"),
            (Normalization::Lowercase, "ΑΣ İ", "ασ i\u{307}"),
            (Normalization::StripAccents, "e\u{301}a", "ea"),
            (Normalization::Strip { left: true, right: false }, "\u{a0} a ", "a "),
            (Normalization::Prepend("_".into()), "", ""),
            (Normalization::Prepend("_".into()), "a", "_a"),
            (replace(" ", "_"), " a b", "_a_b"),
            (replace("a", ""), "a", ""),
            (replace("(?=b)", "-"), "abb", "a-b-b"),
            (replace("x", "y"), "abb", "abb"),
        ] {
            assert_eq!(step.apply(before).unwrap(), after, "{step:?}");
        }
    }
}
