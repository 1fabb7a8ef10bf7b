//! Sorted suffixes of a text of ids, in linear time: SA-IS (Nong, Zhang and Chan 2009, "Linear
//! Suffix Array Construction by Almost Pure Induced-Sorting").
//!
//! A suffix is of type S if it is smaller than the one that begins an id later, else of type L;
//! the end of the text is smaller than all. An LMS suffix is one of type S behind one of type L.
//! In the array, the suffixes that begin with one id are a bucket, in which L comes before S.
//!
//! * Given the LMS suffixes in order, at the ends of their buckets, one scan from the left puts
//!   every suffix of type L behind the heads of the buckets, and one from the right every suffix
//!   of type S before the tails: a suffix is met before the one that begins an id earlier
//!   (`induce`).
//! * Given them in any order, the same scans sort the LMS substrings, which reach from an LMS
//!   suffix to the next. Equal substrings get equal names; the names in the order of the text are
//!   a text of at most half the length, whose sorted suffixes are the LMS suffixes in order.
//!
//! The scans wait for memory, not for the processor: they ask ahead for the ids, and then for the
//! place that will be written.

use std::ops::Range;

use super::shard::TokenId;
use crate::progress::Progress;
use crate::{Error, Result};

/// No suffix.
const EMPTY: u32 = u32::MAX;
/// How far ahead the ids of a suffix are asked for, and the place of the one before it.
const AHEAD: usize = 48;
const NEAR: usize = 24;
/// Ids between two reports: some milliseconds.
const BATCH: usize = 1 << 20;

/// Where sorting reports: it goes from `from` to `to` of `total`.
pub struct Report<'a> {
    pub progress: &'a dyn Progress,
    pub from: u64,
    pub to: u64,
    pub total: u64,
}

/// Reports, before each batch of a scan, how many ids the scans have passed.
struct Meter<'a> {
    report: Report<'a>,
    passed: u64,
    /// How many they will pass, about.
    expected: u64,
}

impl Meter<'_> {
    /// Calls `work` with the positions 0 … n − 1, a batch at a time.
    fn scan(&mut self, n: usize, mut work: impl FnMut(Range<usize>)) -> Result<()> {
        for begin in (0..n).step_by(BATCH) {
            let end = n.min(begin + BATCH);
            let Report { progress, from, to, total } = self.report;
            let share = self.passed.min(self.expected) as f64 / self.expected.max(1) as f64;
            progress.report(from + (share * (to - from) as f64) as u64, total)?;
            work(begin..end);
            self.passed += (end - begin) as u64;
        }
        Ok(())
    }

    /// The same from the last batch to the first.
    fn scan_back(&mut self, n: usize, mut work: impl FnMut(Range<usize>)) -> Result<()> {
        self.scan(n, |batch| work(n - batch.end..n - batch.start))
    }
}

/// The positions 0 … n − 1 of `text`, in the order of the suffixes that begin there; a suffix that
/// is the beginning of another comes first. All ids are below `vocab_size`, n < 2³¹.
pub fn sort<T: TokenId>(text: &[T], vocab_size: usize, report: Report<'_>) -> Result<Vec<u32>> {
    if text.len() > i32::MAX as usize {
        let limit = format!("a shard has at most {} ids", i32::MAX);
        return Err(Error::argument("shard_tokens", text.len(), limit));
    }
    let mut suffixes = Vec::new();
    suffixes.try_reserve_exact(text.len()).map_err(|_| {
        let limit = "sorting them does not fit in memory; set memory_limit";
        Error::argument("number of tokens", text.len(), limit)
    })?;
    suffixes.resize(text.len(), EMPTY);
    // Seven scans, and those of a reduced text of a third of the length.
    let expected = 10 * text.len() as u64;
    sort_into(text, &mut suffixes, vocab_size, &mut Meter { report, passed: 0, expected })?;
    Ok(suffixes)
}

#[inline(always)]
fn at<T: TokenId>(text: &[T], i: usize) -> usize {
    let id: u32 = text[i].into();
    id as usize
}

/// A bit for each position: whether it is an LMS suffix.
struct Marks(Vec<u64>);

impl Marks {
    #[inline(always)]
    fn get(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    /// The marked positions, rising.
    fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(block, &bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(block as u32 * 64 + bit)
            })
        })
    }
}

fn sort_into<T: TokenId>(
    text: &[T],
    sa: &mut [u32],
    vocab_size: usize,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let n = text.len();
    if n < 2 {
        sa.fill(0);
        return Ok(());
    }
    let mut ends = vec![0u32; vocab_size];
    for &id in text {
        let id: u32 = id.into();
        ends[id as usize] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut places = ends.clone();

    // The LMS suffixes, in any order.
    sa.fill(EMPTY);
    let mut marks = Marks(vec![0; n.div_ceil(64)]);
    let mut smaller = false;
    let mut next = at(text, n - 1);
    meter.scan_back(n - 1, |batch| {
        for i in batch.rev() {
            let id = at(text, i);
            let now = id < next || (id == next && smaller);
            if smaller && !now {
                marks.0[(i + 1) / 64] |= 1 << ((i + 1) % 64);
                places[next] -= 1;
                sa[places[next] as usize] = i as u32 + 1;
            }
            (smaller, next) = (now, id);
        }
    })?;
    induce(text, sa, &ends, &mut places, meter)?;

    // Their substrings are in order now. Equal ones are neighbours.
    let mut m = 0;
    meter.scan(n, |batch| {
        for i in batch {
            let position = sa[i];
            if marks.get(position as usize) {
                sa[m] = position;
                m += 1;
            }
        }
    })?;
    if m > 1 {
        let names = name(text, sa, m, &marks, meter)?;
        let (left, reduced) = sa.split_at_mut(n - m);
        let order = &mut left[..m];
        if names < m {
            drop(places);
            sort_into(&*reduced, order, names, meter)?;
        } else {
            for (i, &name) in (0..).zip(&*reduced) {
                order[name as usize] = i;
            }
            drop(places);
        }
        for (slot, position) in reduced.iter_mut().zip(marks.iter()) {
            *slot = position;
        }
        for i in order {
            *i = reduced[*i as usize];
        }
        places = ends.clone();
    }
    places.copy_from_slice(&ends);
    drop(marks);

    // The LMS suffixes in order, and from them all others.
    sa[m..].fill(EMPTY);
    for i in (0..m).rev() {
        let position = sa[i];
        sa[i] = EMPTY;
        let place = &mut places[at(text, position as usize)];
        *place -= 1;
        sa[*place as usize] = position;
    }
    induce(text, sa, &ends, &mut places, meter)
}

/// Puts all suffixes in their places, given LMS suffixes at the ends of their buckets. `ends`: of
/// the buckets; `places`: space of that size.
fn induce<T: TokenId>(
    text: &[T],
    sa: &mut [u32],
    ends: &[u32],
    places: &mut [u32],
    meter: &mut Meter<'_>,
) -> Result<()> {
    let n = text.len();
    // Heads of the buckets.
    places[0] = 0;
    places[1..].copy_from_slice(&ends[..ends.len() - 1]);
    let last = &mut places[at(text, n - 1)];
    sa[*last as usize] = n as u32 - 1; // behind which the text ends
    *last += 1;
    meter.scan(n, |batch| {
        for i in batch {
            ask(text, sa, i.wrapping_add(AHEAD), i.wrapping_add(NEAR), places);
            let position = sa[i] as usize;
            // Only L and LMS suffixes are met here, of which both have this for an L in front.
            if position == 0 || position >= n {
                continue;
            }
            let (before, id) = (at(text, position - 1), at(text, position));
            if before >= id {
                let place = &mut places[before];
                sa[*place as usize] = position as u32 - 1;
                *place += 1;
            }
        }
    })?;
    places.copy_from_slice(ends);
    meter.scan_back(n, |batch| {
        for i in batch.rev() {
            ask(text, sa, i.wrapping_sub(AHEAD), i.wrapping_sub(NEAR), places);
            let position = sa[i] as usize;
            if position == 0 || position >= n {
                continue;
            }
            let (before, id) = (at(text, position - 1), at(text, position));
            // The suffix itself is of type S if it lies where those of its bucket have been put.
            if before < id || (before == id && i >= places[id] as usize) {
                let place = &mut places[before];
                *place -= 1;
                sa[*place as usize] = position as u32 - 1;
            }
        }
    })
}

/// Begins to load the ids of suffix `far`, and the place that suffix `near` will write to.
#[inline(always)]
fn ask<T: TokenId>(text: &[T], sa: &[u32], far: usize, near: usize, places: &[u32]) {
    if let Some(&position) = sa.get(far)
        && let Some(id) = text.get((position as usize).wrapping_sub(1))
    {
        crate::prefetch(id);
    }
    if let Some(&position) = sa.get(near)
        && let Some(&id) = text.get((position as usize).wrapping_sub(1))
    {
        let id: u32 = id.into();
        if let Some(place) = sa.get(places[id as usize] as usize) {
            crate::prefetch(place);
        }
    }
}

/// Names the LMS substrings, which `sa[..m]` holds in order, and leaves the names in the order of
/// the text in the last m places of `sa`. Returns how many names there are.
fn name<T: TokenId>(
    text: &[T],
    sa: &mut [u32],
    m: usize,
    marks: &Marks,
    meter: &mut Meter<'_>,
) -> Result<usize> {
    let n = text.len();
    let (order, rest) = sa.split_at_mut(m);
    rest.fill(EMPTY);
    let mut names = 0;
    meter.scan(m, |batch| {
        for i in batch {
            if let Some(&ahead) = order.get(i + NEAR) {
                crate::prefetch(&text[ahead as usize]);
            }
            let position = order[i] as usize;
            if i > 0 && !same(text, order[i - 1] as usize, position, marks) {
                names += 1;
            }
            // LMS suffixes are two ids apart, so that each has a place of its own.
            rest[position / 2] = names;
        }
    })?;
    let mut to = n;
    for from in (m..n).rev() {
        let name = sa[from];
        if name != EMPTY {
            to -= 1;
            sa[to] = name;
        }
    }
    Ok(names as usize + 1)
}

/// Whether the LMS substrings at `a` and `b` are equal.
fn same<T: TokenId>(text: &[T], a: usize, b: usize, marks: &Marks) -> bool {
    let most = text.len() - a.max(b);
    for d in 0..most {
        if text[a + d] != text[b + d] {
            return false;
        }
        if d > 0 {
            let (one, two) = (marks.get(a + d), marks.get(b + d));
            if one || two {
                return one && two;
            }
        }
    }
    false // one of them meets the end of the text, and the other does not
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use proptest::prelude::*;

    fn sort<T: TokenId>(text: &[T], vocab_size: usize) -> Result<Vec<u32>> {
        super::sort(text, vocab_size, Report { progress: &Silent, from: 0, to: 0, total: 0 })
    }

    fn check(text: &[u32], vocab_size: usize) {
        let mut expected: Vec<u32> = (0..text.len() as u32).collect();
        expected.sort_by_key(|&i| &text[i as usize..]);
        assert_eq!(sort(text, vocab_size).unwrap(), expected);
        let narrow: Vec<u16> = text.iter().map(|&id| id as u16).collect();
        assert_eq!(sort(&narrow, vocab_size).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn random_and_repeated(
            a in prop::collection::vec(0u32..4, 0..80), b in prop::collection::vec(0u32..3, 0..5),
            times in 0usize..30, c in prop::collection::vec(0u32..60_000, 0..40),
        ) {
            check(&a, 4);
            check(&[&a[..], &b.repeat(times)].concat(), 4);
            check(&[&b.repeat(times)[..], &c, &b.repeat(times), &c].concat(), 60_000);
        }
    }

    /// Fibonacci and Thue-Morse words recur to themselves at every level.
    #[test]
    fn words_that_recur() {
        let (mut a, mut b) = (vec![0u32], vec![0u32, 1]);
        while b.len() < 3000 {
            (a, b) = (b.clone(), [&b[..], &a].concat());
            check(&b, 2);
        }
        let morse: Vec<u32> = (0..3000u32).map(|i| i.count_ones() % 2).collect();
        check(&morse, 2);
        check(&[0; 1000], 1);
        check(&(0..1000).rev().collect::<Vec<_>>(), 1000);
    }
}
