//! The paths of a query against the plain walk, and the file against itself and its enemies.

use std::path::Path;

use proptest::prelude::*;

use super::file::SECTIONS;
use super::model::{Description, Level};
use super::naive_query::NaiveQuery;
use super::tests::{bits, case, zipf_stream};
use super::{Model, Options, Smoothing};
use crate::format::{FileWriter, MappedFile};
use crate::progress::Silent;
use crate::{Error, Result};

const KIND: [u8; 4] = *b"NGRM";

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

/// The small model of the tests below, and its file.
fn small(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("m.ngram");
    let mut options = Options::new(3, 3);
    options.document_separator = Some(2);
    let model = Model::train(&[0u32, 1, 2, 0, 1, 1, 2], &options, &Silent).unwrap();
    model.save(&path, None).unwrap();
    path
}

fn checked(path: &Path) -> Result<Model> {
    let model = Model::load(path)?;
    model.verify()?;
    Ok(model)
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = small(dir.path());
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(checked(&path).is_err(), "byte {at}");
        if let Ok(model) = Model::load(&path) {
            ask(&model);
        }
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(Model::load(&path).is_err(), "truncated to {at}");
    }
}

/// Asks what can be asked. Whatever the model holds, this ends, and no index leaves a slice.
fn ask(model: &Model) {
    let size = model.vocab_size() as u32;
    let ids: Vec<u32> = (0..200).map(|i| i * i % 7 % size).collect();
    model.score(&ids, &mut [0.0f64; 200]).unwrap();
    model.order_used(&ids, &[0, 3, 3, 200], None, &mut [0; 200]).unwrap();
    let mut out = vec![0.0f32; 3 * model.vocab_size()];
    model.next_logprobs_batch(&ids, &[0, 0, 2, 200], Some(2), &mut out).unwrap();
}

/// Walks the whole model in every way there is: this ends, with the error of a damaged file if
/// the file is one. How often it was.
fn walk(model: &Model, dir: &Path) -> usize {
    let walks = [
        model.to_arpa(&dir.join("m.arpa"), None, &Silent),
        model.prune(1e-3).map(drop),
        model.normalized().map(drop),
    ];
    let corrupt = |walked: &Result<()>| match walked {
        Err(Error::Corrupt { .. }) => true,
        // The smoothing is one that has no such walk.
        Ok(()) | Err(Error::Argument { name: "smoothing", .. }) => false,
        Err(other) => panic!("{other}"),
    };
    walks.iter().filter(|walked| corrupt(walked)).count()
}

#[test]
fn a_trie_that_lists_its_nodes_again_and_again_is_not_walked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.ngram");
    for (smoothing, expected) in [(Smoothing::WittenBell, 2), (Smoothing::StupidBackoff, 1)] {
        let options = Options { smoothing, ..Options::new(3, 10) };
        let model = Model::train(&zipf_stream(1000, 10), &options, &Silent).unwrap();
        model.save(&path, None).unwrap();
        let mut bad = sections(&path);
        assert_eq!(walk(&Model::load(&path).unwrap(), dir.path()), 0);
        for (tag, bytes) in &mut bad {
            match *tag {
                // Every node has 15 followers or more, the first of them node 0.
                "lines" => bytes.chunks_mut(64).for_each(|line| {
                    line[..16].fill(0);
                    line[16..32].fill(0xff);
                }),
                "long" => {
                    bytes.chunks_mut(4).for_each(|long| long.copy_from_slice(&[0, 0, 0, 1]));
                }
                _ => {}
            }
        }
        write_file(&path, &bad);
        for model in [Model::load(&path).unwrap(), Model::load_into_memory(&path).unwrap()] {
            assert_eq!(walk(&model, dir.path()), expected);
        }
    }
}

/// A model file with right checksums and the given sections.
fn write_file(path: &Path, sections: &[(&str, Vec<u8>)]) {
    let mut file = FileWriter::create(path, KIND, 2, sections.len()).unwrap().for_cache();
    for (tag, bytes) in sections {
        file.section(tag).unwrap();
        let mut bytes = bytes.clone();
        if *tag == "header" && bytes.len() >= 8 {
            let fields = bytes.len() - 8;
            let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..fields]);
            bytes[fields..].copy_from_slice(&sum.to_le_bytes());
        }
        file.write(&bytes).unwrap();
    }
    file.finish().unwrap();
}

fn sections(path: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let file = MappedFile::open(path, KIND, 2).unwrap();
    let tags = ["header"].into_iter().chain(SECTIONS).chain(["tokenizer"]);
    tags.map(|tag| (tag, file.section(tag).unwrap().to_vec())).collect()
}

#[test]
fn a_hostile_file_with_right_checksums_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = small(dir.path());
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
                        ask(&model);
                        walk(&model, dir.path());
                    }
                    Err(Error::Corrupt { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_lead_a_query_astray(
        (tokens, options, _) in case(),
        wide in any::<bool>(),
        quantize in prop::option::of(2u32..=16),
        changes in prop::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.ngram");
        let options = Options { vocab_size: if wide { 66_000 } else { options.vocab_size }, ..options };
        Model::train(&tokens, &options, &Silent).unwrap().save(&path, quantize).unwrap();
        let mut bad = sections(&path);
        for (section, at, value) in changes {
            // Mostly the levels: what a damaged header leads to is seen above.
            let count = bad.len() - 1;
            let bytes = &mut bad[if at % 16 == 0 { 0 } else { 1 + section % (count - 1) }].1;
            if !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] = value;
            }
        }
        write_file(&path, &bad);
        if let Ok(model) = Model::load(&path) {
            ask(&model);
            walk(&model, dir.path());
            let _ = model.verify();
        }
    }
}
