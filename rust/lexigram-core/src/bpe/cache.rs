//! The tokens of pieces seen before.
//!
//! An entry is the [`super::key`] of a piece and up to four tokens, 32 bytes. Pieces that are not
//! their own key, and those of more tokens, have a record in a [`ring`], which their entry names.
//! Nearly every piece of real text is short.
//!
//! A bucket of two entries is one cache line, and four buckets are a group. A new piece takes the
//! first free place in its own bucket, then in the other buckets of its group; where there is
//! none, it takes the place of the older one of its own bucket. A piece that is found in another
//! bucket of its group moves to its own. So the frequent ones are found with one cache line.
//!
//! Bound: the table begins small and grows as it fills, up to [`MAX_BUCKETS`] buckets; the ring
//! takes 4 MiB. Together at most 12 MiB, and 16 MiB while the table grows for the last time.

use std::mem::MaybeUninit;

use bytemuck::{Pod, Zeroable};

use self::ring::{Record, Ring};
use super::key::{self, MAX_WORD, hash};
use super::memory::Zeroed;
use crate::prefetch;
use crate::pretokenize::MAX_PIECES;

#[cfg(target_arch = "x86_64")]
mod avx512;
mod ring;

/// 2^17 buckets of 64 bytes: 8 MiB.
const MAX_BUCKETS: usize = 1 << 17;

/// 2^8 buckets: 16 KiB.
const MIN_BUCKETS: usize = 1 << 8;

/// Buckets in a group.
const GROUP: usize = 4;

/// The largest number of tokens in an entry.
const MAX_TOKENS: usize = 4;

/// Above the bits of an id ([`super::vocabulary::MAX_ID`]).
const COUNT_SHIFT: u32 = 28;
const ID_MASK: u32 = (1 << COUNT_SHIFT) - 1;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    key: u128,
    /// Up to four tokens; the upper bits of the first hold their number. With the number 0, the
    /// rest says where the record of the piece is.
    tokens: [u32; MAX_TOKENS],
}

impl Entry {
    fn of_tokens(key: u128, tokens: &[u32]) -> Self {
        let mut entry = Self { key, tokens: [0; MAX_TOKENS] };
        entry.tokens[..tokens.len()].copy_from_slice(tokens);
        entry.tokens[0] |= (tokens.len() as u32) << COUNT_SHIFT;
        entry
    }

    fn of_record(key: u128, record: Record) -> Self {
        let Record { position, tokens, bytes } = record;
        let lengths = u32::from(tokens) << 16 | u32::from(bytes);
        Self { key, tokens: [0, position as u32, (position >> 32) as u32, lengths] }
    }

    /// The tokens in the entry: four of which the first so many count; 0 for a record.
    #[inline(always)]
    fn tokens(&self) -> ([u32; MAX_TOKENS], usize) {
        let [first, second, third, fourth] = self.tokens;
        ([first & ID_MASK, second, third, fourth], (first >> COUNT_SHIFT) as usize)
    }

    fn record(&self) -> Record {
        let [_, low, high, lengths] = self.tokens;
        let position = u64::from(high) << 32 | u64::from(low);
        Record { position, tokens: (lengths >> 16) as u16, bytes: lengths as u16 }
    }
}

/// One cache line, wherever the table lies.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Bucket([Entry; 2]);

/// A bounded map from pieces to tokens.
#[derive(Debug, Clone)]
pub struct WordCache {
    table: Table,
    ring: Ring,
    /// Keys of the pieces of one batch, and the buckets in which they are looked for.
    keys: [u128; MAX_PIECES],
    places: [u32; MAX_PIECES],
}

impl Default for WordCache {
    fn default() -> Self {
        Self::new(MAX_BUCKETS)
    }
}

impl WordCache {
    /// A cache whose table grows to at most `max_buckets` buckets, a power of two.
    pub fn new(max_buckets: usize) -> Self {
        let (keys, places) = ([0; MAX_PIECES], [0; MAX_PIECES]);
        Self { table: Table::new(max_buckets), ring: Ring::default(), keys, places }
    }

    /// The bytes of its table, which grows with the number of pieces that it knows.
    pub fn table_bytes(&self) -> usize {
        size_of_val(self.table.buckets.as_slice())
    }

    /// Appends the tokens of successive pieces of `text`, of which the first begins at `start` and
    /// which end at `ends`, at most [`MAX_PIECES`] of them. `encode` appends those of a piece that
    /// is not known. Returns where in `out` the tokens of the last piece begin.
    pub fn encode(
        &mut self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        out: &mut Vec<u32>,
        mut encode: impl FnMut(&[u8], &mut Vec<u32>),
    ) -> usize {
        self.table.make_room(ends.len());
        // All pieces of the batch are asked for before the first is needed.
        self.table.prepare(text, start, ends, &mut self.keys, &mut self.places);
        let (mut done, mut last) = (0, out.len());
        loop {
            let (keys, places) = (&self.keys[done..ends.len()], &self.places[done..ends.len()]);
            let (found, last_count) = self.table.append_known(keys, places, out);
            if found > 0 {
                last = out.len() - last_count;
            }
            done += found;
            if done == ends.len() {
                return last;
            }
            last = out.len();
            let from = if done == 0 { start } else { ends[done - 1] };
            self.append_rare(self.keys[done], &text[from..ends[done]], out, &mut encode);
            done += 1;
        }
    }

    /// A piece that its own bucket does not hold itself.
    #[inline(never)]
    fn append_rare(
        &mut self,
        key: u128,
        piece: &[u8],
        out: &mut Vec<u32>,
        encode: &mut impl FnMut(&[u8], &mut Vec<u32>),
    ) {
        if let Some(entry) = self.table.find_and_promote(key) {
            let (tokens, count) = entry.tokens();
            if count > 0 {
                return out.extend_from_slice(&tokens[..count]);
            }
            let record = entry.record();
            let known = match piece.len() {
                // Its key says all.
                ..=MAX_WORD => self.ring.tokens(record),
                _ => self.ring.get(record, piece),
            };
            if let Some(tokens) = known {
                return out.extend_from_slice(tokens);
            }
        }
        let before = out.len();
        encode(piece, out);
        let tokens = &out[before..];
        if piece.len() <= MAX_WORD && (1..=MAX_TOKENS).contains(&tokens.len()) {
            self.table.put(Entry::of_tokens(key, tokens));
        } else if let Some(record) = self.ring.insert(piece, tokens) {
            self.table.put(Entry::of_record(key, record));
        }
    }
}

/// The entries.
#[derive(Debug, Clone)]
struct Table {
    buckets: Zeroed<Bucket>,
    max_buckets: usize,
    /// How many entries may still come before the table grows.
    room: usize,
    /// Whether the loops for AVX-512 are used, with their hash.
    #[cfg(target_arch = "x86_64")]
    wide: bool,
}

impl Table {
    fn new(max_buckets: usize) -> Self {
        assert!(max_buckets.is_power_of_two(), "a hash selects a bucket by its bits");
        let buckets = max_buckets.min(MIN_BUCKETS);
        Self {
            buckets: Zeroed::new(buckets),
            max_buckets,
            room: buckets,
            #[cfg(target_arch = "x86_64")]
            wide: avx512::available(),
        }
    }

    /// Grows until there is room for `entries` more, where the bound allows.
    #[inline]
    fn make_room(&mut self, entries: usize) {
        while self.room < entries && self.buckets.as_slice().len() < self.max_buckets {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.buckets.as_slice().len() * 2;
        let old = std::mem::replace(&mut self.buckets, Zeroed::new(size));
        self.room = size * 3 / 2;
        for entry in
            old.as_slice().iter().flat_map(|bucket| &bucket.0).filter(|entry| entry.key != 0)
        {
            self.put(*entry);
        }
    }

    /// The keys of pieces and their buckets, which begin to be loaded.
    #[allow(unsafe_code)]
    fn prepare(
        &self,
        text: &[u8],
        start: usize,
        ends: &[usize],
        keys: &mut [u128],
        places: &mut [u32],
    ) {
        let buckets = self.buckets.as_slice();
        #[cfg(target_arch = "x86_64")]
        if self.wide {
            // SAFETY: the machine has what the function is compiled for.
            return unsafe { avx512::prepare(text, start, ends, buckets, keys, places) };
        }
        let mut from = start;
        for ((&end, key), place) in ends.iter().zip(keys).zip(places) {
            *key = key::key(text, from, end);
            let bucket = hash(*key) as usize & (buckets.len() - 1);
            prefetch(&buckets[bucket]);
            *place = bucket as u32;
            from = end;
        }
    }

    /// Appends the tokens of pieces as long as their own buckets hold them. Returns how many
    /// pieces these are, and how many tokens the last of them has.
    #[inline]
    #[allow(unsafe_code)]
    fn append_known(&self, keys: &[u128], places: &[u32], out: &mut Vec<u32>) -> (usize, usize) {
        let buckets = self.buckets.as_slice();
        out.reserve(keys.len() * MAX_TOKENS);
        let free = out.spare_capacity_mut();
        #[cfg(target_arch = "x86_64")]
        let (done, filled, last) = if self.wide {
            // SAFETY: the machine has what the function is compiled for.
            unsafe { avx512::find_known(buckets, keys, places, free) }
        } else {
            find_known(buckets, keys, places, free)
        };
        #[cfg(not(target_arch = "x86_64"))]
        let (done, filled, last) = find_known(buckets, keys, places, free);
        let length = out.len() + filled;
        // SAFETY: the first `filled` free places were written just now, each by the piece whose
        // token it is or by an earlier one.
        unsafe { out.set_len(length) };
        (done, last)
    }

    /// The bucket in which a key is looked for first.
    #[allow(unsafe_code)]
    fn bucket(&self, key: u128) -> usize {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has what the function is compiled for.
        let hash = if self.wide { unsafe { avx512::hash(key) } } else { hash(key) };
        #[cfg(not(target_arch = "x86_64"))]
        let hash = hash(key);
        hash as usize & (self.buckets.as_slice().len() - 1)
    }

    /// The entry of a key in any bucket of its group. It becomes the newer one of its own bucket, so
    /// that what is asked for again and again is found there; the older one takes its place.
    fn find_and_promote(&mut self, key: u128) -> Option<&Entry> {
        let own = self.bucket(key);
        let buckets = self.buckets.as_mut_slice();
        let places = (0..GROUP).flat_map(|other| [(own ^ other, 0), (own ^ other, 1)]);
        let (bucket, entry) =
            places.into_iter().find(|&(bucket, entry)| buckets[bucket].0[entry].key == key)?;
        if bucket == own {
            return Some(&buckets[own].0[entry]);
        }
        let found = buckets[bucket].0[entry];
        let [newer, older] = &mut buckets[own].0;
        let displaced = std::mem::replace(older, std::mem::replace(newer, found));
        buckets[bucket].0[entry] = displaced;
        Some(&buckets[own].0[0])
    }

    fn put(&mut self, entry: Entry) {
        self.room = self.room.saturating_sub(1);
        let own = self.bucket(entry.key);
        let buckets = self.buckets.as_mut_slice();
        for other in 0..GROUP {
            let same = |old: &&mut Entry| old.key == entry.key || old.key == 0;
            if let Some(free) = buckets[own ^ other].0.iter_mut().find(same) {
                *free = entry;
                return;
            }
        }
        let [newer, older] = &mut buckets[own].0;
        *older = *newer;
        *newer = entry;
    }
}

/// Writes the tokens of pieces to `free` as long as their own buckets hold them. Returns how many
/// pieces these are, how many tokens, and how many the last piece has.
#[inline(always)]
fn find_known(
    buckets: &[Bucket],
    keys: &[u128],
    places: &[u32],
    free: &mut [MaybeUninit<u32>],
) -> (usize, usize, usize) {
    let (mut done, mut filled, mut last) = (0, 0, 0);
    for (&key, &place) in keys.iter().zip(places) {
        let [newer, older] = &buckets[place as usize].0;
        let entry = if newer.key == key { newer } else { older };
        let (tokens, count) = entry.tokens();
        if entry.key != key || count == 0 {
            break;
        }
        // Four tokens are written, so many count: cheaper than copying just those.
        free[filled..filled + MAX_TOKENS].copy_from_slice(&tokens.map(MaybeUninit::new));
        (filled, done, last) = (filled + count, done + 1, count);
    }
    (done, filled, last)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    /// Tokens that follow from a piece: as many as the sum of its bytes says, at most one a byte.
    fn tokens_of(piece: &[u8]) -> Vec<u32> {
        let sum = piece.iter().map(|&byte| usize::from(byte)).sum::<usize>();
        let first = xxh3_128(piece) as u32 & (ID_MASK >> 1);
        (0..=(sum % piece.len()) as u32).map(|i| first + i).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn what_it_appends_is_what_was_encoded(
            pieces in prop::collection::vec("[\\x00a-e]{1,15}|[a-c]{14,40}|[ab]{1,3}", 1..3000),
            batch in 1..=MAX_PIECES,
        ) {
            let mut cache = WordCache::new(256);
            let mut times: HashMap<Vec<u8>, usize> = HashMap::new();
            let text = pieces.concat().into_bytes();
            let mut start = 0;
            for batch in pieces.chunks(batch) {
                let mut ends = Vec::new();
                batch.iter().fold(start, |at, piece| { ends.push(at + piece.len()); at + piece.len() });
                let mut out = vec![7];
                let last = cache.encode(&text, start, &ends, &mut out, |piece, out| {
                    *times.entry(piece.to_vec()).or_default() += 1;
                    out.extend_from_slice(&tokens_of(piece));
                });
                let expected: Vec<u32> = batch.iter().flat_map(|piece| tokens_of(piece.as_bytes())).collect();
                prop_assert_eq!(&out[1..], &expected[..]);
                prop_assert_eq!(&out[last..], &tokens_of(batch[batch.len() - 1].as_bytes())[..]);
                start += batch.iter().map(String::len).sum::<usize>();
            }
            // Where there is room for all (a group of 8 hardly gets a ninth), nothing is encoded twice.
            if times.len() < 50 {
                prop_assert!(times.values().all(|&times| times == 1), "{:?}", times);
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = WordCache::new(512);
        for i in 0..100_000u32 {
            let piece = i.to_string();
            cache.encode(piece.as_bytes(), 0, &[piece.len()], &mut vec![], |_, out| out.push(i));
        }
        assert_eq!(cache.table.buckets.as_slice().len(), 512);
    }
}
