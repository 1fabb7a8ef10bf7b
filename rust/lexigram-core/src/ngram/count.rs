//! Exact counts of every n-gram of orders 1 to N.
//!
//! Definition: c(g) is the number of places where g stands inside one document (see the module
//! above for what a document is). Method: for each place, the ids that follow it in its document
//! are packed into a key ([`super::key`]); the keys behind each id are sorted, and one scan of the
//! sorted keys yields the n-grams of all orders, in order, with their counts.
//!
//! The work is cut into parts by what the n-grams begin with, so that the keys of a part fit into
//! the memory that there is; each part reads all ids and takes its own. Invariant: parts are
//! disjoint and in order, so their n-grams one after the other are sorted; where a part ends
//! between two n-grams that begin alike, their common beginnings are joined
//! ([`Levels::append`]). So neither the number of threads nor the memory limit can change the
//! result.

use rayon::prelude::*;

use super::Options;
use super::column::{Column, ColumnWriter, Place};
use super::key::{Key, Layout, MAX_WORDS, Stream};
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

/// N-grams that begin with some ids.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part<const W: usize> {
    /// The first ids: `from..to`.
    from: u32,
    to: u32,
    /// Of a single first id, the keys from the first to the second; else all.
    keys: Option<(Key<W>, Key<W>)>,
    /// How many keys there are.
    positions: u64,
}

/// What a part yields: level k + 2 at k.
struct Found<const W: usize> {
    levels: Vec<Vec<Node>>,
    /// The first ids that anything follows, and where in level 2 that begins.
    firsts: Vec<(u32, u32)>,
    /// The first and the last n-gram.
    ends: Option<[(u32, Key<W>); 2]>,
}

/// An n-gram that was found.
#[derive(Clone, Copy)]
struct Node {
    word: u32,
    count: u32,
    /// Where in the next level its continuations begin.
    children: u32,
}

/// Counts the n-grams of orders 2 to N.
struct Counter<'a, const W: usize, T> {
    stream: &'a Stream<'a, T>,
    layout: &'a Layout,
    sizes: &'a [u32],
    parts: Vec<Part<W>>,
    plan: Plan,
}

impl<'a, const W: usize, T: TokenId> Counter<'a, W, T> {
    fn new(plan: Plan, stream: &'a Stream<'a, T>, layout: &'a Layout, sizes: &'a [u32]) -> Self {
        let mut counter = Self { plan, stream, layout, sizes, parts: Vec::new() };
        counter.cut(plan.most);
        counter
    }

    /// Cuts the n-grams into parts of at most `most` positions, where that can be.
    fn cut(&mut self, most: u64) {
        let begins = |id: usize| {
            u64::from(self.sizes[id]) + u64::from(self.stream.separator == Some(id as u32))
        };
        let mut from = 0;
        let mut positions = 0;
        for id in 0..self.sizes.len() {
            if positions > 0 && positions + begins(id) > most {
                let part = Part { from, to: id as u32, keys: None, positions };
                self.parts.push(part);
                (from, positions) = (id as u32, 0);
            }
            positions += begins(id);
            if positions > most {
                // This id alone; it is the only one, since the ones before were cut off.
                self.split(id as u32, 0, [0; W], most);
                (from, positions) = (id as u32 + 1, 0);
            }
        }
        if positions > 0 {
            let to = self.sizes.len() as u32;
            self.parts.push(Part { from, to, keys: None, positions });
        }
    }

    /// Cuts the n-grams that begin with `first` and the first `depth` fields of `key` by the field
    /// after them.
    fn split(&mut self, first: u32, depth: usize, key: Key<W>, most: u64) {
        let mut sizes = vec![0u32; self.layout.largest() as usize + 1];
        self.each_key(first, |other| {
            if self.layout.shared(&key, &other) >= depth {
                sizes[self.layout.field(&other, depth) as usize] += 1;
            }
        });
        let last = |value| {
            let mut key = self.layout.with_field(&key, depth, value);
            for field in depth + 1..self.layout.fields {
                key = self.layout.with_field(&key, field, self.layout.largest());
            }
            key
        };
        let (mut begin, mut positions) = (0, 0);
        for (value, size) in (0..).zip(sizes.into_iter().map(u64::from)) {
            let low = |value| self.layout.with_field(&key, depth, value);
            let part = |keys, positions| Part { from: first, to: first + 1, keys, positions };
            if positions > 0 && positions + size > most {
                self.parts.push(part(Some((low(begin), last(value - 1))), positions));
                (begin, positions) = (value, 0);
            }
            positions += size;
            if positions > most {
                if value == 0 || depth + 1 == self.layout.fields {
                    // All these keys are the same: they are counted, not kept.
                    self.parts.push(part(Some((low(value), low(value))), positions));
                } else {
                    self.split(first, depth + 1, low(value), most);
                }
                (begin, positions) = (value + 1, 0);
            }
            if value == self.layout.largest() && positions > 0 {
                self.parts.push(part(Some((low(begin), last(value))), positions));
            }
        }
    }

    /// The keys of all positions of an id, in the order of the stream.
    fn each_key(&self, first: u32, mut take: impl FnMut(Key<W>)) {
        self.each_position(first, first + 1, |_, key| take(key));
    }

    /// All positions of ids in `from..to`: the id, and the key of what follows.
    #[inline]
    fn each_position(&self, from: u32, to: u32, mut take: impl FnMut(u32, Key<W>)) {
        let Stream { tokens, separator } = *self.stream;
        if let Some(separator) = separator
            && (from..to).contains(&separator)
        {
            take(separator, self.layout.of(tokens, Some(separator)));
        }
        for (position, &id) in tokens.iter().enumerate() {
            let id: u32 = id.into();
            if id.wrapping_sub(from) < to - from {
                take(id, self.layout.after(self.stream, position));
            }
        }
    }

    fn run(self, meter: &mut Meter<'_>) -> Result<Vec<CountLevel>> {
        let mut levels = Levels::new(self.layout.fields, self.sizes.len(), self.plan.place)?;
        let units = self.stream.tokens.len() as u64;
        let number = self.parts.len().max(1) as u64;
        for (done, parts) in self.parts.chunks(self.plan.threads).enumerate() {
            let found: Vec<_> =
                meter.run(|| parts.par_iter().map(|part| self.part(part)).collect());
            for found in found {
                levels.append(found, self.layout)?;
            }
            let begun = done * self.plan.threads;
            let share = |parts: usize| units * parts as u64 / number;
            meter.advance(share(begun + parts.len()) - share(begun))?;
        }
        if self.parts.is_empty() {
            meter.advance(units)?;
        }
        levels.finish()
    }

    /// Counts one part.
    fn part(&self, part: &Part<W>) -> Found<W> {
        // About as many n-grams as are new in a level; of equal keys each level has one.
        let expected = match part.keys {
            Some((low, high)) if low == high => 1,
            _ => part.positions as usize / 4,
        };
        let mut scan = Scan::new(self.layout, expected);
        let mut keys: Vec<Key<W>> = Vec::new();
        match part.keys {
            Some((low, high)) if low == high => {
                scan.take(part.from, &[low], part.positions as u32);
            }
            Some((low, high)) => {
                keys.reserve(part.positions as usize);
                self.each_key(part.from, |key| {
                    if (low..=high).contains(&key) {
                        keys.push(key);
                    }
                });
                keys.sort_unstable();
                scan.take(part.from, &keys, 1);
            }
            None => {
                // The keys of each id go where that id's begin.
                let mut ends = vec![0usize; (part.to - part.from) as usize];
                let mut end = 0;
                for (id, place) in (part.from..part.to).zip(&mut ends) {
                    *place = end;
                    end += self.sizes[id as usize] as usize
                        + usize::from(self.stream.separator == Some(id));
                }
                keys.resize(end, [0; W]);
                self.each_position(part.from, part.to, |id, key| {
                    let place = &mut ends[(id - part.from) as usize];
                    keys[*place] = key;
                    *place += 1;
                });
                let mut begin = 0;
                for (id, &end) in (part.from..part.to).zip(&ends) {
                    let keys = &mut keys[begin..end];
                    keys.sort_unstable();
                    scan.take(id, keys, 1);
                    begin = end;
                }
            }
        }
        scan.found
    }
}

/// Turns sorted keys into n-grams.
struct Scan<'a, const W: usize> {
    layout: &'a Layout,
    found: Found<W>,
}

impl<'a, const W: usize> Scan<'a, W> {
    fn new(layout: &'a Layout, expected: usize) -> Self {
        let level = || Vec::with_capacity(expected);
        let levels = (0..layout.fields).map(|_| level()).collect();
        Self { layout, found: Found { levels, firsts: Vec::new(), ends: None } }
    }

    /// Takes the sorted keys behind one id, each `times` times.
    fn take(&mut self, first: u32, keys: &[Key<W>], times: u32) {
        let (Some(begin), Some(end)) = (keys.first(), keys.last()) else { return };
        let Found { levels, firsts, ends } = &mut self.found;
        firsts.push((first, levels[0].len() as u32));
        *ends = Some([ends.map_or((first, *begin), |[begin, _]| begin), (first, *end)]);
        let mut before: Option<&Key<W>> = None;
        for key in keys {
            // The n-grams that go on, and those that begin here.
            let shared = before.map_or(0, |before| self.layout.shared(before, key));
            before = Some(key);
            let mut field = 0;
            while field < self.layout.fields {
                let id = self.layout.field(key, field);
                if id == 0 {
                    break;
                }
                if field < shared {
                    if let Some(node) = levels[field].last_mut() {
                        node.count += times;
                    }
                } else {
                    let children = levels.get(field + 1).map_or(0, |next| next.len() as u32);
                    levels[field].push(Node { word: id - 1, count: times, children });
                }
                field += 1;
            }
        }
    }
}

/// The levels as they grow.
struct Levels<const W: usize> {
    /// Where the n-grams of order 2 begin for each id; dense.
    roots: Vec<u32>,
    /// The next id that has no root.
    next: usize,
    words: Vec<ColumnWriter<u32>>,
    counts: Vec<ColumnWriter<u32>>,
    children: Vec<ColumnWriter<u32>>,
    last: Option<(u32, Key<W>)>,
}

impl<const W: usize> Levels<W> {
    fn new(levels: usize, vocab_size: usize, place: Place) -> Result<Self> {
        let writers = || (0..levels).map(|_| ColumnWriter::new(place)).collect::<Result<Vec<_>>>();
        Ok(Self {
            roots: vec![0; vocab_size + 1],
            next: 0,
            words: writers()?,
            counts: writers()?,
            children: writers()?,
            last: None,
        })
    }

    /// Appends what the next part yielded. N-grams that it shares with the part before get the
    /// counts of both.
    fn append(&mut self, found: Found<W>, layout: &Layout) -> Result<()> {
        let Some([begin, end]) = found.ends else { return Ok(()) };
        let goes_on = self.last.is_some_and(|(first, _)| first == begin.0);
        let joined = match &self.last {
            Some((first, key)) if *first == begin.0 => {
                layout.shared(key, &begin.1).min(layout.length(&begin.1))
            }
            _ => 0,
        };
        let bases: Vec<usize> = (0..layout.fields)
            .map(|level| self.words[level].len() - usize::from(level < joined))
            .collect();
        if bases.iter().zip(&found.levels).any(|(b, new)| b + new.len() >= u32::MAX as usize) {
            let limit =
                format!("one order has at most {} n-grams; use a lower order, or a part", u32::MAX);
            return Err(Error::argument("number of n-grams", "more", limit));
        }
        for (first, start) in found.firsts.iter().skip(usize::from(goes_on)) {
            let first = *first as usize;
            self.roots[self.next..=first].fill(bases[0] as u32 + start);
            self.next = first + 1;
        }
        let mut column = Vec::new();
        for (level, nodes) in found.levels.into_iter().enumerate() {
            let mut nodes = &nodes[..];
            if level < joined
                && let Some((node, rest)) = nodes.split_first()
            {
                if let Some(count) = self.counts[level].last_mut() {
                    *count += node.count;
                }
                nodes = rest;
            }
            let mut put = |writer: &mut ColumnWriter<u32>, value: &dyn Fn(&Node) -> u32| {
                column.clear();
                column.extend(nodes.iter().map(value));
                writer.extend(&column)
            };
            put(&mut self.words[level], &|node| node.word)?;
            put(&mut self.counts[level], &|node| node.count)?;
            if let Some(&base) = bases.get(level + 1) {
                put(&mut self.children[level], &|node| node.children + base as u32)?;
            }
        }
        self.last = Some(end);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<CountLevel>> {
        let sizes: Vec<u32> = self.words.iter().map(|words| words.len() as u32).collect();
        self.roots[self.next..].fill(sizes[0]);
        let roots = self.roots.into();
        let mut levels = vec![CountLevel { children: roots, ..CountLevel::default() }];
        let columns = self.words.into_iter().zip(self.counts).zip(self.children);
        for (level, ((words, counts), mut children)) in columns.enumerate() {
            if let Some(&end) = sizes.get(level + 1) {
                children.push(end)?;
            }
            let (words, counts, children) = (words.finish()?, counts.finish()?, children.finish()?);
            levels.push(CountLevel { words, counts, children });
        }
        Ok(levels)
    }
}

#[cfg(test)]
#[path = "count_tests.rs"]
mod count_tests;
