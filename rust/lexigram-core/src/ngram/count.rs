//! Exact counts of every n-gram of orders 1 to N.
//!
//! Definition: c(g) is the number of places where g stands inside one document (see the module
//! above for what a document is). Method: for each place, the ids that follow it in its document
//! are packed into a key ([`super::key`]); the keys behind each id are sorted, and one scan of the
//! sorted keys ([`super::scan`]) yields the n-grams of all orders, in order, with their counts.
//!
//! The work is cut into parts by what the n-grams begin with ([`super::parts`]), so that the keys
//! of a part fit into the memory that there is. Neither the number of threads nor the memory limit
//! can change the result.

use super::Options;
use super::column::{Column, Place};
use super::key::{Layout, MAX_WORDS, Stream};
use super::parts::Counter;
use super::scan::Node;
use super::work::Meter;
use crate::{Error, Result};

/// A type of token ids.
pub trait TokenId: Copy + Send + Sync + Into<u32> {}

impl TokenId for u16 {}
impl TokenId for u32 {}

/// The n-grams of one order, sorted by their ids.
#[derive(Debug, Clone, Default)]
pub struct CountLevel {
    /// The last id of each n-gram. Level 1 leaves it empty: there the index is the id.
    pub words: Column<u32>,
    /// How often each n-gram stands in the stream.
    pub counts: Column<u32>,
    /// The n-grams of the next level that continue n-gram i are `children[i]..children[i + 1]`.
    /// Empty in the last level.
    pub children: Column<u32>,
}

/// The counts of orders 1 to N. A clone shares them.
#[derive(Debug, Clone)]
pub struct Counts {
    /// One level an order.
    pub levels: Vec<CountLevel>,
    /// The number V of token ids.
    pub vocab_size: usize,
    /// The id that ends every document.
    pub document_separator: Option<u32>,
    /// The number of ids in the stream.
    pub num_tokens: u64,
    /// Without a separator, the first N − 1 ids of each stream that was counted: what stands at a
    /// start has one left neighbour more, the start itself. With a separator none: there the begin
    /// marker is a neighbour.
    pub heads: Vec<Vec<u32>>,
}

/// The fewest positions in a part, if memory allows.
const SMALL_PART: u64 = 1 << 16;

/// Parts for each thread, in memory: so many that none waits long for another.
const PARTS: u64 = 8;

/// How the work is cut up and where its result lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The most positions in a part.
    pub most: u64,
    /// The number of parts that are counted at the same time.
    pub threads: usize,
    pub place: Place,
}

impl Plan {
    fn new(tokens: u64, options: &Options, threads: usize, layout: &Layout) -> Result<Self> {
        let even = (tokens / (threads as u64 * PARTS)).max(SMALL_PART);
        let Some(limit) = options.memory_limit else {
            return Ok(Self { most: even, threads, place: Place::Memory });
        };
        let most = positions_within(limit, threads, layout, tokens)?.min(even);
        Ok(Self { most, threads, place: Place::Files })
    }
}

/// About how many parts there may be under a memory limit: each reads all ids.
const MOST_PARTS: u64 = 1 << 12;

/// How many positions a part may have so that those of all threads fit into a limit.
fn positions_within(limit: u64, threads: usize, layout: &Layout, tokens: u64) -> Result<u64> {
    let fewest = tokens.div_ceil(MOST_PARTS).max(1000);
    // A key, and at worst a new node in each level; twice, since what grows is copied.
    let bytes = (layout.words * 8 + layout.fields * size_of::<Node>() * 2).max(1) as u64;
    // Histograms, the dense first level, and buffers of the files.
    let fixed = (u64::from(layout.largest()) + 1) * 16 + (layout.fields as u64 + 1) * (3 << 18);
    match limit.saturating_sub(fixed) / (bytes * threads as u64) {
        positions if positions >= fewest => Ok(positions),
        _ => {
            let least = (fixed + fewest * bytes * threads as u64).div_ceil(1 << 20);
            let need = format!(
                "with these options and {tokens} tokens at least {least} MiB are needed; fewer \
                 threads need less"
            );
            Err(Error::argument("memory_limit", limit, need))
        }
    }
}

/// Counts the n-grams of `tokens`.
pub(super) fn count<T: TokenId>(
    tokens: &[T],
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Counts> {
    let threads = meter.run(rayon::current_num_threads);
    let layout = Layout::new(options.order, options.vocab_size);
    let plan = Plan::new(tokens.len() as u64, options, threads, &layout)?;
    count_by(plan, tokens, options, meter)
}

/// Counts the n-grams of `tokens` as planned.
pub(super) fn count_by<T: TokenId>(
    plan: Plan,
    tokens: &[T],
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Counts> {
    if tokens.is_empty() {
        let (what, remedy) = ("the token stream".to_owned(), "give at least one token");
        return Err(Error::Empty { what, remedy });
    }
    let stream = Stream { tokens, separator: options.document_separator };
    if tokens.len() >= u32::MAX as usize - 1 {
        let most = u32::MAX - 1;
        let limit = format!("one count takes fewer than {most} tokens; count parts and merge them");
        return Err(Error::argument("number of tokens", tokens.len(), limit));
    }
    let sizes = histogram(tokens, options.vocab_size)?;
    let units = tokens.len() as u64;
    meter.advance(units)?;
    let layout = Layout::new(options.order, options.vocab_size);
    let mut levels = match layout.words {
        0 => {
            meter.advance(units)?;
            vec![CountLevel::default()]
        }
        1 => Counter::<1, T>::new(plan, &stream, &layout, &sizes).run(meter)?,
        2 => Counter::<2, T>::new(plan, &stream, &layout, &sizes).run(meter)?,
        _ => Counter::<MAX_WORDS, T>::new(plan, &stream, &layout, &sizes).run(meter)?,
    };
    levels[0].counts = sizes.into();
    let head = tokens.iter().take(options.order - 1).map(|&id| id.into()).collect();
    Ok(Counts {
        levels,
        vocab_size: options.vocab_size,
        document_separator: options.document_separator,
        num_tokens: units,
        heads: if stream.separator.is_some() { Vec::new() } else { vec![head] },
    })
}

/// How often each id stands in the stream. The separator in front of the first document is not
/// one of them: it is never predicted.
fn histogram<T: TokenId>(tokens: &[T], vocab_size: usize) -> Result<Vec<u32>> {
    let mut counts = vec![0u32; vocab_size];
    for (position, &id) in tokens.iter().enumerate() {
        let id: u32 = id.into();
        match counts.get_mut(id as usize) {
            Some(count) => *count += 1,
            None => return Err(Error::TokenId { id: id.into(), position, vocab_size }),
        }
    }
    Ok(counts)
}

#[cfg(test)]
#[path = "count_tests.rs"]
mod count_tests;
