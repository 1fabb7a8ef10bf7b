//! Writes one shard: a file of the layout that [`super::shard`] describes.

use std::path::Path;

use super::shard::{Counts, Dtype, KIND, Meta, VERSION, Vocabulary};
use crate::format::FileWriter;
use crate::{Error, Result};

/// Documents as they lie in a shard: ids in their stored width, the separator after each.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The ids of all documents.
    pub ids: Vec<u8>,
    /// The tokens of each document, its separator included.
    pub lengths: Vec<u64>,
    /// The UTF-8 bytes of each document's text.
    pub sizes: Vec<u64>,
}

impl Encoded {
    /// Appends a document of checked ids.
    pub fn push(&mut self, ids: &[u32], num_bytes: u64, vocabulary: &Vocabulary) {
        let separator = vocabulary.document_separator;
        match vocabulary.dtype {
            Dtype::Uint16 => {
                // Exact lengths let the compiler narrow many ids at once.
                let start = self.ids.len();
                self.ids.resize(start + 2 * ids.len(), 0);
                for (place, &id) in self.ids[start..].as_chunks_mut::<2>().0.iter_mut().zip(ids) {
                    *place = (id as u16).to_le_bytes();
                }
                self.ids.extend((separator as u16).to_le_bytes());
            }
            Dtype::Uint32 => {
                self.ids.extend_from_slice(bytemuck::cast_slice(ids));
                self.ids.extend(separator.to_le_bytes());
            }
        }
        self.lengths.push(ids.len() as u64 + 1);
        self.sizes.push(num_bytes);
    }
}

/// Writes one shard, documents after documents.
pub struct ShardWriter {
    file: FileWriter,
    vocabulary: Vocabulary,
    documents: Vec<u64>,
    num_bytes: u64,
}

impl ShardWriter {
    /// Begins the shard `path`; the vocabulary has been checked.
    pub fn create(path: &Path, vocabulary: &Vocabulary) -> Result<Self> {
        let mut file = FileWriter::create(path, KIND, VERSION, 3)?;
        file.section("tokens")?;
        Ok(Self { file, vocabulary: vocabulary.clone(), documents: vec![0], num_bytes: 0 })
    }

    /// Appends documents: their ids in the stored width, and the tokens and bytes of each.
    pub fn documents(&mut self, ids: &[u8], lengths: &[u64], sizes: &[u64]) -> Result<()> {
        self.file.write(ids)?;
        for length in lengths {
            self.documents.push(self.num_tokens() + length);
        }
        self.num_bytes += sizes.iter().sum::<u64>();
        Ok(())
    }

    /// Tokens so far, separators included.
    pub fn num_tokens(&self) -> u64 {
        self.documents.last().copied().unwrap_or_default()
    }

    /// Finishes the file.
    pub fn finish(mut self) -> Result<Counts> {
        let counts = Counts {
            num_tokens: self.num_tokens(),
            num_documents: self.documents.len() as u64 - 1,
            num_bytes: self.num_bytes,
        };
        self.file.section("documents")?;
        self.file.write_slice(&self.documents)?;
        let meta = Meta { vocabulary: self.vocabulary, counts };
        let json = serde_json::to_vec(&meta).map_err(|e| Error::Internal(e.to_string()))?;
        self.file.section("meta")?;
        self.file.write(&json)?;
        self.file.finish()?;
        Ok(counts)
    }
}
