//! Where any run of token ids stands in a corpus, how often, and what follows it: the ∞-gram.
//!
//! # Definition
//!
//! A corpus is a stream of ids, with a `document_separator` s read as `s w₁ … wₙ s` for each
//! document (one s is both the end of a document and the beginning of the next; in front of the
//! first stands one more). c(g) is the number of places where the ids g stand inside one document:
//! s is first or last in g, or nowhere; c(s) counts the ends. C(h) = Σ_x c(hx), the places of h
//! that something follows, which differs from c(h) only at the end of a stream without its last
//! separator. The ∞-gram (Liu et al. 2024, "Infini-gram", section 3) is
//! `p(w|h) = c(h* w) / C(h*)`, h* the longest suffix of h, back to the last s, with C(h*) > 0;
//! the effective order is |h*| + 1. `p` sums to one; it is 0 for most w.
//!
//! # Structure
//!
//! A suffix array lists the positions of a text in the order of the suffixes that begin there, so
//! that the places of any g are neighbours in it. The corpus is cut into shards, each a text with
//! its array ([`shard`]); counts are sums over shards. A shard holds whole documents. Only a
//! document longer than a shard is cut; then the text of a part goes on by `overlap` ids that
//! belong to the next part and are in no suffix of this one, and `overlap` bounds the length of a
//! match ([`Index::max_match`]).
//!
//! The first levels of the suffix tree are kept beside the array ([`tree`]): for every run of up
//! to three ids that stands often, the ids that follow it and where in the array they begin. So
//! the ranges that are too long to look through are never looked through, and a search begins in
//! tables that the processor's caches hold.
//!
//! # Trust
//!
//! Opening checks headers and lengths and reads no data. Any position read from a file is a claim:
//! every access is checked, and a file that lies gives wrong counts, never a read outside.
//! [`Index::verify`] checks everything, the order of the suffixes included.

mod build;
#[cfg(test)]
mod build_tests;
mod index;
mod infinigram;
mod manifest;
#[cfg(test)]
mod naive;
mod open;
mod packed;
mod period;
mod search;
mod shard;
mod sort;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod verify;
mod view;

pub use build::{Builder, Options};
pub use index::{Index, Place};
pub use infinigram::{Scored, Window};
pub use trace::Span;

/// The largest vocabulary: the first level of a tree is dense.
pub const MAX_VOCAB_SIZE: usize = 1 << 24;

/// Ids that the text of a cut document goes on by: the longest match in such an index.
pub const OVERLAP: usize = 4096;
