//! Byte-level byte-pair encoding: vocabulary, training, encoding and its files.
//!
//! [`Tokenizer`] is the whole: text is searched for added tokens, normalized if the tokenizer says
//! so, cut into pieces ([`crate::pretokenize`]), and each piece is encoded by merges ([`merges`]).
//! [`naive`] says the same in few lines and is the oracle of the tests.

mod added;
pub mod alphabet;
mod batch;
mod cache;
mod compiled;
pub mod count;
mod decode;
mod encode;
pub mod json;
mod key;
mod last_merge;
mod learn;
mod linear;
pub(crate) mod memory;
pub mod merges;
pub mod naive;
mod normalize;
mod offsets;
mod pairs;
mod piece_counts;
mod post_process;
pub mod rank_file;
mod short;
pub mod stream;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod token_index;
mod tokenizer;
pub mod train;
#[cfg(test)]
mod train_tests;
mod trie;
mod unstable;
mod vocabulary;
mod word_list;
mod words;
mod workspace;

pub use added::AddedToken;
pub use merges::Merge;
pub use normalize::Normalization;
pub use offsets::character_spans;
pub use piece_counts::PieceCounts;
pub use post_process::PostProcessor;
pub use text::{Allowed, Text};
pub use tokenizer::{Parts, Tokenizer};
pub use vocabulary::{MAX_ID, Tokens, Vocabulary};
