//! The byte alphabet of byte-level files: each byte as one printable character.
//!
//! The printable characters of Latin-1 stand for themselves; the other 68 bytes take the
//! characters from U+0100 on, in the order of the bytes (`bytes_to_unicode` in GPT-2's
//! `encoder.py`).

/// Whether a byte stands for itself.
const fn printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The character of each byte.
pub const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let (mut byte, mut next) = (0, 0x100);
    while byte < 256 {
        chars[byte] = if printable(byte as u8) {
            byte as u8 as char
        } else {
            next += 1;
            match char::from_u32(next - 1) {
                Some(c) => c,
                None => panic!("U+0100 to U+0143 are characters"),
            }
        };
        byte += 1;
    }
    chars
};

/// The byte of each character below U+0144.
const BYTES: [Option<u8>; 0x144] = {
    let mut bytes = [None; 0x144];
    let mut byte = 0;
    while byte < 256 {
        bytes[CHARS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// Bytes as text of the alphabet.
pub fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| CHARS[byte as usize]).collect()
}

/// Text of the alphabet as bytes; `None` if a character is not in it.
pub fn to_bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| BYTES.get(c as usize).copied().flatten()).collect()
}

/// The bytes in the order of their characters: the order in which Hugging Face numbers them.
pub fn bytes_in_order() -> [u8; 256] {
    let mut bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    bytes.sort_unstable_by_key(|&byte| CHARS[byte as usize]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_gpt2s() {
        assert_eq!(CHARS[b' ' as usize], 'Ġ');
        assert_eq!(CHARS[b'\n' as usize], 'Ċ');
        assert_eq!(CHARS[0xad], 'Ń');
        assert_eq!(bytes_in_order()[..2], *b"!\"");
        assert_eq!(bytes_in_order()[255], 0xad);
    }

    #[test]
    fn both_ways() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(to_bytes(&to_text(&all)).unwrap(), all);
        assert_eq!(to_bytes("a b"), None);
        assert_eq!(to_bytes("\u{144}"), None);
    }
}
