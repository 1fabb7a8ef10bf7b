//! Normalizes a text that arrives in parts.
//!
//! Lemma. Let `x` be a character whose full decomposition, canonical and compatible alike, begins
//! with a starter that is never the second half of a composition. Then normalization, in each of
//! the four forms, does not reach across the place before `x`. *Proof.* Canonical ordering moves no
//! character across a starter. Composition joins a character only to a starter before it, with
//! nothing of combining class 0 between, and the first character of `x` joins nothing. The same
//! holds for what one form makes of `x` when another follows, as it decomposes to the same. ∎
//! (UAX #15, sections 1.3 and 9.1; the property "quick check NFC" says which characters may be
//! second.)

use std::iter::once;

use unicode_normalization::char::{
    canonical_combining_class, decompose_canonical, decompose_compatible,
};
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::super::normalize::Normalization;
use super::super::tokenizer::Tokenizer;
use crate::Result;

/// Text that waits for what may change its end.
#[derive(Debug, Default)]
pub struct Normalize {
    waiting: String,
}

impl Normalize {
    /// Bytes that wait for the text to go on.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes more text, `end`: the last of it, and hands on what is certain, normalized.
    pub fn push(
        &mut self,
        tokenizer: &Tokenizer,
        text: &str,
        end: bool,
        mut take: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        if tokenizer.normalization().is_empty() {
            return if text.is_empty() { Ok(()) } else { take(text) };
        }
        let before = self.waiting.len();
        self.waiting.push_str(text);
        // What waited before had its only boundary in front.
        let forms = tokenizer.normalization().iter().all(Normalization::is_form);
        let boundary = || text.char_indices().rev().find(|&(_, c)| is_boundary(c));
        let certain = match end {
            true => self.waiting.len(),
            false if forms => boundary().map_or(0, |(at, _)| before + at),
            // Other steps may look anywhere.
            false => 0,
        };
        if certain > 0 {
            take(&tokenizer.normalize(&self.waiting[..certain])?)?;
            self.waiting.drain(..certain);
        }
        Ok(())
    }
}

/// Whether normalization never reaches across the place before `c`.
fn is_boundary(c: char) -> bool {
    if c.is_ascii() {
        return true;
    }
    let (mut canonical, mut compatible) = (None, None);
    decompose_canonical(c, |part| _ = canonical.get_or_insert(part));
    decompose_compatible(c, |part| _ = compatible.get_or_insert(part));
    let alone = |first: Option<char>| {
        let first = first.unwrap_or(c);
        canonical_combining_class(first) == 0 && is_nfc_quick(once(first)) == IsNormalized::Yes
    };
    alone(canonical) && alone(compatible)
}

#[cfg(test)]
mod tests {
    use super::super::super::tokenizer::Parts;
    use super::*;

    fn tokenizer(normalization: Vec<Normalization>) -> Tokenizer {
        let tokens = (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect();
        Tokenizer::new(Parts { tokens, normalization, ..Parts::default() }).unwrap()
    }

    /// Every character after each of those that something may join to, or move across. Beyond
    /// these planes nothing decomposes.
    #[test]
    fn every_boundary_of_the_planes_in_use() {
        use Normalization::{Nfc, Nfd, Nfkc, Nfkd};
        let before =
            ["a", "e\u{301}", "\u{1100}", "\u{ac00}", "\u{9c7}", "o\u{323}", "\u{5d0}\u{591}"];
        let mut boundaries = 0;
        for forms in
            [vec![Nfc], vec![Nfd], vec![Nfkc], vec![Nfkd], vec![Nfd, Nfkc], vec![Nfkc, Nfd]]
        {
            let tokenizer = tokenizer(forms);
            for c in ('\u{80}'..'\u{32000}').filter(|&c| is_boundary(c)) {
                boundaries += 1;
                let after = format!("{c}\u{301}");
                let right = tokenizer.normalize(&after).unwrap().into_owned();
                for left in before {
                    let apart = tokenizer.normalize(left).unwrap() + &*right;
                    assert_eq!(
                        tokenizer.normalize(&format!("{left}{after}")).unwrap(),
                        apart,
                        "{c:?}"
                    );
                }
            }
        }
        assert!(boundaries > 1_000_000);
        assert!(is_boundary('中') && is_boundary('é') && is_boundary('가'));
        // Marks; the second and third part of a Korean syllable; a starter that decomposes to marks.
        for c in ['\u{301}', '\u{1161}', '\u{11a8}', '\u{f73}', '\u{344}', '\u{9be}', '\u{ff9e}'] {
            assert!(!is_boundary(c), "{c:?}");
        }
    }
}
