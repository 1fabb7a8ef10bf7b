//! The model file against its enemies.

use std::path::Path;

use proptest::prelude::*;

use super::file::SECTIONS;
use super::tests::{case, zipf_stream};
use super::{Model, Options, Smoothing};
use crate::format::{FileWriter, MappedFile};
use crate::progress::Silent;
use crate::{Error, Result};

const KIND: [u8; 4] = *b"NGRM";

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

/// Scores that are sound one by one and no distribution: what is made of them has no weight or
/// value that is not a number.
#[test]
fn scores_that_sum_to_anything_are_walked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.ngram");
    // In float32: -3e38, of which the exponential is 0; -0.0; ln 0.
    for score in [[0xcd, 0xcc, 0x61, 0xff], [0, 0, 0, 0x80], [0, 0, 0x80, 0xff]] {
        for smoothing in [Smoothing::StupidBackoff, Smoothing::WittenBell] {
            let options = Options { smoothing, ..Options::new(2, 4) };
            let model = Model::train(&zipf_stream(50, 4), &options, &Silent).unwrap();
            model.save(&path, None).unwrap();
            let mut bad = sections(&path);
            let logprobs = bad.iter_mut().find(|(tag, _)| *tag == "logprobs").unwrap();
            logprobs.1.chunks_mut(4).for_each(|value| value.copy_from_slice(&score));
            write_file(&path, &bad);
            let model = checked(&path).unwrap();
            let made = match smoothing {
                Smoothing::StupidBackoff => model.normalized().unwrap(),
                // Some n-grams go, so that weights are computed.
                _ => model.prune(f64::MIN_POSITIVE).unwrap(),
            };
            made.verify().unwrap();
            ask(&made);
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
