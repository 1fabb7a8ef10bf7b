//! A finished directory of shards as one stream of tokens.
//!
//! Opening reads the manifest and every shard's header, in time independent of their size: the
//! counts must agree, and the digest of each shard must be the one the manifest names, so that a
//! shard of another dataset is never taken for ours. Reading compares the checksum of each block of
//! 1 MiB that it touches for the first time, unless that is off. [`Dataset::verify`] reads every byte.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST, Manifest, hex};
use super::shard::{Dtype, Ids, KIND, Shard, VERSION, Verification};
use crate::format::MappedFile;
use crate::progress::Progress;
use crate::{Error, Result};

/// A dataset, opened for reading.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    manifest: Manifest,
    fingerprint: String,
    shards: Vec<Shard>,
    /// The first token of each shard, and the end.
    tokens: Vec<u64>,
    /// The first document of each shard, and the end.
    documents: Vec<u64>,
}

/// A copy of a run of ids, in their stored width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedIds {
    /// 16-bit ids.
    U16(Vec<u16>),
    /// 32-bit ids.
    U32(Vec<u32>),
}

impl Dataset {
    /// Opens the dataset in `dir`; what is read of it is verified.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, Verification::OnRead)
    }

    /// As [`Dataset::open`], with a choice.
    pub fn open_with(dir: &Path, verification: Verification) -> Result<Self> {
        let entries = fs::metadata(dir).map_err(|e| Error::io("read", dir, e))?;
        let path = dir.join(MANIFEST);
        if !entries.is_dir() || !path.exists() {
            return Err(Error::WrongKind {
                path: dir.to_path_buf(),
                expected: "finished token dataset".to_owned(),
                found: format!("it is not a directory with a {MANIFEST}"),
            });
        }
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let (manifest, fingerprint) = Manifest::from_bytes(&bytes, &path)?;
        let mut shards = Vec::with_capacity(manifest.shards.len());
        let (mut tokens, mut documents) = (vec![0], vec![0]);
        for entry in &manifest.shards {
            let path = dir.join(&entry.file);
            let shard = Shard::open_with(&path, verification);
            let shard = shard.map_err(|error| located(&path, error))?;
            let meta = shard.meta();
            if meta.counts != entry.counts
                || meta.vocabulary != manifest.vocabulary
                || hex(shard.digest()) != entry.xxh3
            {
                let error = shard.corrupt(format!("it is not the shard that {MANIFEST} names"));
                return Err(located(&path, error));
            }
            tokens.push(tokens.last().unwrap_or(&0) + entry.counts.num_tokens);
            documents.push(documents.last().unwrap_or(&0) + entry.counts.num_documents);
            shards.push(shard);
        }
        Ok(Self { dir: dir.to_path_buf(), manifest, fingerprint, shards, tokens, documents })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Equal for datasets with the same shards, and for no others.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The number of tokens, separators included.
    pub fn num_tokens(&self) -> u64 {
        self.manifest.counts.num_tokens
    }

    /// The number of documents.
    pub fn num_documents(&self) -> u64 {
        self.manifest.counts.num_documents
    }

    /// The parts of shards that make up a run of tokens: each shard and a range in it.
    pub fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (&Shard, Range<usize>)> {
        let first = self.tokens.partition_point(|&start| start <= range.start).saturating_sub(1);
        let parts = self.tokens[first..].windows(2).zip(&self.shards[first..]);
        parts.take_while(move |(ends, _)| ends[0] < range.end).map(move |(ends, shard)| {
            let from = range.start.max(ends[0]) - ends[0];
            let to = range.end.min(ends[1]) - ends[0];
            (shard, from as usize..to as usize)
        })
    }

    /// Begins to load the ids at the start of a run, where the machine can be asked to: the rest
    /// follows by itself once it is read.
    pub fn prefetch(&self, run: &Range<u64>) {
        let shard = self.tokens.partition_point(|&start| start <= run.start) - 1;
        let start = (run.start - self.tokens[shard]) as usize;
        self.shards[shard].prefetch(start, (run.end - run.start) as usize);
    }

    /// The token at `index`, which must be in the stream.
    pub fn at(&self, index: u64) -> Result<u32> {
        let shard = self.tokens.partition_point(|&start| start <= index) - 1;
        let local = (index - self.tokens[shard]) as usize;
        Ok(self.shards[shard].ids(&(local..local + 1))?.at(local))
    }

    /// A copy of a run of tokens.
    pub fn read(&self, range: Range<u64>) -> Result<OwnedIds> {
        let num_tokens = self.num_tokens();
        if range.start > range.end || range.end > num_tokens {
            let limit = format!("must lie in 0 to {num_tokens}, the number of tokens");
            return Err(Error::argument("range", format!("{range:?}"), limit));
        }
        let length = (range.end - range.start) as usize;
        let mut ids = match self.manifest.vocabulary.dtype {
            Dtype::Uint16 => OwnedIds::U16(Vec::with_capacity(length)),
            Dtype::Uint32 => OwnedIds::U32(Vec::with_capacity(length)),
        };
        for (shard, part) in self.parts(range) {
            match (&mut ids, shard.ids(&part)?) {
                (OwnedIds::U16(ids), Ids::U16(stored)) => ids.extend_from_slice(&stored[part]),
                (OwnedIds::U32(ids), Ids::U32(stored)) => ids.extend_from_slice(&stored[part]),
                // `open` has compared every shard's width with the manifest's.
                _ => return Err(shard.corrupt("its ids are of another width")),
            }
        }
        Ok(ids)
    }

    /// The tokens of document `index`, without its separator.
    pub fn document(&self, index: u64) -> Result<Range<u64>> {
        let num_documents = self.num_documents();
        if index >= num_documents {
            let limit = format!("must be below {num_documents}, the number of documents");
            return Err(Error::argument("document", index, limit));
        }
        let shard = self.documents.partition_point(|&start| start <= index) - 1;
        let local = (index - self.documents[shard]) as usize;
        let base = self.tokens[shard];
        match self.shards[shard].documents(local..local + 2)?[local..] {
            [start, end, ..] if start < end && end <= self.tokens[shard + 1] - base => {
                Ok(base + start..base + end - 1)
            }
            _ => Err(self.shards[shard].corrupt(format!("document {local} has no place in it"))),
        }
    }

    /// Calls `each` with the tokens of every document in order, its separator included.
    pub fn each_document(&self, mut each: impl FnMut(Range<u64>)) -> Result<()> {
        for (shard, base) in self.shards.iter().zip(&self.tokens) {
            let num_documents = shard.meta().counts.num_documents as usize;
            for (i, pair) in shard.documents(0..num_documents + 1)?.windows(2).enumerate() {
                if pair[0] >= pair[1] || pair[1] > shard.meta().counts.num_tokens {
                    return Err(shard.corrupt(format!("document {i} has no place in it")));
                }
                each(base + pair[0]..base + pair[1]);
            }
        }
        Ok(())
    }

    /// Reads every byte again, from the disk: manifest, headers, checksums, indexes, ids.
    /// Reports tokens.
    pub fn verify(&self, progress: &dyn Progress) -> Result<()> {
        let fresh = Self::open_with(&self.dir, Verification::Off)?;
        if fresh.fingerprint != self.fingerprint {
            return Err(Error::WrongKind {
                path: self.dir.clone(),
                expected: "dataset that was opened".to_owned(),
                found: "another one has taken its place since; open it again".to_owned(),
            });
        }
        for (shard, &done) in fresh.shards.iter().zip(&fresh.tokens[1..]) {
            shard.verify()?;
            progress.report(done, fresh.num_tokens())?;
        }
        Ok(())
    }
}

/// Damage was seen where it did harm; the checksums may know where it is.
fn located(path: &Path, error: Error) -> Error {
    match error {
        Error::Corrupt { .. } => {
            let checked = MappedFile::open(path, KIND, VERSION).and_then(|file| file.verify());
            checked.err().unwrap_or(error)
        }
        error => error,
    }
}
