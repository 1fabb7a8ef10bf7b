//! Best-fit decreasing over lengths instead of documents.
//!
//! Definition. A document with its separator is one piece if it has at most T tokens; a longer one is
//! cut into pieces of T and a rest. Pieces in the order of falling length (equal lengths in the order
//! of the stream) go to the row with the least room that still holds them.
//!
//! Rows with equal room take the next length alike, so that they are placed as a group: of a group
//! with room R, each row takes ⌊R / L⌋ pieces of length L before the next row takes one. The plan is
//! the list of groups, each a list of (length, times, which piece of that length comes first), and
//! the starts of the pieces, sorted by length: 4 bytes a piece (8 from 2^32 tokens on).
//!
//! Invariants: every token is a target exactly once an epoch; nothing is cut that fits a row; the
//! rows are as full as those of the algorithm that places one piece at a time (a test compares them). Sources: Johnson, "Near-optimal bin packing algorithms", MIT thesis, 1973; for
//! training, Ding et al., "Fewer truncations improve language modeling", ICML 2024, arXiv:2404.10830.

use std::collections::BTreeMap;
use std::ops::Range;

use super::dataset::Dataset;
use crate::Result;

/// Rows of whole documents.
#[derive(Debug)]
pub struct BestFit {
    groups: Vec<Group>,
    /// The first row of each group, and the end.
    rows: Vec<u64>,
    /// By length: the place in `starts` of its first piece.
    first: Vec<u64>,
    starts: Starts,
}

/// Rows that hold pieces of the same lengths.
#[derive(Clone, Debug)]
struct Group {
    rows: u64,
    shares: Vec<Share>,
}

/// Row j of a group holds pieces `from + j·times` … + `times` of that length.
#[derive(Clone, Copy, Debug)]
struct Share {
    length: u32,
    times: u32,
    from: u64,
}

#[derive(Debug)]
enum Starts {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl BestFit {
    /// Two passes over the documents; `seq_len` is at least 1.
    pub fn new(dataset: &Dataset, seq_len: u32) -> Result<Self> {
        let mut counts: Vec<u64> = Vec::new();
        dataset.each_document(|document| {
            cut(document, seq_len, |piece| {
                let length = (piece.end - piece.start) as usize;
                if length >= counts.len() {
                    counts.resize(length + 1, 0);
                }
                counts[length] += 1;
            });
        })?;
        let mut next = vec![0u64; counts.len() + 1];
        for (length, count) in counts.iter().enumerate() {
            next[length + 1] = next[length] + count;
        }
        let num_pieces = next[counts.len()] as usize;
        let first = next.clone();
        let starts = if u32::try_from(dataset.num_tokens()).is_ok() {
            let mut starts = vec![0u32; num_pieces];
            place(dataset, seq_len, &mut next, |at, start| starts[at] = start as u32)?;
            Starts::Narrow(starts)
        } else {
            let mut starts = vec![0u64; num_pieces];
            place(dataset, seq_len, &mut next, |at, start| starts[at] = start)?;
            Starts::Wide(starts)
        };
        let groups = pack(&counts, seq_len);
        let mut rows = vec![0];
        for group in &groups {
            rows.push(rows.last().unwrap_or(&0) + group.rows);
        }
        Ok(Self { groups, rows, first, starts })
    }

    /// The number of rows.
    pub fn num_rows(&self) -> u64 {
        self.rows.last().copied().unwrap_or_default()
    }

    /// Calls `each` with the pieces of a row, longest first.
    pub fn row(&self, row: u64, each: &mut dyn FnMut(Range<u64>)) {
        let group = self.rows.partition_point(|&first| first <= row) - 1;
        let nth = row - self.rows[group];
        for share in &self.groups[group].shares {
            let from = self.first[share.length as usize] + share.from;
            let from = (from + nth * u64::from(share.times)) as usize;
            for at in from..from + share.times as usize {
                let start = match &self.starts {
                    Starts::Narrow(starts) => u64::from(starts[at]),
                    Starts::Wide(starts) => starts[at],
                };
                each(start..start + u64::from(share.length));
            }
        }
    }
}

/// A document, separator included, as pieces of at most `seq_len` tokens.
fn cut(document: Range<u64>, seq_len: u32, mut each: impl FnMut(Range<u64>)) {
    let mut start = document.start;
    while start < document.end {
        let end = document.end.min(start + u64::from(seq_len));
        each(start..end);
        start = end;
    }
}

/// Sorts the pieces by length (by counting): `next` is where each length's next piece goes.
fn place(
    dataset: &Dataset,
    seq_len: u32,
    next: &mut [u64],
    mut put: impl FnMut(usize, u64),
) -> Result<()> {
    dataset.each_document(|document| {
        cut(document, seq_len, |piece| {
            let at = &mut next[(piece.end - piece.start) as usize];
            put(*at as usize, piece.start);
            *at += 1;
        });
    })
}

/// The groups for so many pieces of each length.
fn pack(counts: &[u64], seq_len: u32) -> Vec<Group> {
    let mut by_room: BTreeMap<u32, Vec<Group>> = BTreeMap::new();
    let mut full = Vec::new();
    for (length, &count) in counts.iter().enumerate().skip(1).rev() {
        let length = length as u32;
        let mut used = 0;
        while used < count {
            let found = by_room.range(length..).next().map(|(&room, _)| room);
            let (room, mut group) = match found {
                Some(room) => (room, pop(&mut by_room, room)),
                None => (seq_len, Group { rows: u64::MAX, shares: Vec::new() }),
            };
            // As many rows as can be filled with this length; then one with what is left of it.
            for times in [u64::from(room / length), count] {
                let times = times.min(count - used);
                let most = u64::from(room / length);
                let rows = if times == most { (count - used) / most } else { 1 };
                let rows = rows.min(group.rows);
                if times == 0 || times > most || rows == 0 {
                    continue;
                }
                let mut taken = group.split(rows);
                taken.shares.push(Share { length, times: times as u32, from: used });
                used += rows * times;
                match room - times as u32 * length {
                    0 => full.push(taken),
                    left => by_room.entry(left).or_default().push(taken),
                }
            }
            if found.is_some() && group.rows > 0 {
                by_room.entry(room).or_default().push(group);
            }
        }
    }
    full.extend(by_room.into_values().flatten());
    full
}

fn pop(by_room: &mut BTreeMap<u32, Vec<Group>>, room: u32) -> Group {
    let groups = by_room.get_mut(&room).expect("a room that was found");
    let group = groups.pop().expect("no room is kept without a group");
    if groups.is_empty() {
        by_room.remove(&room);
    }
    group
}

impl Group {
    /// Takes the first `rows` rows out of the group.
    fn split(&mut self, rows: u64) -> Self {
        let taken = Self { rows, shares: self.shares.clone() };
        self.rows -= rows;
        for share in &mut self.shares {
            share.from += rows * u64::from(share.times);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One piece at a time: how much room is left in each row.
    fn naive(counts: &[u64], seq_len: u32) -> Vec<u32> {
        let mut rooms: Vec<u32> = Vec::new();
        for (length, &count) in counts.iter().enumerate().skip(1).rev() {
            for _ in 0..count {
                let length = length as u32;
                match rooms.iter_mut().filter(|room| **room >= length).min() {
                    Some(room) => *room -= length,
                    None => rooms.push(seq_len - length),
                }
            }
        }
        rooms.sort_unstable();
        rooms
    }

    proptest! {
        #[test]
        fn groups_are_the_rows_of_placing_one_at_a_time(
            counts in prop::collection::vec(0..12u64, 1..40),
            more in 0..30u32,
        ) {
            let seq_len = counts.len() as u32 - 1 + more;
            let groups = pack(&counts, seq_len.max(1));
            let mut used: Vec<Vec<u64>> = vec![Vec::new(); counts.len()];
            let mut rooms = Vec::new();
            for group in &groups {
                for row in 0..group.rows {
                    let mut room = seq_len.max(1);
                    for share in &group.shares {
                        for i in 0..u64::from(share.times) {
                            room -= share.length;
                            let piece = share.from + row * u64::from(share.times) + i;
                            used[share.length as usize].push(piece);
                        }
                    }
                    rooms.push(room);
                }
            }
            rooms.sort_unstable();
            prop_assert_eq!(rooms, naive(&counts, seq_len.max(1)));
            for (count, mut used) in counts.into_iter().zip(used).skip(1) {
                used.sort_unstable();
                prop_assert_eq!(used, (0..count).collect::<Vec<_>>(), "each piece once");
            }
        }
    }
}
