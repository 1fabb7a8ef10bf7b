//! The reader against the definition, round trips, and refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::super::{Model, Options, Smoothing, TextOptions, Words};
use crate::Result;
use crate::progress::Silent;

fn read(text: &str) -> Result<(Model, Vec<String>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.arpa");
    std::fs::write(&path, text).unwrap();
    Model::from_arpa(&path, &Silent)
}

fn write(model: &Model, tokens: Option<&Words>) -> Result<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.arpa");
    model.to_arpa(&path, tokens, &Silent)?;
    Ok(std::fs::read_to_string(&path).unwrap())
}

/// A file by its definition: what it lists.
type Listed = BTreeMap<Vec<String>, (f32, f32)>;

/// log₁₀ p(w|h).
fn naive(listed: &Listed, context: &[String], word: &str) -> f64 {
    let mut ngram = context.to_vec();
    ngram.push(word.to_owned());
    match (listed.get(&ngram), context.split_first()) {
        (Some((logprob, _)), _) => f64::from(*logprob),
        (None, Some((_, shorter))) => {
            let weight = listed.get(context).map_or(0.0, |(_, backoff)| f64::from(*backoff));
            weight + naive(listed, shorter, word)
        }
        (None, None) => unreachable!("every word is a unigram"),
    }
}

fn text(listed: &Listed, order: usize, reversed: bool) -> String {
    let mut out = "made by hand\n\\data\\\n".to_owned();
    let of = |k: usize| listed.iter().filter(move |(ngram, _)| ngram.len() == k);
    for k in 1..=order {
        out += &format!("ngram {k}={}\n", of(k).count());
    }
    for k in 1..=order {
        out += &format!("\n\\{k}-grams:\n");
        let mut lines: Vec<String> = of(k)
            .map(|(ngram, (logprob, backoff))| {
                let weight = match k < order && *backoff != 0.0 {
                    true => format!("\t{backoff}"),
                    false => String::new(),
                };
                format!("{logprob}\t{}{weight}\r\n", ngram.join(" "))
            })
            .collect();
        if reversed {
            lines.reverse();
        }
        out += &lines.concat();
    }
    out + "\n\\end\\\n"
}

fn files() -> impl Strategy<Value = (Listed, usize)> {
    let words = ["<s>", "</s>", "<unk>", "a", "b"];
    // So that no product of a weight and a value is above 1.
    let value = (-3.0f32..-0.5, -1.0f32..0.1);
    let unigrams = prop::collection::vec(value.clone(), 5);
    let ids = prop::collection::vec(0usize..5, 2..5);
    let longer = prop::collection::vec((ids, value), 0..40);
    (unigrams, longer, 1usize..5).prop_map(move |(unigrams, longer, order)| {
        let mut listed = Listed::new();
        for (word, value) in words.iter().zip(unigrams) {
            listed.insert(vec![(*word).to_owned()], value);
        }
        for (ids, value) in longer {
            let inside = |&id: &usize| id != 0 && id != 1;
            let (first, last) = (ids[0], ids[ids.len() - 1]);
            let middle = ids[1..ids.len() - 1].iter().all(inside);
            if ids.len() <= order && middle && first != 1 && last != 0 {
                listed.insert(ids.iter().map(|&id| words[id].to_owned()).collect(), value);
            }
        }
        (listed, order)
    })
}

proptest! {
    #[test]
    fn scores_are_those_of_the_definition(
        (listed, order) in files(), reversed: bool,
        sentence in prop::collection::vec(0usize..3, 0..8)
    ) {
        let (model, notes) = read(&text(&listed, order, reversed)).unwrap();
        prop_assert!(notes.iter().all(|note| note.contains("were added")), "{notes:?}");
        prop_assert_eq!(model.order(), order);
        let words = sentence.iter().map(|&i| ["a", "b", "<unk>"][i].to_owned());
        let words: Vec<String> = words.chain(["</s>".to_owned()]).collect();
        let scores = model.score_words(words[..words.len() - 1].join(" ").as_bytes()).unwrap();
        prop_assert_eq!(scores.len(), words.len());
        let mut context = vec!["<s>".to_owned()];
        for (word, score) in words.into_iter().zip(scores) {
            let from = context.len().saturating_sub(order - 1);
            let expected = naive(&listed, &context[from..], &word);
            let log10 = score / std::f64::consts::LN_10;
            prop_assert!((log10 - expected).abs() < 1e-5, "{log10} {expected}");
            context.push(word);
        }
        // What is listed is closed: for each n-gram, its context and its suffix.
        let (again, notes) = read(&write(&model, None).unwrap()).unwrap();
        prop_assert!(notes.is_empty(), "{notes:?}");
        prop_assert_eq!(again.num_ngrams(), model.num_ngrams());
    }

    #[test]
    fn a_written_model_is_read_again(
        tokens in prop::collection::vec(0u32..6, 1..80), order in 1usize..5, separated: bool,
        kind in 0usize..3
    ) {
        let mut options = Options::new(order, 6);
        options.document_separator = separated.then_some(5);
        let kinds = [Smoothing::ModifiedKneserNey, Smoothing::WittenBell,
            Smoothing::NormalizedStupidBackoff];
        options.smoothing = kinds[kind];
        let model = Model::train(&tokens, &options, &Silent).unwrap();
        let (read, notes) = read(&write(&model, None).unwrap()).unwrap();
        prop_assert!(notes.is_empty(), "{notes:?}");
        let words = read.words().unwrap().unwrap();
        let ids: Vec<u32> = tokens.iter().map(|id| match Some(*id) == options.document_separator {
            true => 1,
            false => words.find(id.to_string().as_bytes()).unwrap(),
        }).collect();
        let mut expected = vec![0.0f64; ids.len()];
        let mut scores = expected.clone();
        model.score(&tokens, &mut expected).unwrap();
        read.score(&ids, &mut scores).unwrap();
        for (score, expected) in scores.iter().zip(expected) {
            prop_assert!((score - expected).abs() < 1e-5, "{score} {expected}");
        }
    }
}

const GOOD: &str = "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1 <unk>\n0 <s> -0.5\n-1 </s>\n\
                    -1 a -0.25\n\n\\2-grams:\n-0.5 <s> a\n-0.5 a </s>\n\n\\end\\\n";

#[test]
fn what_other_tools_leave_out_is_noted() {
    assert!(read(GOOD).unwrap().1.is_empty());
    let without = |line: &str, number: usize| {
        let text = GOOD.replace(line, "").replace("1=4", &format!("1={number}"));
        read(&text).unwrap().1
    };
    assert!(without("-1 <unk>\n", 3)[0].contains("<unk>"));
    assert!(without("0 <s> -0.5\n", 3)[0].contains("<s>"));
    assert!(without("-1 </s>\n", 3)[0].contains("</s>"));
    let inside = GOOD.replace("-0.5 a </s>\n", "-0.5 </s> a\n");
    let (model, notes) = read(&inside).unwrap();
    assert!(notes[0].contains("1 n-grams were left out"));
    assert_eq!(model.num_ngrams(), [2, 1]);
    let loose = GOOD.replace(' ', " \t ").replace('\n', "  \r\n\r\n").replace("=", " = ");
    let scores = |text: &str| read(text).unwrap().0.score_words(b"a b").unwrap();
    assert_eq!(scores(&loose), scores(GOOD));
    assert_eq!(scores(&format!("a note\n\n{GOOD}\n\n")), scores(GOOD));
}

#[test]
fn each_fault_is_named_with_its_line() {
    let cases = [
        ("\\data\\", "\\date\\", 16, "no \\data\\"),
        ("ngram 1=4", "ngram 1=x", 2, "no \"ngram"),
        ("ngram 1=4", "ngram 1=-4", 2, "no \"ngram"),
        ("ngram 1=4", "ngram 2=4", 2, "order 1 is due"),
        ("ngram 1=4\nngram 2=2\n", "\n\n", 5, "counts no n-grams"),
        ("ngram 2=2", "ngram 3=2", 3, "order 2 is due"),
        ("1=4", "1=5", 11, "ends after 4 n-grams, line 2 says 5"),
        ("2=2", "2=99999999999999999", 15, "line 3 says 99999999999999999"),
        ("2=2", "2=99999999999999999999999", 3, "no \"ngram"),
        ("\\2-grams:", "\\3-grams:", 11, "\\2-grams: is due"),
        ("\\1-grams:", "\\2-grams:", 5, "\\1-grams: is due"),
        ("\\2-grams:", "\\end\\", 11, "\\2-grams: is due"),
        ("-1 a -0.25", "nan a -0.25", 9, "no finite number"),
        ("-1 a -0.25", "-inf a -0.25", 9, "no finite number"),
        ("-1 a -0.25", "-1 a nan", 9, "no finite number"),
        ("-1 a -0.25", "-1 a 3e38", 9, "beyond"),
        ("-1 a -0.25", "-1e39 a", 9, "no finite number"),
        ("-1 a -0.25", "-1 a x", 9, "no finite number"),
        ("-1 a -0.25", "1 a -0.25", 9, "above 0"),
        ("-1 a -0.25", "-1 a -0.25 1", 9, "after the n-gram"),
        ("-1 a -0.25", "-1", 9, "0 words where 1"),
        ("-1 a -0.25", "-1 <s>", 9, "twice"),
        ("-1 </s>", "-1 a", 9, "twice"),
        ("-1 </s>", "-1 <UNK>", 8, "twice"),
        ("-0.5 a </s>", "-0.5 <s> a", 13, "repeats the n-gram of line 12"),
        ("-0.5 a </s>", "\n-0.5 <s> a", 14, "repeats the n-gram of line 12"),
        ("-0.5 a </s>", "-0.5 a b", 13, "\"b\" is not among"),
        ("-0.5 a </s>", "0.5 a a", 13, "above 0"),
        ("-0.5 a </s>", "-0.5 a", 13, "1 words where 2"),
        ("-0.5 a </s>", "-0.5 a a -1", 13, "highest order"),
        ("-0.5 a </s>\n", "", 14, "ends after 1 n-grams"),
        ("\\end\\\n", "", 15, "truncated"),
        ("\\end\\\n", "\\end\\\nmore", 16, "after \\end\\"),
    ];
    for (from, to, line, what) in cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let message = read(&text).unwrap_err().to_string();
        let place = format!("line {line}: ");
        assert!(message.contains(&place) && message.contains(what), "{from} {to}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let many: String = (1..=9).map(|k| format!("ngram {k}=1\n")).collect();
    let message = read(&format!("\\data\\\n{many}")).unwrap_err().to_string();
    assert!(message.contains("line 10: order 9 is above 8"), "{message}");
    assert!(read("").unwrap_err().to_string().contains("line 1: no \\data\\"));
    for end in 0..GOOD.len() - 2 {
        assert!(read(&GOOD[..end]).is_err(), "{end}");
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let model = |smoothing| {
        let options = Options { smoothing, ..Options::new(2, 3) };
        Model::train(&[0u32, 1, 0, 2], &options, &Silent).unwrap()
    };
    for smoothing in [Smoothing::StupidBackoff, Smoothing::Additive { pseudocount: 1.0 }] {
        let message = write(&model(smoothing), None).unwrap_err().to_string();
        assert!(message.contains("an ARPA file cannot hold it"), "{message}");
    }
    let message = |tokens: &[&str]| {
        let tokens: Vec<String> = tokens.iter().map(|&token| token.to_owned()).collect();
        let words = Words::of_tokens(&tokens);
        let text = words.and_then(|words| write(&model(Smoothing::WittenBell), Some(&words)));
        text.map_or_else(|e| e.to_string(), |_| String::new())
    };
    assert_eq!(message(&["x", "y", "z"]), "");
    for tokens in [
        &["x", "y"][..],
        &["x", "y", "x"],
        &["x", "", "z"],
        &["x", "a b", "z"],
        &["x", "<s>", "z"],
        &["x", "<unk>", "z"],
    ] {
        assert_ne!(message(tokens), "", "{tokens:?}");
    }
}

#[test]
fn a_word_model_keeps_its_words_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "a b a c\na b\nb a b\n").unwrap();
    let train = |order| {
        let options = Options::new(order, 0);
        let paths = [text.clone()];
        Model::train_words(&paths, &TextOptions::default(), true, &options, &Silent).unwrap()
    };
    let model = train(2);
    let listed: BTreeSet<String> =
        write(&model, None).unwrap().lines().map(str::to_owned).collect();
    for line in [
        "-1\t<unk>\t0",
        "0\t<s>\t-0.17609125",
        "-0.6146491\ta\t-0.07918125",
        "ngram 2=7",
        "-0.6938304\ta b",
    ] {
        assert!(listed.contains(line), "{line} {listed:?}");
    }
    let path = dir.path().join("m.ngram");
    model.save(&path, None).unwrap();
    let loaded = Model::load(&path).unwrap();
    loaded.verify().unwrap();
    assert!(loaded.words().unwrap().unwrap().iter().eq(model.words().unwrap().unwrap().iter()));
    let sentence = b"a z \xff b <s>";
    assert_eq!(loaded.score_words(sentence).unwrap(), model.score_words(sentence).unwrap());
    let pruned = loaded.prune(0.5).unwrap();
    assert_eq!(pruned.words().unwrap().unwrap().len(), 5);
    let score = model.score_text(std::slice::from_ref(&text), &Silent).unwrap();
    assert_eq!((score.num_tokens, score.num_unknown, score.num_sentences), (12, 0, 3));
    let by_line: f64 = ["a b a c", "a b", "b a b"]
        .iter()
        .flat_map(|line| model.score_words(line.as_bytes()).unwrap())
        .sum();
    assert!((score.logprob - by_line).abs() < 1e-9);
    let tokens = Model::train(&[0u32, 1], &Options::new(2, 2), &Silent).unwrap();
    assert!(tokens.score_words(b"a").unwrap_err().to_string().contains("knows no words"));
    assert!(Model::from_arpa(Path::new("/no/such/file"), &Silent).is_err());
}
