//! How the levels of a model lie, in memory and in a file alike.
//!
//! Nodes are taken 32 at a time, a *block*, so that what belongs to one node lies in few cache
//! lines:
//!
//! * `words`: the last ids, 16 bits each where V ≤ 2¹⁶ (a block is one line), else ⌈log₂ V⌉ bits;
//!   `samples`: the first word of each block, where a search of a long range begins;
//! * `lines`: for each block one line that holds the numbers of followers (4 bits) and the codes of
//!   the weights (8 bits). A node with 15 followers or more has the rest in `long`, a weight that
//!   is not among the 255 most frequent ones of its level has it in `rare`;
//! * `logprobs`: float32 in levels 1 and 2; in longer ones the bit patterns less the smallest of
//!   them, in as many bits as the largest needs; after quantisation, codes of a table.
//!
//! Nothing is lost against float32. A reader of these types goes wherever the numbers in a file
//! send it, but no further than the slices reach: each index is checked or clamped where it is
//! used, so whoever wrote the file, a query ends and answers something.

use std::ops::Range;

use super::bits::{Ints, IntsBuffer};
use super::line::Line;
use super::model::LogProb;

/// Nodes in a block.
pub(super) const BLOCK: usize = 32;

/// One level as training makes it.
#[derive(Debug, Default)]
pub(super) struct Level<F = f64> {
    /// The last id of each n-gram; empty in level 1.
    pub words: Vec<u32>,
    /// ln p of each n-gram's last id given the others.
    pub logprobs: Vec<F>,
    /// Where the continuations of each n-gram begin in the next level; empty in the last level.
    pub children: Vec<u32>,
    /// ln γ of each n-gram as a context; empty in the last level.
    pub backoffs: Vec<F>,
}

/// The log-probabilities of a level.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values<'a> {
    Plain(&'a [f32]),
    /// 0 is ln 1; another code is 1 more than the bit pattern less `base`.
    Offset {
        base: u32,
        codes: Ints<'a>,
    },
    Coded {
        table: &'a [f32],
        codes: Ints<'a>,
    },
}

impl Values<'_> {
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        match *self {
            Values::Plain(values) => values.get(i).copied().unwrap_or_default(),
            Values::Offset { base, codes } => match codes.get(i) {
                0 => 0.0,
                code => f32::from_bits(base.wrapping_add(code).wrapping_sub(1)),
            },
            Values::Coded { table, codes } => {
                table.get(codes.get(i) as usize).copied().unwrap_or_default()
            }
        }
    }

    #[inline]
    pub fn prefetch(&self, i: usize) {
        match *self {
            Values::Plain(values) => {
                if let Some(value) = values.get(i) {
                    crate::prefetch(value);
                }
            }
            Values::Offset { codes, .. } | Values::Coded { codes, .. } => codes.prefetch(i),
        }
    }
}

/// One level, read by node, wherever it lies. Whoever walks a trie uses the methods and knows
/// nothing of how it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelView<'a> {
    pub nodes: usize,
    /// The nodes of the next level.
    pub nodes_below: u32,
    /// None in level 1, where a node's word is its number.
    pub words: Option<Ints<'a>>,
    pub samples: Ints<'a>,
    pub values: Values<'a>,
    pub lines: &'a [Line],
    pub long: &'a [u32],
    pub rare: &'a [f32],
    pub backoffs: &'a [f32; 256],
}

/// The level after the last.
pub(super) const NO_LEVEL: LevelView<'static> = LevelView {
    nodes: 0,
    nodes_below: 0,
    words: None,
    samples: Ints::Narrow(&[]),
    values: Values::Plain(&[]),
    lines: &[],
    long: &[],
    rare: &[],
    backoffs: &[0.0; 256],
};

impl LevelView<'_> {
    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes
    }

    /// The last id of n-gram i; in level 1, i itself.
    pub fn word(&self, i: usize) -> u32 {
        self.words.map_or(i as u32, |words| words.get(i))
    }

    /// ln p of its last id given the others.
    pub fn logprob(&self, i: usize) -> f64 {
        f64::from(self.values.get(i))
    }

    /// ln γ of it as a context.
    pub fn backoff(&self, i: usize) -> f64 {
        self.lines
            .get(i / BLOCK)
            .map_or(0.0, |line| f64::from(line.backoff(i % BLOCK, self.backoffs, self.rare)))
    }

    /// Where its continuations lie in the next level.
    #[inline]
    pub fn followers(&self, i: usize) -> Range<usize> {
        let Some(line) = self.lines.get(i / BLOCK) else { return 0..0 };
        let (from, to) = line.followers(i % BLOCK, self.long);
        let to = to.min(self.nodes_below) as usize;
        (from as usize).min(to)..to
    }

    /// Begins to load what [`Self::followers`] and [`Self::backoff`] read.
    #[inline]
    pub fn prefetch_context(&self, i: usize) {
        if let Some(line) = self.lines.get(i / BLOCK) {
            crate::prefetch(line);
        }
    }

    /// Begins to load what [`Self::followers`] reads that is not in the line, which must be near.
    #[inline]
    pub fn prefetch_followers(&self, i: usize) {
        if let Some(line) = self.lines.get(i / BLOCK) {
            line.prefetch_long(i % BLOCK, self.long);
        }
    }

    /// Begins to load what [`Self::backoff`] reads that is not in the line, which must be near.
    #[inline]
    pub fn prefetch_backoff(&self, i: usize) {
        if let Some(line) = self.lines.get(i / BLOCK) {
            line.prefetch_rare(i % BLOCK, self.rare);
        }
    }

    /// Calls `visit` with the word and ln p of each node of `range`.
    #[inline]
    pub fn each(&self, range: Range<usize>, mut visit: impl FnMut(u32, f32)) {
        if let (Some(Ints::Narrow(words)), Values::Plain(values)) = (self.words, self.values)
            && let (Some(words), Some(values)) =
                (words.get(range.clone()), values.get(range.clone()))
        {
            // The bulk: the followers of one id.
            words.iter().zip(values).for_each(|(&word, &value)| visit(word.into(), value));
            return;
        }
        range.for_each(|i| visit(self.word(i), self.values.get(i)));
    }

    /// The one of the nodes `range` whose word is `word`, if their words rise.
    pub fn find(&self, range: Range<usize>, word: u32) -> Option<usize> {
        let words = self.words?;
        let range = self.narrow(range, word);
        if range.is_empty() { None } else { words.find(range, word) }
    }

    /// The part of `range` where `word` may be: it lies in one block.
    #[inline]
    pub fn narrow(&self, range: Range<usize>, word: u32) -> Range<usize> {
        if range.is_empty() {
            return range;
        }
        let (first, last) = (range.start / BLOCK, (range.end - 1) / BLOCK);
        if first == last {
            return range;
        }
        let block = first + self.samples.rank(first..last + 1, word);
        range.start.max(block * BLOCK)..range.end.min((block + 1) * BLOCK)
    }
}

/// One level in memory.
#[derive(Debug)]
pub(super) struct OwnedLevel {
    pub nodes: usize,
    pub words: Option<IntsBuffer>,
    pub samples: IntsBuffer,
    pub values: OwnedValues,
    pub lines: Vec<Line>,
    pub long: Vec<u32>,
    pub rare: Vec<f32>,
    pub backoffs: Box<[f32; 256]>,
}

#[derive(Debug)]
pub(super) enum OwnedValues {
    Plain(Vec<f32>),
    Offset { base: u32, codes: IntsBuffer },
}

impl OwnedLevel {
    /// Level `order` of a model; it is read once and given up as it is read.
    pub fn new<F: LogProb>(level: Level<F>, order: usize, vocab_size: usize) -> Self {
        let nodes = level.logprobs.len();
        let width = word_width(vocab_size);
        let words = &level.words;
        let samples = IntsBuffer::new(words.len().div_ceil(BLOCK), width, 1, |i| words[i * BLOCK]);
        let owned = (order > 1).then(|| IntsBuffer::new(nodes, width, BLOCK, |i| words[i]));
        drop(level.words);
        let values = OwnedValues::new(&level.logprobs, order);
        drop(level.logprobs);
        let mut packed = Self {
            nodes,
            words: owned,
            samples,
            values,
            lines: Vec::new(),
            long: Vec::new(),
            rare: Vec::new(),
            backoffs: Box::new([0.0; 256]),
        };
        if !level.children.is_empty() {
            super::lines::fill(&mut packed, &level.children, &level.backoffs);
        }
        packed
    }

    pub fn view(&self, nodes_below: usize) -> LevelView<'_> {
        LevelView {
            nodes: self.nodes,
            nodes_below: nodes_below as u32,
            words: self.words.as_ref().map(IntsBuffer::view),
            samples: self.samples.view(),
            values: match &self.values {
                OwnedValues::Plain(values) => Values::Plain(values),
                OwnedValues::Offset { base, codes } => {
                    Values::Offset { base: *base, codes: codes.view() }
                }
            },
            lines: &self.lines,
            long: &self.long,
            rare: &self.rare,
            backoffs: &self.backoffs,
        }
    }
}

/// The bits of a word.
pub(super) fn word_width(vocab_size: usize) -> u32 {
    (usize::BITS - (vocab_size - 1).leading_zeros()).max(16)
}

/// ln p as it is kept: what rounding left above 0 is 0.
fn stored<F: LogProb>(value: F) -> f32 {
    let value = value.to_f32();
    if value > 0.0 && value < 1e-9 || value == 0.0 { 0.0 } else { value }
}

impl OwnedValues {
    fn new<F: LogProb>(values: &[F], order: usize) -> Self {
        use rayon::prelude::*;
        let plain = || {
            let mut plain = Vec::with_capacity(values.len());
            crate::bpe::memory::advise_huge(plain.spare_capacity_mut());
            plain.par_extend(values.par_iter().map(|&value| stored(value)));
            Self::Plain(plain)
        };
        // A context of one id has thousands of followers: they are read in bulk, so plain.
        if order <= 2 {
            return plain();
        }
        let patterns = values.par_iter().map(|&value| stored(value).to_bits());
        let patterns = patterns.filter(|&pattern| pattern != 0);
        let (least, most) = patterns
            .map(|pattern| (pattern, pattern))
            .reduce(|| (u32::MAX, 0), |a, b| (a.0.min(b.0), a.1.max(b.1)));
        let width = 32 - most.saturating_sub(least).saturating_add(1).leading_zeros();
        if width > 31 {
            return plain();
        }
        let code = |i: usize| match stored(values[i]).to_bits() {
            0 => 0,
            pattern => pattern - least + 1,
        };
        let codes = IntsBuffer::new(values.len(), width, 4, code);
        Self::Offset { base: least, codes }
    }
}
