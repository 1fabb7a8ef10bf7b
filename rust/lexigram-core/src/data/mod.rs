//! Token shards and the order in which a model reads them.
//!
//! * [`shard`]: one file of token ids with its document index;
//! * [`manifest`]: what a directory of shards holds, in one JSON file, written last;
//! * [`writer`]: documents in, a finished directory out, or nothing;
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

pub mod ahead;
pub mod best_fit;
pub mod block;
pub mod dataset;
pub mod loader;
pub mod manifest;
pub mod mix;
pub mod order;
pub mod pack;
pub mod rows;
pub mod shard;
pub mod writer;

pub use ahead::Ahead;
pub use dataset::Dataset;
pub use loader::{Loader, LoaderConfig, Width};
pub use pack::Packing;
pub use shard::Ids;
pub use writer::DatasetWriter;
