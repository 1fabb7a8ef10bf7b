//! Counting in parts: each takes the n-grams that begin with some ids.
//!
//! Each part reads all ids and takes its own. Invariant: parts are disjoint and in order, so their
//! n-grams one after the other are sorted; where a part ends between two n-grams that begin alike,
//! their common beginnings are joined ([`Levels::append`]).

use rayon::prelude::*;

use super::count::{CountLevel, Plan, TokenId};
use super::key::{Key, Layout, Stream};
use super::scan::{Found, Levels, Scan};
use super::work::Meter;
use crate::Result;

/// N-grams that begin with some ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<const W: usize> {
    /// The first ids: `from..to`.
    pub from: u32,
    pub to: u32,
    /// Of a single first id, the keys from the first to the second; else all.
    pub keys: Option<(Key<W>, Key<W>)>,
    /// How many keys there are.
    pub positions: u64,
}

/// Counts the n-grams of orders 2 to N.
pub struct Counter<'a, const W: usize, T> {
    stream: &'a Stream<'a, T>,
    layout: &'a Layout,
    sizes: &'a [u32],
    pub parts: Vec<Part<W>>,
    plan: Plan,
}

impl<'a, const W: usize, T: TokenId> Counter<'a, W, T> {
    pub fn new(
        plan: Plan,
        stream: &'a Stream<'a, T>,
        layout: &'a Layout,
        sizes: &'a [u32],
    ) -> Self {
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

    pub fn run(self, meter: &mut Meter<'_>) -> Result<Vec<CountLevel>> {
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
    pub fn part(&self, part: &Part<W>) -> Found<W> {
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
