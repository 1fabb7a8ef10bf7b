//! From sorted keys to the n-grams of all orders, and from those of parts to levels.

use super::column::{ColumnWriter, Place};
use super::count::CountLevel;
use super::key::{Key, Layout};
use crate::{Error, Result};

/// What a part yields: level k + 2 at k.
pub struct Found<const W: usize> {
    pub levels: Vec<Vec<Node>>,
    /// The first ids that anything follows, and where in level 2 that begins.
    pub firsts: Vec<(u32, u32)>,
    /// The first and the last n-gram.
    pub ends: Option<[(u32, Key<W>); 2]>,
}

/// An n-gram that was found.
#[derive(Clone, Copy)]
pub struct Node {
    pub word: u32,
    pub count: u32,
    /// Where in the next level its continuations begin.
    pub children: u32,
}

/// Turns sorted keys into n-grams.
pub struct Scan<'a, const W: usize> {
    layout: &'a Layout,
    pub found: Found<W>,
}

impl<'a, const W: usize> Scan<'a, W> {
    pub fn new(layout: &'a Layout, expected: usize) -> Self {
        let level = || Vec::with_capacity(expected);
        let levels = (0..layout.fields).map(|_| level()).collect();
        Self { layout, found: Found { levels, firsts: Vec::new(), ends: None } }
    }

    /// Takes the sorted keys behind one id, each `times` times.
    pub fn take(&mut self, first: u32, keys: &[Key<W>], times: u32) {
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
pub struct Levels<const W: usize> {
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
    pub fn new(levels: usize, vocab_size: usize, place: Place) -> Result<Self> {
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
    pub fn append(&mut self, found: Found<W>, layout: &Layout) -> Result<()> {
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

    pub fn finish(mut self) -> Result<Vec<CountLevel>> {
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
