//! The paths of a query against the plain walk, and what is stored against what was.

use proptest::prelude::*;

use super::model::{Description, Level};
use super::naive_query::NaiveQuery;
use super::tests::{bits, case, zipf_stream};
use super::{Model, Options, Smoothing};
use crate::progress::Silent;

/// Whatever the model is asked, it says what the plain walk says, to the last bit.
fn equals_the_plain_walk(model: &Model, ids: &[u32], cuts: &[usize]) {
    let naive = NaiveQuery::new(model);
    let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut % (ids.len() + 1)).collect();
    offsets.extend([0, ids.len()]);
    offsets.sort_unstable();
    let mut expected = Vec::new();
    for pair in offsets.windows(2) {
        expected.extend((pair[0]..pair[1]).map(|i| naive.score(&ids[pair[0]..=i])));
    }
    let mut scores = vec![0.0f64; ids.len()];
    let mut orders = vec![9; ids.len()];
    model.score_batch(ids, &offsets, None, &mut scores).unwrap();
    model.order_used(ids, &offsets, Some(1), &mut orders).unwrap();
    for (i, &(score, order)) in expected.iter().enumerate() {
        assert_eq!(scores[i].to_bits(), score.to_bits(), "{i} of {ids:?}, {offsets:?}");
        assert_eq!(orders[i], order);
    }
    let rows = offsets.len() - 1;
    let mut rounded = vec![0.0f32; rows * model.vocab_size()];
    model.next_logprobs_batch(ids, &offsets, None, &mut rounded).unwrap();
    for (pair, row) in offsets.windows(2).zip(rounded.chunks(model.vocab_size())) {
        for (id, &logprob) in (0..).zip(row) {
            let score = naive.score(&[&ids[pair[0]..pair[1]], &[id]].concat()).0;
            assert_eq!((score as f32).to_bits(), logprob.to_bits());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_path_is_the_plain_walk(
        (tokens, options, query) in case(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        wide in any::<bool>(),
        quantize in prop::option::of(2u32..=16),
    ) {
        let options = Options { vocab_size: if wide { 70_000 } else { options.vocab_size }, ..options };
        // Ids from both ends of the vocabulary.
        let spread = |&id: &u32| if wide && id > 1 { 70_000 - id } else { id };
        let tokens: Vec<u32> = tokens.iter().map(spread).collect();
        let both = [&tokens[..], &query.iter().map(spread).collect::<Vec<_>>()].concat();
        let mut model = Model::train(&tokens, &options, &Silent).unwrap();
        model.set_tokenizer(Some("{\"é\": 1}".into()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.ngram");
        model.save(&path, None).unwrap();
        let loaded = Model::load(&path).unwrap();
        loaded.verify().unwrap();
        model.verify().unwrap();
        prop_assert_eq!(&loaded.description, &model.description);
        prop_assert_eq!(loaded.tokenizer(), model.tokenizer());
        prop_assert!(bits(&loaded) == bits(&model));
        let copied = Model::load_into_memory(&path).unwrap();
        prop_assert!(bits(&copied) == bits(&model));
        let cuts = if wide { &cuts[..cuts.len().min(1)] } else { &cuts };
        for (model, quantize) in [(&model, None), (&copied, None), (&loaded, quantize)] {
            if !wide {
                equals_the_plain_walk(model, &both, cuts);
            }
            let mut slow = Model::load(&path).unwrap();
            slow.set_suffixes(false);
            let [mut one, mut other] = [vec![0.0f64; both.len()], vec![0.0; both.len()]];
            model.score(&both, &mut one).unwrap();
            slow.score(&both, &mut other).unwrap();
            prop_assert_eq!(one, other);
            if let Some(quantize) = quantize {
                let path = dir.path().join("q.ngram");
                model.save(&path, Some(quantize)).unwrap();
                let coarse = Model::load(&path).unwrap();
                prop_assert_eq!(coarse.quantized(), Some(quantize));
                coarse.verify().unwrap();
                if wide {
                    let naive = NaiveQuery::new(&coarse);
                    let mut scores = vec![0.0f64; both.len()];
                    coarse.score(&both, &mut scores).unwrap();
                    for i in 0..both.len() {
                        prop_assert_eq!(scores[i], naive.score(&both[..=i]).0);
                    }
                } else {
                    equals_the_plain_walk(&coarse, &both, cuts);
                }
                // Saved again as it is, it does not change.
                let again = dir.path().join("again.ngram");
                coarse.save(&again, None).unwrap();
                prop_assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap());
            }
        }
    }

    #[test]
    fn what_went_in_comes_out(
        seed in any::<u64>(), vocab_size in prop_oneof![2usize..400, Just(66_000)],
        tame in any::<bool>(),
    ) {
        let (levels, description) = random_levels(seed, vocab_size, tame);
        let copies = levels.iter().map(|level| Level { words: level.words.clone(), ..copy(level) });
        let model = Model::new(description, copies.collect());
        let views = model.levels();
        for (level, view) in levels.iter().zip(&views) {
            prop_assert_eq!(view.len(), level.logprobs.len());
            for i in 0..view.len() {
                prop_assert_eq!(view.word(i), level.words.get(i).copied().unwrap_or(i as u32));
                prop_assert_eq!(view.logprob(i) as f32, level.logprobs[i]);
                if let Some(&backoff) = level.backoffs.get(i) {
                    prop_assert_eq!((view.backoff(i) as f32).to_bits(), backoff.to_bits());
                    let range = level.children[i] as usize..level.children[i + 1] as usize;
                    prop_assert_eq!(view.followers(i), range);
                }
            }
        }
        // Each follower is found where it is, and no other.
        for (above, level) in views.iter().zip(&views[1..]).take(2) {
            for i in 0..above.len() {
                let range = above.followers(i);
                for word in 0..description_limit(vocab_size) {
                    let found = range.clone().find(|&node| level.word(node) == word);
                    prop_assert_eq!(level.find(range.clone(), word), found);
                }
            }
        }
    }
}

fn description_limit(vocab_size: usize) -> u32 {
    vocab_size.min(500) as u32
}

fn copy(level: &Level<f32>) -> Level<f32> {
    Level {
        words: level.words.clone(),
        logprobs: level.logprobs.clone(),
        children: level.children.clone(),
        backoffs: level.backoffs.clone(),
    }
}

/// Three levels of any shape: contexts without followers and with hundreds, all sorts of numbers.
fn random_levels(seed: u64, vocab_size: usize, tame: bool) -> (Vec<Level<f32>>, Description) {
    let mut state = seed | 1;
    let mut draw = move |below: u32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(below)) as u32
    };
    let mut levels: Vec<Level<f32>> = Vec::new();
    let number = |draw: &mut dyn FnMut(u32) -> u32| match (tame, draw(4)) {
        (_, 0) => -0.5,
        (true, _) => -1.0 - draw(1000) as f32 / 64.0,
        (false, _) => -f32::from_bits(draw(0x7f80_0000)),
    };
    let mut nodes = vocab_size;
    let mut words = Vec::new();
    for order in 1..=3 {
        let mut level = Level { words: std::mem::take(&mut words), ..Level::default() };
        level.logprobs = (0..nodes).map(|_| number(&mut draw)).collect();
        if order < 3 {
            level.backoffs = (0..nodes).map(|_| number(&mut draw)).collect();
            level.children.push(0);
            for _ in 0..nodes {
                let most = if draw(20) == 0 { vocab_size.min(400) as u32 } else { 3 };
                let degree = if words.len() > 20_000 { 0 } else { draw(most) };
                let mut followers: Vec<u32> =
                    (0..degree).map(|_| draw(vocab_size as u32)).collect();
                followers.sort_unstable();
                followers.dedup();
                words.extend(followers);
                level.children.push(words.len() as u32);
            }
        }
        nodes = words.len();
        levels.push(level);
    }
    let description = Description {
        order: 3,
        vocab_size,
        document_separator: None,
        smoothing: Smoothing::ModifiedKneserNey,
        num_tokens: 1,
        num_ngrams: levels.iter().map(|level| level.logprobs.len() as u64).collect(),
        counts_of_counts: vec![[1; 4]; 3],
    };
    (levels, description)
}

#[test]
fn lanes_of_a_long_array_are_the_plain_walk() {
    let tokens = zipf_stream(60_000, 800);
    let mut options = Options::new(5, 800);
    options.document_separator = Some(3);
    let model = Model::train(&tokens, &options, &Silent).unwrap();
    let query = zipf_stream(140_000, 790).into_iter().map(|id| id * 7 % 800).collect::<Vec<_>>();
    let naive = NaiveQuery::new(&model);
    let ids = [&tokens[..20_000], &query].concat();
    let mut scores = vec![0.0f32; ids.len()];
    model.score(&ids, &mut scores).unwrap();
    for i in (0..ids.len()).step_by(7) {
        let (score, _) = naive.score(&ids[i.saturating_sub(9)..=i]);
        assert_eq!(scores[i].to_bits(), (score as f32).to_bits(), "{i}");
    }
}
