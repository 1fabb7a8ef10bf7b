//! The one error type of the core. A variant names what was given, what is allowed and what to do
//! about it; the binding maps each variant to one Python exception and adds nothing.

use std::io;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in the core.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: "read", "write", "create", …
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of ours is truncated, altered or inconsistent.
    #[error("{} is damaged at byte {offset}: {what}; make it again or restore it from a copy", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage was seen.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// A file is not what the caller takes it for.
    #[error("{} is not a {expected}: {found}", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What it looks like instead.
        found: String,
    },
    /// A file of ours was written by another version of the format.
    #[error("{} has format version {found}, this build reads version {supported}; make the file again or install the matching lexigram", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it names.
        found: u32,
        /// The version that this build reads.
        supported: u32,
    },
    /// A text format (tokenizer.json, .tiktoken, ARPA, a manifest) that cannot be read.
    #[error("{} cannot be read as {format}: {what}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The name of the format.
        format: &'static str,
        /// What is wrong, with its place; what to do about it.
        what: String,
    },
    /// An argument is outside its limits.
    #[error("{name} = {value}: {limit}")]
    Argument {
        /// The argument's public name.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is allowed, and what to do.
        limit: String,
    },
    /// A token id is not in the vocabulary.
    #[error("token id {id} at position {position} is not in the vocabulary of {vocab_size} tokens (0 to {}); was it made with another tokenizer?", vocab_size.saturating_sub(1))]
    TokenId {
        /// The offending id.
        id: u64,
        /// Its place in the input.
        position: usize,
        /// The size of the vocabulary.
        vocab_size: usize,
    },
    /// A number that no token id can be.
    #[error("token id {value} at position {position} must be between 0 and {}", u32::MAX)]
    TokenRange {
        /// The number.
        value: i128,
        /// Its place in the input.
        position: usize,
    },
    /// A special token that is asked for by its role is not there.
    #[error(
        "this tokenizer has no special token {token:?}; train or load it with special_tokens, or use another token's id"
    )]
    NoSpecialToken {
        /// The token.
        token: &'static str,
    },
    /// A piece of text is not a token of the vocabulary.
    #[error("{token:?} is not a token of this vocabulary; use encode() to split it")]
    UnknownToken {
        /// The text, with replacement characters where it is not UTF-8.
        token: String,
    },
    /// The text of a special token stands in text that may not contain it.
    #[error(
        "the text contains the special token {token:?}; pass allowed_special={{{token:?}, ...}} to encode it as that token, or disallowed_special=() to encode it as ordinary text"
    )]
    SpecialToken {
        /// The special token.
        token: String,
    },
    /// Bytes that must be UTF-8 are not.
    #[error(
        "{source_name} is not UTF-8 at byte {offset}; convert it, or pass errors=\"replace\" or errors=\"skip\" (--errors replace)"
    )]
    Utf8 {
        /// The file, or "the input".
        source_name: String,
        /// The first offending byte.
        offset: u64,
    },
    /// There is no text or there are no tokens to work on.
    #[error("{what} is empty; {remedy}")]
    Empty {
        /// What is empty.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The caller interrupted long work.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// An invariant of ours does not hold: a bug.
    #[error("internal error: {0}; this is a bug in lexigram, please report it")]
    Internal(String),
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, source }
    }

    /// An [`Error::Argument`].
    pub fn argument(
        name: &'static str,
        value: impl std::fmt::Display,
        limit: impl Into<String>,
    ) -> Self {
        Self::Argument { name, value: value.to_string(), limit: limit.into() }
    }
}
