//! Counts of parts of a corpus: saved, loaded, and merged.
//!
//! Several machines each count a part and save it; one loads the files and merges them. With a
//! document separator, parts that are whole documents give exactly the counts of the whole, since
//! no n-gram crosses a separator. Without one, each part is a stream of its own: n-grams that
//! would cross from one to the next are not counted.
//!
//! A file is a container of kind "NGRC" (see [`crate::format`] and `docs/formats.md`): `header`,
//! `words`, `counts`, `children` with the levels one after the other, and `heads`. A reader checks
//! every checksum, and then that the levels make a trie of sorted ids below V and that no count is
//! 0, so that whoever walks it stays inside.
//!
//! Merging walks the tries of all parts side by side, each node with its equals: the continuations
//! of equal n-grams are merged as sorted lists. It reads each file once from front to back, in each
//! level, and writes the same way.

use std::path::Path;
use std::sync::Arc;

use super::column::{Column, ColumnWriter, Place};
use super::count::{CountLevel, Counts};
use super::{MAX_ORDER, Options};
use crate::format::{FileWriter, MappedFile};
use crate::progress::Progress;
use crate::{Error, Result};

const KIND: [u8; 4] = *b"NGRC";
const VERSION: u32 = 1;
const NO_SEPARATOR: u64 = u64::MAX;

/// Header fields before the numbers of n-grams of the orders from 2 on.
const FIXED: usize = 5;

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

    /// Writes the counts to `path` in one step.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut header = vec![
            self.order() as u64,
            self.vocab_size as u64,
            self.document_separator.map_or(NO_SEPARATOR, u64::from),
            self.num_tokens,
            self.heads.len() as u64,
        ];
        header.extend(self.levels[1..].iter().map(|level| level.words.len() as u64));
        let mut file = FileWriter::create(path, KIND, VERSION, 5)?;
        file.section("header")?;
        file.write_slice(&header)?;
        file.section("words")?;
        self.levels.iter().try_for_each(|level| file.write_slice(&level.words))?;
        file.section("counts")?;
        self.levels.iter().try_for_each(|level| file.write_slice(&level.counts))?;
        file.section("children")?;
        self.levels.iter().try_for_each(|level| file.write_slice(&level.children))?;
        file.section("heads")?;
        for head in &self.heads {
            file.write_slice(&[head.len() as u32])?;
            file.write_slice(head)?;
        }
        file.finish()
    }

    /// Opens a file that [`Counts::save`] wrote, after checking all of it.
    pub fn load(path: &Path) -> Result<Self> {
        let file = Arc::new(MappedFile::open(path, KIND, VERSION)?);
        file.verify()?;
        let corrupt = |what: String| file.corrupt(what);
        let &[order, vocab_size, separator, num_tokens, num_heads, ref sizes @ ..] =
            file.slice::<u64>("header")?
        else {
            return Err(corrupt(format!("its header has fewer than {FIXED} fields")));
        };
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let mut options = Options::new(small(order), small(vocab_size));
        if separator != NO_SEPARATOR {
            options.document_separator = Some(u32::try_from(separator).unwrap_or(u32::MAX));
        }
        options.check().map_err(|error| corrupt(format!("its header holds {error}")))?;
        if num_tokens >= 1 << 48 {
            return Err(corrupt(format!("its header says that {num_tokens} tokens were counted")));
        }
        if sizes.len() + 1 != options.order || sizes.iter().any(|&n| n >= u64::from(u32::MAX)) {
            return Err(corrupt(format!(
                "its header counts {sizes:?} n-grams of orders 2 to {order}"
            )));
        }
        let mut nodes = vec![options.vocab_size];
        nodes.extend(sizes.iter().map(|&size| size as usize));
        let levels = cut(&file, &nodes)?;
        let levels = levels.into_iter().map(|[words, counts, children]| CountLevel {
            words,
            counts,
            children,
        });
        let counts = Self {
            levels: levels.collect(),
            vocab_size: options.vocab_size,
            document_separator: options.document_separator,
            num_tokens,
            heads: heads(file.slice("heads")?, num_heads, &options).map_err(corrupt)?,
        };
        counts.check().map_err(corrupt)?;
        Ok(counts)
    }

    /// Whether the levels make a trie of sorted ids.
    fn check(&self) -> Result<(), String> {
        for (order, level) in (2..).zip(&self.levels[1..]) {
            if level.counts.contains(&0) {
                return Err(format!("an n-gram of order {order} has the count 0"));
            }
        }
        for (order, pair) in (2..).zip(self.levels.windows(2)) {
            let (children, words) = (&pair[0].children[..], &pair[1].words[..]);
            let ends = [children.first(), children.last()];
            if ends != [Some(&0), Some(&(words.len() as u32))] || !children.is_sorted() {
                return Err(format!("the n-grams of order {order} do not follow their contexts"));
            }
            if words.iter().any(|&word| word as usize >= self.vocab_size) {
                return Err(format!(
                    "an n-gram of order {order} ends in an id past the vocabulary"
                ));
            }
            let rising = |range: &[u32]| {
                words[range[0] as usize..range[1] as usize].is_sorted_by(|one, next| one < next)
            };
            if !children.windows(2).all(rising) {
                return Err(format!("n-grams of order {order} are not sorted"));
            }
        }
        Ok(())
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

/// Cuts the sections of a file into the columns of levels of so many nodes.
fn cut(file: &Arc<MappedFile>, nodes: &[usize]) -> Result<Vec<[Column<u32>; 3]>> {
    let tags = ["words", "counts", "children"];
    let mut ends = [0; 3];
    let columns = nodes.iter().enumerate().map(|(level, &nodes_here)| {
        let is_last = level + 1 == nodes.len();
        let lengths = [
            if level == 0 { 0 } else { nodes_here },
            nodes_here,
            if is_last { 0 } else { nodes_here + 1 },
        ];
        std::array::from_fn(|i| {
            let begin = ends[i];
            ends[i] += lengths[i];
            Column::Section(Arc::clone(file), tags[i], begin..ends[i])
        })
    });
    let columns = columns.collect();
    for (tag, end) in tags.into_iter().zip(ends) {
        let length = file.slice::<u32>(tag)?.len();
        if length != end {
            let what = format!("section {tag:?} has {length} numbers, its header says {end}");
            return Err(file.corrupt(what));
        }
    }
    Ok(columns)
}

/// The first ids of each stream: a length, then so many ids, for each.
fn heads(mut values: &[u32], number: u64, options: &Options) -> Result<Vec<Vec<u32>>, String> {
    let mut heads = Vec::new();
    while let Some((&length, rest)) = values.split_first() {
        let Some((head, rest)) = rest.split_at_checked(length as usize) else {
            return Err("section \"heads\" ends inside a head".into());
        };
        let inside = head.iter().all(|&id| (id as usize) < options.vocab_size);
        if !inside || head.len() >= options.order.max(1) {
            return Err("section \"heads\" holds a head that cannot be".into());
        }
        heads.push(head.to_vec());
        values = rest;
    }
    match heads.len() as u64 == number {
        true => Ok(heads),
        false => {
            Err(format!("section \"heads\" has {} heads, its header says {number}", heads.len()))
        }
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
