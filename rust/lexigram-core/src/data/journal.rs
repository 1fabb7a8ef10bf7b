//! What an interrupted run had finished: lines that are appended as shards are.
//!
//! The first line says what was being made; each other line names a finished shard of a side, in
//! order. A line is JSON, a tabulator and xxh3-64 of the JSON as 16 hexadecimal digits. It is
//! written after its shard is on the disk, and flushed. Invariant: a line that is whole and whose
//! checksum holds is true; the first that is not, and all after it, are as if never written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::manifest::{ShardEntry, hex};
use crate::format::fault;
use crate::{Error, Result};

/// A finished shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// Which side it belongs to.
    pub side: usize,
    /// As the manifest will name it.
    pub shard: ShardEntry,
    /// The chain of the side's documents up to its end.
    pub chain: u64,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins a journal.
    pub fn create(path: &Path, heading: &str) -> Result<Self> {
        let file = fault::point(path).and_then(|()| File::create(path));
        let file = file.map_err(|e| Error::io("create", path, e))?;
        let mut journal = Self { file, path: path.to_path_buf() };
        journal.write(&heading)?; // flushed with the first shard
        Ok(journal)
    }

    /// Goes on with a journal whose first `length` bytes are whole lines.
    pub fn reopen(path: &Path, length: u64) -> Result<Self> {
        let opened = OpenOptions::new().append(true).open(path);
        let file = opened.and_then(|file| file.set_len(length).map(|()| file));
        let file = file.map_err(|e| Error::io("write", path, e))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Notes a shard that is on the disk.
    pub fn add(&mut self, finished: &Finished) -> Result<()> {
        self.write(finished)?;
        let flushed = fault::point(&self.path).and_then(|()| self.file.sync_data());
        flushed.map_err(|e| Error::io("write", &self.path, e))
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string(line).map_err(|e| Error::Internal(e.to_string()))?;
        let line = format!("{json}\t{}\n", hex(xxh3_64(json.as_bytes())));
        let written = fault::point(&self.path).and_then(|()| self.file.write_all(line.as_bytes()));
        written.map_err(|e| Error::io("write", &self.path, e))
    }
}

/// What a journal holds.
#[derive(Debug)]
pub struct Found {
    /// The first line.
    pub heading: String,
    /// Where it ends.
    pub begin: u64,
    /// The others, and where each ends.
    pub finished: Vec<(Finished, u64)>,
}

/// The whole lines of a journal; `None` if there is no whole heading.
pub fn read(path: &Path) -> Result<Option<Found>> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|e| Error::io("read", path, e))?,
    };
    let mut lines = bytes.split_inclusive(|&b| b == b'\n');
    let Some((heading, mut end)) = lines.next().and_then(|l| Some((parse(l)?, l.len() as u64)))
    else {
        return Ok(None);
    };
    let begin = end;
    let mut finished = Vec::new();
    for line in lines {
        let Some(shard) = parse(line) else { break };
        end += line.len() as u64;
        finished.push((shard, end));
    }
    Ok(Some(Found { heading, begin, finished }))
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (json, sum) = line.rsplit_once('\t')?;
    (hex(xxh3_64(json.as_bytes())) == sum).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::shard::Counts;

    #[test]
    fn what_is_whole_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert!(read(&path).unwrap().is_none());
        let finished = |i| {
            let shard =
                ShardEntry { file: format!("{i}"), counts: Counts::default(), xxh3: hex(i) };
            Finished { side: 0, shard, chain: u64::MAX - i }
        };
        let mut journal = Journal::create(&path, "a\theading").unwrap();
        journal.add(&finished(0)).unwrap();
        journal.add(&finished(1)).unwrap();
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|&(_, &b)| b == b'\n').map(|(i, _)| i + 1).collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let lines = ends.iter().filter(|&&end| end <= length).count();
            let found = read(&path).unwrap();
            assert_eq!(found.is_some(), lines > 0);
            let Some(Found { heading, begin, finished: shards }) = found else { continue };
            assert_eq!((heading.as_str(), begin), ("a\theading", ends[0] as u64));
            assert_eq!(shards.len(), lines - 1);
            for (i, (shard, end)) in shards.iter().enumerate() {
                assert_eq!(shard.chain, u64::MAX - i as u64);
                assert_eq!(*end, ends[i + 1] as u64);
            }
        }
        fs::write(&path, &whole).unwrap();
        let mut journal = Journal::reopen(&path, ends[1] as u64).unwrap();
        journal.add(&finished(1)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1 << (at % 7);
            fs::write(&path, &bad).unwrap();
            let good = ends.iter().filter(|&&end| end <= at).count();
            let found = read(&path).unwrap().map_or(0, |found| 1 + found.finished.len());
            assert!(found <= good, "byte {at}");
        }
    }
}
