//! Scores for arrays of ids: many places of the array are read at once.
//!
//! A token costs some ten accesses to memory, each of which depends on the one before it and
//! misses every cache. So the array is cut into pieces, up to [`LANES`] of which are read in step:
//! what a lane will touch next is asked for, then all other lanes take their turns, and the misses
//! overlap. A piece begins N − 1 ids early, so that its first context is whole; the n-grams that
//! a context's suffixes begin depend on no older id. A turn has three parts, and nothing is read in
//! one that was not asked for before in the other, but for what is usually near:
//!
//! * *open*: the score of the id before is given out; of each suffix of the context (their nodes
//!   are known) the followers are read, and the block where the next id may lie among them is found
//!   and asked for;
//! * *read*: the id is searched in those blocks from the shortest context up. The longest that
//!   has it gives the score; its value, the weights of the longer ones, and the lines of all hits,
//!   the nodes of the next context, are asked for;
//! * *reach*: what those lines keep elsewhere, the numbers of many followers, is asked for.

use std::ops::Range;

use super::MAX_ORDER;
use super::query::{ABSENT, Query};
use super::storage::{BLOCK, LevelView};

/// How many places are read at once: enough to hide a miss, few enough for the nearest cache.
const LANES: usize = 32;

/// A piece is at least that long, unless its sequence is shorter: it pays for its first N − 1 ids.
const LEAST: usize = 64;

/// What the score of one id is made of.
#[derive(Clone, Copy)]
struct Pending {
    /// The n-gram: 1 + `level` ids; `node` is [`ABSENT`] if there is none, and 1/V is paid.
    level: u8,
    node: u32,
    /// The contexts whose weights are paid have `level` + 1 to `length` ids, without an n-gram
    /// `length` alone.
    length: u8,
    contexts: [u32; MAX_ORDER],
}

/// One place of the array.
#[derive(Clone, Copy)]
struct Lane {
    /// The next id to read, the first one to give out, and the end.
    next: usize,
    begin: usize,
    end: usize,
    /// How many ids the context has.
    length: usize,
    /// `nodes[j]`: the context's last j ids.
    nodes: [u32; MAX_ORDER],
    /// Where the next id may be among the followers of those.
    followers: [(u32, u32); MAX_ORDER],
    pending: Pending,
}

/// A context of one id. Nearly all of them have many followers and a weight of their own, so that
/// their lines would send a reader to two more places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    from: u32,
    to: u32,
    weight: f32,
}

impl Root {
    /// All contexts of one id.
    pub fn all(level: &LevelView<'_>) -> Vec<Self> {
        let root = |i: usize| {
            let followers = level.followers(i);
            let weight = level.backoff(i) as f32;
            Self { from: followers.start as u32, to: followers.end as u32, weight }
        };
        (0..level.len()).map(root).collect()
    }
}

/// Reads part of an array; see the [module](self).
pub(super) struct Lanes<'a, 'm, T, R, W> {
    query: &'a Query<'m>,
    roots: &'a [Root],
    ids: &'a [T],
    /// The pieces that no lane has begun.
    pieces: Pieces<'a>,
    base: usize,
    out: &'a mut [R],
    what: W,
}

impl<'a, 'm, T: Copy + Into<u32>, R, W: Fn(f64, u8) -> R> Lanes<'a, 'm, T, R, W> {
    /// For the ids from `base` on, as many as `out` has places; `offsets` cut `ids` into sequences.
    pub fn new(
        query: &'a Query<'m>,
        roots: &'a [Root],
        ids: &'a [T],
        offsets: &'a [usize],
        base: usize,
        out: &'a mut [R],
        what: W,
    ) -> Self {
        let pieces = Pieces::new(offsets, base..base + out.len());
        Self { query, roots, ids, pieces, base, out, what }
    }

    /// Reads all of it.
    pub fn run(mut self) {
        let mut lanes = Vec::with_capacity(LANES);
        while lanes.len() < LANES
            && let Some(mut lane) = self.begin()
        {
            self.open(&mut lane);
            lanes.push(lane);
        }
        while !lanes.is_empty() {
            for lane in &mut lanes {
                self.read(lane);
            }
            for lane in &lanes {
                self.reach(lane);
            }
            let mut i = 0;
            while i < lanes.len() {
                self.give_out(&lanes[i]);
                if lanes[i].next == lanes[i].end {
                    match self.begin() {
                        Some(lane) => lanes[i] = lane,
                        None => {
                            lanes.swap_remove(i);
                            continue;
                        }
                    }
                }
                self.open(&mut lanes[i]);
                i += 1;
            }
        }
    }

    /// A lane at the beginning of the next piece.
    fn begin(&mut self) -> Option<Lane> {
        let (sequence, piece) = self.pieces.next()?;
        Some(Lane {
            next: sequence.max(piece.start.saturating_sub(self.query.order - 1)),
            begin: piece.start,
            end: piece.end,
            length: 0,
            nodes: [ABSENT; MAX_ORDER],
            followers: [(0, 0); MAX_ORDER],
            pending: Pending { level: 0, node: ABSENT, length: 0, contexts: [ABSENT; MAX_ORDER] },
        })
    }

    #[inline]
    fn give_out(&mut self, lane: &Lane) {
        let at = lane.next - 1;
        if at < lane.begin {
            return;
        }
        let Pending { level, node, length, ref contexts } = lane.pending;
        let (level, length) = (usize::from(level), usize::from(length));
        let weight = |j| self.weight(j, contexts[j]);
        self.out[at - self.base] = match (node, self.query.uniform) {
            (ABSENT, Some(uniform)) => (self.what)(weight(length) + uniform, 0),
            _ => {
                let paid: f64 = (level + 1..=length).rev().map(weight).sum();
                let logprob = self.query.levels[level].logprob(node as usize);
                (self.what)(paid + logprob, level as u8 + 1)
            }
        };
    }

    /// ln of the weight of a context of j ids.
    #[inline]
    fn weight(&self, j: usize, node: u32) -> f64 {
        match node {
            ABSENT => self.query.missing,
            _ if j == 1 => self.roots[node as usize].weight.into(),
            _ => self.query.levels[j - 1].backoff(node as usize),
        }
    }

    #[inline]
    fn reach(&self, lane: &Lane) {
        for j in (2..=lane.length).filter(|&j| lane.nodes[j] != ABSENT) {
            self.query.levels[j - 1].prefetch_followers(lane.nodes[j] as usize);
        }
    }

    #[inline]
    fn open(&self, lane: &mut Lane) {
        let id = self.ids[lane.next].into();
        for j in 1..=lane.length {
            let node = lane.nodes[j];
            lane.followers[j] = (0, 0);
            if node == ABSENT {
                continue;
            }
            let level = &self.query.levels[j];
            let mut range = if j == 1 {
                let root = &self.roots[node as usize];
                root.from as usize..root.to as usize
            } else {
                self.query.levels[j - 1].followers(node as usize)
            };
            if range.is_empty() {
                continue;
            }
            let blocks = (range.end - 1) / BLOCK - range.start / BLOCK;
            if blocks > 1 {
                range = level.narrow(range, id);
            }
            if let Some(words) = &level.words {
                words.prefetch(range.start);
                if blocks == 1 {
                    // Cheaper than to wait for the sample that would tell which.
                    words.prefetch(range.end - 1);
                }
            }
            lane.followers[j] = (range.start as u32, range.end as u32);
        }
    }

    #[inline]
    fn read(&self, lane: &mut Lane) {
        let id: u32 = self.ids[lane.next].into();
        lane.next += 1;
        let (mut hits, mut longest) = ([ABSENT; MAX_ORDER], 0);
        hits[0] = id;
        for (j, hit) in hits.iter_mut().enumerate().take(lane.length + 1).skip(1) {
            let (from, to) = lane.followers[j];
            match self.query.levels[j].find(from as usize..to as usize, id) {
                Some(node) => (*hit, longest) = (node as u32, j),
                None if self.query.suffixes => break,
                None => {}
            }
        }
        let node = match self.query.uniform {
            Some(_) if longest < lane.length => ABSENT,
            _ => hits[longest],
        };
        if node != ABSENT {
            self.query.levels[longest].values.prefetch(node as usize);
        }
        let (level, length) = (longest as u8, lane.length as u8);
        lane.pending = Pending { level, node, length, contexts: lane.nodes };
        for j in (longest + 1).max(2)..=lane.length {
            if lane.nodes[j] != ABSENT {
                self.query.levels[j - 1].prefetch_backoff(lane.nodes[j] as usize);
            }
        }
        lane.length = self.query.next_length(lane.length, id);
        for j in 1..=lane.length {
            lane.nodes[j] = hits[j - 1];
            if j == 1 {
                crate::prefetch(&self.roots[id as usize]);
            } else if hits[j - 1] != ABSENT {
                self.query.levels[j - 1].prefetch_context(hits[j - 1] as usize);
            }
        }
    }
}

/// Cuts part of an array into pieces of which none crosses the end of a sequence.
struct Pieces<'a> {
    offsets: &'a [usize],
    /// The sequence that the next piece is in.
    sequence: usize,
    next: usize,
    end: usize,
    length: usize,
}

impl<'a> Pieces<'a> {
    fn new(offsets: &'a [usize], part: Range<usize>) -> Self {
        let sequence = offsets.partition_point(|&offset| offset <= part.start).saturating_sub(1);
        let length = part.len().div_ceil(LANES).max(LEAST);
        Self { offsets, sequence, next: part.start, end: part.end, length }
    }

    /// Where the sequence begins, and a piece of it.
    fn next(&mut self) -> Option<(usize, Range<usize>)> {
        if self.next >= self.end {
            return None;
        }
        while self.offsets[self.sequence + 1] <= self.next {
            self.sequence += 1;
        }
        let end = self.offsets[self.sequence + 1].min(self.end).min(self.next + self.length);
        let piece = self.next..end;
        self.next = end;
        Some((self.offsets[self.sequence], piece))
    }
}
