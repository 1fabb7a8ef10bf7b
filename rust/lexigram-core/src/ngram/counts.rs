//! Counts asked for, and counts of parts of a corpus merged.
//!
//! Several machines each count a part and save it ([`counts_file`](super::counts_file)); one loads
//! the files and merges them. With a
//! document separator, parts that are whole documents give exactly the counts of the whole, since
//! no n-gram crosses a separator. Without one, each part is a stream of its own: n-grams that
//! would cross from one to the next are not counted.
//!
//! Merging walks the tries of all parts side by side, each node with its equals: the continuations
//! of equal n-grams are merged as sorted lists. It reads each file once from front to back, in each
//! level, and writes the same way.

use super::MAX_ORDER;
use super::column::{Column, ColumnWriter, Place};
use super::count::{CountLevel, Counts};
use crate::progress::Progress;
use crate::{Error, Result};

impl Counts {
    /// N, the length of the longest n-grams.
    pub fn order(&self) -> usize {
        self.levels.len()
    }

    /// The number of n-grams of each order; for order 1, of ids that were seen.
    pub fn num_ngrams(&self) -> Vec<u64> {
        let seen = self.levels[0].counts.iter().filter(|&&count| count > 0).count();
        let longer = self.levels[1..].iter().map(|level| level.words.len());
        std::iter::once(seen).chain(longer).map(|number| number as u64).collect()
    }

    /// How often an n-gram of 1 to N ids stands in the corpus. A separator in front is the begin of
    /// a document, one at the end its end.
    pub fn get(&self, ngram: &[u32]) -> u32 {
        let Some((&first, rest)) = ngram.split_first() else { return 0 };
        if first as usize >= self.vocab_size || rest.len() >= self.order() {
            return 0;
        }
        let mut node = first as usize;
        for (pair, id) in self.levels.windows(2).zip(rest) {
            let (from, to) = (pair[0].children[node] as usize, pair[0].children[node + 1] as usize);
            match pair[1].words[from..to].binary_search(id) {
                Ok(at) => node = from + at,
                Err(_) => return 0,
            }
        }
        self.levels[rest.len()].counts[node]
    }

    /// All n-grams of one order, in order: `order` ids for each, and how often each stands there.
    pub fn ngrams(&self, order: usize) -> Result<(Vec<u32>, Vec<u32>)> {
        if !(1..=self.order()).contains(&order) {
            return Err(Error::argument("order", order, format!("use 1 to {}", self.order())));
        }
        let (mut ids, mut counts) = (Vec::new(), Vec::new());
        // The nodes on the way from level 1, and where their parents' continuations end.
        let mut path = vec![0u32; order];
        for first in 0..self.vocab_size {
            path[0] = first as u32;
            self.walk(order, 1, first, &mut path, &mut ids, &mut counts);
        }
        Ok((ids, counts))
    }

    fn walk(
        &self,
        order: usize,
        depth: usize,
        node: usize,
        path: &mut [u32],
        ids: &mut Vec<u32>,
        counts: &mut Vec<u32>,
    ) {
        let level = &self.levels[depth - 1];
        if depth == order {
            if level.counts[node] > 0 {
                ids.extend_from_slice(path);
                counts.push(level.counts[node]);
            }
            return;
        }
        for child in level.children[node]..level.children[node + 1] {
            path[depth] = self.levels[depth].words[child as usize];
            self.walk(order, depth + 1, child as usize, path, ids, counts);
        }
    }

    /// The counts of all parts together: as if their documents had been counted at once. With
    /// `place` in files, memory does not grow with the counts. Progress is in the ids of level 1.
    pub fn merge(parts: &[Self], in_files: bool, progress: &dyn Progress) -> Result<Self> {
        let Some(first) = parts.first() else {
            let (what, remedy) = ("the list of counts".to_owned(), "give at least one");
            return Err(Error::Empty { what, remedy });
        };
        let kind = |part: &Self| (part.order(), part.vocab_size, part.document_separator);
        if let Some(other) = parts.iter().find(|part| kind(part) != kind(first)) {
            return Err(Error::argument(
                "counts",
                format!("(order, vocab_size, document_separator) = {:?}", kind(other)),
                format!("all parts must have those of the first, {:?}", kind(first)),
            ));
        }
        let place = if in_files { Place::Files } else { Place::Memory };
        let mut merger = Merger::new(parts, place)?;
        let mut sizes = Vec::with_capacity(first.vocab_size);
        for id in 0..first.vocab_size {
            if id % 1024 == 0 {
                progress.report(id as u64, first.vocab_size as u64)?;
            }
            let nodes: Vec<_> = (0..parts.len()).map(|part| (part, id)).collect();
            sizes.push(merger.sum(&nodes, 0)?);
            merger.roots.push(merger.length(1));
            merger.descend(&nodes, 1)?;
        }
        progress.report(first.vocab_size as u64, first.vocab_size as u64)?;
        Ok(Self {
            levels: merger.finish(sizes)?,
            num_tokens: parts.iter().map(|part| part.num_tokens).sum(),
            heads: parts.iter().flat_map(|part| part.heads.iter().cloned()).collect(),
            vocab_size: first.vocab_size,
            document_separator: first.document_separator,
        })
    }
}

/// A node of one of the parts: the part, and the index in its level.
type PartNode = (usize, usize);

/// Merges tries into one.
struct Merger<'a> {
    /// Of each part, its levels.
    parts: Vec<Vec<[&'a [u32]; 3]>>,
    /// Where the n-grams of order 2 begin for each id.
    roots: Vec<u32>,
    /// Words, counts and children of the levels from 2 on.
    levels: Vec<[ColumnWriter<u32>; 3]>,
    /// For each depth, the nodes that are merged next.
    equals: [Vec<PartNode>; MAX_ORDER],
}

impl<'a> Merger<'a> {
    fn new(parts: &'a [Counts], place: Place) -> Result<Self> {
        let slices = |level: &'a CountLevel| -> [&'a [u32]; 3] {
            [&level.words, &level.counts, &level.children]
        };
        let order = parts[0].order();
        let writer = || ColumnWriter::new(place);
        let levels = (1..order).map(|_| Ok([writer()?, writer()?, writer()?]));
        Ok(Self {
            parts: parts.iter().map(|part| part.levels.iter().map(slices).collect()).collect(),
            roots: Vec::with_capacity(parts[0].vocab_size + 1),
            levels: levels.collect::<Result<_>>()?,
            equals: Default::default(),
        })
    }

    /// How many n-grams the level at `depth` has so far; 0 if there is no such level.
    fn length(&self, depth: usize) -> u32 {
        self.levels.get(depth - 1).map_or(0, |[words, ..]| words.len() as u32)
    }

    /// The count of an n-gram that these nodes are.
    fn sum(&self, nodes: &[PartNode], depth: usize) -> Result<u32> {
        let counts = nodes.iter().map(|&(part, node)| u64::from(self.parts[part][depth][1][node]));
        let sum: u64 = counts.sum();
        u32::try_from(sum).map_err(|_| {
            Error::argument("count of an n-gram", sum, format!("it may be at most {}", u32::MAX))
        })
    }

    /// Merges what continues the n-gram of `depth` ids that these nodes are.
    fn descend(&mut self, nodes: &[PartNode], depth: usize) -> Result<()> {
        if depth > self.levels.len() {
            return Ok(());
        }
        // Where each part's continuations begin and end.
        let mut ranges: Vec<(usize, usize, usize)> = nodes
            .iter()
            .map(|&(part, node)| {
                let children = self.parts[part][depth - 1][2];
                (part, children[node] as usize, children[node + 1] as usize)
            })
            .filter(|(_, from, to)| from < to)
            .collect();
        while !ranges.is_empty() {
            let word_at =
                |&(part, from, _): &(usize, usize, usize)| self.parts[part][depth][0][from];
            let Some(word) = ranges.iter().map(word_at).min() else { break };
            let mut equals = std::mem::take(&mut self.equals[depth]);
            equals.clear();
            for range in &mut ranges {
                if word_at(range) == word {
                    equals.push((range.0, range.1));
                    range.1 += 1;
                }
            }
            ranges.retain(|(_, from, to)| from < to);
            let count = self.sum(&equals, depth)?;
            let children = if depth < self.levels.len() { self.length(depth + 1) } else { 0 };
            if self.length(depth) == u32::MAX - 1 {
                let limit = format!("one order has at most {} n-grams", u32::MAX - 1);
                return Err(Error::argument("number of n-grams", "more", limit));
            }
            let [words, counts, starts] = &mut self.levels[depth - 1];
            words.push(word)?;
            counts.push(count)?;
            starts.push(children)?;
            self.descend(&equals, depth + 1)?;
            self.equals[depth] = equals;
        }
        Ok(())
    }

    fn finish(mut self, sizes: Vec<u32>) -> Result<Vec<CountLevel>> {
        let lengths: Vec<u32> = (1..=self.levels.len()).map(|depth| self.length(depth)).collect();
        let mut first = CountLevel { counts: sizes.into(), ..CountLevel::default() };
        if let Some(&end) = lengths.first() {
            self.roots.push(end);
            first.children = self.roots.into();
        }
        let mut levels = vec![first];
        for (i, [words, counts, mut starts]) in self.levels.into_iter().enumerate() {
            let children = match lengths.get(i + 1) {
                Some(&end) => {
                    starts.push(end)?;
                    starts.finish()?
                }
                None => Column::default(),
            };
            levels.push(CountLevel { words: words.finish()?, counts: counts.finish()?, children });
        }
        Ok(levels)
    }
}
