//! What an index holds: `index.json`, written after every shard is on the disk. As in a dataset's
//! manifest, the last line but one is the checksum of the bytes before it.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::MAX_VOCAB_SIZE;
use crate::data::manifest::{hex, last_line};
use crate::data::shard::Dtype;
use crate::{Error, Result};

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
        let mut json =
            serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        json.truncate(json.trim_end_matches('}').trim_end().len());
        json.push_str(",\n");
        let last = last_line(json.as_bytes());
        json.push_str(&last);
        Ok(json.into_bytes())
    }

    /// Reads the bytes of the file `path`; returns the manifest and its checksum, which stands for
    /// the whole index.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<(Self, String)> {
        let parse =
            |what: String| Error::Parse { path: path.to_path_buf(), format: "an index", what };
        let length = last_line(b"").len();
        let (before, last) = bytes
            .split_at_checked(bytes.len().wrapping_sub(length))
            .ok_or_else(|| parse(format!("it ends after {} bytes", bytes.len())))?;
        if last != last_line(before).as_bytes() {
            return Err(Error::Corrupt {
                path: path.to_path_buf(),
                offset: 0,
                what: "its content does not match the checksum in its last line".to_owned(),
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| parse(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(Error::WrongKind {
                path: path.to_path_buf(),
                expected: FORMAT.to_owned(),
                found: format!("its format is {:?}", manifest.format),
            });
        }
        if manifest.version != VERSION {
            return Err(Error::Version {
                path: path.to_path_buf(),
                found: manifest.version,
                supported: VERSION,
            });
        }
        match manifest.contradiction() {
            Some(what) => Err(parse(what.to_owned())),
            None => Ok((manifest, hex(xxh3_64(before)))),
        }
    }

    fn contradiction(&self) -> Option<&'static str> {
        let plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
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
        } else if !self.shards.iter().all(|shard| plain(&shard.file)) {
            Some("a shard's name is not a plain file name")
        } else if self.max_match == Some(0) {
            Some("its longest match is of no token")
        } else {
            None
        }
    }
}
