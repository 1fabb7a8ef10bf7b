//! Any bytes as a tokenizer.json: an error or a tokenizer that can be used and written again, never
//! a panic.
#![no_main]

use std::path::Path;

use lexigram_core::bpe::{Allowed, Text, Tokenizer, json, rank_file};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "The <a>  's naïve\r\n 1234½ 中文字\u{200d}👍🏽 a.\t ＡＢ e\u{301} <mask> don't";

/// The same file with all 256 bytes in its vocabulary, so that most mutations get further.
fn completed(data: &[u8]) -> Option<Vec<u8>> {
    let mut file: serde_json::Value = serde_json::from_slice(data).ok()?;
    let vocab = file.get_mut("model")?.get_mut("vocab")?.as_object_mut()?;
    for byte in 0..=255u8 {
        let name = lexigram_core::bpe::alphabet::to_text(&[byte]);
        vocab.entry(name).or_insert(serde_json::json!(1000 + u32::from(byte)));
    }
    serde_json::to_vec(&file).ok()
}

fn check(data: &[u8]) {
    let Ok(tokenizer) = json::parse(data, Path::new("fuzz.json")) else { return };
    for allowed in [Allowed::None, Allowed::All] {
        let mut ids = Vec::new();
        if tokenizer.encode(Text::Str(TEXT), &allowed, &mut ids).is_ok() {
            let bytes = tokenizer.decode(&ids).expect("ids of its own");
            if tokenizer.keeps_text() {
                assert_eq!(bytes, TEXT.as_bytes());
            }
            let _ = tokenizer.post_processor().apply(&mut ids, 0);
            let _ = tokenizer.decode(&ids).expect("ids of its own");
        }
        let _ = tokenizer.encode(Text::Bytes(data), &allowed, &mut Vec::new());
    }
    let _ = tokenizer.find_special(TEXT, None);
    let _ = rank_file::write_tiktoken(&tokenizer);
    if let Ok(written) = json::write(&tokenizer) {
        let again = json::parse(&written, Path::new("again.json")).expect("what was written");
        assert!(again == tokenizer);
        assert_eq!(again.fingerprint(), tokenizer.fingerprint());
        same_ids(&tokenizer, &again);
    }
}

fn same_ids(one: &Tokenizer, other: &Tokenizer) {
    let ids = |tokenizer: &Tokenizer| {
        let mut ids = Vec::new();
        tokenizer.encode(Text::Str(TEXT), &Allowed::All, &mut ids).ok().map(|()| ids)
    };
    assert_eq!(ids(one), ids(other));
}

fuzz_target!(|data: &[u8]| {
    check(data);
    if let Some(data) = completed(data) {
        check(&data);
    }
});
