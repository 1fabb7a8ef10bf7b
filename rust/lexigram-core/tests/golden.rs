//! The cases of `tests/golden/bpe.json`, which pytest reads as well, on the fast path and on the
//! naive twin.

use std::collections::HashMap;

use lexigram_core::bpe::train::{TrainOptions, Trainer};
use lexigram_core::bpe::{Allowed, Merge, Parts, PieceCounts, Text, Tokenizer, alphabet, naive};
use lexigram_core::pretokenize::Pretokenizer;
use lexigram_core::progress::Silent;
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bpe.json");
    let content = std::fs::read(path).expect("the golden cases are there");
    let all: Value = serde_json::from_slice(&content).expect("they are JSON");
    let cases = all[kind].as_array().expect("of this kind").clone();
    assert!(cases.len() > 3);
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The byte strings of a list, in hexadecimal digits or as text.
fn tokens(case: &Value, key: &str) -> Vec<Vec<u8>> {
    let list = |value: &Value, read: &dyn Fn(&str) -> Vec<u8>| {
        value.as_array().into_iter().flatten().map(|token| read(text(token))).collect::<Vec<_>>()
    };
    let plain = list(&case[key], &|token| token.as_bytes().to_vec());
    if plain.is_empty() { list(&case[format!("{key}_hex")], &hex) } else { plain }
}

fn bytes_as_tokens() -> Vec<(u32, Vec<u8>)> {
    (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect()
}

fn encoded(tokenizer: &Tokenizer, piece: &str) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    tokenizer.encode(Text::Str(piece), &Allowed::None, &mut ids).expect("text");
    contents(tokenizer, &ids)
}

fn contents(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<Vec<u8>> {
    ids.iter().map(|&id| tokenizer.vocabulary().token(id).to_vec()).collect()
}

#[test]
fn encode() {
    for case in cases("encode") {
        let mut entries = bytes_as_tokens();
        let mut ids: HashMap<Vec<u8>, u32> =
            entries.iter().map(|(id, token)| (token.clone(), *id)).collect();
        let pairs = |key: &str| case[key].as_array().cloned().unwrap_or_default();
        let named = |key: &str, pair| serde_json::json!({ key: pair });
        let merges = pairs("merges").into_iter().map(|pair| named("pair", pair));
        let merges = merges.chain(pairs("merges_hex").into_iter().map(|p| named("pair_hex", p)));
        let mut made = Vec::new();
        for pair in merges.map(|pair| tokens(&pair, "pair")) {
            let token = entries.len() as u32;
            made.push(Merge { left: ids[&pair[0]], right: ids[&pair[1]], token });
            entries.push((token, pair.concat()));
            ids.insert(pair.concat(), token);
        }
        let parts = Parts { tokens: entries, merges: Some(made), ..Parts::default() };
        let tokenizer = Tokenizer::new(parts).expect("a vocabulary");
        let wanted = tokens(&case, "tokens");
        let piece = text(&case["piece"]);
        assert_eq!(encoded(&tokenizer, piece), wanted, "{case}");
        let slow = naive::encode(piece.as_bytes(), tokenizer.byte_ids(), tokenizer.merges());
        assert_eq!(contents(&tokenizer, &slow), wanted, "{case}");
    }
}

#[test]
fn ranks() {
    for case in cases("ranks") {
        let mut entries = bytes_as_tokens();
        entries.extend((256..).zip(tokens(&case, "tokens")));
        let parts = Parts { tokens: entries, whole_pieces: true, ..Parts::default() };
        let tokenizer = Tokenizer::new(parts).expect("a vocabulary");
        let wanted = tokens(&case, "result");
        let piece = text(&case["piece"]);
        assert_eq!(encoded(&tokenizer, piece), wanted, "{case}");
        if tokenizer.vocabulary().id(piece.as_bytes()).is_none() {
            let slow = naive::encode_by_ranks(piece.as_bytes(), tokenizer.vocabulary());
            assert_eq!(contents(&tokenizer, &slow), wanted, "{case}");
        }
    }
}

#[test]
fn train() {
    for case in cases("train") {
        let wanted: Vec<Vec<Vec<u8>>> = case["merges"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| tokens(&serde_json::json!({ "pair": pair }), "pair"))
            .collect();
        let words: Vec<(Box<[u8]>, u64)> = case["words"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(word, count)| (word.as_bytes().into(), count.as_u64().expect("a count")))
            .collect();
        let options =
            TrainOptions { vocab_size: 256 + wanted.len(), num_threads: 1, ..Default::default() };
        let trained = Trainer::new(options)
            .expect("options")
            .finish(PieceCounts::of(words.iter().cloned()).unwrap(), &Silent);
        let trained = trained.expect("some text");
        let parts = |merge: &Merge| contents(&trained, &[merge.left, merge.right]);
        assert_eq!(trained.merges().as_slice().iter().map(parts).collect::<Vec<_>>(), wanted);
        let mut byte_ids = [0; 256];
        for (id, byte) in (0..).zip(alphabet::bytes_in_order()) {
            byte_ids[usize::from(byte)] = id;
        }
        let as_ids = |word: &[u8]| word.iter().map(|&byte| byte_ids[usize::from(byte)]).collect();
        let words: Vec<_> = words.iter().map(|(word, count)| (as_ids(word), *count)).collect();
        let slow = naive::train(&words, 256, wanted.len(), 1);
        assert_eq!(slow, trained.merges().as_slice());
    }
}

#[test]
fn pieces() {
    for case in cases("pieces") {
        let pretokenizer = Pretokenizer::new(case["pattern"].as_str()).expect("a pattern");
        let whole = text(&case["text"]);
        let pieces = pretokenizer.split(whole).expect("pieces");
        let pieces: Vec<_> = pieces.into_iter().map(|piece| whole[piece].as_bytes()).collect();
        assert_eq!(pieces, tokens(&case, "pieces"), "{case}");
    }
}
