//! The Rust core of lexigram: everything between raw text and token batches that has to be fast.
//!
//! The crate knows nothing of Python, prints nothing and keeps no global state. What it offers:
//!
//! * [`data`]: token shards, and the loader that reads them in an exact order;
//! * [`format`]: the one container that all binary files share (magic, version, checksums,
//!   atomic write);
//! * [`bpe::Tokenizer`]: byte-level BPE, its training and its files; [`pretokenize`]: the patterns
//!   that cut text into pieces;
//! * [`error::Error`]: the one error type; each variant names the value, the limit and the remedy;
//! * [`ngram`]: n-gram counts, smoothing and models over token ids;
//! * [`progress::Progress`]: how long work reports, and how it is interrupted;
//! * [`suffix`]: where any run of ids stands in a corpus, and the ∞-gram.
//!
//! ```
//! use lexigram_core::format::{FileWriter, MappedFile};
//! let dir = tempfile::tempdir().unwrap();
//! let path = dir.path().join("example.lxg");
//! let mut file = FileWriter::create(&path, *b"DEMO", 1, 1).unwrap();
//! file.section("ids").unwrap();
//! file.write(&[1, 2, 3]).unwrap();
//! file.finish().unwrap();
//! let file = MappedFile::open(&path, *b"DEMO", 1).unwrap();
//! file.verify().unwrap();
//! assert_eq!(file.section("ids").unwrap(), [1, 2, 3]);
//! ```

pub mod bpe;
pub mod data;
pub mod error;
pub mod format;
pub mod ngram;
mod prefetch;
pub mod pretokenize;
pub mod progress;
pub mod suffix;

pub use error::{Error, Result};
pub use prefetch::prefetch;
