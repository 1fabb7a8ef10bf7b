//! Datasets and batches against naive twins, and against damage.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use lexigram_core::Result;
use lexigram_core::data::dataset::OwnedIds;
use lexigram_core::data::loader::IGNORED;
use lexigram_core::data::shard::{Verification, Vocabulary};
use lexigram_core::data::{Dataset, DatasetWriter, Loader, LoaderConfig, Packing, Width};
use proptest::prelude::*;

const SEPARATOR: u32 = 9999;

/// Documents of these lengths; no id but the separator occurs twice.
fn documents(lengths: &[usize]) -> Vec<Vec<u32>> {
    let mut next = 0..SEPARATOR;
    lengths.iter().map(|&length| next.by_ref().take(length).collect()).collect()
}

fn write(dir: &Path, documents: &[Vec<u32>], shard_tokens: u64) -> Result<Arc<Dataset>> {
    let vocabulary = Vocabulary::new(10_000, u64::from(SEPARATOR), "test")?;
    let mut writer = DatasetWriter::create(dir, vocabulary, shard_tokens, false)?;
    for ids in documents {
        writer.append(ids, &[0, ids.len() as i64], &[ids.len() as i64])?;
    }
    writer.finish(0)?;
    Ok(Arc::new(Dataset::open(dir)?))
}

fn config(batch_size: u64, seq_len: u32, packing: Packing, drop_last: bool) -> LoaderConfig {
    let (rank, world_size) = (0, 1);
    LoaderConfig {
        batch_size,
        seq_len,
        seed: 5,
        rank,
        world_size,
        packing,
        shuffle: true,
        drop_last,
        width: Width::I64,
        documents: true,
    }
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0usize..40, 1..25)
        .prop_filter("text", |l| l.iter().sum::<usize>() > 0)
}

/// Inputs, targets, document ids and positions; a value that is not written would be −1.
fn batch(loader: &Loader, step: u64) -> Result<Vec<i64>> {
    let mut values = vec![-1i64; 4 * loader.rows_at(step) * loader.seq_len()];
    assert!(loader.fill(step, bytemuck::cast_slice_mut(&mut values[1..])).is_err());
    loader.fill(step, bytemuck::cast_slice_mut(&mut values))?;
    assert!(!values.contains(&-1));
    Ok(values)
}

/// The ids that were targets, sorted, and whether each input precedes its target.
fn targets(batch: &[i64], stream: &[u32]) -> (Vec<u32>, bool) {
    let mut found = Vec::new();
    let mut right = true;
    let (inputs, rest) = batch.split_at(batch.len() / 4);
    for (&input, &target) in inputs.iter().zip(rest) {
        if target != IGNORED {
            let before = |i: usize| stream[(i + stream.len() - 1) % stream.len()];
            let mut places = (0..stream.len()).filter(|&i| i64::from(stream[i]) == target);
            right &= places.any(|i| i64::from(before(i)) == input);
            found.push(target as u32);
        }
    }
    found.sort_unstable();
    (found, right)
}

proptest! {
    // Each case writes files and flushes them to the disk.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_token_is_a_target_once(
        lengths in lengths(), seq_len in 1u32..50, shard in 1u64..100, best_fit: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let documents = documents(&lengths);
        let dataset = write(&dir.path().join("set"), &documents, shard).unwrap();
        let stream: Vec<u32> =
            documents.iter().flat_map(|d| d.iter().copied().chain([SEPARATOR])).collect();
        let stored: Vec<u16> = stream.iter().map(|&id| id as u16).collect();
        prop_assert_eq!(dataset.read(0..stored.len() as u64).unwrap(), OwnedIds::U16(stored));

        let packing = if best_fit { Packing::BestFit } else { Packing::Contiguous };
        let loader = Loader::new(dataset, config(2, seq_len, packing, false)).unwrap();
        let mut expected = stream.clone();
        expected.sort_unstable();
        for epoch in 0..2 {
            let mut all = Vec::new();
            for step in 0..loader.num_batches() {
                let batch = batch(&loader, epoch * loader.num_batches() + step).unwrap();
                let (found, right) = targets(&batch, &stream);
                prop_assert!(right, "an input does not precede its target");
                all.extend(found);
            }
            all.sort_unstable();
            prop_assert_eq!(&all, &expected);
        }
    }

    /// Content that no one has verified may give wrong tokens or an error, never a panic; read with
    /// its checksums, the right tokens or an error.
    #[test]
    fn damage_never_panics(
        lengths in lengths(), at in 0usize..10_000, byte: u8, seq_len in 1u32..20, best_fit: bool,
    ) {
        let packing = if best_fit { Packing::BestFit } else { Packing::Contiguous };
        let order = config(1, seq_len, packing, false);
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("set");
        write(&set, &documents(&lengths), 1 << 20).unwrap();
        let shard = set.join("shard-00000.tokens");
        let mut bytes = std::fs::read(&shard).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        std::fs::write(&shard, bytes).unwrap();
        let right = {
            let whole = dir.path().join("whole");
            Loader::new(write(&whole, &documents(&lengths), 1 << 20).unwrap(), order.clone())
        };
        if let Ok(loader) = Dataset::open(&set).and_then(|d| Loader::new(Arc::new(d), order.clone())) {
            for step in 0..loader.num_batches() {
                if let Ok(batch) = batch(&loader, step) {
                    prop_assert_eq!(batch, self::batch(right.as_ref().unwrap(), step).unwrap());
                }
            }
        }
        let Ok(dataset) = Dataset::open_with(&set, Verification::Off) else { return Ok(()) };
        let dataset = Arc::new(dataset);
        for document in 0..dataset.num_documents() {
            let _ = dataset.document(document).and_then(|range| dataset.read(range));
        }
        if let Ok(loader) = Loader::new(dataset, order) {
            for step in 0..loader.num_batches() {
                let _ = batch(&loader, step);
            }
        }
    }
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vocabulary = Vocabulary::new(10, 9, "test").unwrap();
    let mut writer = DatasetWriter::create(&dir.path().join("set"), vocabulary, 4, false).unwrap();
    writer.append(&[1, 2, 3, 4, 5], &[0, 4, 5], &[4, 1]).unwrap();
    for (offsets, sizes) in [
        (&[0, 1][..], &[1, 1][..]),
        (&[0, 2], &[1]),
        (&[1, 5], &[1]),
        (&[0, 6, 5], &[1, 1]),
        (&[0, -1, 5], &[1, 1]),
        (&[0, 5], &[-1]),
        (&[], &[]),
    ] {
        assert!(writer.append(&[1, 2, 3, 4, 5], offsets, sizes).is_err(), "{offsets:?}");
    }
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
