//! Where a text may be taken apart, so that huge ones are worked on in parts.
//!
//! Definition. `cut` is safe in a text if, whatever follows, the pieces of the whole are those of
//! `text[..cut]` and then those of `text[cut..]`.
//!
//! Lemma. Let no match of the pattern hold the characters `x` before and `y` at the cut, and let
//! `x` not be white space. Then the cut is safe. *Proof.* A match that begins before the cut ends
//! at it or before, in the whole text as well as in `text[..cut]`. The only branches that look
//! beyond their match, `\s+(?!\S)` and `\s+\z`, end in white space, so they never end at the cut
//! and see the same character in both texts. So the same matches are possible in the same order of
//! preference, and the pieces up to the cut are the same; they end at it. What comes after depends
//! on the text from the cut alone, as the patterns never look behind. ∎
//!
//! Two more kinds of cut, for the patterns that have `\s*[\r\n]+` and groups of digits:
//!
//! * After a line break `x`, before a `y` that is no white space (nor `/` in o200k, whose symbols
//!   take `[\r\n/]*`): the branch `\s*[\r\n]+` stands before the two that look ahead and takes all
//!   up to `x`, whether the text goes on or not; so does the end of a run of symbols.
//! * After a multiple of `n` digits, counted from the start of their run: a run of digits always
//!   begins a piece, and `\p{N}{1,n}` never takes more than `n`.
//!
//! What has no safe place inside is a single piece, or nearly so: a word, a run of white space, of
//! symbols (with line breaks among them, if they alternate with `/`), of digits in GPT-2. A custom
//! expression may look anywhere: no cut is known.

use super::class::{self, LETTER, MARK, NEWLINE, NUMBER, SPACE};
use super::{Kind, Pretokenizer};

/// What the rules know of a character.
#[derive(Debug, Clone, Copy)]
struct Character {
    class: u8,
    /// Its first byte.
    byte: u8,
}

impl Character {
    fn at(bytes: &[u8], at: usize) -> Self {
        let (class, _) = class::at(bytes, at).unwrap_or_default();
        Self { class, byte: bytes.get(at).copied().unwrap_or_default() }
    }

    fn is(self, classes: u8) -> bool {
        self.class & classes != 0
    }
}

impl Pretokenizer {
    /// The last safe cut of `text` that is at most `limit`; the text may go on in any way. 0 where
    /// none is known. Linear in the text after the cut.
    pub fn cut_before(&self, text: &str, limit: usize) -> usize {
        if matches!(self.kind, Kind::Whole | Kind::Custom(_)) {
            return 0;
        }
        let bytes = text.as_bytes();
        let mut at = floor(text, limit.min(bytes.len().saturating_sub(1)));
        let mut right = Character::at(bytes, at);
        while at > 0 {
            let left_at = floor(text, at - 1);
            let left = Character::at(bytes, left_at);
            if self.apart(left, right) {
                return at;
            }
            (at, right) = (left_at, left);
        }
        self.full_groups(text, limit)
    }

    /// Whether the place between these two characters is safe wherever they stand.
    fn apart(&self, left: Character, right: Character) -> bool {
        let (gpt2, o200k) =
            (matches!(self.kind, Kind::Gpt2(_)), matches!(self.kind, Kind::O200k(_)));
        if left.is(SPACE) {
            let goes_on = right.is(SPACE) || o200k && right.byte == b'/';
            return !gpt2 && left.is(NEWLINE) && !goes_on;
        }
        if right.is(SPACE) {
            // Symbols may take the line breaks after them, nothing takes other white space.
            return gpt2 || !right.is(NEWLINE) || left.is(LETTER | NUMBER);
        }
        if left.is(NUMBER) || right.is(NUMBER) {
            return !(left.is(NUMBER) && right.is(NUMBER));
        }
        match (left.is(LETTER), right.is(LETTER)) {
            // A word of o200k goes on with marks and with a contraction.
            (true, false) => !o200k || !right.is(MARK) && right.byte != b'\'',
            // Elsewhere a word may begin with a symbol.
            (false, true) => gpt2 && left.byte != b'\'',
            _ => false,
        }
    }

    /// The last place that is at most `limit` after full groups of digits, if such end the text.
    fn full_groups(&self, text: &str, limit: usize) -> usize {
        let digits = match &self.kind {
            Kind::Cl100k(scan) => scan.digits,
            Kind::O200k(_) => 3,
            _ => return 0,
        };
        let text = &text[..floor(text, limit)];
        let number = |c: &char| class::of(u32::from(*c)) & NUMBER != 0;
        let count = text.chars().rev().take_while(number).count();
        let over = text.chars().rev().take(count % digits).map(char::len_utf8).sum::<usize>();
        if count < digits { 0 } else { text.len() - over }
    }
}

/// The last character boundary that is at most `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::patterns::{CL100K_JOINED_END, CL100K_TIKTOKEN};
    use super::*;

    /// Llama 3 groups digits as cl100k does, Qwen takes them one by one.
    const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    fn all() -> [Pretokenizer; 6] {
        ["gpt2", "cl100k", "o200k", QWEN, CL100K_TIKTOKEN, CL100K_JOINED_END]
            .map(|pattern| Pretokenizer::new(Some(pattern)).unwrap())
    }

    fn pieces<'t>(pretokenizer: &Pretokenizer, text: &'t str) -> Vec<&'t str> {
        pretokenizer.split(text).unwrap().into_iter().map(|piece| &text[piece]).collect()
    }

    #[test]
    fn every_safe_place_of_every_short_string() {
        let alphabet =
            ['a', 'A', 'あ', '\u{301}', '1', ' ', '\n', '\r', '\u{3000}', '!', '/', '\'', 's'];
        let pretokenizers = all();
        let mut safe = 0;
        for length in 2..=5u32 {
            for code in 0..alphabet.len().pow(length) {
                let char_at = |i: u32| alphabet[code / alphabet.len().pow(i) % alphabet.len()];
                let text: String = (0..length).map(char_at).collect();
                for pretokenizer in &pretokenizers {
                    let whole = pieces(pretokenizer, &text);
                    for (at, _) in text.char_indices().skip(1) {
                        let left = Character::at(text.as_bytes(), floor(&text, at - 1));
                        if !pretokenizer.apart(left, Character::at(text.as_bytes(), at)) {
                            continue;
                        }
                        safe += 1;
                        let mut parts = pieces(pretokenizer, &text[..at]);
                        parts.extend(pieces(pretokenizer, &text[at..]));
                        assert_eq!(parts, whole, "{:?} at {at}", pretokenizer.name());
                    }
                }
            }
        }
        assert!(safe > 1_000_000, "{safe}");
    }

    #[test]
    fn digits_are_cut_in_whole_groups() {
        for pretokenizer in all() {
            for before in ["", " ", "a", "\n", "\u{3000}", "!"] {
                for count in 0..12 {
                    let digits = "1٣".chars().cycle().take(count);
                    let text: String = before.chars().chain(digits).collect();
                    for rest in ["", "5", "a", " ", "\n", "!"] {
                        for limit in 0..=text.len() {
                            let cut = pretokenizer.cut_before(&text, limit);
                            let whole = format!("{text}{rest}");
                            let mut parts = pieces(&pretokenizer, &whole[..cut]);
                            parts.extend(pieces(&pretokenizer, &whole[cut..]));
                            assert!(cut <= limit);
                            assert_eq!(parts, pieces(&pretokenizer, &whole));
                        }
                    }
                }
            }
        }
        let [gpt2, cl100k, o200k, qwen, ..] = all();
        assert_eq!(gpt2.cut_before("1234567", 7), 0);
        assert_eq!(cl100k.cut_before("1234567", 7), 6);
        assert_eq!(o200k.cut_before(" 1234567", 5), 4);
        assert_eq!(qwen.cut_before("1234567", 7), 7);
        assert_eq!(o200k.cut_before("!!!\n!!!", 7), 4);
        assert_eq!(o200k.cut_before("!!!\n/!!", 7), 0);
        assert_eq!(gpt2.cut_before("!!!\n!!!", 7), 3);
    }
}
