//! Compiled vocabularies: what comes back is what was kept, or nothing, whatever is in the file.

use std::fs;
use std::sync::Barrier;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::rank_file::{read_tiktoken, read_tiktoken_with};
use super::super::{Allowed, Merge, Text, Tokenizer};
use super::*;

const TEXT: &str = "low lower lowest newest <|x|> of the lowlands, éé \u{1f44d}";

/// The bytes, and some tokens of two and more, as a `.tiktoken` file.
fn source(dir: &Path) -> PathBuf {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    let words = ["lo", "we", "low", "st", " low", "lowe", "est", "of", " t", "the", " lowest"];
    tokens.extend(words.iter().map(|word| word.as_bytes().to_vec()));
    let mut lines = String::new();
    for (id, token) in tokens.iter().enumerate() {
        for chunk in token.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, &b| word << 8 | u32::from(b));
            let word = word << (8 * (3 - chunk.len()));
            for i in 0..4 {
                let digit = digits[(word >> (18 - 6 * i)) as usize & 63] as char;
                lines.push(if i <= chunk.len() { digit } else { '=' });
            }
        }
        lines += &format!(" {id}\n");
    }
    let path = dir.join("words.tiktoken");
    fs::write(&path, lines).unwrap();
    path
}

fn special() -> Vec<AddedToken> {
    vec![AddedToken::special("<|x|>", 300)]
}

struct Case {
    dir: TempDir,
    source: PathBuf,
    right: Tokenizer,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = source(dir.path());
        let right = read_tiktoken(&source, Some("gpt2"), special()).unwrap();
        Self { dir, source, right }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("cache/compiled")
    }

    fn load(&self) -> Tokenizer {
        read_tiktoken_with(&self.source, Some("gpt2"), special(), Some(&self.folder()), 0).unwrap()
    }

    /// The one file in the folder.
    fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.folder()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "one file, and no temporary one");
        file
    }

    fn compiled(&self) -> Compiled {
        let content = Digest::of_file(&self.source).unwrap();
        assert_eq!(content, Digest::of(&fs::read(&self.source).unwrap()));
        Compiled::new(&self.folder(), ".tiktoken", content, &special())
    }

    fn assert_right(&self, loaded: &Tokenizer) {
        assert!(*loaded == self.right);
        assert_eq!(loaded.fingerprint(), self.right.fingerprint());
        assert_eq!(all_ids(loaded), all_ids(&self.right));
        assert_eq!(loaded.byte_ids(), self.right.byte_ids());
    }
}

fn all_ids(tokenizer: &Tokenizer) -> Vec<u32> {
    let mut ids = Vec::new();
    // The last is a long piece, for which other tables are used.
    for text in [TEXT, &"lowest".repeat(20_000)] {
        tokenizer.encode(Text::Str(text), &Allowed::All, &mut ids).unwrap();
    }
    ids
}

#[test]
fn the_second_load_is_equal() {
    let case = Case::new();
    case.assert_right(&case.load());
    let written = fs::read(case.file()).unwrap();
    assert!(case.compiled().read(&special()).is_some());
    case.assert_right(&case.load());
    assert_eq!(fs::read(case.file()).unwrap(), written);
}

#[test]
fn what_tables_depend_on_is_in_the_name() {
    let folder = Path::new("f");
    let name = |format, content: &[u8], added: &[AddedToken]| {
        Compiled::new(folder, format, Digest::of(content), added).path
    };
    let other = [AddedToken::special("<|x|>", 301)];
    let names = [
        name("a", b"x", &[]),
        name("b", b"x", &[]),
        name("a", b"y", &[]),
        name("a", b"x", &special()),
        name("a", b"x", &other),
    ];
    for (i, name) in names.iter().enumerate() {
        assert!(!names[..i].contains(name), "{i}");
    }
}

#[test]
fn damage_anywhere_is_found_and_mended() {
    let case = Case::new();
    case.load();
    let file = case.file();
    let good = fs::read(&file).unwrap();
    for at in (0..good.len()).step_by(1 + good.len() / 300).chain(good.len() - 20..good.len()) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&file, &bad).unwrap();
        case.assert_right(&case.load());
    }
    for length in [0, 7, 40, 200, good.len() / 2, good.len() - 1] {
        fs::write(&file, &good[..length]).unwrap();
        assert!(case.compiled().read(&special()).is_none(), "{length} bytes");
        case.assert_right(&case.load());
        assert_eq!(fs::read(&file).unwrap(), good, "made again");
    }
    fs::write(&file, "some text of another program, in a file of this name, by some accident")
        .unwrap();
    case.assert_right(&case.load());
}

#[test]
fn a_file_of_another_vocabulary_is_not_taken() {
    let case = Case::new();
    case.load();
    let file = case.file();
    let tables = Tables::new([(0, &b"a"[..])], &[], &[], Some(vec![]), 1);
    assert!(tables.is_err(), "bytes are missing");
    // A sound file under the wrong name.
    let tokens: Vec<(u32, [u8; 1])> =
        (0..=255).map(|byte| (255 - u32::from(byte), [byte])).collect();
    let tokens = tokens.iter().map(|(id, token)| (*id, &token[..]));
    let other = Tables::new(tokens, &[], &special(), None, 1).unwrap();
    let elsewhere = Compiled::new(&case.folder(), "other", Digest::of(b""), &special());
    elsewhere.write(&other);
    assert!(elsewhere.read(&special()).is_some());
    assert!(elsewhere.read(&[AddedToken::special("<|y|>", 300)]).is_none());
    fs::rename(&elsewhere.path, &file).unwrap();
    case.assert_right(&case.load());
}

#[test]
fn a_folder_that_cannot_be_written_is_left_alone() {
    let case = Case::new();
    // A file where the folder should be: even root cannot write into that.
    fs::write(case.dir.path().join("cache"), "").unwrap();
    case.assert_right(&case.load());
    case.assert_right(&case.load());
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let case = Case::new();
    let tokens: Vec<(u32, Vec<u8>)> = (0..=255u8).map(|byte| (byte.into(), vec![byte])).collect();
    for (length, kept) in [(u16::MAX as usize, true), (1 + u16::MAX as usize, false)] {
        let added = vec![AddedToken::special("x".repeat(length), 256)];
        let tokens = tokens.iter().map(|(id, token)| (*id, &token[..]));
        let tables = Tables::new(tokens, &[], &added, None, 1).unwrap();
        let compiled = Compiled::new(&case.folder(), "long", Digest::of(b""), &added);
        compiled.write(&tables);
        assert_eq!(compiled.path.exists(), kept);
        assert_eq!(compiled.read(&added).is_some(), kept);
    }
}

#[test]
fn many_at_once() {
    let case = Case::new();
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..10 {
                    case.assert_right(&case.load());
                    let _ = fs::remove_file(&case.compiled().path);
                }
            });
        }
    });
}

/// A file whose checksums are right and whose numbers are not.
fn write_hostile(compiled: &Compiled, tables: &Tables, change: impl Fn(&mut [Vec<u8>; 7])) {
    let (bytes, starts, others, slots) = tables.vocabulary.tables();
    let (merges, pairs, byte_pairs) = tables.merges.tables().unwrap();
    let mut sections = [
        bytes.to_vec(),
        bytemuck::cast_slice(starts).to_vec(),
        bytemuck::cast_slice(others).to_vec(),
        bytemuck::cast_slice(slots).to_vec(),
        bytemuck::cast_slice(merges).to_vec(),
        bytemuck::cast_slice(pairs).to_vec(),
        bytemuck::cast_slice(byte_pairs).to_vec(),
    ];
    change(&mut sections);
    let mut file = FileWriter::create(&compiled.path, KIND, VERSION, 8).unwrap().for_cache();
    file.section("key").unwrap();
    file.write(&compiled.key).unwrap();
    let tags = ["bytes", "starts", "others", "slots", "merges", "pairs", "byte_pairs"];
    for (tag, section) in tags.iter().zip(&sections) {
        file.section(tag).unwrap();
        file.write(section).unwrap();
    }
    file.finish().unwrap();
}

/// Uses a tokenizer in every way; ids may be anything, but nothing may panic.
fn use_it(tokenizer: &Tokenizer) {
    let ids = all_ids(tokenizer);
    let size = tokenizer.vocabulary().size() as u32;
    assert!(ids.iter().all(|&id| id < size), "ids are within the vocabulary");
    let lengths: usize = ids.iter().map(|&id| tokenizer.vocabulary().token(id).len()).sum();
    assert_eq!(lengths, TEXT.len() + 6 * 20_000);
    let _ = tokenizer.decode(&ids);
    let _ = tokenizer.fingerprint();
    let _ = super::super::json::write(tokenizer);
    let _ = super::super::rank_file::write_tiktoken(tokenizer);
    let _ = tokenizer.encode_with_unstable(TEXT, &Allowed::All);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_hostile_file_leads_nowhere(
        changes in prop::collection::vec((0..7usize, any::<usize>(), 0..400u32, any::<bool>()), 1..6),
        cut in prop::option::weighted(0.1, (0..7usize, 1..4usize)),
    ) {
        let case = Case::new();
        fs::create_dir_all(case.folder()).unwrap();
        let compiled = case.compiled();
        let content = fs::read(&case.source).unwrap();
        let tables = super::super::rank_file::tables_of_ranks(&content, &case.source, &special(), 1);
        write_hostile(&compiled, &tables.unwrap(), |sections| {
            for &(section, at, value, turned) in &changes {
                let numbers = &mut sections[section];
                let at = at % (numbers.len() / 4).max(1) * 4;
                if let Some(number) = numbers.get_mut(at..at + 4) {
                    let value = if turned { !value } else { value };
                    number.copy_from_slice(&value.to_le_bytes());
                }
            }
            if let Some((section, numbers)) = cut {
                let left = sections[section].len().saturating_sub(8 * numbers);
                sections[section].truncate(left);
            }
        });
        if let Some(tables) = compiled.read(&special()) {
            let parts = super::super::Parts {
                added: special(),
                whole_pieces: true,
                ..Default::default()
            };
            use_it(&Tokenizer::with_tables(parts, tables).unwrap());
        }
    }
}

#[test]
fn merges_of_tokens_that_do_not_join_are_refused() {
    let case = Case::new();
    let content = fs::read(&case.source).unwrap();
    let tables =
        super::super::rank_file::tables_of_ranks(&content, &case.source, &special(), 1).unwrap();
    let read =
        |merge: Option<Merge>, pairs: &dyn Fn(&mut [u64]), byte_pairs: &dyn Fn(&mut [u32])| {
            let (merges, slots, bytes) = tables.merges.tables().unwrap();
            let mut merges = merges.to_vec();
            merges.extend(merge);
            let (mut own, mut bytes) = (Zeroed::new(slots.len()), bytes.to_vec());
            own.as_mut_slice().copy_from_slice(slots);
            pairs(own.as_mut_slice());
            byte_pairs(&mut bytes);
            Merges::from_tables(merges, own, bytes, &tables.vocabulary).is_some()
        };
    let (no_pairs, no_bytes) = (|_: &mut [u64]| {}, |_: &mut [u32]| {});
    assert!(read(None, &no_pairs, &no_bytes));
    let long = Merge { left: 108, right: 108, token: 299 };
    assert!(!read(Some(long), &no_pairs, &no_bytes), "no token 299");
    assert!(!read(Some(Merge { token: 258, ..long }), &no_pairs, &no_bytes), "too long");
    assert!(!read(None, &|pairs| pairs[0] = !7, &no_bytes), "a pair of bytes to one byte");
    assert!(!read(None, &|pairs| pairs[0] = 1, &no_bytes), "a pair of no tokens");
    assert!(!read(None, &no_pairs, &|bytes| bytes[0] = 7), "two bytes to one");
    assert!(!read(None, &no_pairs, &|bytes| bytes[0] = 1 << 30), "two bytes to no token");
}
