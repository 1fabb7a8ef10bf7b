//! A text in parts, from a file or not, against the same text in one.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::select;

use super::super::train::{TrainOptions, Trainer};
use super::super::{AddedToken, Allowed, Normalization, Parts, Text, Tokenizer};
use super::{OnError, StreamEncoder, TextReader};
use crate::progress::Silent;

const PATTERNS: [Option<&str>; 5] =
    [Some("gpt2"), Some("cl100k"), Some("o200k"), None, Some(r"\w+|\s+(?!\S)")];

/// A trained vocabulary with tokens of every kind added.
fn tokenizer(pattern: Option<&str>, normalization: Vec<Normalization>) -> Arc<Tokenizer> {
    let options = TrainOptions {
        vocab_size: 340,
        pattern: pattern.map(Into::into),
        num_threads: 1,
        ..Default::default()
    };
    let trainer = Trainer::new(options).unwrap();
    let counter = trainer.counter();
    counter
        .add(&["the cat sat on the mat, don't 1234 1234 \n\n the  end!!\n caf\u{e9} ((("])
        .unwrap();
    let trained = trainer.finish(counter.finish().unwrap(), &Silent).unwrap();
    let added = [("<a>", true, false), ("<a><b>", true, false), ("<é>", true, false)]
        .into_iter()
        .chain([("((", false, false), ("  ", false, true), ("é!", false, true)]);
    let added = added.zip(1000..).map(|((text, special, normalized), id)| AddedToken {
        text: text.into(),
        id,
        special,
        normalized,
        ..AddedToken::default()
    });
    let tokens = trained.vocabulary().iter().map(|(id, token)| (id, token.to_vec())).collect();
    let parts = Parts {
        tokens,
        merges: Some(trained.merges().as_slice().to_vec()),
        added: added.collect(),
        pattern: pattern.map(Into::into),
        normalization,
        ..Parts::default()
    };
    Arc::new(Tokenizer::new(parts).unwrap())
}

static TOKENIZERS: LazyLock<Vec<Arc<Tokenizer>>> = LazyLock::new(|| {
    use Normalization::{Nfc, Nfd, Nfkc};
    let plain = PATTERNS.map(|pattern| tokenizer(pattern, vec![]));
    let forms = [vec![Nfc], vec![Nfkc], vec![Nfd, Nfc]];
    let normalizing = forms.map(|forms| tokenizer(Some("cl100k"), forms));
    plain.into_iter().chain(normalizing).collect()
});

/// The ids, and the most bytes that waited.
fn in_parts<'b>(
    encoder: &mut StreamEncoder,
    parts: impl IntoIterator<Item = &'b [u8]>,
) -> crate::Result<(Vec<u32>, usize)> {
    let (mut ids, mut waiting) = (Vec::new(), 0);
    for part in parts {
        encoder.push(part, &mut ids)?;
        waiting = waiting.max(encoder.waiting());
    }
    encoder.finish(&mut ids)?;
    assert_eq!(encoder.waiting(), 0);
    Ok((ids, waiting))
}

fn encoder(tokenizer: &Arc<Tokenizer>, allowed: &Allowed, on_error: OnError) -> StreamEncoder {
    StreamEncoder::new(Arc::clone(tokenizer), allowed, &[], on_error, "the pipe").unwrap()
}

fn allowed() -> impl Strategy<Value = Allowed> {
    select(vec![Allowed::None, Allowed::All, Allowed::Some(vec!["<a>".into(), "<é>".into()])])
}

fn text() -> impl Strategy<Value = String> {
    let hard = vec![
        "a",
        "the ",
        "THE",
        "'s",
        "'",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "1",
        "1234",
        "!",
        "!!",
        "/",
        "((",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{1100}\u{1161}",
        "\u{11a8}",
        "\u{344}",
        "ﬁ",
        "中",
        "。",
        "😀",
        "<a>",
        "<a><b>",
        "<",
        "<é>",
        "é!",
        "e\u{301}!",
        "ſ",
    ];
    prop::collection::vec(select(hard), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_parts_give_the_ids_of_the_whole(
        text in text(),
        repeat in select(vec![1usize, 1, 1, 900]),
        sizes in prop::collection::vec(1..9usize, 1..5),
        scale in select(vec![1usize, 1, 1000]),
        allowed in allowed(),
    ) {
        let text = text.repeat(repeat);
        // A long text in tiny parts says no more than a short one, and takes long.
        let scale = if repeat > 1 { 1000 } else { scale };
        for tokenizer in TOKENIZERS.iter() {
            let mut whole = Vec::new();
            tokenizer.encode(Text::Str(&text), &allowed, &mut whole).unwrap();
            let mut rest = text.as_bytes();
            let mut sizes = sizes.iter().cycle();
            let parts = std::iter::from_fn(|| {
                let size = (sizes.next().unwrap() * scale).min(rest.len());
                let (part, after) = rest.split_at(size);
                rest = after;
                (size > 0).then_some(part)
            });
            let mut encoder = encoder(tokenizer, &allowed, OnError::Strict);
            let (ids, _) = in_parts(&mut encoder, parts).unwrap();
            prop_assert_eq!(&ids, &whole);
            // And the encoder is as new.
            prop_assert_eq!(&in_parts(&mut encoder, [text.as_bytes()]).unwrap().0, &whole);
        }
    }

    #[test]
    fn bytes_that_are_no_text(
        bytes in prop::collection::vec(select(b"a \xff\xe2\x82\xac\xf0\x9f\x98\x80<a>".to_vec()), 0..40),
        size in 1..5usize,
    ) {
        let tokenizer = &TOKENIZERS[1];
        for on_error in [OnError::Replace, OnError::Skip, OnError::Strict] {
            let mut encoder = encoder(tokenizer, &Allowed::All, on_error);
            let ids = in_parts(&mut encoder, bytes.chunks(size));
            match (on_error.decode(&bytes, "the pipe"), ids) {
                (Ok(text), Ok((ids, _))) => {
                    let mut whole = Vec::new();
                    tokenizer.encode(Text::Str(&text), &Allowed::All, &mut whole).unwrap();
                    prop_assert_eq!(ids, whole);
                }
                (Err(one), Err(other)) => prop_assert_eq!(one.to_string(), other.to_string()),
                (one, other) => prop_assert!(false, "{:?} {:?}", one, other),
            }
        }
    }
}

#[test]
fn what_may_not_occur_is_found_across_parts() {
    let tokenizer = &TOKENIZERS[0];
    for size in 1..8 {
        let mut encoder = StreamEncoder::new(
            Arc::clone(tokenizer),
            &Allowed::None,
            &["<a>".into(), "zz zz".into()],
            OnError::Strict,
            "x",
        )
        .unwrap();
        assert!(in_parts(&mut encoder, b"a <a zz<b> z z".chunks(size)).is_ok());
        let error = in_parts(&mut encoder, b"one zz zz two".chunks(size)).unwrap_err().to_string();
        assert!(error.contains("\"zz zz\""), "{error}");
        let error = in_parts(&mut encoder, [&b"x"[..]]).unwrap_err().to_string();
        assert!(error.contains("failed before"), "{error}");
    }
}

#[test]
fn memory_is_bounded_where_text_can_be_cut() {
    let long: Vec<(&str, &[usize])> = vec![
        ("to be, or not to be\n", &[0, 1, 2]),
        ("中文。", &[0, 1, 2]),
        ("don't ", &[0, 1, 2]),
        ("!!! ", &[0, 1, 2]),
        ("-----\n", &[0, 1, 2]),
        ("\u{915}\u{93f} ", &[0, 1, 2]),
        ("1234567890", &[1, 2]), // one piece in GPT-2
        ("\n!", &[0, 1, 2]),
        ("a1b2", &[0, 1, 2]),
        ("😀\t", &[0, 1, 2]),
    ];
    for (unit, tokenizers) in long {
        let part = unit.repeat(20_000 / unit.len());
        for &i in tokenizers {
            let mut encoder = encoder(&TOKENIZERS[i], &Allowed::All, OnError::Strict);
            let parts = std::iter::repeat_n(part.as_bytes(), 50);
            let (ids, waiting) = in_parts(&mut encoder, parts).unwrap();
            assert!(!ids.is_empty());
            assert!(waiting < 1 << 14, "{unit:?} with {:?}: {waiting}", PATTERNS[i]);
        }
    }
    // A single piece is needed whole; no more than that waits, and the search stays linear.
    for unit in ["a", " ", "!"] {
        let mut encoder = encoder(&TOKENIZERS[1], &Allowed::None, OnError::Strict);
        let parts = std::iter::repeat_n(unit.as_bytes(), 1 << 18);
        let (_, waiting) = in_parts(&mut encoder, parts).unwrap();
        assert!(waiting <= 1 << 18, "{waiting}");
    }
}

#[test]
fn invalid_bytes() {
    let bytes = b"a\xffb\xe2\x82c\xe2\x82";
    assert_eq!(OnError::Replace.decode(bytes, "x").unwrap(), String::from_utf8_lossy(bytes));
    assert_eq!(OnError::Skip.decode(bytes, "x").unwrap(), "abc");
    let error = OnError::Strict.decode(bytes, "text 3").unwrap_err().to_string();
    assert!(error.starts_with("text 3 is not UTF-8 at byte 1;"), "{error}");
    let error = OnError::Strict.decode(b"ab\xe2\x82", "x").unwrap_err().to_string();
    assert!(error.contains("byte 2"), "{error}");
    assert!(OnError::parse("ignore").is_err());
}

#[test]
fn chunks_join_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let bytes: Vec<u8> = "aé中😀\n".bytes().cycle().take(1000).chain([0xff]).collect();
    std::fs::write(&path, &bytes).unwrap();
    for chunk in [1, 2, 3, 5, 999, 2000] {
        let mut reader = TextReader::open(&path, OnError::Replace, chunk).unwrap();
        let mut joined = String::new();
        while let Some(part) = reader.next(|text| Ok(text.find('\n').unwrap_or(0))).unwrap() {
            joined.push_str(&part);
        }
        assert_eq!(joined, String::from_utf8_lossy(&bytes), "{chunk}");
        assert_eq!(reader.position(), reader.size());
    }
}
