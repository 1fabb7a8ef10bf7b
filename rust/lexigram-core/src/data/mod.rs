//! Token shards and the order in which a model reads them.
//!
//! * [`texts`], [`json_lines`], [`pieces`]: documents on their way to the encoder;
//! * [`admission`]: which of them are written, and on which side of a split;
//! * [`shard`]: one file of token ids with its document index;
//! * [`manifest`]: what a directory of shards holds, in one JSON file, written last;
//! * [`writer`]: documents in, a finished directory out, or nothing;
//! * `claim`, `journal`: the directory in which it works, and what is left of a run that died;
//! * [`dataset`]: a finished directory as one stream of tokens;
//! * [`order`]: a seeded permutation of n rows in O(1) time and memory;
//! * [`pack`]: which tokens make up which row; [`best_fit`]: whole documents;
//! * [`mix`]: which source each row of a mixture comes from;
//! * [`loader`]: the batch of any step, as a function of the step alone; [`rows`]: writing its rows;
//! * [`ahead`]: batches made by threads before they are asked for; [`block`]: their memory.
//!
//! The stream is the concatenation of all documents, each followed by the document separator. It
//! is read as a circle: the token before the first is the last, a separator, so that every
//! document is preceded by one and every token can be a target.

pub mod admission;
pub mod ahead;
pub mod best_fit;
mod blake2b;
pub mod block;
mod claim;
pub mod dataset;
mod journal;
pub mod json_lines;
pub mod loader;
pub mod manifest;
pub mod mix;
pub mod order;
pub mod pack;
pub mod pieces;
pub mod rows;
pub mod shard;
mod shard_writer;
mod streams;
pub mod texts;
pub mod writer;

pub use ahead::Ahead;
pub use dataset::Dataset;
pub use loader::{Loader, LoaderConfig, Width};
pub use pack::Packing;
pub use shard::Ids;
pub use texts::Texts;
pub use writer::{DatasetWriter, Settings};
