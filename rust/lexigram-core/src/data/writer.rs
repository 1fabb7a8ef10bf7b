//! Writes a dataset: all of it, or nothing.
//!
//! Shards grow in a temporary directory beside the target. When the last document is in, the
//! manifest is written there and the directory is renamed to the target in one step. Invariants: no
//! reader ever sees a directory that is not finished; a writer that is dropped removes its
//! temporary directory; of two writers to one target, one succeeds and the other is told.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::manifest::{MANIFEST, Manifest, ShardEntry, hex};
use super::shard::{Shard, ShardWriter, Vocabulary};
use crate::format::write_atomic;
use crate::{Error, Result};

const PREFIX: &str = "shard-";
const SUFFIX: &str = ".tokens";

/// Takes documents and makes a directory of shards.
pub struct DatasetWriter {
    // Declared before `temp`: the open shard goes before its directory does.
    open: Option<(String, ShardWriter)>,
    temp: TempDir,
    target: PathBuf,
    overwrite: bool,
    vocabulary: Vocabulary,
    shard_tokens: u64,
    shards: Vec<ShardEntry>,
}

impl DatasetWriter {
    /// Begins the dataset `target`. A shard ends with the document that brings it to
    /// `shard_tokens`. A dataset that is already there is an error, or with `overwrite` is replaced
    /// when the new one is finished; a directory with other files in it is always an error.
    pub fn create(
        target: &Path,
        vocabulary: Vocabulary,
        shard_tokens: u64,
        overwrite: bool,
    ) -> Result<Self> {
        if shard_tokens == 0 {
            return Err(Error::argument("shard_tokens", shard_tokens, "must be at least 1"));
        }
        let target = fs::canonicalize(target)
            .or_else(|_| std::path::absolute(target))
            .map_err(|e| Error::io("create", target, e))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::argument(
                "out_dir",
                target.display(),
                "cannot be made; name a new directory",
            ));
        };
        check_free(&target, overwrite)?;
        fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        let temp = temporary(parent, &format!("{}.tmp-", name.to_string_lossy()))?;
        Ok(Self {
            open: None,
            temp,
            target,
            overwrite,
            vocabulary,
            shard_tokens,
            shards: Vec::new(),
        })
    }

    /// Appends documents: the i-th is `ids[offsets[i]..offsets[i + 1]]`, without a separator, from a
    /// text of `num_bytes[i]` UTF-8 bytes.
    pub fn append(&mut self, ids: &[u32], offsets: &[i64], num_bytes: &[i64]) -> Result<()> {
        let index = |&offset: &i64| usize::try_from(offset).ok();
        let offsets: Option<Vec<usize>> = offsets.iter().map(index).collect();
        let offsets = offsets.filter(|o| {
            o.first() == Some(&0)
                && o.last() == Some(&ids.len())
                && o.is_sorted()
                && o.len() == num_bytes.len() + 1
                && num_bytes.iter().all(|&n| n >= 0)
        });
        let Some(offsets) = offsets else {
            return Err(Error::argument(
                "offsets",
                format!("for {} ids and {} documents", ids.len(), num_bytes.len()),
                "must rise from 0 to the number of ids, one more than there are documents",
            ));
        };
        self.check(ids)?;
        for (range, &bytes) in offsets.windows(2).zip(num_bytes) {
            self.document(&ids[range[0]..range[1]], bytes as u64)?;
        }
        Ok(())
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        let Vocabulary { vocab_size, document_separator, .. } = self.vocabulary;
        let wrong = |&id: &u32| u64::from(id) >= vocab_size || id == document_separator;
        let Some(position) = ids.iter().position(wrong) else { return Ok(()) };
        if ids[position] == document_separator {
            return Err(Error::argument(
                "document_separator",
                document_separator,
                "this id also stands inside a document; choose one that no text is encoded to",
            ));
        }
        let id = u64::from(ids[position]);
        Err(Error::TokenId { id, position, vocab_size: vocab_size as usize })
    }

    fn document(&mut self, ids: &[u32], num_bytes: u64) -> Result<()> {
        let (_, shard) = match &mut self.open {
            Some(open) => open,
            None => {
                let file = format!("{PREFIX}{:05}{SUFFIX}", self.shards.len());
                let shard = ShardWriter::create(&self.temp.path().join(&file), &self.vocabulary)?;
                self.open.insert((file, shard))
            }
        };
        shard.document(ids, num_bytes)?;
        if shard.num_tokens() >= self.shard_tokens {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if let Some((file, shard)) = self.open.take() {
            let counts = shard.finish()?;
            let digest = Shard::open(&self.temp.path().join(&file))?.digest();
            self.shards.push(ShardEntry { file, counts, xxh3: hex(digest) });
        }
        Ok(())
    }

    /// Writes the manifest and puts the directory in its place. `num_skipped` is the number of
    /// documents that the caller left out because they could not be read.
    pub fn finish(mut self, num_skipped: u64) -> Result<()> {
        self.close()?;
        let manifest = Manifest::new(self.vocabulary, self.shards, num_skipped);
        if manifest.counts.num_bytes == 0 {
            return Err(Error::Empty {
                what: "the corpus".to_owned(),
                remedy: "give at least one document with text in it",
            });
        }
        write_atomic(&self.temp.path().join(MANIFEST), &manifest.to_bytes()?)?;
        place(self.temp, &self.target, self.overwrite)
    }
}

/// Fails unless `target` may be written: absent, an empty directory, or with `overwrite` a
/// directory that holds a dataset and nothing else.
fn check_free(target: &Path, overwrite: bool) -> Result<()> {
    let entries = match fs::read_dir(target) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("write to", target, e)),
        Ok(entries) => entries,
    };
    let mut finished = false;
    let mut foreign = None;
    for entry in entries {
        let name = entry.map_err(|e| Error::io("read", target, e))?.file_name();
        let name = name.to_string_lossy();
        if name == MANIFEST {
            finished = true;
        } else if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            foreign = Some(name.into_owned());
        }
    }
    let taken = |limit: String| Err(Error::argument("out_dir", target.display(), limit));
    match (foreign, finished) {
        (Some(name), _) => {
            taken(format!("holds {name:?}, which is no part of a dataset; name another directory"))
        }
        (None, true) if !overwrite => taken(
            "already holds a dataset; pass overwrite=True (--overwrite) to replace it".to_owned(),
        ),
        _ => Ok(()),
    }
}

pub(crate) fn temporary(parent: &Path, prefix: &str) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As for any directory that a program creates: the process's umask still applies.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent).map_err(|e| Error::io("create a directory in", parent, e))
}

/// Renames the finished directory to `target`; what was there goes only after that.
fn place(temp: TempDir, target: &Path, overwrite: bool) -> Result<()> {
    check_free(target, overwrite)?;
    let parent = target.parent().unwrap_or(target);
    let old = temporary(parent, ".lexigram-old-")?;
    let aside = old.path().join("dataset");
    // An empty directory gives way. One that another writer has filled since the check does not:
    // without `overwrite`, the rename below is then refused.
    let _ = fs::remove_dir(target);
    let replaced = overwrite && fs::rename(target, &aside).is_ok();
    if let Err(e) = fs::rename(temp.path(), target) {
        // Another writer came between: its dataset stays, or what was there comes back.
        if replaced && fs::rename(&aside, target).is_err() && !target.exists() {
            let _ = old.keep();
        }
        check_free(target, false)?;
        return Err(Error::io("write", target, e));
    }
    let _ = temp.keep();
    if let Ok(dir) = fs::File::open(parent) {
        let _ = dir.sync_all(); // the rename lives in the directory; not every system can flush one
    }
    Ok(())
}
