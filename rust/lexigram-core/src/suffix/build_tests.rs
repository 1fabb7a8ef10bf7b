//! What is refused, when an index is built and when it is opened; building that is stopped.

use std::cell::RefCell;

use super::manifest::Manifest;
use super::tests::build;
use super::{Builder, Index, Options};
use crate::progress::{Progress, Silent};
use crate::{Error, Result};

/// Any change of a file is found by `verify`; a shard of another index is not taken.
#[test]
fn damage_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let stream: Vec<u32> = (0..500).map(|i| i * i % 7).collect();
    let path = dir.path().join("index");
    build(&path, &stream, Options::new(7, Some(6))).verify(&Silent).unwrap();
    let other = dir.path().join("other");
    drop(build(&other, &stream[1..], Options::new(7, Some(6))));
    let file = path.join("shard-00000.suffix");
    let good = std::fs::read(&file).unwrap();
    std::fs::copy(other.join("shard-00000.suffix"), &file).unwrap();
    let error = Index::open(&path).unwrap_err().to_string();
    assert!(error.contains("not the shard that index.json names"), "{error}");
    for at in (0..good.len()).step_by(61) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&file, &bad).unwrap();
        let found = Index::open(&path).and_then(|index| index.verify(&Silent));
        assert!(found.is_err(), "byte {at}");
    }
    std::fs::write(&file, &good[..good.len() - 1]).unwrap();
    assert!(Index::open(&path).is_err());
}

/// What right checksums seal is compared all the same: the documents of the manifest with those of
/// the shards, where one shard ends with where the next begins, and documents with separators.
#[test]
fn documents_that_contradict_each_other_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let stream: Vec<u32> = (0..60).map(|i| if i % 25 == 24 { 4 } else { i * i % 3 }).collect();
    let mut options = Options::new(5, Some(4));
    (options.shard_tokens, options.overlap) = (Some(20), 6);
    build(&path, &stream, options).verify(&Silent).unwrap();
    let manifest_path = path.join("index.json");
    let bytes = std::fs::read(&manifest_path).unwrap();
    let good = Manifest::from_bytes(&bytes, &manifest_path).unwrap().0;
    assert!(good.shards.len() > 3 && good.max_match == Some(6));
    let opened = |manifest: &Manifest| {
        std::fs::write(&manifest_path, manifest.to_bytes().unwrap()).unwrap();
        Index::open(&path)
    };
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        opened(&manifest).unwrap_err().to_string()
    };
    assert!(refused(|m| m.num_documents = 0).contains("not those of its shards"));
    assert!(refused(|m| m.num_documents += 1).contains("not those of its shards"));
    assert!(refused(|m| m.max_match = None).contains("goes on by more or fewer ids"));
    assert!(refused(|m| m.max_match = Some(7)).contains("goes on by more or fewer ids"));
    assert!(refused(|m| m.shards.swap(0, 1)).contains("where the shard before it ends"));
    let without_last = refused(|m| m.num_tokens -= m.shards.pop().unwrap().num_tokens);
    assert!(without_last.contains("not those of its shards"), "{without_last}");
    opened(&good).unwrap().verify(&Silent).unwrap();
}

#[test]
fn what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let refused = |stream: &[u32], options: Options| {
        let built = Builder::create(&path, options).and_then(|mut builder| {
            builder.append(stream, &Silent)?;
            builder.finish(&Silent)
        });
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        built.unwrap_err().to_string()
    };
    assert!(refused(&[0, 5], Options::new(5, None)).contains("token id 5 at position 1"));
    assert!(refused(&[], Options::new(5, None)).contains("empty"));
    assert!(refused(&[0], Options::new(5, Some(5))).contains("document_separator = 5"));
    assert!(refused(&[0], Options::new(0, None)).contains("vocab_size = 0"));
    let mut options = Options::new(5, None);
    options.memory_limit = Some(1 << 20);
    assert!(refused(&[0], options).contains("memory_limit = 1048576: building takes at least"));
    let index = build(&path, &[0, 1], Options::new(5, None));
    assert!(index.count(&[5]).unwrap_err().to_string().contains("token id 5"));
    let error = Builder::create(&path, Options::new(5, None)).err().unwrap().to_string();
    assert!(error.contains("already holds files"), "{error}");
}

/// Stops at the report of a number, and keeps what came before.
struct Stop(RefCell<Vec<u64>>, usize);

impl Progress for Stop {
    fn report(&self, done: u64, total: u64) -> Result<()> {
        assert!(done <= total);
        self.0.borrow_mut().push(done);
        match self.0.borrow().len() == self.1 {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

/// Sorting reports several times for one shard, and each report can stop it.
#[test]
fn building_can_be_stopped_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let stream: Vec<u32> = (0..500u32).map(|i| i.count_ones() % 2).collect();
    let reports = |at: usize| {
        let progress = Stop(RefCell::default(), at);
        let mut builder = Builder::create(&path, Options::new(2, None)).unwrap();
        builder.append(&stream, &progress).unwrap();
        let built = builder.finish(&progress);
        (built, progress.0.into_inner())
    };
    let (built, all) = reports(0);
    built.unwrap();
    assert!(all.is_sorted() && all.len() > 10, "{all:?}");
    assert!(all.iter().filter(|&&done| 0 < done && done < 500 * 2 / 3).count() > 5, "{all:?}");
    std::fs::remove_dir_all(&path).unwrap();
    for at in 1..=all.len() {
        let (built, some) = reports(at);
        assert!(matches!(built, Err(Error::Interrupted)), "{at}");
        assert_eq!(some, all[..at]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "report {at}");
    }
}
