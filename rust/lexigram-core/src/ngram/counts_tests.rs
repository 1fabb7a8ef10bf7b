//! Counts that were saved, loaded and merged, against those of one count.

use proptest::prelude::*;

use super::count::{CountLevel, Counts};
use super::{Model, Options};
use crate::Error;
use crate::progress::Silent;

fn count(tokens: &[u32], options: &Options) -> Counts {
    Counts::count(tokens, options, &Silent).unwrap()
}

type Columns = Vec<[Vec<u32>; 3]>;

fn columns(counts: &Counts) -> Columns {
    let level = |i: usize| {
        let level = &counts.levels[i];
        [&level.words, &level.counts, &level.children].map(|column| column.to_vec())
    };
    (0..counts.levels.len()).map(level).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn parts_together_are_the_whole(
        documents in prop::collection::vec(prop::collection::vec(1u32..5, 0..12), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        order in 1usize..=4,
        in_files in any::<bool>(),
    ) {
        let options = Options { document_separator: Some(0), ..Options::new(order, 6) };
        let stream = |documents: &[Vec<u32>]| -> Vec<u32> {
            documents.iter().flat_map(|d| d.iter().copied().chain([0])).collect()
        };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(documents.len())).collect();
        cuts.extend([0, documents.len()]);
        cuts.sort_unstable();
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Vec::new();
        for (i, range) in cuts.windows(2).filter(|range| range[0] < range[1]).enumerate() {
            let counts = count(&stream(&documents[range[0]..range[1]]), &options);
            let path = dir.path().join(format!("{i}.counts"));
            counts.save(&path).unwrap();
            let loaded = Counts::load(&path).unwrap();
            prop_assert_eq!(columns(&loaded), columns(&counts));
            prop_assert_eq!(loaded.num_ngrams(), counts.num_ngrams());
            parts.push(loaded);
        }
        let merged = Counts::merge(&parts, in_files, &Silent).unwrap();
        let whole = count(&stream(&documents), &options);
        prop_assert_eq!(columns(&merged), columns(&whole));
        prop_assert_eq!(merged.num_tokens, whole.num_tokens);
        let scores = |model: &Model| {
            let mut scores = vec![0.0f64; 5];
            model.score(&[0u32, 1, 2, 5, 1], &mut scores).unwrap();
            scores
        };
        let from_parts = Model::from_counts(merged, &options, &Silent).unwrap();
        let at_once = Model::train(&stream(&documents), &options, &Silent).unwrap();
        prop_assert_eq!(scores(&from_parts), scores(&at_once));
    }

    #[test]
    fn any_order_can_be_listed_and_asked_for(
        tokens in prop::collection::vec(0u32..4, 1..40), order in 1usize..=4,
    ) {
        let counts = count(&tokens, &Options::new(order, 5));
        for length in 1..=order {
            let (ids, times) = counts.ngrams(length).unwrap();
            let listed: Vec<&[u32]> = ids.chunks(length).collect();
            prop_assert!(listed.is_sorted_by(|one, next| one < next));
            prop_assert_eq!(listed.len() as u64, counts.num_ngrams()[length - 1]);
            for (ngram, times) in listed.iter().zip(times) {
                let there = tokens.windows(length).filter(|window| window == ngram).count();
                prop_assert_eq!((times as usize, counts.get(ngram)), (there, times));
            }
        }
        prop_assert_eq!((counts.get(&[]), counts.get(&[9]), counts.get(&[0; 5])), (0, 0, 0));
        prop_assert!(counts.ngrams(0).is_err() && counts.ngrams(order + 1).is_err());
    }
}

#[test]
fn streams_without_a_separator_keep_their_starts() {
    // Where a stream starts counts as one left neighbour, however many start alike.
    let options = Options::new(2, 3);
    let one = count(&[0, 1, 0, 1], &options);
    let other = count(&[0, 1, 2], &options);
    let merged = Counts::merge(&[one, other], false, &Silent).unwrap();
    assert_eq!(merged.heads, [[0], [0]]);
    let model = Model::from_counts(merged, &options, &Silent).unwrap();
    // Left of 0: the start and 1; of 1: 0; of 2: 1.
    assert_eq!(model.counts_of_counts()[0], [2, 1, 0, 0]);
}

#[test]
fn parts_of_different_kinds_are_refused() {
    let merge = |options: &[Options]| {
        let parts: Vec<_> = options.iter().map(|options| count(&[0, 1], options)).collect();
        Counts::merge(&parts, false, &Silent).map(drop).map_err(|error| error.to_string())
    };
    let good = Options::new(2, 3);
    assert!(merge(&[]).unwrap_err().contains("empty"));
    for other in [
        Options::new(3, 3),
        Options::new(2, 4),
        Options { document_separator: Some(1), ..good.clone() },
    ] {
        assert!(merge(&[good.clone(), other]).unwrap_err().contains("all parts must"));
    }
}

/// A file of these levels (words, counts, children), read.
fn refused(levels: &[[&[u32]; 3]], num_tokens: u64) -> String {
    let level = |[words, counts, children]: &[&[u32]; 3]| CountLevel {
        words: words.to_vec().into(),
        counts: counts.to_vec().into(),
        children: children.to_vec().into(),
    };
    let counts = Counts {
        levels: levels.iter().map(level).collect(),
        vocab_size: 3,
        document_separator: None,
        num_tokens,
        heads: vec![vec![0; levels.len() - 1]],
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.counts");
    counts.save(&path).unwrap();
    Counts::load(&path).map(drop).map_err(|error| error.to_string()).unwrap_err()
}

#[test]
fn counts_of_no_text_are_refused() {
    let ids: [&[u32]; 3] = [&[], &[2, 1, 1], &[0, 2, 2, 2]];
    // The bigrams 00 and 02; the trigrams 000 and 002, and 020, though 20 is not there.
    let missing: [[&[u32]; 3]; 3] =
        [ids, [&[0, 2], &[1, 1], &[0, 2, 3]], [&[0, 2, 0], &[1, 1, 1], &[]]];
    let error = refused(&missing, 4);
    assert!(error.contains("order 3 lacks its suffix"), "{error}");
    // 02 twice, 2 once; 00 three times, 0 twice: pruning by counts would keep these alone.
    for counts in [[1u32, 2], [3, 1]] {
        let error = refused(&[ids, [&[0, 2], &counts, &[]]], 4);
        assert!(error.contains("order 2 lacks its suffix, or stands more often"), "{error}");
    }
    // The same with right counts, of five ids in place of four.
    let error = refused(&[ids, [&[0, 2], &[1, 1], &[]]], 5);
    assert!(error.contains("counted 4 times, its header says 5"), "{error}");
}

/// The whole header stood in the error: a megabyte for a long one.
#[test]
fn an_error_does_not_grow_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.counts");
    let mut file = crate::format::FileWriter::create(&path, *b"NGRC", 1, 1).unwrap();
    file.section("header").unwrap();
    file.write_slice(&[&[3u64, 3, u64::MAX, 0, 0][..], &[5; 10_000]].concat()).unwrap();
    file.finish().unwrap();
    let error = Counts::load(&path).unwrap_err().to_string();
    assert!(error.contains("its header has 10005 fields, not 7") && error.len() < 300, "{error}");
}

#[test]
fn a_damaged_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.counts");
    count(&[0, 1, 2, 0, 1], &Options::new(3, 3)).save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(Counts::load(&path).is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(Counts::load(&path).is_err(), "truncated to {at}");
    }
}

#[test]
fn a_hostile_file_with_right_checksums_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.counts");
    let options = Options { document_separator: Some(2), ..Options::new(3, 3) };
    count(&[0, 1, 2, 0, 1], &options).save(&path).unwrap();
    let tags = ["header", "words", "counts", "children", "heads"];
    let good: Vec<Vec<u8>> = {
        let file = crate::format::MappedFile::open(&path, *b"NGRC", 1).unwrap();
        tags.map(|tag| file.section(tag).unwrap().to_vec()).into()
    };
    let mut refused = 0;
    for (section, bytes) in good.iter().enumerate() {
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[section][at] = value;
                let mut file =
                    crate::format::FileWriter::create(&path, *b"NGRC", 1, tags.len()).unwrap();
                for (tag, bytes) in tags.iter().zip(&bad) {
                    file.section(tag).unwrap();
                    file.write(bytes).unwrap();
                }
                file.finish().unwrap();
                match Counts::load(&path) {
                    Ok(counts) => {
                        for order in 1..=counts.order() {
                            counts.ngrams(order).unwrap();
                        }
                        drop(Counts::merge(&[counts], false, &Silent));
                        // What the counts say may be impossible, never out of bounds.
                        let counts = Counts::load(&path).unwrap();
                        let made = Model::from_counts(counts, &options, &Silent);
                        assert!(!matches!(made, Err(Error::Internal(_))), "{made:?}");
                    }
                    Err(Error::Corrupt { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(refused > 200, "{refused}");
}
