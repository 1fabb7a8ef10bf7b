//! Checking a file's blocks: all of them, or each when it is first read.
//!
//! Invariant: a bit of [`Seen`] is set only after its block's checksum, and the checksum table's own,
//! have been found right by this process. A block may be hashed twice by two threads that meet; none
//! is read unhashed. What the disk loses after a block was checked is not seen again.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::hash::xxh3;
use super::{BLOCK_LOG2, ENTRY, FIXED, MappedFile, corrupt};
use crate::Result;

/// Which blocks have been checked; the last bit is the checksum table's.
#[derive(Debug)]
pub struct Seen(Box<[AtomicU64]>);

impl Seen {
    pub fn new(num_blocks: usize) -> Self {
        Self((0..=num_blocks / 64).map(|_| AtomicU64::new(0)).collect())
    }

    fn has(&self, block: usize) -> bool {
        self.0[block / 64].load(Ordering::Relaxed) >> (block % 64) & 1 != 0
    }

    fn add(&self, block: usize) {
        self.0[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
    }
}

impl MappedFile {
    /// Checks the blocks that bytes `range` of the section of that number lie in, unless they have
    /// been checked before.
    #[inline]
    pub fn check(&self, section: usize, range: Range<usize>) -> Result<()> {
        let Some(&(_, offset, length)) = self.sections.get(section) else { return Ok(()) };
        if range.start >= range.end.min(length) {
            return Ok(());
        }
        let first = (offset - self.start + range.start) >> BLOCK_LOG2;
        let last = (offset - self.start + range.end.min(length) - 1) >> BLOCK_LOG2;
        for block in first..=last {
            if !self.seen.has(block) {
                self.check_block(block)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn check_block(&self, block: usize) -> Result<()> {
        if !self.seen.has(self.num_blocks()) {
            self.check_table()?;
            self.seen.add(self.num_blocks());
        }
        self.hash_block(block)?;
        self.seen.add(block);
        Ok(())
    }

    /// Checks every block of data against its checksum, also those that were checked before.
    pub fn verify(&self) -> Result<()> {
        self.check_table()?;
        for block in 0..self.num_blocks() {
            self.hash_block(block)?;
        }
        // The padding between header and data is in no block.
        let header = FIXED + ENTRY * self.sections.len() + 8;
        if self.map[header..self.start].iter().any(|&b| b != 0) {
            let what = "the padding after the header is not zero";
            return Err(corrupt(&self.path, header as u64, what.into()));
        }
        Ok(())
    }

    fn num_blocks(&self) -> usize {
        (self.end - self.start).div_ceil(1 << BLOCK_LOG2)
    }

    fn check_table(&self) -> Result<()> {
        let (table, own) = self.map[self.end..].split_at(self.map.len() - self.end - 8);
        if xxh3_64(table).to_le_bytes() == own {
            return Ok(());
        }
        let what = "the checksum table does not match its own checksum";
        Err(corrupt(&self.path, self.end as u64, what.into()))
    }

    fn hash_block(&self, block: usize) -> Result<()> {
        let from = self.start + (block << BLOCK_LOG2);
        let to = self.end.min(from + (1 << BLOCK_LOG2));
        // The whole block is read at once and its pages are mapped together, where the system can;
        // else each page, or few, come by a fault of their own.
        #[cfg(target_os = "linux")]
        let _ = self.map.advise_range(memmap2::Advice::PopulateRead, from, to - from);
        let sum = &self.map[self.end + 8 * block..][..8];
        if xxh3(&self.map[from..to]).to_le_bytes() == sum {
            return Ok(());
        }
        let what = format!(
            "block {block}, the {} bytes that begin there, does not match its checksum",
            to - from
        );
        Err(corrupt(&self.path, from as u64, what))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::format::FileWriter;

    fn open(path: &Path) -> MappedFile {
        MappedFile::open(path, *b"TEST", 1).unwrap()
    }

    /// Every block of a damaged file: only reads of what lies in the damaged block fail, and they
    /// fail each time.
    #[test]
    fn a_damaged_block_is_found_where_it_is_read_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut file = FileWriter::create(&path, *b"TEST", 1, 2).unwrap();
        file.section("first").unwrap();
        file.write(&vec![1; (2 << 20) + 100]).unwrap();
        file.section("second").unwrap();
        file.write(&vec![2; 3 << 20]).unwrap();
        file.finish().unwrap();
        let good = std::fs::read(&path).unwrap();
        let (start, sections) = (open(&path).start, open(&path).sections.clone());
        for block in 0..open(&path).num_blocks() {
            let mut bad = good.clone();
            bad[start + (block << 20) + 77] ^= 4;
            std::fs::write(&path, &bad).unwrap();
            let file = open(&path);
            for _ in 0..2 {
                for (number, (_, offset, length)) in sections.iter().enumerate() {
                    for from in (0..*length).step_by(300_000) {
                        let range = from..(from + 70_000).min(*length);
                        let begin = (offset + range.start - start) >> 20;
                        let end = (offset + range.end - 1 - start) >> 20;
                        let found = file.check(number, range);
                        assert_eq!(found.is_err(), (begin..=end).contains(&block));
                        if let Err(error) = found {
                            let place = format!("byte {}: block {block},", start + (block << 20));
                            assert!(error.to_string().contains(&place), "{error}");
                        }
                    }
                }
            }
        }
        let mut bad = good.clone();
        let table = bad.len() - 12;
        bad[table] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(open(&path).check(0, 0..1).unwrap_err().to_string().contains("table"));
        assert!(open(&path).check(0, 5..5).is_ok(), "nothing was read");
    }
}
