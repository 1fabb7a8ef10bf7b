//! Compiled vocabularies: the tables of a vocabulary, kept in a file of ours so that they need not be
//! built again. The layout stands in `docs/formats.md`.
//!
//! A file's name is a hash of all that its tables depend on, the version of this code included, so
//! a file is never out of date, only useless. It is read into memory, not mapped: pieces look up at
//! random, which on the small pages of a file is slower, and what was checked cannot change.
//!
//! Whoever can write into the folder can give a vocabulary other ids, as they could by replacing
//! the vocabulary itself. But whatever a file holds, no look-up in it goes astray: the checksums
//! find damage, and what they cannot find, the checks of [`Vocabulary::from_tables`] and
//! [`Merges::from_tables`] do. A file that is not as it should be is made again.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::added::AddedToken;
use super::memory::Zeroed;
use super::merges::Merges;
use super::tables::Tables;
use super::vocabulary::Vocabulary;
use crate::Result;
use crate::format::{FileReader, FileWriter};

const KIND: [u8; 4] = *b"VOCB";

/// Goes up with every change of the layout, and of the tables: of their hash functions, too.
const VERSION: u32 = 1;

/// Where the tables of a vocabulary are kept.
#[derive(Debug)]
pub struct Compiled {
    path: PathBuf,
    key: [u8; 16],
}

/// What stands for the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Of bytes.
    pub fn of(content: &[u8]) -> Self {
        Self(xxh3_128(content))
    }

    /// Of a file, of which a little is held at a time: the first touch of memory for all of it would
    /// take longer than all else.
    pub fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hasher = Xxh3::new();
        let mut chunk = vec![0; 1 << 16];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(Self(hasher.digest128())),
                Ok(length) => hasher.update(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Compiled {
    /// The place in `folder` of the tables of a file of this format and content, with these added
    /// tokens.
    pub fn new(folder: &Path, format: &str, content: Digest, added: &[AddedToken]) -> Self {
        let mut hasher = Xxh3::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(&VERSION.to_le_bytes());
        field(format.as_bytes());
        field(&content.0.to_le_bytes());
        for token in added {
            field(&token.id.to_le_bytes());
            field(token.text.as_bytes());
        }
        let key = hasher.digest128();
        Self { path: folder.join(format!("{key:032x}.vocabulary")), key: key.to_le_bytes() }
    }

    /// The tables, if they are there and sound.
    pub fn read(&self, added: &[AddedToken]) -> Option<Tables> {
        let tables = self.read_tables().ok()??;
        // An added token is given out without a look-up.
        let known = |token: &AddedToken| tables.vocabulary.token(token.id) == token.text.as_bytes();
        added.iter().all(known).then_some(tables)
    }

    /// Keeps tables. That it cannot be done, as in a folder that is read-only, is no error: they
    /// are built again another time.
    pub fn write(&self, tables: &Tables) {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if std::fs::create_dir_all(folder).is_ok() {
            let _ = self.write_tables(tables);
        }
    }

    fn read_tables(&self) -> Result<Option<Tables>> {
        let mut file = FileReader::open(&self.path, KIND, VERSION)?;
        let mut key = [0; 16];
        file.read("key", &mut key)?;
        let (bytes, starts) = (file.read_vec("bytes")?, file.read_vec("starts")?);
        let others = file.read_vec("others")?;
        let mut slots = Zeroed::new(file.len::<[u32; 2]>("slots")?);
        file.read("slots", slots.as_mut_slice())?;
        let merges = file.read_vec("merges")?;
        let mut pairs = Zeroed::new(file.len::<u64>("pairs")?);
        file.read("pairs", pairs.as_mut_slice())?;
        let byte_pairs = file.read_vec("byte_pairs")?;
        file.finish()?;
        if key != self.key {
            return Ok(None);
        }
        let tables = || {
            let vocabulary = Vocabulary::from_tables(bytes, starts, slots, others)?;
            let byte_ids = vocabulary.byte_ids().ok()?;
            let merges = Merges::from_tables(merges, pairs, byte_pairs, &vocabulary)?;
            Some(Tables { vocabulary, byte_ids, merges })
        };
        Ok(tables())
    }

    fn write_tables(&self, tables: &Tables) -> Result<()> {
        let Some((merges, pairs, byte_pairs)) = tables.merges.tables() else { return Ok(()) };
        let (bytes, starts, others, slots) = tables.vocabulary.tables();
        let mut file = FileWriter::create(&self.path, KIND, VERSION, 8)?.for_cache();
        file.section("key")?;
        file.write(&self.key)?;
        file.section("bytes")?;
        file.write(bytes)?;
        file.section("starts")?;
        file.write_slice(starts)?;
        file.section("others")?;
        file.write_slice(others)?;
        file.section("slots")?;
        file.write_slice(slots)?;
        file.section("merges")?;
        file.write_slice(merges)?;
        file.section("pairs")?;
        file.write_slice(pairs)?;
        file.section("byte_pairs")?;
        file.write_slice(byte_pairs)?;
        file.finish()
    }
}

#[cfg(test)]
#[path = "compiled_tests.rs"]
mod tests;
