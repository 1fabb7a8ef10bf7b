//! Exact counts of every n-gram of orders 1 to N.
//!
//! Definition: c(g) is the number of places where g stands inside one document (see the module
//! above for what a document is). Method: the start positions are sorted by the id that stands
//! there, then each group of equal n-grams is sorted by the id that follows; after k rounds the
//! groups are the n-grams of order k in sorted order, and their sizes the counts. Invariant: the
//! positions of one group are neighbours, and the groups of a level are sorted by their ids.
//! Neither the number of threads nor the cut into pieces can change the result, because every
//! group is sorted by (next id, position), which has no ties.

use super::Options;
use super::work::{Meter, pieces, split_mut};
use crate::{Error, Result};

/// A type of token ids.
pub trait TokenId: Copy + Send + Sync + Into<u32> {}

impl TokenId for u16 {}
impl TokenId for u32 {}

/// The n-grams of one order, sorted by their ids.
#[derive(Debug, Default)]
pub struct CountLevel {
    /// The last id of each n-gram. Level 1 leaves it empty: there the index is the id.
    pub words: Vec<u32>,
    /// How often each n-gram stands in the stream.
    pub counts: Vec<u32>,
    /// The n-grams of the next level that continue n-gram i are `children[i]..children[i + 1]`.
    /// Empty in the last level.
    pub children: Vec<u32>,
}

/// The counts of orders 1 to N.
#[derive(Debug)]
pub struct Counts {
    /// One level an order.
    pub levels: Vec<CountLevel>,
    /// The number of ids in the stream.
    pub num_tokens: u64,
    /// Without a separator, the first N − 1 ids: what stands at the start has one left neighbour
    /// more, the start itself. With a separator empty: there the begin marker is a neighbour.
    pub head: Vec<u32>,
}

/// The ids as documents: with a separator, one more stands in front of the first document.
struct Stream<'a, T> {
    tokens: &'a [T],
    separator: Option<u32>,
}

impl<T: TokenId> Stream<'_, T> {
    fn len(&self) -> usize {
        self.tokens.len() + usize::from(self.separator.is_some())
    }

    /// The id at `position`, which is not that of the separator in front.
    fn at(&self, position: usize) -> u32 {
        self.tokens[position - usize::from(self.separator.is_some())].into()
    }
}

/// The positions where the n-grams of one level begin: group i is
/// `positions[starts[i]..starts[i] + sizes[i]]`. `starts` has one entry more, the end.
struct Groups {
    positions: Vec<u32>,
    starts: Vec<u32>,
    sizes: Vec<u32>,
}

/// Counts the n-grams of `tokens`.
pub(super) fn count<T: TokenId>(
    tokens: &[T],
    options: &Options,
    meter: &mut Meter<'_>,
) -> Result<Counts> {
    if tokens.is_empty() {
        let (what, remedy) = ("the token stream".to_owned(), "give at least one token");
        return Err(Error::Empty { what, remedy });
    }
    let separator = options.document_separator;
    let stream = Stream { tokens, separator };
    if stream.len() >= u32::MAX as usize {
        let limit = format!("one model counts fewer than {} tokens; use a part", u32::MAX);
        return Err(Error::argument("number of tokens", tokens.len(), limit));
    }
    let units = tokens.len() as u64;
    let mut groups = group_by_first(&stream, options.vocab_size)?;
    let mut counts = groups.sizes.clone();
    if let Some(id) = separator {
        counts[id as usize] -= 1; // the one in front is never predicted
    }
    meter.advance(units)?;
    let mut levels = vec![CountLevel { counts, ..CountLevel::default() }];
    for length in 1..options.order {
        let (level, children) = refine(&stream, length, &levels, &mut groups, units, meter)?;
        levels[length - 1].children = children;
        levels.push(level);
    }
    let head = if separator.is_some() { 0 } else { options.order - 1 };
    let head = tokens.iter().take(head).map(|&id| id.into()).collect();
    Ok(Counts { levels, num_tokens: units, head })
}

/// Sorts all positions by the id that stands there, and checks the ids.
fn group_by_first<T: TokenId>(stream: &Stream<'_, T>, vocab_size: usize) -> Result<Groups> {
    let mut sizes = vec![0u32; vocab_size];
    for (position, &id) in stream.tokens.iter().enumerate() {
        let id: u32 = id.into();
        match sizes.get_mut(id as usize) {
            Some(size) => *size += 1,
            None => return Err(Error::TokenId { id: id.into(), position, vocab_size }),
        }
    }
    if let Some(id) = stream.separator {
        sizes[id as usize] += 1;
    }
    let starts = prefix_sums(&sizes);
    let mut next = starts.clone();
    let mut positions = vec![0u32; stream.len()];
    let mut place = |id: u32, position: usize| {
        let slot = &mut next[id as usize];
        positions[*slot as usize] = position as u32;
        *slot += 1;
    };
    let front = usize::from(stream.separator.is_some());
    if let Some(id) = stream.separator {
        place(id, 0);
    }
    for (i, &id) in stream.tokens.iter().enumerate() {
        place(id.into(), i + front);
    }
    Ok(Groups { positions, starts, sizes })
}

/// 0, s₀, s₀ + s₁, …: one entry more than `sizes`. The sums are below 2³² because no level has
/// more n-grams than the stream has positions.
fn prefix_sums(sizes: &[u32]) -> Vec<u32> {
    let mut sum = 0;
    let mut sums = Vec::with_capacity(sizes.len() + 1);
    sums.push(0);
    sums.extend(sizes.iter().map(|size| {
        sum += size;
        sum
    }));
    sums
}

/// What one piece of a level yields: its n-grams, one id longer.
struct Longer {
    words: Vec<u32>,
    starts: Vec<u32>,
    sizes: Vec<u32>,
    /// For each group of the piece, how many of the n-grams continue it.
    children: Vec<u32>,
}

/// From the groups of n-grams of `length` to those one longer; also the former's `children`.
fn refine<T: TokenId>(
    stream: &Stream<'_, T>,
    length: usize,
    levels: &[CountLevel],
    groups: &mut Groups,
    units: u64,
    meter: &mut Meter<'_>,
) -> Result<(CountLevel, Vec<u32>)> {
    let Groups { positions, starts, sizes } = groups;
    let ranges = pieces(starts);
    // What lies before the first group is left over from groups that nothing continues.
    let first = starts[0];
    let ends: Vec<usize> = ranges.iter().map(|r| (starts[r.end] - first) as usize).collect();
    let parts = split_mut(&mut positions[first as usize..], &ends);
    let words = &levels[length - 1].words;
    let longer = meter.stage(units, ranges.into_iter().zip(parts).collect(), |(range, part)| {
        let base = starts[range.start];
        let mut out = Longer::with_capacity(part.len(), range.len());
        let mut keys = Vec::new();
        for group in range {
            let before = out.words.len();
            // Nothing follows the end of a document; in front of one, the separator is a start.
            if length == 1 || Some(words[group]) != stream.separator {
                let from = (starts[group] - base) as usize;
                let members = &mut part[from..from + sizes[group] as usize];
                out.split_group(stream, length, members, starts[group], &mut keys);
            }
            out.children.push((out.words.len() - before) as u32);
        }
        out
    })?;

    let end = positions.len() as u32;
    let total = longer.iter().map(|piece| piece.words.len()).sum();
    let mut words = Vec::with_capacity(total);
    let mut children = Vec::with_capacity(sizes.len());
    (*starts, *sizes) = (Vec::with_capacity(total + 1), Vec::with_capacity(total));
    for piece in longer {
        words.extend(piece.words);
        starts.extend(piece.starts);
        sizes.extend(piece.sizes);
        children.extend(piece.children);
    }
    starts.push(end);
    let level = CountLevel { words, counts: sizes.clone(), children: Vec::new() };
    Ok((level, prefix_sums(&children)))
}

impl Longer {
    fn with_capacity(ngrams: usize, groups: usize) -> Self {
        Self {
            words: Vec::with_capacity(ngrams),
            starts: Vec::with_capacity(ngrams),
            sizes: Vec::with_capacity(ngrams),
            children: Vec::with_capacity(groups),
        }
    }

    /// Sorts the `members` of one group by the id that follows the n-gram and appends the n-grams
    /// that are one longer. `first` is where the group begins among all positions.
    fn split_group<T: TokenId>(
        &mut self,
        stream: &Stream<'_, T>,
        length: usize,
        members: &mut [u32],
        first: u32,
        keys: &mut Vec<u64>,
    ) {
        keys.clear();
        let end = stream.len() - length;
        let inside = members.iter().filter(|&&position| (position as usize) < end);
        keys.extend(inside.map(|&position| {
            u64::from(stream.at(position as usize + length)) << 32 | u64::from(position)
        }));
        keys.sort_unstable();
        let mut last = None;
        for (i, (member, key)) in members.iter_mut().zip(keys.iter()).enumerate() {
            *member = *key as u32;
            let word = (key >> 32) as u32;
            if last == Some(word) {
                *self.sizes.last_mut().expect("a group was begun") += 1;
            } else {
                self.words.push(word);
                self.starts.push(first + i as u32);
                self.sizes.push(1);
                last = Some(word);
            }
        }
    }
}
