//! The first levels of a suffix tree: for runs of ids that stand often, what follows them.
//!
//! A node of level k is a run of k ids that stands in the text; its suffixes are neighbours in the
//! suffix array. Level 1 is dense: its index is the id. A node is expanded if at least
//! [`EXPANDED`] suffixes begin with it: then the nodes of level k + 1 that continue it are listed,
//! sorted by their last id, with the place in the array where each begins. It ends where the next
//! begins, the last one where its parent ends. The suffix that is the node and nothing more, at
//! the end of the text, comes first in the array and is no child.
//!
//! Invariant: the lists of a level stand in the order of the nodes that they belong to. Which node
//! is expanded is a bit; the number of its list is the number of bits before it.

use rayon::prelude::*;

use super::shard::TokenId;

/// Contexts of so many ids have lists.
pub const LEVELS: usize = 3;

/// So many suffixes make a node's list worth its bytes: fewer are looked through in a microsecond.
pub const EXPANDED: u32 = 128;

/// The lists of one level's nodes, wherever they lie.
#[derive(Clone, Copy, Default)]
pub struct Lists<'a, T> {
    /// A bit for each node: whether it has a list.
    pub expanded: &'a [u64],
    /// For each 64 nodes, the lists of those before.
    pub ranks: &'a [u32],
    /// List i is `words[offsets[i]..offsets[i + 1]]`, and so in `starts`.
    pub offsets: &'a [u32],
    /// The last ids of the children, rising in a list.
    pub words: &'a [T],
    /// Where the children begin in the suffix array.
    pub starts: &'a [u32],
}

impl<T: TokenId> Lists<'_, T> {
    /// The list of a node: a range of `words`. Inside, whatever the tables say.
    #[inline]
    pub fn of(&self, node: u32) -> Option<(u32, u32)> {
        let block = (node / 64) as usize;
        let bits = *self.expanded.get(block)?;
        let bit = 1u64 << (node % 64);
        if bits & bit == 0 {
            return None;
        }
        let list = *self.ranks.get(block)? as usize + (bits & (bit - 1)).count_ones() as usize;
        let (&from, &to) = (self.offsets.get(list)?, self.offsets.get(list + 1)?);
        let end = self.words.len().min(self.starts.len()) as u32;
        Some((from.min(to).min(end), to.min(end)))
    }

    /// Begins to load what [`Lists::of`] reads first.
    #[inline(always)]
    pub fn prefetch(&self, node: u32) {
        if let Some(bits) = self.expanded.get((node / 64) as usize) {
            crate::prefetch(bits);
        }
    }
}

/// The lists of one level while they are made.
#[derive(Debug, Default)]
pub struct OwnLists<T> {
    pub expanded: Vec<u64>,
    pub ranks: Vec<u32>,
    pub offsets: Vec<u32>,
    pub words: Vec<T>,
    pub starts: Vec<u32>,
}

impl<T> OwnLists<T> {
    #[cfg(test)]
    pub fn view(&self) -> Lists<'_, T> {
        Lists {
            expanded: &self.expanded,
            ranks: &self.ranks,
            offsets: &self.offsets,
            words: &self.words,
            starts: &self.starts,
        }
    }
}

/// The tree of a text.
#[derive(Debug)]
pub struct Tree<T> {
    /// Where the suffixes of each id begin, and the end.
    pub starts: Vec<u32>,
    pub levels: [OwnLists<T>; LEVELS],
}

/// What one piece of the first level yields. `nodes[k]` says of each node of level k + 1 whether
/// it is expanded.
struct Piece<T> {
    nodes: [Vec<bool>; LEVELS],
    offsets: [Vec<u32>; LEVELS],
    words: [Vec<T>; LEVELS],
    starts: [Vec<u32>; LEVELS],
}

/// Builds the tree of `text` from its sorted suffixes. All ids are below `vocab_size`.
pub fn build<T: TokenId>(
    text: &[T],
    suffixes: &[u32],
    vocab_size: usize,
    separator: Option<u32>,
    threshold: u32,
) -> Tree<T> {
    let mut counts = vec![0u32; vocab_size + 1];
    for &position in suffixes {
        let id: u32 = text[position as usize].into();
        counts[id as usize] += 1;
    }
    let mut sum = 0;
    let starts: Vec<u32> = counts
        .iter()
        .map(|&count| {
            let start = sum;
            sum += count;
            start
        })
        .collect();
    let maker = Maker { text, suffixes, separator, threshold };
    let pieces: Vec<Piece<T>> =
        pieces(&starts).into_par_iter().map(|range| maker.piece(range, &starts)).collect();
    Tree { starts, levels: join(pieces) }
}

/// Cuts the first level into ranges of ids with about as many suffixes each.
fn pieces(starts: &[u32]) -> Vec<std::ops::Range<usize>> {
    const SUFFIXES: u32 = 1 << 18;
    let ids = starts.len() - 1;
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < ids {
        let target = starts[from].saturating_add(SUFFIXES);
        let to = (from + 1 + starts[from + 1..ids].partition_point(|&s| s < target)).min(ids);
        ranges.push(from..to);
        from = to;
    }
    ranges
}

struct Maker<'a, T> {
    text: &'a [T],
    suffixes: &'a [u32],
    separator: Option<u32>,
    threshold: u32,
}

impl<T: TokenId> Maker<'_, T> {
    fn piece(&self, ids: std::ops::Range<usize>, starts: &[u32]) -> Piece<T> {
        let mut piece = Piece {
            nodes: Default::default(),
            offsets: Default::default(),
            words: Default::default(),
            starts: Default::default(),
        };
        for id in ids {
            let (from, to) = (starts[id], starts[id + 1]);
            self.node(from, to, 1, &mut piece);
        }
        piece
    }

    /// Adds the node of `depth` ids with the suffixes `from..to`, and all below it.
    fn node(&self, from: u32, to: u32, depth: usize, piece: &mut Piece<T>) {
        let level = depth - 1;
        let expanded = to - from >= self.threshold.max(1);
        piece.nodes[level].push(expanded);
        if !expanded {
            return;
        }
        let begin = piece.words[level].len();
        piece.offsets[level].push(begin as u32);
        let suffixes = &self.suffixes[from as usize..to as usize];
        let mut last = None;
        for (i, &position) in suffixes.iter().enumerate() {
            if let Some(&ahead) = suffixes.get(i + 24)
                && let Some(token) = self.text.get(ahead as usize + depth)
            {
                crate::prefetch(token);
            }
            let Some(&token) = self.text.get(position as usize + depth) else { continue };
            if last != Some(token) {
                piece.words[level].push(token);
                piece.starts[level].push(from + i as u32);
                last = Some(token);
            }
        }
        if depth == LEVELS {
            return;
        }
        for child in begin..piece.words[level].len() {
            let start = piece.starts[level][child];
            let end = piece.starts[level].get(child + 1).copied().unwrap_or(to);
            // What stands behind the end of a document does not follow it.
            if self.separator == Some(piece.words[level][child].into()) {
                piece.nodes[level + 1].push(false);
            } else {
                self.node(start, end, depth + 1, piece);
            }
        }
    }
}

/// Puts the pieces end to end.
fn join<T: TokenId>(pieces: Vec<Piece<T>>) -> [OwnLists<T>; LEVELS] {
    let mut levels: [OwnLists<T>; LEVELS] = std::array::from_fn(|_| OwnLists {
        expanded: Vec::new(),
        ranks: Vec::new(),
        offsets: Vec::new(),
        words: Vec::new(),
        starts: Vec::new(),
    });
    for (k, level) in levels.iter_mut().enumerate() {
        let sum = |size: fn(&Piece<T>, usize) -> usize| pieces.iter().map(|p| size(p, k)).sum();
        level.words.reserve_exact(sum(|p, k| p.words[k].len()));
        level.starts.reserve_exact(sum(|p, k| p.words[k].len()));
        level.offsets.reserve_exact(1 + sum(|p, k| p.offsets[k].len()));
    }
    let mut nodes = [0usize; LEVELS];
    for piece in pieces {
        for (k, level) in levels.iter_mut().enumerate() {
            for &expanded in &piece.nodes[k] {
                if nodes[k].is_multiple_of(64) {
                    level.ranks.push(0);
                    level.expanded.push(0);
                }
                let last = level.expanded.len() - 1;
                level.expanded[last] |= u64::from(expanded) << (nodes[k] % 64);
                nodes[k] += 1;
            }
            let base = level.words.len() as u32;
            level.offsets.extend(piece.offsets[k].iter().map(|offset| offset + base));
            level.words.extend(&piece.words[k]);
            level.starts.extend(&piece.starts[k]);
        }
    }
    for level in &mut levels {
        level.offsets.push(level.words.len() as u32);
        let mut before = 0;
        for (rank, bits) in level.ranks.iter_mut().zip(&level.expanded) {
            *rank = before;
            before += bits.count_ones();
        }
    }
    levels
}
