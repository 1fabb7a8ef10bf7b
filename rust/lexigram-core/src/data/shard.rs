//! One file of token ids: the stream of some whole documents, and where each begins.
//!
//! A container file ([`crate::format`]) of kind "SHRD", version 1, with three sections:
//!
//! * `tokens`: the ids, u16 where the vocabulary has at most 65,536 tokens, else u32;
//! * `documents`: u64, n + 1 offsets into `tokens`; document i is tokens d[i] … d[i+1] − 1, the last
//!   of which is the document separator;
//! * `meta`: JSON, the fields of [`Meta`].
//!
//! Invariants: d[0] = 0, d is strictly increasing, d[n] = number of tokens; a document never
//! crosses into another shard; every id is in the vocabulary.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::format::MappedFile;
use crate::{Error, Result, prefetch};

pub(super) const KIND: [u8; 4] = *b"SHRD";
pub(super) const VERSION: u32 = 1;
/// Cache lines of a run that are asked for at once.
const PREFETCHED: usize = 16;
/// The largest vocabulary whose ids fit 16 bits.
const U16_VOCAB: u64 = 1 << 16;

/// The width of a stored id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 16 bits.
    Uint16,
    /// 32 bits.
    Uint32,
}

impl Dtype {
    /// The width for a vocabulary.
    pub fn of(vocab_size: u64) -> Self {
        if vocab_size <= U16_VOCAB { Self::Uint16 } else { Self::Uint32 }
    }
}

/// What the ids of a shard mean; the same in all shards of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Ids are 0 … `vocab_size` − 1.
    pub vocab_size: u64,
    /// The id after every document.
    pub document_separator: u32,
    /// The fingerprint of the tokenizer that made the ids.
    pub tokenizer: String,
    /// The width of the stored ids.
    pub dtype: Dtype,
}

impl Vocabulary {
    /// Checks that the separator is an id and that ids fit 32 bits.
    pub fn new(vocab_size: u64, document_separator: u64, tokenizer: &str) -> Result<Self> {
        if vocab_size == 0 || vocab_size > 1 << 32 {
            return Err(Error::argument("vocab_size", vocab_size, "must be 1 to 4294967296"));
        }
        let separator = u32::try_from(document_separator).ok();
        let separator = separator.filter(|&id| u64::from(id) < vocab_size).ok_or_else(|| {
            Error::argument(
                "document_separator",
                document_separator,
                format!("must be an id of the vocabulary, 0 to {}", vocab_size - 1),
            )
        })?;
        Ok(Self {
            vocab_size,
            document_separator: separator,
            tokenizer: tokenizer.to_owned(),
            dtype: Dtype::of(vocab_size),
        })
    }
}

/// How much a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tokens, separators included.
    pub num_tokens: u64,
    /// Documents.
    pub num_documents: u64,
    /// UTF-8 bytes of the documents' text, separators not counted.
    pub num_bytes: u64,
}

/// The `meta` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// What the ids mean.
    #[serde(flatten)]
    pub vocabulary: Vocabulary,
    /// How much there is.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A run of ids in their stored width.
#[derive(Clone, Copy, Debug)]
pub enum Ids<'a> {
    /// 16-bit ids.
    U16(&'a [u16]),
    /// 32-bit ids.
    U32(&'a [u32]),
}

impl Ids<'_> {
    /// The number of ids.
    pub fn len(&self) -> usize {
        match self {
            Self::U16(ids) => ids.len(),
            Self::U32(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at `index`.
    pub fn at(&self, index: usize) -> u32 {
        match self {
            Self::U16(ids) => u32::from(ids[index]),
            Self::U32(ids) => ids[index],
        }
    }
}

/// One shard, mapped into memory.
#[derive(Debug)]
pub struct Shard {
    file: MappedFile,
    meta: Meta,
    /// The numbers of the sections `tokens` and `documents`.
    sections: (usize, usize),
    checks: bool,
}

/// When the checksums of what is read are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Each block of 1 MiB when it is first read.
    OnRead,
    /// Only when all is verified.
    Off,
}

impl Shard {
    /// Opens a shard: checks what can be checked in constant time; the rest when it is read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Verification::OnRead)
    }

    /// As [`Shard::open`], with a choice.
    pub fn open_with(path: &Path, verification: Verification) -> Result<Self> {
        let file = MappedFile::open(path, KIND, VERSION)?;
        let meta: Meta = serde_json::from_slice(file.section("meta")?)
            .map_err(|e| file.corrupt(format!("its meta section cannot be read: {e}")))?;
        let sections = (file.number("tokens")?, file.number("documents")?);
        let shard = Self { file, meta, sections, checks: verification == Verification::OnRead };
        let Counts { num_tokens, num_documents, .. } = shard.meta.counts;
        let stored = match shard.meta.vocabulary.dtype {
            Dtype::Uint16 => shard.file.slice::<u16>("tokens")?.len(),
            Dtype::Uint32 => shard.file.slice::<u32>("tokens")?.len(),
        };
        let index = shard.file.slice::<u64>("documents")?;
        let ends = (index.first().copied(), index.last().copied());
        let whole = stored as u64 == num_tokens
            && Some(index.len() as u64) == num_documents.checked_add(1)
            && ends == (Some(0), Some(num_tokens));
        if !whole {
            let what = format!(
                "{stored} tokens and an index of {} documents from {ends:?} stand against \
                 {num_tokens} tokens and {num_documents} documents in its meta section",
                index.len().saturating_sub(1)
            );
            return Err(shard.file.corrupt(what));
        }
        Ok(shard)
    }

    /// What the shard says of itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The checksum of the file's checksums: it stands for the whole content.
    pub fn digest(&self) -> u64 {
        self.file.digest()
    }

    /// All ids, of which `range` is about to be read: its checksums are compared first.
    #[inline]
    pub fn ids(&self, range: &Range<usize>) -> Result<Ids<'_>> {
        let ids = self.unchecked();
        if self.checks {
            let width = if matches!(ids, Ids::U16(_)) { 2 } else { 4 };
            self.file.check(self.sections.0, range.start * width..range.end * width)?;
        }
        Ok(ids)
    }

    fn unchecked(&self) -> Ids<'_> {
        // `open` has cast both sections; they cannot fail here.
        match self.meta.vocabulary.dtype {
            Dtype::Uint16 => Ids::U16(self.file.nth(self.sections.0)),
            Dtype::Uint32 => Ids::U32(self.file.nth(self.sections.0)),
        }
    }

    /// Begins to load some of the ids from `start` on.
    #[inline]
    pub fn prefetch(&self, start: usize, length: usize) {
        fn lines<T>(ids: &[T], start: usize, length: usize) {
            let line = 64 / size_of::<T>();
            let run = ids.get(start.saturating_sub(1)..(start + length).min(ids.len()));
            for id in run.unwrap_or_default().iter().step_by(line).take(PREFETCHED) {
                prefetch(id);
            }
        }
        match self.unchecked() {
            Ids::U16(ids) => lines(ids, start, length),
            Ids::U32(ids) => lines(ids, start, length),
        }
    }

    /// The n + 1 offsets of the documents, of which `range` is about to be read, checked as ids are.
    #[inline]
    pub fn documents(&self, range: Range<usize>) -> Result<&[u64]> {
        if self.checks {
            self.file.check(self.sections.1, range.start * 8..range.end * 8)?;
        }
        Ok(self.index())
    }

    fn index(&self) -> &[u64] {
        self.file.nth(self.sections.1)
    }

    /// The number of the document that token `token` stands in, or that it begins.
    pub fn document_of(&self, token: u64) -> Result<usize> {
        // Every probe is checked: a search through damaged numbers would end anywhere.
        let (mut low, mut high) = (0, self.index().len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.documents(middle..middle + 1)?[middle] <= token {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// Reads everything: checksums, the index, the separators, the range of the ids.
    pub fn verify(&self) -> Result<()> {
        self.file.verify()?;
        let ids = self.unchecked();
        let Vocabulary { vocab_size, document_separator, .. } = self.meta.vocabulary;
        // A fold is done for many ids at once; `Iterator::max` is not.
        let largest = match ids {
            Ids::U16(ids) => u32::from(ids.iter().fold(0, |most, &id| most.max(id))),
            Ids::U32(ids) => ids.iter().fold(0, |most, &id| most.max(id)),
        };
        if u64::from(largest) >= vocab_size {
            let what = format!("it holds id {largest}, its vocabulary has {vocab_size} tokens");
            return Err(self.file.corrupt(what));
        }
        for (i, pair) in self.index().windows(2).enumerate() {
            let inside = pair[0] < pair[1] && pair[1] <= ids.len() as u64;
            if !inside || ids.at(pair[1] as usize - 1) != document_separator {
                return Err(self.file.corrupt(format!(
                    "document {i}, tokens {} to {}, does not end in the separator",
                    pair[0], pair[1]
                )));
            }
        }
        Ok(())
    }

    /// An [`Error::Corrupt`] that names this shard.
    pub fn corrupt(&self, what: impl Into<String>) -> Error {
        self.file.corrupt(what)
    }
}
