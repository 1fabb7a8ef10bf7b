//! What a directory of shards holds: `manifest.json`, written after every shard is on the disk. A
//! directory without it was never finished.
//!
//! Its checksum ([`crate::format::manifest`]) is the dataset's fingerprint: the manifest holds the
//! digest of every shard and nothing that changes from run to run, so equal fingerprints mean equal
//! tokens.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::shard::{Counts, Dtype, Vocabulary};
use crate::Result;
pub use crate::format::manifest::hex;
use crate::format::manifest::{self, Expected};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "lexigram token dataset";
const VERSION: u32 = 2;
/// The oldest that is read: it had no `num_duplicates`.
const OLDEST: u32 = 1;

/// The fields of `manifest.json`, without the checksum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Always "lexigram token dataset".
    pub format: String,
    /// The version of this layout.
    pub version: u32,
    /// The sums over all shards.
    #[serde(flatten)]
    pub counts: Counts,
    /// Documents that the sources skipped because they could not be read.
    pub num_skipped: u64,
    /// Documents left out because an earlier one is equal; `None` if that was not asked for.
    #[serde(default)]
    pub num_duplicates: Option<u64>,
    /// What the ids mean.
    #[serde(flatten)]
    pub vocabulary: Vocabulary,
    /// The shards in the order of the stream.
    pub shards: Vec<ShardEntry>,
}

/// One shard in the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardEntry {
    /// The file's name in the directory.
    pub file: String,
    /// How much it holds.
    #[serde(flatten)]
    pub counts: Counts,
    /// The file's last eight bytes, the checksum of its checksums, as 16 hexadecimal digits.
    pub xxh3: String,
}

impl Manifest {
    /// The manifest of these shards.
    pub fn new(
        vocabulary: Vocabulary,
        shards: Vec<ShardEntry>,
        num_skipped: u64,
        num_duplicates: Option<u64>,
    ) -> Self {
        let mut counts = Counts::default();
        for shard in &shards {
            counts.num_tokens += shard.counts.num_tokens;
            counts.num_documents += shard.counts.num_documents;
            counts.num_bytes += shard.counts.num_bytes;
        }
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            counts,
            num_skipped,
            num_duplicates,
            vocabulary,
            shards,
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        manifest::to_bytes(self)
    }

    /// Reads the bytes of the file `path`; returns the manifest and its checksum.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<(Self, String)> {
        manifest::from_bytes(bytes, path)
    }
}

impl manifest::Manifest for Manifest {
    const EXPECTED: Expected =
        Expected { name: "a manifest", format: FORMAT, version: VERSION, oldest: OLDEST };

    fn kind(&self) -> (&str, u32) {
        (&self.format, self.version)
    }

    fn contradiction(&self) -> Option<&'static str> {
        let Vocabulary { vocab_size, document_separator, ref tokenizer, dtype } = self.vocabulary;
        let fields = Vocabulary::new(vocab_size, u64::from(document_separator), tokenizer);
        let sum = |count: fn(&Counts) -> u64| {
            let mut counts = self.shards.iter().map(|shard| count(&shard.counts));
            counts.try_fold(0u64, u64::checked_add) == Some(count(&self.counts))
        };
        if fields.is_err() || dtype != Dtype::of(vocab_size) {
            Some("its vocabulary contradicts itself")
        } else if !(sum(|c| c.num_tokens) && sum(|c| c.num_documents) && sum(|c| c.num_bytes)) {
            Some("its counts are not the sums of its shards' counts")
        } else if !self.shards.iter().all(|shard| manifest::is_plain_name(&shard.file)) {
            Some("a shard's name is not a plain file name")
        } else if self.counts.num_tokens == 0
            || self.shards.iter().any(|s| s.counts.num_tokens == 0)
        {
            Some("it holds an empty shard or no shard")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let entry = |i: u64| ShardEntry {
            file: format!("shard-{i}"),
            counts: Counts { num_tokens: 5 + i, num_documents: 2, num_bytes: 3 },
            xxh3: hex(i),
        };
        let vocabulary = Vocabulary::new(300, 256, "bytes").unwrap();
        Manifest::new(vocabulary, vec![entry(0), entry(1)], 0, Some(3))
    }

    fn read(bytes: &[u8]) -> Result<(Manifest, String)> {
        Manifest::from_bytes(bytes, Path::new("manifest.json"))
    }

    #[test]
    fn round_trip() {
        let bytes = manifest().to_bytes().unwrap();
        let (read, checksum) = read(&bytes).unwrap();
        assert_eq!(read.to_bytes().unwrap(), bytes);
        assert_eq!(read.counts.num_tokens, 11);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["checksum"], checksum);
    }

    /// A checksum guards against accidents only: what it seals is checked besides.
    #[test]
    fn contradictions_are_found() {
        let refused = |change: fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            read(&manifest.to_bytes().unwrap()).unwrap_err().to_string()
        };
        for name in ["../x", "/x", "a/b", "", ".", ".."] {
            let mut manifest = manifest();
            manifest.shards[0].file = name.to_owned();
            let error = read(&manifest.to_bytes().unwrap()).unwrap_err().to_string();
            assert!(error.contains("plain file name"), "{name:?}: {error}");
        }
        assert!(refused(|m| m.counts.num_bytes += 1).contains("not the sums"));
        assert!(refused(|m| m.shards[0].counts.num_tokens = u64::MAX).contains("not the sums"));
        assert!(refused(|m| m.vocabulary.document_separator = 300).contains("contradicts itself"));
        assert!(refused(|m| m.vocabulary.dtype = Dtype::Uint32).contains("contradicts itself"));
        assert!(
            refused(|m| *m = Manifest::new(m.vocabulary.clone(), vec![], 0, None))
                .contains("empty")
        );
        assert!(refused(|m| m.version = 3).contains("version 3"));
        assert!(refused(|m| m.version = 0).contains("version 0"));
        assert!(refused(|m| m.format = "x".to_owned()).contains("\"x\""));
    }
}
