//! What Kneser-Ney needs beyond counts: suffix links, adjusted counts, discounts.
//!
//! Adjusted count a(g) of an n-gram g of order k (Chen and Goodman 1998; the form with begin
//! markers is that of Heafield et al. 2013, section 2): c(g) if k = N or g starts with the begin
//! marker, else the number of distinct ids that stand left of g. Because every n-gram xg of order
//! k + 1 links to its suffix g, that number is how many links arrive at g.
//!
//! Discounts (Chen and Goodman 1998, equation 26): with n_j the number of n-grams of an order
//! with a = j and Y = n₁ / (n₁ + 2n₂), D_j = j − (j + 1) Y n_{j+1} / n_j for j = 1, 2, 3, where
//! D₃ serves all a ≥ 3. Where n₁, n₂ or n₃ is 0 or a D_j leaves [0, j] (small or artificial
//! data), the order takes ½, 1, 1½, the fallback of KenLM.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::count::{CountLevel, Counts};
use super::work::{Meter, PIECE, pieces, split_mut};
use crate::prefetch;
use crate::{Error, Result};

/// n₁ … n₄: how many n-grams of an order have the count 1, 2, 3, 4.
pub type CountsOfCounts = [u64; 4];

/// D₁, D₂, D₃₊ of one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discounts {
    /// What is taken from counts of 1, of 2, and of 3 or more.
    pub values: [f64; 3],
    /// Whether the formula gave nothing usable, so that ½, 1, 1½ stand in.
    pub fallback: bool,
}

impl Discounts {
    /// No discount: the relative frequency.
    pub const NONE: Self = Self { values: [0.0; 3], fallback: false };

    /// The discounts that these counts of counts give.
    pub fn new(n: CountsOfCounts) -> Self {
        let [n1, n2, n3, n4] = n.map(|n| n as f64);
        let y = n1 / (n1 + 2.0 * n2);
        let values = [1.0 - 2.0 * y * n2 / n1, 2.0 - 3.0 * y * n3 / n2, 3.0 - 4.0 * y * n4 / n3];
        let defined = n1 > 0.0 && n2 > 0.0 && n3 > 0.0;
        let inside = (1..).zip(values).all(|(j, d)| (0.0..=f64::from(j)).contains(&d));
        if defined && inside {
            Self { values, fallback: false }
        } else {
            Self { values: [0.5, 1.0, 1.5], fallback: true }
        }
    }

    /// What is taken from `count`.
    pub fn of(&self, count: u32) -> f64 {
        match count {
            0 => 0.0,
            1..=2 => self.values[count as usize - 1],
            _ => self.values[2],
        }
    }
}

/// How many links ahead memory is asked for.
pub(super) const AHEAD: usize = 24;

/// n₁ … n₄ of the counts of one order.
pub(super) fn counts_of_counts(counts: &[u32]) -> CountsOfCounts {
    let mut n = [0; 4];
    for &count in counts {
        if (1..=4).contains(&count) {
            n[count as usize - 1] += 1;
        }
    }
    n
}

/// Counts the suffix of length `order` of the n-gram in question by its raw count in place of the
/// adjusted one: see [`Options::raw_suffixes`](super::Options::raw_suffixes).
pub(super) fn count_raw_suffix(
    n: &mut CountsOfCounts,
    raw: &[u32],
    adjusted: &[u32],
    starts: &Starts,
    order: usize,
) {
    let Some(node) = starts.raw[order - 1] else { return };
    let mut step = |count: u32, by: i64| {
        if let Some(n) = n.get_mut((count as usize).wrapping_sub(1)) {
            *n = n.wrapping_add_signed(by);
        }
    };
    step(adjusted[node], -1);
    step(raw[node], 1);
}

/// For each n-gram of `order` ≥ 2, the index of its suffix (itself without its first id) in the
/// level below; `links` are those of order − 1, empty for order 2.
pub(super) fn suffix_links(
    levels: &[CountLevel],
    order: usize,
    links: &[u32],
    units: u64,
    meter: &mut Meter<'_>,
) -> Result<Vec<u32>> {
    let words = &levels[order - 1].words[..];
    if order == 2 {
        meter.advance(units)?;
        return Ok(words.to_vec());
    }
    let children = &levels[order - 2].children[..];
    let (lower, lower_children) = (&levels[order - 2].words[..], &levels[order - 3].children[..]);
    let mut result = vec![0; words.len()];
    let ranges = pieces(children);
    let ends: Vec<usize> = ranges.iter().map(|range| children[range.end] as usize).collect();
    let items = ranges.into_iter().zip(split_mut(&mut result, &ends)).collect();
    // The suffix of hw is the continuation w of the suffix of h.
    let found = meter.stage(units, items, |(range, out): (_, &mut [u32])| {
        let base = children[range.start] as usize;
        let contexts = range.flat_map(|context| {
            let followers = children[context + 1] - children[context];
            std::iter::repeat_n(links[context], followers as usize)
        });
        let words = &words[base..base + out.len()];
        find_all(lower_children, lower, contexts, words, out)
    })?;
    match found.iter().all(|&found| found) {
        true => Ok(result),
        // Whoever counts a text counts them; a file may hold anything.
        false => Err(Error::argument(
            "counts",
            format!("{} n-grams of order {order}", words.len()),
            "the counts are not those of a text: an n-gram's suffix is missing; count again",
        )),
    }
}

/// How many searches run side by side, so that they wait for memory together.
const SEARCHES: usize = 64;

/// Finds each of `words` among the continuations of its context: `found[i]` is where in `lower` it
/// stands. Whether all were there.
pub(super) fn find_all(
    children: &[u32],
    lower: &[u32],
    mut contexts: impl Iterator<Item = u32>,
    words: &[u32],
    found: &mut [u32],
) -> bool {
    let mut all = true;
    let mut parents = [0; SEARCHES];
    let mut lengths = [0; SEARCHES];
    for (words, found) in words.chunks(SEARCHES).zip(found.chunks_mut(SEARCHES)) {
        for (parent, context) in parents.iter_mut().zip(contexts.by_ref().take(words.len())) {
            *parent = context as usize;
            prefetch(&children[*parent]);
        }
        let mut longest = 0;
        for ((place, length), &parent) in found.iter_mut().zip(&mut lengths).zip(&parents) {
            *place = children[parent];
            *length = children[parent + 1] - *place;
            longest = longest.max(*length);
            lower.get(middle(*place, *length)).into_iter().for_each(prefetch);
        }
        // The word of a search is in the `length` ones from `place` on; the length is halved until
        // one is left.
        while longest > 1 {
            for ((place, length), &word) in found.iter_mut().zip(&mut lengths).zip(words) {
                let half = *length / 2;
                if half > 0 && lower[middle(*place, *length)] <= word {
                    *place += half;
                }
                *length -= half;
                // Past the end where a context at the very end has no continuations.
                lower.get(middle(*place, *length)).into_iter().for_each(prefetch);
            }
            longest -= longest / 2;
        }
        // Of a context without continuations the place is another's.
        let is_there = |((&place, &length), &word): ((&u32, &u32), &u32)| {
            length > 0 && lower.get(place as usize) == Some(&word)
        };
        all &= found.iter().zip(&lengths).zip(words).all(is_there);
    }
    all
}

/// What a search that is at `place` compares next.
#[inline(always)]
fn middle(place: u32, length: u32) -> usize {
    (place + length / 2) as usize
}

/// The n-grams whose left neighbours are more than the ids there, of each order.
pub(super) struct Starts {
    /// With a separator: those that start with the begin marker. None of order 1, where the
    /// separator is an end.
    marked: Vec<Range<usize>>,
    /// Without one: those at the start of a stream. However many streams start alike, their start
    /// is one neighbour.
    first: Vec<BTreeSet<usize>>,
    /// The suffixes that [`count_raw_suffix`] is about.
    raw: Vec<Option<usize>>,
}

impl Starts {
    pub fn new(counts: &Counts, raw_suffixes: &[u32]) -> Self {
        let (mut marked, mut first) = (Vec::new(), Vec::new());
        if let Some(separator) = counts.document_separator {
            marked.push(0..0);
            let mut range = separator as usize..separator as usize + 1;
            for level in &counts.levels[..counts.order() - 1] {
                let children = &level.children;
                range = children[range.start] as usize..children[range.end] as usize;
                marked.push(range.clone());
            }
        }
        for order in 1..=counts.order() {
            let nodes = counts.heads.iter().filter_map(|head| find(&counts.levels, head, order));
            first.push(nodes.collect());
        }
        let raw = (1..=counts.order()).map(|order| {
            let from = raw_suffixes.len().checked_sub(order)?;
            find(&counts.levels, &raw_suffixes[from..], order)
        });
        Self { marked, first, raw: raw.collect() }
    }
}

/// The adjusted counts of `order` < N, from its raw ones and the links of the order above.
pub(super) fn adjusted_counts(
    raw: &[u32],
    links_above: &[u32],
    starts: &Starts,
    order: usize,
) -> Vec<u32> {
    let arrivals: Vec<AtomicU32> = (0..raw.len()).map(|_| AtomicU32::new(0)).collect();
    links_above.par_chunks(PIECE).for_each(|links| {
        for (i, &link) in links.iter().enumerate() {
            if let Some(&later) = links.get(i + AHEAD) {
                prefetch(&arrivals[later as usize]);
            }
            // A sum of integers does not depend on the order of its terms.
            arrivals[link as usize].fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut adjusted: Vec<u32> = arrivals.into_iter().map(AtomicU32::into_inner).collect();
    if let Some(marked) = starts.marked.get(order - 1) {
        adjusted[marked.clone()].copy_from_slice(&raw[marked.clone()]);
    }
    for &node in &starts.first[order - 1] {
        adjusted[node] += 1;
    }
    adjusted
}

/// The index of the n-gram that the first `order` ids of `head` make.
fn find(levels: &[CountLevel], head: &[u32], order: usize) -> Option<usize> {
    let (&first, rest) = head.get(..order)?.split_first()?;
    rest.iter().zip(levels.windows(2)).try_fold(first as usize, |node, (word, pair)| {
        let (from, to) = (pair[0].children[node] as usize, pair[0].children[node + 1] as usize);
        pair[1].words[from..to].binary_search(word).ok().map(|i| from + i)
    })
}
