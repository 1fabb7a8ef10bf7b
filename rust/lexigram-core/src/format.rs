//! The container of every binary file that lexigram writes, and the only place that knows files
//! can lie. Layout (little-endian; `docs/formats.md` works an example by hand):
//!
//! ```text
//! 0    8   "LEXIGRAM"
//! 8    4   kind, four ASCII letters ("SHRD": token shard, "NGRM": n-gram model, …)
//! 12   4   version of that kind, u32
//! 16   4   number of sections n, u32
//! 20   4   log2 of the checksum block, u32 (20: 1 MiB)
//! 24   8   data end E, u64: where the checksum table begins
//! 32   8   file length L, u64
//! 40   32n section table: tag (16 bytes ASCII, NUL-padded), offset u64, length u64
//! …    8   xxh3-64 of all bytes before this field
//! S    …   data from S, the next multiple of 64: sections, each at a multiple of 64, zero-padded
//! E    8b  xxh3-64 of each block of data [S, E), S + k·2^20
//! …    8   xxh3-64 of the table before this field; the file ends here, at L
//! ```
//!
//! Opening checks the header's checksum and the file's length, in time independent of the size;
//! [`MappedFile::verify`] checks every block and names the first that differs; [`MappedFile::check`]
//! checks only what is about to be read, each block once. A file is written
//! under a temporary name in its own directory, flushed to the disk and renamed: a reader sees
//! the whole file or none.

mod checked;
pub(crate) mod fault;
mod hash;
mod header;
pub mod manifest;
mod read;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytemuck::AnyBitPattern;
use memmap2::Mmap;
use tempfile::NamedTempFile;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{Error, Result};

use self::checked::Seen;
use self::header::Header;
pub use self::read::FileReader;

const MAGIC: &[u8; 8] = b"LEXIGRAM";
const FIXED: usize = 40;
const ENTRY: usize = 32;
const TAG: usize = 16;
const ALIGN: u64 = 64;
const BLOCK_LOG2: u32 = 20;
const MAX_SECTIONS: usize = 64;

fn align(offset: u64) -> u64 {
    offset.div_ceil(ALIGN) * ALIGN
}

fn data_start(sections: usize) -> u64 {
    align((FIXED + ENTRY * sections + 8) as u64)
}

/// A file under a temporary name that becomes `path` in one step, or leaves no trace.
pub struct AtomicFile {
    temp: NamedTempFile,
    path: PathBuf,
    flush: bool,
}

impl AtomicFile {
    /// Creates the temporary file beside `path`; the directory must exist.
    pub fn create(path: &Path) -> Result<Self> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".lexigram-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process's umask still applies, as for any file that a program creates.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let made = fault::point(path).and_then(|()| builder.tempfile_in(dir));
        let temp = made.map_err(|e| Error::io("create", path, e))?;
        Ok(Self { temp, path: path.to_path_buf(), flush: true })
    }

    /// The open temporary file.
    pub fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Renames without waiting for the disk: for what can be made again, and is verified when it
    /// is read.
    pub fn for_cache(mut self) -> Self {
        self.flush = false;
        self
    }

    /// Flushes to the disk and renames; after this returns, the file survives a crash.
    pub fn commit(self) -> Result<()> {
        let Self { temp, path, flush } = self;
        if !flush {
            temp.persist(&path).map_err(|e| Error::io("write", &path, e.error))?;
            return Ok(());
        }
        let flushed = fault::point(&path).and_then(|()| temp.as_file().sync_all());
        flushed.map_err(|e| Error::io("write", &path, e))?;
        let dir = temp.path().parent().map(Path::to_path_buf);
        let renamed = fault::point(&path).and_then(|()| temp.persist(&path).map_err(|e| e.error));
        renamed.map_err(|e| Error::io("write", &path, e))?;
        // The rename itself lives in the directory; not every system can flush one.
        if let Some(dir) = dir.and_then(|dir| File::open(dir).ok()) {
            let _ = dir.sync_all();
        }
        Ok(())
    }
}

/// Writes `bytes` to `path` in one step.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    let written = fault::point(path).and_then(|()| file.file().write_all(bytes));
    written.map_err(|e| Error::io("write", path, e))?;
    file.commit()
}

/// Writes one container file, section after section, in a single pass.
pub struct FileWriter {
    out: BufWriter<File>,
    atomic: AtomicFile,
    path: PathBuf,
    kind: [u8; 4],
    version: u32,
    num_sections: usize,
    sections: Vec<([u8; TAG], u64, u64)>,
    offset: u64,
    hasher: Xxh3,
    in_block: u64,
    blocks: Vec<u64>,
}

impl FileWriter {
    /// Begins a file of `num_sections` sections.
    pub fn create(path: &Path, kind: [u8; 4], version: u32, num_sections: usize) -> Result<Self> {
        assert!(num_sections <= MAX_SECTIONS, "at most {MAX_SECTIONS} sections");
        let mut atomic = AtomicFile::create(path)?;
        let start = data_start(num_sections);
        let mut file = atomic.file().try_clone().map_err(|e| Error::io("write", path, e))?;
        file.seek(SeekFrom::Start(start)).map_err(|e| Error::io("write", path, e))?;
        Ok(Self {
            out: BufWriter::with_capacity(1 << 18, file),
            atomic,
            path: path.to_path_buf(),
            kind,
            version,
            num_sections,
            sections: Vec::with_capacity(num_sections),
            offset: start,
            hasher: Xxh3::new(),
            in_block: 0,
            blocks: Vec::new(),
        })
    }

    /// See [`AtomicFile::for_cache`].
    pub fn for_cache(mut self) -> Self {
        self.atomic = self.atomic.for_cache();
        self
    }

    /// Begins the next section; its bytes follow by [`FileWriter::write`].
    pub fn section(&mut self, tag: &str) -> Result<()> {
        assert!(tag.len() <= TAG && tag.is_ascii(), "a tag is at most {TAG} ASCII letters");
        assert!(self.sections.len() < self.num_sections, "more sections than announced");
        self.pad()?;
        let mut name = [0; TAG];
        name[..tag.len()].copy_from_slice(tag.as_bytes());
        self.sections.push((name, self.offset, 0));
        Ok(())
    }

    /// Appends bytes to the section that was begun last.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let last = self.sections.last_mut().expect("a section was begun");
        last.2 += bytes.len() as u64;
        self.append(bytes)
    }

    /// Appends a slice of plain numbers (little-endian on every supported machine).
    pub fn write_slice<T: bytemuck::NoUninit>(&mut self, values: &[T]) -> Result<()> {
        self.write(bytemuck::cast_slice(values))
    }

    /// Writes the checksums and the header, and makes the file visible under its name.
    pub fn finish(mut self) -> Result<()> {
        assert_eq!(self.sections.len(), self.num_sections, "fewer sections than announced");
        self.pad()?;
        let end = self.offset;
        if self.in_block > 0 {
            self.close_block();
        }
        let mut table: Vec<u8> = self.blocks.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        table.extend(xxh3_64(&table).to_le_bytes());
        let length = end + table.len() as u64;

        let mut header = Vec::with_capacity(data_start(self.num_sections) as usize);
        header.extend(MAGIC);
        header.extend(self.kind);
        header.extend(self.version.to_le_bytes());
        header.extend((self.num_sections as u32).to_le_bytes());
        header.extend(BLOCK_LOG2.to_le_bytes());
        header.extend(end.to_le_bytes());
        header.extend(length.to_le_bytes());
        for (tag, offset, length) in &self.sections {
            header.extend(tag);
            header.extend(offset.to_le_bytes());
            header.extend(length.to_le_bytes());
        }
        header.extend(xxh3_64(&header).to_le_bytes());

        let path = self.path;
        let written = (|| {
            fault::point(&path)?;
            self.out.write_all(&table)?;
            let mut file = self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            fault::point(&path)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)
        })();
        written.map_err(|e| Error::io("write", &path, e))?;
        self.atomic.commit()
    }

    fn pad(&mut self) -> Result<()> {
        let zeros = [0u8; ALIGN as usize];
        let missing = (align(self.offset) - self.offset) as usize;
        self.append(&zeros[..missing])
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        let written = fault::point(&self.path).and_then(|()| self.out.write_all(bytes));
        written.map_err(|e| Error::io("write", &self.path, e))?;
        self.offset += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = ((1 << BLOCK_LOG2) - self.in_block) as usize;
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            self.in_block += now.len() as u64;
            if self.in_block == 1 << BLOCK_LOG2 {
                self.close_block();
            }
            bytes = rest;
        }
        Ok(())
    }

    fn close_block(&mut self) {
        self.blocks.push(self.hasher.digest());
        self.hasher.reset();
        self.in_block = 0;
    }
}

/// A container file, mapped into memory.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    path: PathBuf,
    sections: Vec<(String, usize, usize)>,
    start: usize,
    end: usize,
    seen: Seen,
}

impl MappedFile {
    /// Opens a file of this kind and version: checks header and length, reads no data.
    pub fn open(path: &Path, kind: [u8; 4], version: u32) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let length = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
        if length < (FIXED + 8) as u64 {
            return Err(corrupt(
                path,
                length,
                format!("it ends after {length} bytes, inside the header"),
            ));
        }
        // SAFETY: the mapping is read-only and private to this struct. A file that another
        // process truncates while it is mapped can end the process with SIGBUS; our writers never
        // do (they replace files by renaming), and the limit is documented in docs/formats.md.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Self::parse(map, path, kind, version)
    }

    fn parse(map: Mmap, path: &Path, kind: [u8; 4], version: u32) -> Result<Self> {
        let header = Header::parse(&map, map.len() as u64, path, kind, version)?;
        let Header { sections, start, end } = header;
        let (start, end) = (start as usize, end as usize);
        let seen = Seen::new((end - start).div_ceil(1 << BLOCK_LOG2));
        Ok(Self { map, path: path.to_path_buf(), sections, start, end, seen })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checksum of the checksum table, the file's last eight bytes: it stands for all its data.
    pub fn digest(&self) -> u64 {
        let last = self.map.len() - 8;
        u64::from_le_bytes(self.map[last..].try_into().expect("8 bytes"))
    }

    /// The length of the file.
    pub fn num_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// The bytes of a section.
    pub fn section(&self, tag: &str) -> Result<&[u8]> {
        let found = self.sections.iter().find(|(name, _, _)| name == tag);
        let (_, offset, length) =
            found.ok_or_else(|| corrupt(&self.path, 40, format!("it has no section {tag:?}")))?;
        Ok(&self.map[*offset..offset + length])
    }

    /// The number of a section, for [`MappedFile::nth`], which need not look for its tag.
    pub fn number(&self, tag: &str) -> Result<usize> {
        let found = self.sections.iter().position(|(name, _, _)| name == tag);
        found.ok_or_else(|| corrupt(&self.path, 40, format!("it has no section {tag:?}")))
    }

    /// The section of that number as a slice of plain numbers; empty if it is not such a slice.
    pub fn nth<T: AnyBitPattern>(&self, number: usize) -> &[T] {
        let place = self.sections.get(number);
        let bytes =
            place.map_or(&[][..], |(_, offset, length)| &self.map[*offset..offset + length]);
        bytemuck::try_cast_slice(bytes).unwrap_or_default()
    }

    /// A section as a slice of plain numbers.
    pub fn slice<T: AnyBitPattern>(&self, tag: &str) -> Result<&[T]> {
        let bytes = self.section(tag)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| {
            let size = size_of::<T>();
            let what =
                format!("section {tag:?} has {} bytes, not a multiple of {size}", bytes.len());
            corrupt(&self.path, 40, what)
        })
    }

    /// An [`Error::Corrupt`] for a reader that finds a section's content inconsistent.
    pub fn corrupt(&self, what: impl Into<String>) -> Error {
        corrupt(&self.path, self.start as u64, what.into())
    }
}

fn corrupt(path: &Path, offset: u64, what: String) -> Error {
    Error::Corrupt { path: path.to_path_buf(), offset, what }
}
