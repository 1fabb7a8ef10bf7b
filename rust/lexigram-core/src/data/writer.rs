//! Writes a dataset, or the datasets of several splits: all, or nothing.
//!
//! Shards grow in the working directory that [`super::claim`] describes; a thread of its own hashes
//! and writes them while the caller encodes. When the last document is in, the manifests are written
//! there and the directory is renamed to the target in one step. Invariants: no reader ever sees a
//! directory that is not finished; a writer that is dropped removes what it made, or, if it may be
//! resumed, all but its finished shards; of two writers to one target the second is told at once.
//!
//! Resuming. After each shard that is full, a line of the journal says what documents the shards of
//! that side hold by now. A writer that resumes is given all documents again, from the first one
//! on, and passes over those; the datasets are bit for bit those of a run that was not interrupted,
//! as each shard ends where the sizes of its documents say.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use tempfile::TempDir;

use super::admission::{Admission, Admitted, Chain, Splits};
use super::claim::{Claim, check_free};
use super::journal::{self, Journal};
use super::manifest::{MANIFEST, Manifest};
use super::shard::{VERSION, Vocabulary};
use super::streams::{Batch, Stream, Work, take_finished};
use super::texts::Texts;
use crate::format::write_atomic;
use crate::{Error, Result};

/// Batches of documents that wait to be written.
const WAITING: usize = 2;

/// How a dataset is to be made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A shard ends with the document that brings it to so many tokens.
    pub shard_tokens: u64,
    /// Whether datasets that are there already are replaced.
    pub overwrite: bool,
    /// Whether to go on with what an interrupted run left, and to leave that much to the next.
    pub resume: bool,
    /// Whether only the first of equal documents is written.
    pub deduplicate: bool,
    /// The directories in the target; `None`: the target itself is the dataset.
    pub splits: Option<Splits>,
}

/// What must be the same when a run is resumed.
#[derive(Serialize)]
struct Heading<'a> {
    version: u32,
    #[serde(flatten)]
    vocabulary: &'a Vocabulary,
    shard_tokens: u64,
    deduplicate: bool,
    splits: Vec<(&'a str, f64)>,
    seed: u64,
}

/// Takes documents and makes directories of shards.
pub struct DatasetWriter {
    vocabulary: Vocabulary,
    settings: Settings,
    admission: Admission,
    resumed: u64,
    sender: Option<SyncSender<Vec<Batch>>>,
    thread: Option<JoinHandle<Result<Vec<Stream>>>>,
    // The last: what it removes must not be written any more.
    claim: Claim,
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
        Self::begin(target, vocabulary, Settings { shard_tokens, overwrite, ..Settings::default() })
    }

    /// As [`DatasetWriter::create`], with all settings.
    pub fn begin(target: &Path, vocabulary: Vocabulary, settings: Settings) -> Result<Self> {
        if settings.shard_tokens == 0 {
            return Err(Error::argument("shard_tokens", 0, "must be at least 1"));
        }
        check_free(target, settings.overwrite)?;
        let mut claim = Claim::new(target)?;
        claim.keep = settings.resume;
        check_free(target, settings.overwrite)?; // what came before the claim is finished now
        let set = claim.set();
        let dirs: Vec<PathBuf> = match &settings.splits {
            None => vec![set],
            Some(splits) => splits.parts.iter().map(|(name, _)| set.join(name)).collect(),
        };
        let splits = settings.splits.as_ref();
        let heading = Heading {
            version: VERSION,
            vocabulary: &vocabulary,
            shard_tokens: settings.shard_tokens,
            deduplicate: settings.deduplicate,
            splits: splits
                .map(|s| s.parts.iter().map(|(name, f)| (name.as_str(), *f)).collect())
                .unwrap_or_default(),
            seed: splits.map_or(0, |s| s.seed),
        };
        let heading =
            serde_json::to_string(&heading).map_err(|e| Error::Internal(e.to_string()))?;
        let mut streams: Vec<Stream> = dirs.into_iter().map(Stream::new).collect();
        let kept = if settings.resume { journal::read(&claim.journal())? } else { None };
        let journal = match kept {
            Some(journal::Found { heading: earlier, .. }) if earlier != heading => {
                return Err(Error::argument(
                    "resume",
                    "True",
                    format!(
                        "the interrupted run was another one, {earlier}, and this is {heading}; \
                         give the same options and tokenizer, or start anew without resume"
                    ),
                ));
            }
            Some(journal::Found { finished, begin, .. }) => {
                let length = take_finished(&mut streams, finished, begin);
                Journal::reopen(&claim.journal(), length)?
            }
            None => {
                claim.clean()?;
                Journal::create(&claim.journal(), &heading)?
            }
        };
        let done: Vec<(u64, Chain)> = streams.iter().map(Stream::state).collect();
        let resumed = done.iter().map(|(documents, _)| documents).sum();
        for stream in &streams {
            stream.prepare()?;
        }
        let admission = Admission::new(settings.deduplicate, settings.splits.clone(), &done);
        let (sender, receiver) = sync_channel(WAITING);
        let work = Work {
            streams,
            journal,
            vocabulary: vocabulary.clone(),
            shard_tokens: settings.shard_tokens,
        };
        let thread = thread::Builder::new()
            .spawn(move || work.run(&receiver))
            .map_err(|e| Error::io("start a thread to write", claim.target(), e))?;
        let (sender, thread) = (Some(sender), Some(thread));
        Ok(Self { vocabulary, settings, admission, resumed, sender, thread, claim })
    }

    /// How many documents the finished shards of the interrupted run hold.
    pub fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Decides which of the next texts are to be written, and where.
    pub fn admit(&mut self, texts: Texts, threads: usize) -> Result<Admitted> {
        self.admission.admit(texts, threads)
    }

    /// Appends the ids of admitted texts: the i-th has `ids[offsets[i]..offsets[i + 1]]`, without a
    /// separator.
    pub fn append_admitted(
        &mut self,
        ids: &[u32],
        offsets: &[i64],
        admitted: &Admitted,
    ) -> Result<()> {
        let sizes: Vec<i64> = admitted.texts.iter().map(|text| text.len() as i64).collect();
        self.push(ids, offsets, &sizes, &admitted.sides, &admitted.digests)
    }

    /// Appends documents: the i-th is `ids[offsets[i]..offsets[i + 1]]`, without a separator, from a
    /// text of `num_bytes[i]` UTF-8 bytes. They go to the first side, and cannot be resumed after.
    pub fn append(&mut self, ids: &[u32], offsets: &[i64], num_bytes: &[i64]) -> Result<()> {
        let nothing = num_bytes.len();
        self.push(ids, offsets, num_bytes, &vec![0; nothing], &vec![0; nothing])
    }

    fn push(
        &mut self,
        ids: &[u32],
        offsets: &[i64],
        num_bytes: &[i64],
        sides: &[u8],
        digests: &[u128],
    ) -> Result<()> {
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
        let count = self.settings.splits.as_ref().map_or(1, |splits| splits.parts.len());
        let mut batches: Vec<Batch> = (0..count).map(|_| Batch::default()).collect();
        if let [only] = &mut batches[..] {
            only.documents.ids.reserve(4 * (ids.len() + sides.len()));
        }
        for (i, range) in offsets.windows(2).enumerate() {
            let batch = &mut batches[usize::from(sides[i])];
            let document = &ids[range[0]..range[1]];
            batch.documents.push(document, num_bytes[i] as u64, &self.vocabulary);
            batch.digests.push(digests[i]);
        }
        let sent = self.sender.as_ref().map(|sender| sender.send(batches));
        if !matches!(sent, Some(Ok(()))) {
            self.join()?; // the thread says why it ended
            return Err(Error::Internal("the writing thread has ended".to_owned()));
        }
        Ok(())
    }

    fn check(&self, ids: &[u32]) -> Result<()> {
        let Vocabulary { vocab_size, document_separator, .. } = self.vocabulary;
        let largest = (vocab_size - 1).min(u64::from(u32::MAX)) as u32;
        let wrong = |id: u32| (id > largest) | (id == document_separator);
        // A plain sum of answers is found for many ids at once; which one it is asked only then.
        if !ids.iter().fold(false, |any, &id| any | wrong(id)) {
            return Ok(());
        }
        let Some(position) = ids.iter().position(|&id| wrong(id)) else { return Ok(()) };
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

    /// Waits for the thread to have written everything.
    fn join(&mut self) -> Result<Vec<Stream>> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(streams)) => streams,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(Error::Internal("the writing thread has ended".to_owned())),
        }
    }

    /// Writes the manifests and puts the directory in its place. `num_skipped` is the number of
    /// documents that the caller left out because they could not be read.
    pub fn finish(mut self, num_skipped: u64) -> Result<()> {
        let duplicates = self.admission.finish()?;
        let streams = self.join()?;
        let num_documents: u64 = streams.iter().map(|stream| stream.documents).sum();
        let is_empty = |stream: &Stream| stream.shards.iter().all(|s| s.counts.num_bytes == 0);
        if streams.iter().all(is_empty) {
            return Err(Error::Empty {
                what: "the corpus".to_owned(),
                remedy: "give at least one document with text in it",
            });
        }
        if let Some(splits) = &self.settings.splits {
            let parts = splits.parts.iter().zip(&streams);
            if let Some(((name, fraction), _)) = parts.into_iter().find(|(_, s)| is_empty(s)) {
                return Err(Error::argument(
                    "splits",
                    format!("{name}: {fraction}"),
                    format!(
                        "none of the {num_documents} documents falls to {name}; cut long documents \
                         with max_chars (--max-chars), or give more text, a larger part or another \
                         seed"
                    ),
                ));
            }
        }
        for (stream, duplicates) in streams.into_iter().zip(duplicates) {
            let vocabulary = self.vocabulary.clone();
            let manifest = Manifest::new(vocabulary, stream.shards, num_skipped, duplicates);
            write_atomic(&stream.dir.join(MANIFEST), &manifest.to_bytes()?)?;
        }
        let overwrite = self.settings.overwrite;
        // What is placed is no longer there to be kept, and the rest is of no use.
        self.claim.place(overwrite)?;
        self.claim.keep = false;
        Ok(())
    }
}

impl Drop for DatasetWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.join();
        }
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

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
