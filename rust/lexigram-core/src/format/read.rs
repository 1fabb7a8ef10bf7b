//! Reads a container file into memory of the caller's, once, from front to back.
//!
//! What is checked is what was read: a file that changes meanwhile is found, where a mapping of it
//! would change with it. And tables that are read at random can lie on huge pages, which the pages
//! of a file cannot.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{BLOCK_LOG2, Header, corrupt};
use crate::{Error, Result};

/// More than the longest header.
const MAX_HEADER: u64 = 4096;

/// A container file that is being read.
pub struct FileReader {
    file: File,
    path: PathBuf,
    header: Header,
    /// The checksums of the blocks.
    sums: Vec<u8>,
    /// How far data was read.
    at: u64,
    hasher: Xxh3,
    block: usize,
}

impl FileReader {
    /// Opens a file of this kind and version; checks its header, its length, and the checksum of
    /// the checksums.
    pub fn open(path: &Path, kind: [u8; 4], version: u32) -> Result<Self> {
        let io = |e| Error::io("read", path, e);
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut begin = Vec::new();
        file.by_ref().take(MAX_HEADER).read_to_end(&mut begin).map_err(io)?;
        let header = Header::parse(&begin, length, path, kind, version)?;
        file.seek(SeekFrom::Start(header.end)).map_err(io)?;
        let mut sums = Vec::new();
        file.by_ref().take(length - header.end).read_to_end(&mut sums).map_err(io)?;
        let own = sums.split_off(sums.len().saturating_sub(8));
        if xxh3_64(&sums).to_le_bytes() != *own {
            let what = "the checksum table does not match its own checksum";
            return Err(corrupt(path, header.end, what.into()));
        }
        file.seek(SeekFrom::Start(header.start)).map_err(io)?;
        let (at, hasher) = (header.start, Xxh3::new());
        Ok(Self { file, path: path.to_path_buf(), header, sums, at, hasher, block: 0 })
    }

    /// How many values of a kind a section has.
    pub fn len<T: Pod>(&self, tag: &str) -> Result<usize> {
        let (_, length) = self.find(tag)?;
        if length % size_of::<T>() != 0 {
            let what =
                format!("section {tag:?} has {length} bytes, no multiple of {}", size_of::<T>());
            return Err(corrupt(&self.path, 40, what));
        }
        Ok(length / size_of::<T>())
    }

    /// Reads a section, which must come after those read before, into values as many as it has.
    pub fn read<T: Pod>(&mut self, tag: &str, values: &mut [T]) -> Result<()> {
        let (offset, length) = self.find(tag)?;
        if (offset as u64) < self.at || length != size_of_val(values) {
            let what = format!("section {tag:?} is not where it should be");
            return Err(corrupt(&self.path, offset as u64, what));
        }
        self.skip_to(offset as u64)?;
        self.fill(bytemuck::cast_slice_mut(values))
    }

    /// As [`FileReader::read`], into a new vector.
    pub fn read_vec<T: Pod>(&mut self, tag: &str) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); self.len::<T>(tag)?];
        self.read(tag, &mut values)?;
        Ok(values)
    }

    /// Reads what is left and checks all. What was read may be used only after this says yes.
    pub fn finish(mut self) -> Result<()> {
        self.skip_to(self.header.end)?;
        if self.at > self.block_start() {
            self.close_block()?;
        }
        Ok(())
    }

    fn find(&self, tag: &str) -> Result<(usize, usize)> {
        let found = self.header.sections.iter().find(|(name, ..)| name == tag);
        let found = found.map(|&(_, offset, length)| (offset, length));
        found.ok_or_else(|| corrupt(&self.path, 40, format!("it has no section {tag:?}")))
    }

    fn skip_to(&mut self, offset: u64) -> Result<()> {
        let mut memory = [0; 4096];
        while self.at < offset {
            let now = (offset - self.at).min(memory.len() as u64) as usize;
            self.fill(&mut memory[..now])?;
        }
        Ok(())
    }

    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = (self.block_start() + (1 << BLOCK_LOG2) - self.at) as usize;
            let (now, rest) = bytes.split_at_mut(room.min(bytes.len()));
            self.file.read_exact(now).map_err(|e| Error::io("read", &self.path, e))?;
            // A block at a time is read and hashed, so that it is still in the cache.
            self.hasher.update(now);
            self.at += now.len() as u64;
            if self.at == self.block_start() + (1 << BLOCK_LOG2) {
                self.close_block()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn block_start(&self) -> u64 {
        self.header.start + ((self.block as u64) << BLOCK_LOG2)
    }

    fn close_block(&mut self) -> Result<()> {
        let sum = self.sums.chunks_exact(8).nth(self.block);
        if sum != Some(&self.hasher.digest().to_le_bytes()[..]) {
            let what = "the block that begins there does not match its checksum".to_owned();
            return Err(corrupt(&self.path, self.block_start(), what));
        }
        self.hasher.reset();
        self.block += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FileWriter;

    fn read(path: &Path) -> Result<(Vec<u8>, Vec<u32>)> {
        let mut file = FileReader::open(path, *b"TEST", 3)?;
        let values = (file.read_vec("first")?, file.read_vec("second")?);
        file.finish()?;
        Ok(values)
    }

    fn write(path: &Path, first: &[u8], second: &[u32]) {
        let mut file = FileWriter::create(path, *b"TEST", 3, 2).unwrap().for_cache();
        file.section("first").unwrap();
        file.write(first).unwrap();
        file.section("second").unwrap();
        file.write_slice(second).unwrap();
        file.finish().unwrap();
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for length in [0, 1, 64, (1 << 20) - 4, 1 << 20, (3 << 20) + 17] {
            let first: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let second: Vec<u32> = (0..length as u32 / 5).collect();
            write(&path, &first, &second);
            assert_eq!(read(&path).unwrap(), (first, second));
        }
    }

    #[test]
    fn damage_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, b"some bytes", &[7, 8, 9]);
        let good = std::fs::read(&path).unwrap();
        // The padding between header and data is in no block and says nothing.
        let padding = 40 + 32 * 2 + 8..128;
        for at in (0..good.len()).filter(|at| !padding.contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bad).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert!(read(&path).is_err(), "truncated to {length}");
        }
        std::fs::write(&path, &good).unwrap();
        let mut file = FileReader::open(&path, *b"TEST", 3).unwrap();
        file.read_vec::<u32>("second").unwrap();
        assert!(file.read_vec::<u8>("first").is_err(), "out of order");
        assert!(file.len::<[u8; 3]>("first").is_err(), "10 bytes are not threes");
        assert!(file.len::<u8>("third").is_err());
    }
}
