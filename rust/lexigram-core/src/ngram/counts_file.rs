//! The file of counts.
//!
//! A container of kind "NGRC" (see [`crate::format`] and `docs/formats.md`): `header`, `words`,
//! `counts`, `children` with the levels one after the other, and `heads`. A reader checks every
//! checksum, and then all that whoever walks the trie, links suffixes or prunes by counts relies
//! on: that the levels make a trie of sorted ids below V; that no n-gram has the count 0 or more
//! than its context or its suffix, which must be there; and that the ids' counts make up the number
//! of tokens.

use std::iter::repeat_n;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::Options;
use super::column::Column;
use super::count::{CountLevel, Counts};
use super::kneser_ney::{AHEAD, find_all};
use super::work::pieces;
use crate::format::{FileWriter, MappedFile};
use crate::{Result, prefetch};

const KIND: [u8; 4] = *b"NGRC";
const VERSION: u32 = 1;
const NO_SEPARATOR: u64 = u64::MAX;

/// Header fields before the numbers of n-grams of the orders from 2 on.
const FIXED: usize = 5;

impl Counts {
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
        if sizes.len() + 1 != options.order {
            let (found, expected) = (FIXED + sizes.len(), FIXED + options.order - 1);
            return Err(corrupt(format!("its header has {found} fields, not {expected}")));
        }
        if sizes.iter().any(|&n| n >= u64::from(u32::MAX)) {
            return Err(corrupt(format!("its header counts {sizes:?} n-grams, which is too many")));
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
        self.check_suffixes()
    }

    /// Whether each n-gram stands no more often than its context and its suffix. Only the begin
    /// marker stands in front of a document without being counted there.
    fn check_suffixes(&self) -> Result<(), String> {
        let sum: u64 = self.levels[0].counts.iter().map(|&count| u64::from(count)).sum();
        if sum != self.num_tokens {
            let tokens = self.num_tokens;
            return Err(format!("its ids were counted {sum} times, its header says {tokens}"));
        }
        if self.order() == 1 {
            return Ok(());
        }
        let levels: Vec<Slices<'_>> = self.levels.iter().map(Slices::new).collect();
        let marker = self.document_separator;
        let wrong = pieces(levels[0].children)
            .into_par_iter()
            .find_map_any(|firsts| wrong_behind(&levels, firsts, marker));
        match wrong {
            None => Ok(()),
            Some(order) => Err(format!(
                "an n-gram of order {order} lacks its suffix, or stands more often than that or than \
                 its context: the counts are not those of a text"
            )),
        }
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

/// A level's columns, looked up once.
struct Slices<'a> {
    words: &'a [u32],
    counts: &'a [u32],
    children: &'a [u32],
}

impl<'a> Slices<'a> {
    fn new(level: &'a CountLevel) -> Self {
        Self { words: &level.words, counts: &level.counts, children: &level.children }
    }
}

/// The order of an n-gram that begins with one of the ids `firsts` and stands more often than its
/// context or its suffix. Order by order: the suffix of hw is the continuation w of the suffix of h.
fn wrong_behind(levels: &[Slices<'_>], firsts: Range<usize>, marker: Option<u32>) -> Option<usize> {
    let (mut contexts, mut links) = (firsts, Vec::new());
    for (order, pair) in (2..).zip(levels.windows(2)) {
        let (above, level) = (&pair[0], &pair[1]);
        let children = &above.children[contexts.start..=contexts.end];
        let nodes = children[0] as usize..children[children.len() - 1] as usize;
        let words = &level.words[nodes.clone()];
        let mut found = words.to_vec();
        if order > 2 {
            let degrees = children.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
            let suffixes = links.iter().zip(degrees).flat_map(|(&link, n)| repeat_n(link, n));
            let lower = levels[order - 3].children;
            if !find_all(lower, above.words, suffixes, words, &mut found) {
                return Some(order);
            }
        }
        let counts = &level.counts[nodes.clone()];
        for (i, (&link, count)) in found.iter().zip(counts).enumerate() {
            if let Some(&ahead) = found.get(i + AHEAD) {
                prefetch(&above.counts[ahead as usize]);
            }
            if count > &above.counts[link as usize] {
                return Some(order);
            }
        }
        for (context, pair) in contexts.clone().zip(children.windows(2)) {
            let most = &above.counts[context];
            let is_marker = order == 2 && marker == Some(context as u32);
            let followers = &level.counts[pair[0] as usize..pair[1] as usize];
            if !is_marker && followers.iter().any(|count| count > most) {
                return Some(order);
            }
        }
        (contexts, links) = (nodes, found);
    }
    None
}
