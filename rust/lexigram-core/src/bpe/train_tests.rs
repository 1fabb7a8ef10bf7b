//! Training against its definition: greedy, resumed, in memory that is limited.

use std::sync::Arc;

use proptest::prelude::*;

use super::stream::{OnError, TextReader};
use super::tests::{ids, options, special, train, word};
use super::train::{TrainOptions, Trainer};
use super::{Parts, PieceCounts, Tokenizer, json, naive};
use crate::progress::Silent;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn training_is_greedy(
        texts in prop::collection::vec(word(), 1..8),
        num_merges in 0..60usize,
        min_frequency in 0..4u64,
        threads in 1..4usize,
    ) {
        prop_assume!(texts.iter().any(|text| !text.is_empty()));
        let special = "<|x|>";
        let options = TrainOptions {
            special_tokens: vec![special.into()],
            num_threads: threads,
            min_frequency,
            ..options(257 + num_merges, Some("gpt2"))
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokenizer = train(&texts, options);
        let mut words = Vec::new();
        for text in texts {
            for piece in tokenizer.pretokenizer().split(text).unwrap() {
                let piece = text[piece].bytes();
                words.push((piece.map(|byte| tokenizer.byte_ids()[byte as usize]).collect(), 1));
            }
        }
        let slow = naive::train(&words, 257, num_merges, min_frequency);
        prop_assert_eq!(tokenizer.merges().as_slice(), &slow[..]);
        prop_assert_eq!(tokenizer.special_id(special), Some(0));
    }

    #[test]
    fn training_may_go_on(
        texts in prop::collection::vec(word(), 1..8),
        first in 0..30usize,
        second in 0..30usize,
    ) {
        prop_assume!(texts.iter().any(|text| !text.is_empty()));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let options = |merges: usize| TrainOptions {
            special_tokens: vec!["<|x|>".into()],
            ..options(257 + merges, Some("gpt2"))
        };
        let base = train(&texts, options(first));
        let made = base.merges().as_slice().len();
        let on = TrainOptions { special_tokens: vec![], base: Some(Arc::new(base)), ..options(made + second) };
        let on = train(&texts, on);
        // On the same text it is as if it had never stopped.
        prop_assert_eq!(&on, &train(&texts, options(made + second)));
    }
}

/// Words drawn from a few hundred random ones, so that there are many pairs, most of them rare: the
/// learner keeps some of them only, and counts again when it runs out.
#[test]
fn rare_pairs_come_back_when_they_are_needed() {
    let mut state = 7u64;
    let mut random = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let words: Vec<(Vec<u8>, u64)> = (0..600)
        .map(|i| ((0..3 + random(9)).map(|_| random(256) as u8).collect(), 1 + 4000 / (1 + i)))
        .collect();
    let options = |vocab_size| TrainOptions { special_tokens: vec![], ..options(vocab_size, None) };
    for vocab_size in [256 + 1500, 70_000] {
        let trained = Trainer::new(options(vocab_size)).unwrap();
        let trained =
            trained.finish(PieceCounts::of(words.iter().cloned()).unwrap(), &Silent).unwrap();
        let ids =
            |word: &[u8]| word.iter().map(|&byte| trained.byte_ids()[byte as usize]).collect();
        let slow: Vec<_> = words.iter().map(|(word, count)| (ids(word), *count)).collect();
        let merges = trained.merges().as_slice();
        assert!(merges.len() >= 1500);
        assert_eq!(merges[..1500], naive::train(&slow, 256, 1500, 1)[..]);
    }
}

#[test]
fn going_on_keeps_ids_and_adds_special_tokens() {
    let base = rank_base();
    let text = "low lower lowest new newer newest";
    let options = TrainOptions {
        special_tokens: vec!["<|end|>".into()],
        base: Some(Arc::new(base)),
        ..options(270, Some("cl100k"))
    };
    let on = train(&[text], options.clone());
    assert_eq!(on.special_id("<|end|>"), Some(260));
    assert_eq!(on.pretokenizer().name(), Some("gpt2"));
    assert!(on.whole_pieces() && on.merges().as_slice().len() > 2);
    let base = options.base.clone().unwrap();
    for id in 0..260 {
        assert_eq!(on.vocabulary().token(id), base.vocabulary().token(id));
    }
    assert_eq!(on.decode(&ids(&on, text)).unwrap(), text.as_bytes());
    let small = TrainOptions { vocab_size: 260, ..options };
    let error = Trainer::new(small).err().unwrap().to_string();
    assert!(error.contains("vocab_size = 260") && error.contains("261"), "{error}");
}

#[test]
fn what_cannot_go_on_is_refused() {
    let base = Arc::new(rank_base());
    let on = |special_tokens: &[&str], vocab_size| TrainOptions {
        special_tokens: special_tokens.iter().map(|&text| text.into()).collect(),
        base: Some(Arc::clone(&base)),
        ..options(vocab_size, None)
    };
    let error = Trainer::new(on(&["low"], 300)).err().unwrap().to_string();
    assert!(error.contains("ordinary token of the base"), "{error}");
    let trainer = Trainer::new(on(&[], 300)).unwrap();
    let pieces = PieceCounts::of([(b"xnewxnewx", 5)]).unwrap();
    let error = trainer.finish(pieces, &Silent).err().unwrap().to_string();
    assert!(error.contains("\"new\"") && error.contains("258"), "{error}");
}

/// The bytes as ids, "lo", "low", an unreachable "new", and a special token.
fn rank_base() -> Tokenizer {
    let mut tokens: Vec<_> = (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect();
    tokens.extend([(256, b"lo".to_vec()), (257, b"low".to_vec()), (258, b"new".to_vec())]);
    let added = vec![special("<|x|>", 259)];
    let pattern = Some("gpt2".into());
    Tokenizer::new(Parts { tokens, added, pattern, whole_pieces: true, ..Parts::default() })
        .unwrap()
}

#[test]
fn memory_of_counted_pieces_is_limited() {
    let trainer = Trainer::new(TrainOptions { memory_limit: 20_000, ..options(300, Some("gpt2")) });
    let trainer = trainer.unwrap();
    let counter = trainer.counter();
    counter.add(&["a few words"]).unwrap();
    let many: String = (0..10_000).map(|i| format!(" {i}x")).collect();
    let error = counter.add(&[&many]).unwrap_err().to_string();
    assert!(error.contains("memory_limit = 20000") && error.contains("distinct pieces"), "{error}");
}

#[test]
fn training_refuses_what_cannot_be() {
    let refused = |options: TrainOptions| Trainer::new(options).err().unwrap().to_string();
    assert!(refused(options(255, None)).contains("256 bytes + 0 special tokens = 256"));
    let specials = |texts: &[&str]| TrainOptions {
        special_tokens: texts.iter().map(|&t| t.into()).collect(),
        ..options(300, None)
    };
    assert!(refused(specials(&["<a>", "<a>"])).contains("twice"));
    assert!(refused(specials(&[""])).contains("empty"));
    assert!(refused(specials(&["a"])).contains("byte"));
    let trainer = Trainer::new(specials(&["ab"])).unwrap();
    assert!(
        trainer.finish(PieceCounts::default(), &Silent).unwrap_err().to_string().contains("empty")
    );
    let counter = trainer.counter();
    counter.add(&["xyxyxyab"]).unwrap();
    // "ab" is cut out of the text, so it cannot arise.
    let tokenizer = trainer.finish(counter.finish().unwrap(), &Silent).unwrap();
    assert!(json::write(&tokenizer).is_ok());
    let words = PieceCounts::of([(b"abab", 1)]).unwrap();
    assert!(trainer.finish(words, &Silent).unwrap_err().to_string().contains("\"ab\""));
}

#[test]
fn a_file_in_chunks_counts_as_one_text() {
    // Specials that hold blanks, and text that a careless cut would split.
    let specials = ["<|end of text|>", "of text"];
    let options = TrainOptions {
        special_tokens: specials.map(Into::into).into(),
        ..options(300, Some("cl100k"))
    };
    let unit = "don't stop  now\n\n 12345 é中文。of text <|end of text|> x\n";
    let text = unit.repeat(50);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corpus.txt");
    std::fs::write(&path, &text).unwrap();
    let sorted = |counts: PieceCounts| {
        let mut sorted = counts.to_vec();
        sorted.sort();
        sorted
    };
    let trainer = Trainer::new(options).unwrap();
    let whole = trainer.counter();
    whole.add(&[&text]).unwrap();
    let whole = sorted(whole.finish().unwrap());
    for chunk in [1, 7, 64, 100, 4096] {
        let counter = trainer.counter();
        let mut reader = TextReader::open(&path, OnError::Strict, chunk).unwrap();
        while let Some(part) = reader.next(|text| trainer.cut_before(text)).unwrap() {
            counter.add(&[&part]).unwrap();
        }
        assert_eq!(sorted(counter.finish().unwrap()), whole, "chunks of {chunk}");
    }
}
