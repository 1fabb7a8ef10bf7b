//! What an index holds: `index.json`, written after every shard is on the disk.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::MAX_VOCAB_SIZE;
use crate::Result;
use crate::data::shard::Dtype;
use crate::format::manifest::{self, Expected};

/// The manifest's file name.
pub const MANIFEST: &str = "index.json";
/// The file of the tokenizer, if there is one.
pub const TOKENIZER: &str = "tokenizer.json";
const FORMAT: &str = "lexigram suffix index";
const VERSION: u32 = 1;

/// The fields of `index.json`, without the checksum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: String,
    pub version: u32,
    pub num_tokens: u64,
    pub num_documents: u64,
    pub vocab_size: u64,
    pub document_separator: Option<u32>,
    pub dtype: Dtype,
    /// The longest match, where a document was cut.
    pub max_match: Option<u64>,
    /// The checksum of `tokenizer.json`, if there is one.
    pub tokenizer: Option<String>,
    pub shards: Vec<Entry>,
}

/// One shard in the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub file: String,
    pub num_tokens: u64,
    /// The file's last eight bytes, in hexadecimal.
    pub xxh3: String,
}

impl Manifest {
    pub fn new(vocab_size: usize, document_separator: Option<u32>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            num_tokens: 0,
            num_documents: 0,
            vocab_size: vocab_size as u64,
            document_separator,
            dtype: Dtype::of(vocab_size as u64),
            max_match: None,
            tokenizer: None,
            shards: Vec::new(),
        }
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        manifest::to_bytes(self)
    }

    /// Reads the bytes of the file `path`; returns the manifest and its checksum, which stands for
    /// the whole index.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<(Self, String)> {
        manifest::from_bytes(bytes, path)
    }
}

impl manifest::Manifest for Manifest {
    const EXPECTED: Expected =
        Expected { name: "an index", format: FORMAT, version: VERSION, oldest: VERSION };

    fn kind(&self) -> (&str, u32) {
        (&self.format, self.version)
    }

    fn contradiction(&self) -> Option<&'static str> {
        let mut sizes = self.shards.iter().map(|shard| shard.num_tokens);
        let vocabulary = (1..=MAX_VOCAB_SIZE as u64).contains(&self.vocab_size)
            && self.document_separator.is_none_or(|id| u64::from(id) < self.vocab_size)
            && self.dtype == Dtype::of(self.vocab_size);
        if !vocabulary {
            Some("its vocabulary contradicts itself")
        } else if !(1..1 << 62).contains(&self.num_tokens) {
            Some("it holds no tokens, or too many")
        } else if sizes.try_fold(0, u64::checked_add) != Some(self.num_tokens) {
            Some("its tokens are not the sum of its shards' tokens")
        } else if !self.shards.iter().all(|shard| manifest::is_plain_name(&shard.file)) {
            Some("a shard's name is not a plain file name")
        } else if self.max_match == Some(0) {
            Some("its longest match is of no token")
        } else {
            None
        }
    }
}
