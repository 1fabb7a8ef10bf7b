//! Any bytes as a .tiktoken file, and as encoder.json and vocab.bpe: an error or a tokenizer, never a
//! panic; and a .tiktoken file is written as it would be read.
#![no_main]

use std::path::PathBuf;

use lexigram_core::bpe::{AddedToken, Allowed, Text, Tokenizer, rank_file};
use libfuzzer_sys::fuzz_target;

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lexigram-fuzz-{}-{name}", std::process::id()));
    std::fs::write(&path, content).expect("a temporary file");
    path
}

fn ids(tokenizer: &Tokenizer, data: &[u8]) -> Option<Vec<u32>> {
    let mut ids = Vec::new();
    tokenizer.encode(Text::Bytes(data), &Allowed::All, &mut ids).ok()?;
    assert_eq!(tokenizer.decode(&ids).expect("its own ids"), data);
    Some(ids)
}

fn tiktoken(data: &[u8], content: &[u8]) {
    let path = file("x.tiktoken", content);
    let special = vec![AddedToken::special("<|endoftext|>", 70_000)];
    let Ok(tokenizer) = rank_file::read_tiktoken(&path, Some("gpt2"), special.clone()) else {
        return;
    };
    let before = ids(&tokenizer, data);
    if let Ok(written) = rank_file::write_tiktoken(&tokenizer) {
        let path = file("y.tiktoken", &written);
        let again = rank_file::read_tiktoken(&path, Some("gpt2"), special).expect("its own file");
        assert_eq!(ids(&again, data), before);
    }
}

fuzz_target!(|data: &[u8]| {
    tiktoken(data, data);
    // With all bytes in it most mutations get further.
    let mut content = Vec::new();
    for byte in 0..=255u8 {
        content.extend_from_slice(encoded(byte).as_bytes());
    }
    content.extend_from_slice(data);
    tiktoken(data, &content);
    if let Some(at) = data.iter().position(|&byte| byte == 0) {
        let (encoder, merges) = (file("encoder.json", &data[..at]), file("vocab.bpe", &data[at..]));
        let _ = rank_file::read_gpt2(&encoder, &merges).map(|tokenizer| ids(&tokenizer, data));
    }
});

/// The line of one byte, of rank 60000 and on.
fn encoded(byte: u8) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (high, low) = (byte >> 2, (byte & 3) << 4);
    let digit = |value: u8| DIGITS[usize::from(value)] as char;
    format!("{}{}== {}\n", digit(high), digit(low), 60_000 + u32::from(byte))
}
