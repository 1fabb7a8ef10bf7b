//! Builds an index: ids in, a finished directory out, or nothing.
//!
//! Ids are gathered until a shard is full; then its suffixes are sorted and it is written. Shards
//! grow in a temporary directory beside the target, the manifest comes last, and the directory is
//! renamed to the target in one step.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::manifest::{Entry, MANIFEST, Manifest, TOKENIZER};
use super::shard::{self, Part, Shard, TokenId};
use super::{MAX_VOCAB_SIZE, OVERLAP, sort, tree};
use crate::data::writer::temporary;
use crate::format::manifest::hex;
use crate::format::write_atomic;
use crate::progress::Progress;
use crate::{Error, Result};

/// Ids of a shard, where no memory limit says less: sorting them takes about 3 GB.
const SHARD_TOKENS: usize = 1 << 28;
/// The smallest shard that a memory limit may ask for.
const MIN_SHARD_TOKENS: usize = 1 << 16;

/// How an index is built.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number V of token ids, 1 to [`MAX_VOCAB_SIZE`].
    pub vocab_size: usize,
    /// The id that ends every document.
    pub document_separator: Option<u32>,
    /// Bytes that building may take; the ids that are given are not counted.
    pub memory_limit: Option<u64>,
    /// Worker threads; `None`: as many as there are cores. The index does not depend on it.
    pub num_threads: Option<usize>,
    /// The text of a tokenizer.json that the index carries.
    pub tokenizer: Option<String>,
    /// How many ids will come, for the progress reports; 0: unknown.
    pub total: u64,
    /// Ids of a shard, the separator in front included; `None`: by the memory limit.
    pub shard_tokens: Option<usize>,
    /// How many ids the text of a cut document goes on by; the longest match if one is cut.
    pub overlap: usize,
}

impl Options {
    /// Everything else as usual.
    pub fn new(vocab_size: usize, document_separator: Option<u32>) -> Self {
        Self {
            vocab_size,
            document_separator,
            memory_limit: None,
            num_threads: None,
            tokenizer: None,
            total: 0,
            shard_tokens: None,
            overlap: OVERLAP,
        }
    }

    /// Ids of a shard.
    fn shard_tokens(&self) -> Result<usize> {
        if let Some(tokens) = self.shard_tokens {
            return Ok(tokens.max(self.overlap + 2));
        }
        let Some(limit) = self.memory_limit else { return Ok(SHARD_TOKENS) };
        // The text, the array, and the tree twice while its pieces are joined; the first level.
        let per_token = if self.vocab_size <= 1 << 16 { 12 } else { 20 };
        let fixed = 16 * self.vocab_size as u64 + (4 << 20);
        let tokens = limit.saturating_sub(fixed) / per_token;
        if tokens < MIN_SHARD_TOKENS as u64 {
            let least = fixed + per_token * MIN_SHARD_TOKENS as u64;
            let limit_text = format!("building takes at least {least} bytes; allow that many");
            return Err(Error::argument("memory_limit", limit, limit_text));
        }
        Ok(SHARD_TOKENS.min(tokens as usize))
    }
}

/// Takes ids and makes an index.
pub struct Builder(Typed);

enum Typed {
    Narrow(Work<u16>),
    Wide(Work<u32>),
}

impl Builder {
    /// Begins the index `target`, which must not be there, or be an empty directory.
    pub fn create(target: &Path, options: Options) -> Result<Self> {
        Ok(Self(if options.vocab_size <= 1 << 16 {
            Typed::Narrow(Work::create(target, options)?)
        } else {
            Typed::Wide(Work::create(target, options)?)
        }))
    }

    /// Appends ids to the stream.
    pub fn append<I: Copy + Into<u32>>(
        &mut self,
        ids: &[I],
        progress: &dyn Progress,
    ) -> Result<()> {
        match &mut self.0 {
            Typed::Narrow(work) => work.append(ids, progress),
            Typed::Wide(work) => work.append(ids, progress),
        }
    }

    /// Sorts what is left, writes the manifest and puts the directory in its place.
    pub fn finish(self, progress: &dyn Progress) -> Result<()> {
        match self.0 {
            Typed::Narrow(work) => work.finish(progress),
            Typed::Wide(work) => work.finish(progress),
        }
    }
}

struct Work<T> {
    temp: TempDir,
    target: PathBuf,
    options: Options,
    pool: Option<rayon::ThreadPool>,
    capacity: usize,
    manifest: Manifest,
    /// Ids that are in no shard yet, with the separator in front.
    text: Vec<T>,
    front: bool,
    /// How many ids of the first document in `text` are in shards.
    offset: u64,
    /// How many ids were given.
    given: u64,
    any_cut: bool,
}

impl<T: TokenId> Work<T> {
    fn create(target: &Path, options: Options) -> Result<Self> {
        if !(1..=MAX_VOCAB_SIZE).contains(&options.vocab_size) {
            let limit = format!("use 1 to {MAX_VOCAB_SIZE}");
            return Err(Error::argument("vocab_size", options.vocab_size, limit));
        }
        if let Some(id) = options.document_separator
            && id as usize >= options.vocab_size
        {
            let limit = format!("it must be an id of the vocabulary, below {}", options.vocab_size);
            return Err(Error::argument("document_separator", id, limit));
        }
        let capacity = options.shard_tokens()?;
        let pool = options.num_threads.map(threads).transpose()?;
        let target = fs::canonicalize(target)
            .or_else(|_| std::path::absolute(target))
            .map_err(|e| Error::io("create", target, e))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            let limit = "cannot be made; name a new directory";
            return Err(Error::argument("out_dir", target.display(), limit));
        };
        check_free(&target)?;
        fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        let temp = temporary(parent, &format!("{}.tmp-", name.to_string_lossy()))?;
        let manifest = Manifest::new(options.vocab_size, options.document_separator);
        let mut work = Self {
            temp,
            target,
            options,
            pool,
            capacity,
            manifest,
            text: Vec::new(),
            front: false,
            offset: 0,
            given: 0,
            any_cut: false,
        };
        work.begin();
        Ok(work)
    }

    fn separator(&self) -> Option<T> {
        self.options.document_separator.and_then(T::new)
    }

    /// Puts the separator in front of a shard that begins with a document.
    fn begin(&mut self) {
        if let Some(separator) = self.separator() {
            self.text.insert(0, separator);
            self.front = true;
        }
    }

    fn append<I: Copy + Into<u32>>(&mut self, ids: &[I], progress: &dyn Progress) -> Result<()> {
        let vocab_size = self.options.vocab_size;
        for some in ids.chunks(1 << 16) {
            for &id in some {
                let id: u32 = id.into();
                match T::new(id).filter(|_| (id as usize) < vocab_size) {
                    Some(id) => self.text.push(id),
                    None => {
                        let position = self.given as usize;
                        return Err(Error::TokenId { id: id.into(), position, vocab_size });
                    }
                }
                self.given += 1;
                if self.text.len() >= self.capacity {
                    self.flush(progress)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a shard of what there is, up to the last end of a document.
    fn flush(&mut self, progress: &dyn Progress) -> Result<()> {
        let separator = self.separator();
        let end = self.text.iter().skip(1).rposition(|&id| Some(id) == separator);
        let text = std::mem::take(&mut self.text);
        match end {
            Some(end) => {
                self.shard(&text[..end + 2], end + 2, progress)?;
                self.text.extend_from_slice(&text[end + 2..]);
                self.offset = 0;
                self.begin();
            }
            None => {
                let own = text.len() - self.options.overlap;
                let start = usize::from(self.front);
                self.shard(&text, own, progress)?;
                self.any_cut = true;
                self.manifest.num_documents -= 1; // it goes on
                self.text.extend_from_slice(&text[own..]);
                self.offset += (own - start) as u64;
                self.front = false;
            }
        }
        Ok(())
    }

    /// Sorts and writes a shard of the first `own` suffixes of `text`.
    fn shard(&mut self, text: &[T], own: usize, progress: &dyn Progress) -> Result<()> {
        let done = self.manifest.num_tokens;
        let total = self.options.total.max(self.given);
        let size = (own - usize::from(self.front)) as u64;
        let Options { vocab_size, document_separator, .. } = self.options;
        let to = done + size * 2 / 3;
        let report = sort::Report { progress, from: done, to, total };
        let mut suffixes = sort::sort(text, vocab_size, report)?;
        progress.report(to, total)?;
        if own < text.len() {
            suffixes.retain(|&position| (position as usize) < own);
        }
        let build = || tree::build(text, &suffixes, vocab_size, document_separator, tree::EXPANDED);
        let tree = match &self.pool {
            Some(pool) => pool.install(build),
            None => build(),
        };
        progress.report(done + size * 5 / 6, total)?;
        let documents = shard::document_starts(&text[..own], document_separator, self.front);
        let part = Part {
            first_document: self.manifest.num_documents,
            offset: self.offset,
            front: self.front,
            num_suffixes: own as u32,
            vocab_size,
            separator: document_separator,
        };
        let file = format!("shard-{:05}.suffix", self.manifest.shards.len());
        let path = self.temp.path().join(&file);
        shard::write(&path, &part, text, &documents, &suffixes, &tree)?;
        let digest = Shard::<T>::open(&path)?.file().digest();
        self.manifest.shards.push(Entry { file, num_tokens: size, xxh3: hex(digest) });
        self.manifest.num_tokens += size;
        self.manifest.num_documents += documents.len() as u64;
        progress.report(done + size, total)
    }

    fn finish(mut self, progress: &dyn Progress) -> Result<()> {
        if self.given == 0 {
            let (what, remedy) = ("the token stream".to_owned(), "give at least one token");
            return Err(Error::Empty { what, remedy });
        }
        let text = std::mem::take(&mut self.text);
        if text.len() > usize::from(self.front) {
            self.shard(&text, text.len(), progress)?;
        }
        self.manifest.max_match = self.any_cut.then_some(self.options.overlap as u64);
        if let Some(tokenizer) = &self.options.tokenizer {
            self.manifest.tokenizer = Some(hex(xxhash_rust::xxh3::xxh3_64(tokenizer.as_bytes())));
            write_atomic(&self.temp.path().join(TOKENIZER), tokenizer.as_bytes())?;
        }
        write_atomic(&self.temp.path().join(MANIFEST), &self.manifest.to_bytes()?)?;
        check_free(&self.target)?;
        let _ = fs::remove_dir(&self.target); // an empty directory gives way
        fs::rename(self.temp.path(), &self.target)
            .map_err(|e| Error::io("write", &self.target, e))?;
        let _ = self.temp.keep();
        if let Some(dir) = self.target.parent().and_then(|dir| fs::File::open(dir).ok()) {
            let _ = dir.sync_all(); // not every system can flush a directory
        }
        Ok(())
    }
}

fn threads(number: usize) -> Result<rayon::ThreadPool> {
    if !(1..=1024).contains(&number) {
        return Err(Error::argument("num_threads", number, "use 1 to 1024"));
    }
    rayon::ThreadPoolBuilder::new().num_threads(number).build().map_err(|e| {
        Error::argument("num_threads", number, format!("cannot start them: {e}; use fewer"))
    })
}

/// Fails unless `target` is absent or an empty directory.
fn check_free(target: &Path) -> Result<()> {
    match fs::read_dir(target).map(|mut entries| entries.next()) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Error::argument(
            "out_dir",
            target.display(),
            "already holds files; name a new directory, or remove it",
        )),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("write to", target, e)),
    }
}
