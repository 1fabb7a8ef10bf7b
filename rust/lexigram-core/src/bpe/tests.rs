//! The fast paths against the definitions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::encode::{PieceEncoder, Scratch};
use super::linear::{Linear, Search};
use super::merges::Merges;
use super::train::{TrainOptions, Trainer};
use super::{
    AddedToken, Allowed, Merge, Parts, Text, Tokenizer, Vocabulary, alphabet, json, naive,
    rank_file,
};
use crate::progress::Silent;

pub(super) fn train(texts: &[&str], options: TrainOptions) -> Tokenizer {
    let trainer = Trainer::new(options).unwrap();
    let counter = trainer.counter();
    counter.add(texts).unwrap();
    trainer.finish(counter.finish().unwrap(), &Silent).unwrap()
}

pub(super) fn options(vocab_size: usize, pattern: Option<&str>) -> TrainOptions {
    TrainOptions {
        vocab_size,
        pattern: pattern.map(Into::into),
        num_threads: 1,
        ..Default::default()
    }
}

pub(super) fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    tokenizer.encode(Text::Str(text), &Allowed::None, &mut out).unwrap();
    out
}

/// Words over few letters: random ones, and repetitive ones.
pub(super) fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{0,12}",
        "[abc ]{0,40}",
        ("[ab]{1,3}", 1..60usize).prop_map(|(unit, times)| unit.repeat(times)),
        ("[ab]{1,3}", 1..40usize, "[abc]{0,5}")
            .prop_map(|(unit, times, end)| unit.repeat(times) + &end),
    ]
}

/// A vocabulary by random merges, whose ids and ranks have nothing to do with each other.
fn random_encoder(choices: &[(usize, usize)], shuffle: u64) -> PieceEncoder {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut parts = vec![b'a' as usize, b'b' as usize, b'c' as usize];
    let mut merges = Vec::new();
    for &(left, right) in choices {
        let (left, right) = (parts[left % parts.len()], parts[right % parts.len()]);
        let joined = [&tokens[left][..], &tokens[right][..]].concat();
        if joined.len() > 16 || known.contains_key(&joined) {
            continue;
        }
        known.insert(joined.clone(), tokens.len());
        merges.push(Merge { left: left as u32, right: right as u32, token: tokens.len() as u32 });
        parts.push(tokens.len());
        tokens.push(joined);
    }
    // Any order of ranks is a valid file, also one where a part comes after the whole.
    merges
        .sort_by_key(|merge| (u64::from(merge.token) * 0x9e37_79b9 + shuffle) % 97 * (shuffle % 3));
    let entries = tokens.iter().enumerate().map(|(id, token)| (id as u32, &token[..], true));
    let vocabulary = Vocabulary::of(entries).unwrap();
    let byte_ids = vocabulary.byte_ids().unwrap();
    let merges = Merges::new(merges, &byte_ids).unwrap();
    PieceEncoder::new(vocabulary, merges, byte_ids, false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn pieces_by_any_merges(
        choices in prop::collection::vec((0..40usize, 0..40usize), 0..40),
        shuffle in any::<u64>(),
        words in prop::collection::vec(word(), 1..6),
    ) {
        let encoder = random_encoder(&choices, shuffle >> 8);
        let mut scratch = Scratch::default();
        for word in &words {
            let mut fast = Vec::new();
            encoder.encode(word.as_bytes(), &mut scratch, &mut fast);
            let slow = naive::encode(word.as_bytes(), &encoder.byte_ids, &encoder.merges);
            prop_assert_eq!(fast, slow, "{:?}", word);
        }
    }

    #[test]
    fn pieces_in_linear_time(
        choices in prop::collection::vec((0..40usize, 0..40usize), 0..40),
        shuffle in any::<u64>(),
        words in prop::collection::vec(word(), 1..6),
    ) {
        // Shuffled ranks are mostly not ordered; these are.
        let ordered = random_encoder(&choices, shuffle - shuffle % 3);
        let any = random_encoder(&choices, shuffle >> 8);
        let tables = |encoder: &PieceEncoder| {
            Linear::new(&encoder.vocabulary, &encoder.byte_ids, &encoder.merges)
        };
        prop_assert!(tables(&ordered).is_some());
        for encoder in [&ordered, &any] {
            let Some(linear) = tables(encoder) else { continue };
            let mut search = Search::default();
            for word in words.iter().filter(|word| !word.is_empty()) {
                let mut fast = Vec::new();
                linear.encode(word.as_bytes(), &encoder.merges, &mut search, &mut fast);
                let slow = naive::encode(word.as_bytes(), &encoder.byte_ids, &encoder.merges);
                prop_assert_eq!(fast, slow, "{:?}", word);
            }
        }
    }

    #[test]
    fn a_rank_file_means_its_merges(
        tokens in prop::collection::hash_set("[ab]{2,6}", 0..30),
        order in any::<u64>(),
        words in prop::collection::vec(word(), 1..6),
    ) {
        // Any set of tokens in any order, trained or not: some are out of reach of merges.
        let mut tokens: Vec<String> = tokens.into_iter().collect();
        tokens.sort_by_key(|token| (token.len() as u64 * (order & 1), xxhash_rust::xxh3::xxh3_64_with_seed(token.as_bytes(), order)));
        let mut parts = Parts { pattern: None, whole_pieces: true, ..Parts::default() };
        parts.tokens = (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect();
        parts.tokens.extend((256..).zip(tokens).map(|(id, token)| (id, token.into_bytes())));
        let tokenizer = Tokenizer::new(parts).unwrap();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let whole = tokenizer.vocabulary().id(word.as_bytes());
            let slow = naive::encode_by_ranks(word.as_bytes(), tokenizer.vocabulary());
            let slow = whole.map_or(slow, |id| vec![id]);
            prop_assert_eq!(ids(&tokenizer, word), slow, "{:?}", word);
        }
        // And it comes back from its own file.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tiktoken");
        std::fs::write(&path, rank_file::write_tiktoken(&tokenizer).unwrap()).unwrap();
        prop_assert!(rank_file::read_tiktoken(&path, None, vec![]).unwrap() == tokenizer);
    }

    #[test]
    fn any_text_comes_back(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
            let patterns = [None, Some("gpt2"), Some("cl100k"), Some("o200k"), Some(r"\w+")];
            let text = "the cat sat on the mat, the end";
            patterns.map(|pattern| train(&[text], options(290, pattern))).into()
        });
        for tokenizer in TOKENIZERS.iter() {
            prop_assert_eq!(tokenizer.decode(&ids(tokenizer, &text)).unwrap(), text.as_bytes());
            let mut out = Vec::new();
            tokenizer.encode(Text::Bytes(&bytes), &Allowed::None, &mut out).unwrap();
            prop_assert_eq!(tokenizer.decode(&out).unwrap(), &bytes[..]);
        }
    }

    #[test]
    fn batches_are_single_calls(texts in prop::collection::vec(word(), 0..40), threads in 0..4usize) {
        let tokenizer = train(&["abc abab bc bcbc aa"], options(270, Some("gpt2")));
        // Repeated so that there is more than one group.
        let texts: Vec<String> = texts.iter().map(|text| text.repeat(300)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let batch: Vec<_> = texts.iter().map(|text| Text::Str(text)).collect();
        let (all, offsets) = tokenizer.encode_batch(&batch, &Allowed::None, threads).unwrap();
        prop_assert_eq!(offsets.len(), texts.len() + 1);
        for (i, text) in texts.iter().enumerate() {
            prop_assert_eq!(&all[offsets[i]..offsets[i + 1]], &ids(&tokenizer, text)[..]);
        }
    }
}

#[test]
fn long_texts_in_parts_are_single_calls() {
    let words = "the bc's  12345 abab\n\n  don't étude 中文 😀 - ".repeat(50);
    for pattern in [Some("gpt2"), Some("cl100k"), Some("o200k"), None] {
        let mut parts = train(&[&words], options(400, pattern));
        if pattern == Some("o200k") {
            parts = with_added(vec![special("<|end|>", 300), special("<|", 301)]);
        }
        let long: Vec<String> = (0..4).map(|i| words.repeat(i * 60) + "<|end|> x <| y").collect();
        let texts = [&long[3], "", &long[0], &long[2], "a", &long[1]];
        let batch: Vec<_> = texts.iter().map(|text| Text::Str(text)).collect();
        for allowed in [Allowed::None, Allowed::All] {
            let alone = parts.encode_batch(&batch, &allowed, 1).unwrap();
            for threads in [2, 5] {
                assert_eq!(parts.encode_batch(&batch, &allowed, threads).unwrap(), alone);
            }
            let bytes: Vec<_> = texts.iter().map(|text| Text::Bytes(text.as_bytes())).collect();
            assert_eq!(parts.encode_batch(&bytes, &allowed, 2).unwrap(), alone);
        }
    }
}

pub(super) fn special(text: &str, id: u32) -> AddedToken {
    AddedToken::special(text, id)
}

pub(super) fn with_added(added: Vec<AddedToken>) -> Tokenizer {
    let tokens = (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect();
    Tokenizer::new(Parts { tokens, merges: Some(vec![]), added, ..Parts::default() }).unwrap()
}

#[test]
fn special_tokens_are_opt_in_and_longest_wins() {
    let tokenizer =
        with_added(vec![special("<a>", 300), special("<a><b>", 301), special("<c>", 302)]);
    let text = "x<a><b>y<c>";
    let encode = |allowed: Allowed| {
        let mut out = Vec::new();
        tokenizer.encode(Text::Str(text), &allowed, &mut out).unwrap();
        let mut bytes = Vec::new();
        tokenizer.encode(Text::Bytes(text.as_bytes()), &allowed, &mut bytes).unwrap();
        assert_eq!(out, bytes);
        out.iter()
            .map(|&id| if id < 256 { char::from(id as u8).to_string() } else { id.to_string() })
            .collect::<String>()
    };
    assert_eq!(encode(Allowed::None), text);
    assert_eq!(encode(Allowed::All), "x301y302");
    assert_eq!(encode(Allowed::Some(vec!["<a>".into(), "no such token".into()])), "x300<b>y<c>");
    assert_eq!(tokenizer.find_special(text, None).unwrap().unwrap(), "<a><b>");
    assert_eq!(tokenizer.find_special(text, Some(&["<c>".into()])).unwrap().unwrap(), "<c>");
    assert_eq!(tokenizer.find_special(text, Some(&["<d>".into()])).unwrap(), None);
    let mut out = Vec::new();
    tokenizer.encode(Text::Bytes(b"\xff<a>\xfe<c"), &Allowed::All, &mut out).unwrap();
    assert_eq!(out, [0xff, 300, 0xfe, b'<'.into(), b'c'.into()]);
}

#[test]
fn ordinary_additions_are_always_found() {
    let added = AddedToken { special: false, normalized: true, ..AddedToken::special("  ", 256) };
    let tokenizer = with_added(vec![added]);
    assert_eq!(ids(&tokenizer, "a   b"), [97, 256, 32, 98]);
}

#[test]
fn files_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    for pattern in [None, Some("gpt2"), Some("cl100k"), Some("o200k"), Some(r"\w+|\s")] {
        let options =
            TrainOptions { special_tokens: vec!["<|endoftext|>".into()], ..options(300, pattern) };
        let tokenizer = train(&["low lower lowest newer wider\n\nlow"], options);
        let bytes = json::write(&tokenizer).unwrap();
        let again = json::parse(&bytes, Path::new("x")).unwrap();
        assert!(again == tokenizer, "{pattern:?}");
        assert_eq!(again.fingerprint(), tokenizer.fingerprint());
        assert_eq!(json::write(&again).unwrap(), bytes);
        let path = dir.path().join("x.tiktoken");
        std::fs::write(&path, rank_file::write_tiktoken(&tokenizer).unwrap()).unwrap();
        let ranks =
            rank_file::read_tiktoken(&path, pattern, vec![special("<|endoftext|>", 0)]).unwrap();
        assert_eq!(ranks.merges().as_slice(), tokenizer.merges().as_slice());
        assert_eq!(ids(&ranks, "lowest of the low"), ids(&tokenizer, "lowest of the low"));
    }
}

#[test]
fn merges_of_another_vocabulary_are_refused() {
    let tokens: Vec<_> =
        (0..=255u8).map(|b| (b.into(), vec![b])).chain([(256, b"ab".to_vec())]).collect();
    let new = |merges| {
        Tokenizer::new(Parts { tokens: tokens.clone(), merges: Some(merges), ..Parts::default() })
    };
    let merge = Merge { left: 97, right: 98, token: 256 };
    assert!(new(vec![merge]).is_ok());
    assert!(new(vec![merge, merge]).unwrap_err().to_string().contains("only once"));
    for wrong in
        [Merge { left: 98, ..merge }, Merge { right: 999, ..merge }, Merge { token: 97, ..merge }]
    {
        assert!(new(vec![wrong]).unwrap_err().to_string().contains("joined bytes"), "{wrong:?}");
    }
}

#[test]
fn long_pieces_do_not_blow_up() {
    let tokenizer = train(&["aaaaaaaaaaaaaaaa", "abababab", "    "], options(270, None));
    for unit in ["a", "ab", " ", "abcdefg"] {
        let text = unit.repeat((1 << 20) / unit.len());
        assert_eq!(tokenizer.decode(&ids(&tokenizer, &text)).unwrap(), text.as_bytes());
    }
}

#[test]
fn bad_json_is_named() {
    let tokenizer = train(&["low lower"], options(260, Some("gpt2")));
    let good: serde_json::Value =
        serde_json::from_slice(&json::write(&tokenizer).unwrap()).unwrap();
    let cases = [
        ("/model/type", r#""WordPiece""#, "WordPiece"),
        ("/model/byte_fallback", "true", "byte_fallback"),
        ("/model/dropout", "0.5", "dropout"),
        ("/model/vocab", "[]", "vocab"),
        ("/model/vocab", "{}", "not in the vocabulary"),
        ("/model/merges", r#"["a"]"#, "a merge"),
        ("/model/merges", r#"[["a","b","c"]]"#, "a pair"),
        ("/normalizer", r#"{"type":"BertNormalizer"}"#, "BertNormalizer"),
        ("/normalizer", r#"{"type":"Replace","pattern":{"Regex":"("},"content":""}"#, "\"(\""),
        ("/normalizer", r#"{"type":"Prepend"}"#, "prepend"),
        ("/pre_tokenizer", r#"{"type":"Metaspace"}"#, "Metaspace"),
        ("/pre_tokenizer", "null", "ByteLevel"),
        ("/pre_tokenizer", r#"{"type":"Digits"}"#, "Digits"),
        (
            "/pre_tokenizer",
            r#"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"ByteLevel"}]}"#,
            "twice",
        ),
        (
            "/pre_tokenizer",
            r#"{"type":"Sequence","pretokenizers":[{"type":"Metaspace"},{"type":"ByteLevel"}]}"#,
            "Metaspace",
        ),
        (
            "/pre_tokenizer",
            r#"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?x)a"},"behavior":"Isolated"},{"type":"ByteLevel"}]}"#,
            "(?x)",
        ),
        (
            "/pre_tokenizer",
            r#"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"String":"a"},"behavior":"Glued"},{"type":"ByteLevel"}]}"#,
            "Glued",
        ),
        ("/decoder", r#"{"type":"WordPiece"}"#, "WordPiece"),
        ("/added_tokens", r#"[{"id":1,"content":"<m>"}]"#, "tokenizers would give it 260"),
        ("/added_tokens", r#"[{"id":1,"content":"a"}]"#, "id 1"),
    ];
    for (pointer, value, named) in cases {
        let mut file = good.clone();
        *file.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
        let error = json::parse(file.to_string().as_bytes(), Path::new("some.json"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(named) && error.contains("some.json"), "{pointer}: {error}");
    }
    assert!(json::parse(b"{", Path::new("x")).is_err());
    assert_eq!(alphabet::to_text(b" a"), "Ġa");
}

#[test]
fn a_lock_that_is_never_free_again_stops_nobody() {
    // As in a process that was forked while another thread held it.
    let tokenizer = train(&["low lower lowest"], options(270, Some("gpt2")));
    let before = ids(&tokenizer, "lower");
    let held = tokenizer.workspaces.kept();
    assert!(held.is_some());
    assert_eq!(ids(&tokenizer, "lower"), before);
    drop(held);
    assert_eq!(ids(&tokenizer, "lower"), before);
}
