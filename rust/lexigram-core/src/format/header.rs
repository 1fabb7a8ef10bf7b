//! The header of a container file, and the checks that need no data.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::{ALIGN, BLOCK_LOG2, ENTRY, FIXED, MAGIC, MAX_SECTIONS, TAG, corrupt, data_start};
use crate::{Error, Result};

/// What the header of a file says.
#[derive(Debug)]
pub struct Header {
    /// Tags, offsets and lengths.
    pub sections: Vec<(String, usize, usize)>,
    /// Where data begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}

impl Header {
    /// Checks the beginning of a file, at least all of its header, and its length.
    pub fn parse(
        bytes: &[u8],
        file_length: u64,
        path: &Path,
        kind: [u8; 4],
        version: u32,
    ) -> Result<Self> {
        // An empty file cannot be mapped on every system; say what it is instead.
        if bytes.len() < FIXED + 8 {
            let what = format!("it ends after {} bytes, inside the header", bytes.len());
            return Err(corrupt(path, bytes.len() as u64, what));
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let expected = || format!("lexigram file of kind {:?}", String::from_utf8_lossy(&kind));
        if &bytes[..8] != MAGIC {
            return Err(Error::WrongKind {
                path: path.to_path_buf(),
                expected: expected(),
                found: format!(
                    "it begins with {:?} instead of \"LEXIGRAM\"",
                    String::from_utf8_lossy(&bytes[..8])
                ),
            });
        }
        let num_sections = u32_at(16) as usize;
        if num_sections > MAX_SECTIONS {
            return Err(corrupt(
                path,
                16,
                format!("it names {num_sections} sections, more than {MAX_SECTIONS}"),
            ));
        }
        let header = FIXED + ENTRY * num_sections;
        if bytes.len() < header + 8 {
            return Err(corrupt(
                path,
                bytes.len() as u64,
                "the file ends inside its section table".into(),
            ));
        }
        if u64_at(header) != xxh3_64(&bytes[..header]) {
            return Err(corrupt(path, 0, "the header does not match its checksum".into()));
        }
        if bytes[8..12] != kind {
            return Err(Error::WrongKind {
                path: path.to_path_buf(),
                expected: expected(),
                found: format!("it is of kind {:?}", String::from_utf8_lossy(&bytes[8..12])),
            });
        }
        if u32_at(12) != version {
            return Err(Error::Version {
                path: path.to_path_buf(),
                found: u32_at(12),
                supported: version,
            });
        }
        let (end, length) = (u64_at(24), u64_at(32));
        if length != file_length {
            return Err(corrupt(
                path,
                file_length.min(length),
                format!("the file has {file_length} bytes, its header says {length}"),
            ));
        }
        let start = data_start(num_sections);
        let blocks = end.checked_sub(start).map(|data| data.div_ceil(1 << BLOCK_LOG2));
        let table = blocks.and_then(|b| b.checked_mul(8)).and_then(|t| t.checked_add(end + 8));
        if u32_at(20) != BLOCK_LOG2 || table != Some(length) {
            return Err(corrupt(path, 20, "the header contradicts itself".into()));
        }
        let mut sections = Vec::with_capacity(num_sections);
        for entry in (FIXED..header).step_by(ENTRY) {
            let tag = &bytes[entry..entry + TAG];
            let tag = tag.split(|&b| b == 0).next().unwrap_or_default();
            let (offset, length) = (u64_at(entry + TAG), u64_at(entry + TAG + 8));
            let inside = offset >= start
                && offset % ALIGN == 0
                && offset.checked_add(length).is_some_and(|stop| stop <= end);
            if !inside {
                return Err(corrupt(
                    path,
                    entry as u64,
                    "a section lies outside the file's data".into(),
                ));
            }
            sections.push((
                String::from_utf8_lossy(tag).into_owned(),
                offset as usize,
                length as usize,
            ));
        }
        Ok(Self { sections, start, end })
    }
}
