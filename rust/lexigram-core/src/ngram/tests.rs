//! The fast model against the oracle, on random and on repetitive streams.

use proptest::prelude::*;

use super::column::{Column, Place};
use super::count::{self, CountLevel, Counts, Plan};
use super::model::LevelView;
use super::naive::Naive;
use super::work::{Meter, Threads};
use super::{Model, Options, Smoothing};
use crate::progress::{Progress, Silent};
use crate::{Error, Result};

pub(super) fn stream() -> impl Strategy<Value = (Vec<u32>, usize)> {
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
    pub(super) fn case()(
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

/// Half the distance of neighbouring float32 numbers from 1 on.
const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// A score is a sum of numbers of one sign, each of them rounded to float32.
fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < ROUNDING * other.abs() + 1e-10 || one == other
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
                // Each ln p is off by at most its share, so the sum by the entropy's.
                // A discount can be 0, and then so can p: 0 ln 0 is 0.
                let possible = distribution.iter().filter(|logprob| logprob.is_finite());
                let entropy: f64 = possible.map(|logprob| -logprob * logprob.exp()).sum();
                let bound = ROUNDING * 1.000001 * entropy + 1e-12;
                prop_assert!((sum - 1.0).abs() < bound, "{} {}", sum, bound);
            }
        }
    }
}

/// Ids with the frequencies of language, from a linear congruential generator.
pub(super) fn zipf_stream(length: usize, vocab_size: u32) -> Vec<u32> {
    let mut state = 1u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..length).map(|_| (f64::from(vocab_size).powf(draw()) as u32) - 1).collect()
}

/// All that a model holds, as bits.
pub(super) fn bits(model: &Model) -> Vec<u64> {
    let levels = model.levels();
    let node = |level: &LevelView<'_>, i: usize| {
        let followers = level.followers(i);
        let places = [level.word(i) as usize, followers.start, followers.end];
        let numbers = [level.logprob(i).to_bits(), level.backoff(i).to_bits()];
        places.into_iter().map(|place| place as u64).chain(numbers).collect::<Vec<_>>()
    };
    levels.iter().flat_map(|level| (0..level.len()).flat_map(|i| node(level, i))).collect()
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
    for num_threads in [1, 3] {
        let mut again = vec![0.0f64; tokens.len()];
        model.score_batch(&tokens, &[0, 300_000], Some(num_threads), &mut again).unwrap();
        assert!(again == scores);
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
    // However little there is to do, and whether threads would be needed.
    for threads in [0, 1025] {
        let (offsets, threads) = ([0, 1], Some(threads));
        for asked in [
            model.score_batch(&[0u32], &offsets, threads, &mut [0.0f64]),
            model.order_used(&[0u32], &offsets, threads, &mut [0]),
            model.next_logprobs_batch(&[0], &offsets, threads, &mut [0.0f64; 2]),
        ] {
            assert!(asked.unwrap_err().to_string().contains("num_threads = "));
        }
    }
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
