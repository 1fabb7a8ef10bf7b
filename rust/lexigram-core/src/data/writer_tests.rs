//! A write error at every write of a run, and what is left of it.

use super::*;
use crate::data::Dataset;
use crate::format::fault::failing;
use crate::progress::Silent;

const SEPARATOR: u64 = 256;

/// Encodes texts by their bytes; `resume` and `overwrite` as asked.
fn make(target: &Path, texts: &[String], resume: bool, overwrite: bool) -> Result<u64> {
    let vocabulary = Vocabulary::new(257, SEPARATOR, "bytes")?;
    let parts = vec![("a".to_owned(), 0.5), ("b".to_owned(), 0.5)];
    let splits = Some(Splits::new(parts, 1)?);
    let settings = Settings { shard_tokens: 20, overwrite, resume, deduplicate: true, splits };
    let mut writer = DatasetWriter::begin(target, vocabulary, settings)?;
    let resumed = writer.resumed();
    for batch in texts.chunks(5) {
        let admitted = writer.admit(batch.iter().map(String::as_str).collect(), 1)?;
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for text in admitted.texts.iter() {
            ids.extend(text.bytes().map(u32::from));
            offsets.push(ids.len() as i64);
        }
        writer.append_admitted(&ids, &offsets, &admitted)?;
    }
    writer.finish(0)?;
    Ok(resumed)
}

fn fingerprints(target: &Path) -> Option<Vec<String>> {
    let sides = ["a", "b"].map(|side| Dataset::open(&target.join(side)));
    let sides: Result<Vec<Dataset>> = sides.into_iter().collect();
    sides.ok().map(|sides| {
        sides.iter().for_each(|side| side.verify(&Silent).unwrap());
        sides.iter().map(|side| side.fingerprint().to_owned()).collect()
    })
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_error_at_any_write_leaves_what_was_there() {
    let texts: Vec<String> = (0..40).map(|i| format!("text {}", i % 37)).collect();
    let dir = tempfile::tempdir().unwrap();
    let dir = fs::canonicalize(dir.path()).unwrap();
    let reference = dir.join("reference");
    make(&reference, &texts, false, false).unwrap();
    let expected = fingerprints(&reference);
    assert!(expected.is_some());

    for (resume, overwrite) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut resumed = 0;
        for number in 1.. {
            let folder = dir.join(format!("{resume}-{overwrite}-{number}"));
            let target = folder.join("set");
            if overwrite {
                make(&target, &texts[..30], false, false).unwrap();
            }
            let before = fingerprints(&target);
            let (made, reached) =
                failing(&folder, number, || make(&target, &texts, resume, overwrite));
            if !reached {
                made.unwrap();
                assert!(number > 60, "too few points: {number}");
                break;
            }
            // An exchange that fails is done in two steps instead.
            if let Err(error) = made {
                let error = error.to_string();
                assert!(error.contains("set"), "{number}: {error}");
                assert_eq!(fingerprints(&target), before, "{number}: {error}");
            } else {
                assert!(overwrite);
                assert_eq!(fingerprints(&target), expected);
            }
            let left = names(&folder);
            let may = |name: &String| name == "set" || (resume && name == "set.partial");
            assert!(left.iter().all(may), "{number}: {left:?}");
            resumed = resumed.max(make(&target, &texts, true, true).unwrap());
            assert_eq!(fingerprints(&target), expected, "{number}");
            assert_eq!(names(&folder), ["set"]);
        }
        assert_eq!(resume, resumed > 20, "{resumed}");
    }
}

#[test]
fn what_was_kept_and_is_damaged_is_made_again() {
    let texts: Vec<String> = (0..40).map(|i| format!("text {i}")).collect();
    let dir = tempfile::tempdir().unwrap();
    let reference = dir.path().join("reference");
    make(&reference, &texts, false, false).unwrap();
    let target = dir.path().join("set");
    let partial = dir.path().join("set.partial");
    let interrupted = || {
        let manifest =
            fs::canonicalize(dir.path()).unwrap().join("set.partial/set/a/manifest.json");
        let (made, _) = failing(&manifest, 1, || make(&target, &texts[..35], true, false));
        made.unwrap_err();
    };
    interrupted();
    let whole = make(&target, &texts, true, false).unwrap();
    assert!(whole > 20);
    assert_eq!(fingerprints(&target), fingerprints(&reference));
    fs::remove_dir_all(&target).unwrap();

    for damage in ["flip", "remove", "journal"] {
        interrupted();
        let shard = partial.join("set/a/shard-00001.tokens");
        match damage {
            "flip" => {
                let mut bytes = fs::read(&shard).unwrap();
                bytes[200] ^= 1;
                fs::write(&shard, bytes).unwrap();
            }
            "remove" => fs::remove_file(&shard).unwrap(),
            _ => {
                let journal = partial.join("journal");
                let bytes = fs::read(&journal).unwrap();
                fs::write(&journal, &bytes[..bytes.len() - 5]).unwrap();
            }
        }
        let resumed = make(&target, &texts, true, false).unwrap();
        assert!(resumed < whole, "{damage}");
        assert_eq!(fingerprints(&target), fingerprints(&reference), "{damage}");
        fs::remove_dir_all(&target).unwrap();
    }

    // Another source, and other settings.
    interrupted();
    let mut other = texts.clone();
    other[3] = "other".to_owned();
    let error = make(&target, &other, true, false).unwrap_err().to_string();
    assert!(error.contains("does not begin with the documents"), "{error}");
    let error = make(&target, &texts[..9], true, false).unwrap_err().to_string();
    assert!(error.contains("does not begin with the documents"), "{error}");
    let vocabulary = Vocabulary::new(257, SEPARATOR, "other").unwrap();
    let settings = Settings { shard_tokens: 20, resume: true, ..Settings::default() };
    let made = DatasetWriter::begin(&target, vocabulary, settings);
    let error = made.err().unwrap().to_string();
    assert!(error.contains("the interrupted run was another one"), "{error}");
    assert_eq!(make(&target, &texts, true, false).unwrap(), whole, "it is still there");
    fs::remove_dir_all(&target).unwrap();
    interrupted();
    assert_eq!(make(&target, &texts, false, false).unwrap(), 0, "anew");
    assert!(!partial.exists());
}

#[test]
fn the_second_writer_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("set");
    let begin = || {
        let vocabulary = Vocabulary::new(257, SEPARATOR, "bytes").unwrap();
        DatasetWriter::create(&target, vocabulary, 20, false)
    };
    let first = begin().unwrap();
    let error = begin().err().unwrap().to_string();
    assert!(error.contains(&format!("process {} is writing it", std::process::id())), "{error}");
    drop(first);
    assert!(names(dir.path()).is_empty());
    begin().unwrap();
}
