//! The fast model against the oracle, on random and on repetitive streams.

use proptest::prelude::*;

use super::column::{Column, Place};
use super::count::{self, CountLevel, Counts, Plan};
use super::naive::Naive;
use super::work::{Meter, Threads};
use super::{Model, Options, Smoothing};
use crate::progress::{Progress, Silent};
use crate::{Error, Result};

fn stream() -> impl Strategy<Value = (Vec<u32>, usize)> {
    (1u32..7).prop_flat_map(|vocab_size| {
        let random = prop::collection::vec(0..vocab_size, 1..80);
        let repetitive = (prop::collection::vec(0..vocab_size, 1..6), 1usize..20)
            .prop_map(|(unit, times)| unit.repeat(times));
        (prop_oneof![random, repetitive], Just(vocab_size as usize + 1))
    })
}

fn smoothing() -> impl Strategy<Value = Smoothing> {
    prop_oneof![
        3 => Just(Smoothing::ModifiedKneserNey),
        1 => Just(Smoothing::WittenBell),
        1 => (0.01f64..3.0).prop_map(|pseudocount| Smoothing::Additive { pseudocount }),
        1 => Just(Smoothing::StupidBackoff),
    ]
}

prop_compose! {
    fn case()(
        (tokens, vocab_size) in stream(),
        order in 1usize..=5,
        smoothing in smoothing(),
        separated in any::<bool>(),
        prune in prop_oneof![
            2 => Just(vec![]), 1 => Just(vec![0, 1]), 1 => Just(vec![0, 0, 1, 2])
        ],
        query in prop::collection::vec(0u32..7, 0..12),
    ) -> (Vec<u32>, Options, Vec<u32>) {
        let mut options = Options::new(order, vocab_size);
        options.smoothing = smoothing;
        options.document_separator = separated.then_some(0);
        options.prune = prune;
        options.prune.truncate(order);
        let query = query.into_iter().map(|id| id % vocab_size as u32).collect();
        (tokens, options, query)
    }
}

/// All n-grams and their counts.
fn ngrams(counts: &Counts) -> Vec<(Vec<u32>, u32)> {
    fn walk(counts: &Counts, ngram: &mut Vec<u32>, node: usize, out: &mut Vec<(Vec<u32>, u32)>) {
        let level = &counts.levels[ngram.len() - 1];
        out.push((ngram.clone(), level.counts[node]));
        if let Some(next) = counts.levels.get(ngram.len()) {
            for child in level.children[node]..level.children[node + 1] {
                ngram.push(next.words[child as usize]);
                walk(counts, ngram, child as usize, out);
                ngram.pop();
            }
        }
    }
    let mut out = Vec::new();
    for id in 0..counts.vocab_size {
        walk(counts, &mut vec![id as u32], id, &mut out);
    }
    out.retain(|(_, count)| *count > 0);
    out.sort();
    out
}

fn parts_of(counts: Counts) -> Vec<[Vec<u32>; 3]> {
    let columns = |level: CountLevel| [level.words, level.counts, level.children];
    counts.levels.into_iter().map(|level| columns(level).map(Column::into_vec)).collect()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-10 || one == other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn equals_the_definition((tokens, options, query) in case()) {
        let naive = Naive::train(&tokens, &options);
        let model = Model::train(&tokens, &options, &Silent).unwrap();
        prop_assert_eq!(model.num_ngrams(), naive.num_ngrams());
        prop_assert_eq!(model.counts_of_counts(), naive.counts_of_counts());
        let both = [&tokens[..], &query[..]].concat();
        for ids in [&query, &tokens, &both] {
            let mut scores = vec![0.0f64; ids.len()];
            model.score(ids, &mut scores).unwrap();
            for (i, score) in scores.iter().enumerate() {
                let expected = naive.score(&ids[..i], ids[i]).ln();
                prop_assert!(close(*score, expected), "{i} of {ids:?}: {score} {expected}");
            }
        }
    }

    #[test]
    fn counts_are_what_stands_there((tokens, options, _) in case(), order in 1usize..=8, wide in any::<bool>()) {
        let mut options = Options { order, prune: vec![], ..options };
        if wide {
            options.vocab_size = 70_000; // keys of other words
        }
        let naive = Naive::train(&tokens, &options);
        let threads = Threads::new(Some(1)).unwrap();
        let mut meter = Meter::new(&Silent, &threads, 0);
        let counts = count::count(&tokens, &options, &mut meter).unwrap();
        prop_assert_eq!(ngrams(&counts), naive.ngrams());
        let expected = parts_of(counts);
        for most in [1, 2, 3, 7, 20] {
            for place in [Place::Memory, Place::Files] {
                let plan = Plan { most, threads: 2, place };
                let counts = count::count_by(plan, &tokens, &options, &mut meter).unwrap();
                prop_assert!(parts_of(counts) == expected, "{plan:?}");
            }
        }
    }

    #[test]
    fn the_distribution_is_what_score_says((tokens, options, query) in case()) {
        let model = Model::train(&tokens, &options, &Silent).unwrap();
        let both = [&tokens[..], &query[..]].concat();
        for context in [&[], &query[..], &tokens[..], &both[..]] {
            let mut distribution = vec![0.0f64; options.vocab_size];
            model.next_logprobs(context, &mut distribution).unwrap();
            for word in 0..options.vocab_size as u32 {
                let mut ids = context.to_vec();
                ids.push(word);
                let mut scores = vec![0.0f64; ids.len()];
                model.score(&ids, &mut scores).unwrap();
                prop_assert_eq!(distribution[word as usize], scores[context.len()]);
            }
            if options.smoothing != Smoothing::StupidBackoff {
                let sum: f64 = distribution.iter().map(|logprob| logprob.exp()).sum();
                prop_assert!((sum - 1.0).abs() < 1e-12, "{}", sum);
            }
        }
    }

    #[test]
    fn a_loaded_model_is_the_saved_one((tokens, options, query) in case()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.ngram");
        let mut model = Model::train(&tokens, &options, &Silent).unwrap();
        model.set_tokenizer(Some("{\"é\": 1}".into()));
        model.save(&path).unwrap();
        let loaded = Model::load(&path).unwrap();
        prop_assert_eq!(&loaded.description, &model.description);
        prop_assert_eq!(loaded.tokenizer(), model.tokenizer());
        let distribution = |model: &Model| {
            let mut logprobs = vec![0.0f64; options.vocab_size];
            model.next_logprobs(&query, &mut logprobs).unwrap();
            logprobs
        };
        prop_assert_eq!(distribution(&loaded), distribution(&model));
    }
}

/// Ids with the frequencies of language, from a linear congruential generator.
fn zipf_stream(length: usize, vocab_size: u32) -> Vec<u32> {
    let mut state = 1u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..length).map(|_| (f64::from(vocab_size).powf(draw()) as u32) - 1).collect()
}

fn bits(model: &Model) -> Vec<u64> {
    let levels = model.levels().unwrap();
    let floats = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    levels
        .iter()
        .flat_map(|level| {
            let ids = level.words.iter().chain(level.children).map(|&id| u64::from(id));
            ids.chain(floats(level.logprobs)).chain(floats(level.backoffs)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn neither_threads_nor_the_width_of_ids_change_a_bit() {
    // Long enough for several pieces in every stage.
    let tokens = zipf_stream(300_000, 500);
    let mut options = Options::new(4, 500);
    options.document_separator = Some(7);
    options.num_threads = Some(1);
    let one = bits(&Model::train(&tokens, &options, &Silent).unwrap());
    options.num_threads = Some(3);
    assert!(bits(&Model::train(&tokens, &options, &Silent).unwrap()) == one);
    options.num_threads = None;
    let narrow: Vec<u16> = tokens.iter().map(|&id| id as u16).collect();
    let model = Model::train(&narrow, &options, &Silent).unwrap();
    assert!(bits(&model) == one);
    // Scores in one call equal those of a call that begins in the middle of a chunk.
    let mut scores = vec![0.0f64; tokens.len()];
    model.score(&tokens, &mut scores).unwrap();
    let mut tail = vec![0.0f64; 200_000];
    model.score(&tokens[100_000..], &mut tail).unwrap();
    assert!(scores[100_003..] == tail[3..]);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.ngram");
    let model = Model::train(&[0u32, 1, 2, 0, 1], &Options::new(3, 3), &Silent).unwrap();
    model.save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            std::fs::write(&path, &bad).unwrap();
            assert!(Model::load(&path).is_err(), "bit {bit} of byte {at}");
        }
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(Model::load(&path).is_err(), "truncated to {at}");
    }
}

/// A model file with right checksums and the given sections.
fn write_file(path: &std::path::Path, sections: &[(&str, Vec<u8>)]) {
    let mut file = crate::format::FileWriter::create(path, *b"NGRM", 1, sections.len()).unwrap();
    for (tag, bytes) in sections {
        file.section(tag).unwrap();
        file.write(bytes).unwrap();
    }
    file.finish().unwrap();
}

fn sections(path: &std::path::Path) -> Vec<(&'static str, Vec<u8>)> {
    let file = crate::format::MappedFile::open(path, *b"NGRM", 1).unwrap();
    ["header", "words", "children", "logprobs", "backoffs", "tokenizer"]
        .map(|tag| (tag, file.section(tag).unwrap().to_vec()))
        .to_vec()
}

#[test]
fn a_hostile_file_with_right_checksums_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.ngram");
    let mut options = Options::new(3, 3);
    options.document_separator = Some(2);
    Model::train(&[0u32, 1, 2, 0, 1], &options, &Silent).unwrap().save(&path).unwrap();
    let good = sections(&path);
    let mut refused = 0;
    for section in 0..good.len() - 1 {
        for at in 0..good[section].1.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[section].1[at] = value;
                write_file(&path, &bad);
                match Model::load(&path) {
                    Ok(model) => {
                        let mut out = vec![0.0f64; model.vocab_size()];
                        for context in [&[][..], &[0], &[0, 1], &[2, 0]] {
                            model.next_logprobs(context, &mut out).unwrap();
                        }
                        model.score(&[0u32, 1, 2, 0], &mut [0.0f64; 4]).unwrap();
                    }
                    Err(Error::Corrupt { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(refused > 400, "{refused}");
    for section in 0..good.len() {
        for change in [-8i64, 8] {
            let mut bad = good.clone();
            let length = (bad[section].1.len() as i64 + change).max(0) as usize;
            bad[section].1.resize(length, 0xff);
            write_file(&path, &bad);
            if bad[section].1 != good[section].1 {
                assert!(Model::load(&path).is_err(), "{} {change}", good[section].0);
            }
        }
        let mut bad = good.clone();
        bad.remove(section);
        write_file(&path, &bad);
        assert!(Model::load(&path).is_err(), "without {}", good[section].0);
    }
}

#[test]
fn bad_arguments_are_named() {
    let message = |tokens: &[u32], options: &Options| {
        Model::train(tokens, options, &Silent).unwrap_err().to_string()
    };
    let good = Options::new(3, 4);
    assert!(message(&[], &good).contains("empty"));
    assert!(message(&[0, 4], &good).contains("token id 4 at position 1"));
    assert!(message(&[0], &Options::new(0, 4)).contains("order = 0"));
    assert!(message(&[0], &Options::new(9, 4)).contains("order = 9"));
    assert!(message(&[0], &Options::new(3, 0)).contains("vocab_size = 0"));
    assert!(message(&[0], &Options::new(3, 1 << 30)).contains("16777216"));
    let separator = Options { document_separator: Some(4), ..good.clone() };
    assert!(message(&[0], &separator).contains("document_separator = 4"));
    for prune in [vec![1], vec![0, 2, 1], vec![0, 0, 0, 0]] {
        assert!(message(&[0], &Options { prune, ..good.clone() }).contains("prune"));
    }
    for pseudocount in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let smoothing = Smoothing::Additive { pseudocount };
        assert!(message(&[0], &Options { smoothing, ..good.clone() }).contains("pseudocount"));
    }
    assert!(message(&[0], &Options { num_threads: Some(0), ..good }).contains("num_threads"));
    let model = Model::train(&[0u32, 1], &Options::new(2, 2), &Silent).unwrap();
    assert!(matches!(
        model.score(&[0u32, 2], &mut [0.0f64; 2]),
        Err(Error::TokenId { id: 2, position: 1, vocab_size: 2 })
    ));
    assert!(model.next_logprobs(&[2], &mut [0.0f64; 2]).is_err());
}

#[test]
fn progress_rises_to_its_total_and_may_interrupt() {
    struct Watch(std::cell::RefCell<Vec<(u64, u64)>>, usize);
    impl Progress for Watch {
        fn report(&self, done: u64, total: u64) -> Result<()> {
            let mut seen = self.0.borrow_mut();
            seen.push((done, total));
            if seen.len() > self.1 { Err(Error::Interrupted) } else { Ok(()) }
        }
    }
    let tokens = zipf_stream(50_000, 100);
    for smoothing in [Smoothing::ModifiedKneserNey, Smoothing::StupidBackoff] {
        let options = Options { smoothing, ..Options::new(3, 100) };
        let watch = Watch(Vec::new().into(), usize::MAX);
        Model::train(&tokens, &options, &watch).unwrap();
        let seen = watch.0.into_inner();
        assert!(seen.is_sorted() && seen.iter().all(|&(_, total)| total == 350_000));
        assert_eq!(seen.last(), Some(&(350_000, 350_000)));
        for stop in 0..seen.len() {
            let watch = Watch(Vec::new().into(), stop);
            let ended = Model::train(&tokens, &options, &watch);
            assert!(matches!(ended, Err(Error::Interrupted)));
        }
    }
}
