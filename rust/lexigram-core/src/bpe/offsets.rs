//! Where tokens stand in the text, in characters.

/// For tokens of these lengths in bytes, laid end to end over `text` from its start: the smallest
/// range of characters that holds each token's bytes. Tokens that share a character share its
/// place. `text` is UTF-8 where it can be; a stray byte counts as a character unless it has the
/// form of a continuation byte.
pub fn character_spans(
    text: &[u8],
    lengths: impl IntoIterator<Item = usize>,
) -> Vec<(usize, usize)> {
    let continues = |byte: u8| byte & 0xc0 == 0x80;
    let (mut at, mut characters) = (0, 0);
    let spans = lengths.into_iter().map(|length| {
        let token = &text[at..at + length];
        // Characters that begin before the token; the one that it continues is the last of them.
        let first = characters
            - usize::from(token.first().is_some_and(|&b| continues(b)) && characters > 0);
        characters += token.iter().filter(|&&byte| !continues(byte)).count();
        at += length;
        (first, characters)
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_characters_are_shared() {
        let text = "aé中b".as_bytes();
        assert_eq!(
            character_spans(text, [1, 1, 1, 2, 2]),
            [(0, 1), (1, 2), (1, 2), (2, 3), (2, 4)]
        );
        assert_eq!(character_spans(text, [7]), [(0, 4)]);
        assert_eq!(character_spans(b"", []), []);
    }
}
