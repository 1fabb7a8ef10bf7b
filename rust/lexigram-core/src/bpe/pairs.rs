//! From a pair of tokens to the rank of its merge.
//!
//! Encoding asks mostly for pairs that are no merge, and which they are cannot be foreseen; so a
//! look-up must not branch on what it finds. A pair has one place in each of two tables, and stands
//! in one of the two (cuckoo hashing: Pagh and Rodler, 2004): a look-up reads both, whatever comes.
//! The tables are at most 42 % full, below the half up to which places can be found.
//!
//! A slot is a pair and its rank in 64 bits: two ids of 20 bits and a rank of 24. A vocabulary
//! beyond that gets a hash map instead.

use std::collections::HashMap;
use std::hint::select_unpredictable;

use rustc_hash::FxBuildHasher;

use super::memory::Zeroed;
use crate::prefetch;

/// A rank that no merge has.
pub const NO_RANK: u32 = u32::MAX;

const ID_BITS: u32 = 20;
const RANK_BITS: u32 = 24;

/// The bits of slots are turned over, so that memory of zeros is free slots. This is one turned
/// back: it is of no pair, since its left id is one that no key has.
const FREE: u64 = u64::MAX;

/// How many pairs may be moved to make room for one.
const MAX_MOVES: usize = 64;

/// A map from pairs to ranks.
#[derive(Debug)]
pub enum Pairs {
    /// Ids below 2^20 - 2 and ranks below 2^24.
    Compact(Cuckoo),
    /// Any.
    Wide(HashMap<(u32, u32), u32, FxBuildHasher>),
}

/// Two tables one after the other, each a power of two long.
#[derive(Debug)]
pub struct Cuckoo {
    slots: Zeroed<u64>,
    /// Slots in one table.
    size: usize,
}

impl Pairs {
    /// A map for so many pairs of ids below `size`.
    pub fn new(pairs: usize, size: usize) -> Self {
        if size > MAX_SIZE || pairs >= 1 << RANK_BITS {
            return Self::Wide(HashMap::with_capacity_and_hasher(pairs, FxBuildHasher));
        }
        Self::Compact(Cuckoo::new((pairs + pairs / 5).next_power_of_two().max(8)))
    }

    /// The rank of a pair, [`NO_RANK`] for none. An id may be one that no token has.
    #[inline(always)]
    pub fn rank(&self, left: u32, right: u32) -> u32 {
        match self {
            Self::Compact(cuckoo) => cuckoo.rank(key(left, right)),
            Self::Wide(map) => map.get(&(left, right)).copied().unwrap_or(NO_RANK),
        }
    }

    /// Asks for what looking up or entering a pair will read.
    #[inline(always)]
    pub fn expect(&self, left: u32, right: u32) {
        if let Self::Compact(cuckoo) = self {
            let slots = cuckoo.slots();
            cuckoo.places(key(left, right)).into_iter().for_each(|place| prefetch(&slots[place]));
        }
    }

    /// Enters a pair that is not there yet.
    pub fn insert(&mut self, left: u32, right: u32, rank: u32) {
        match self {
            Self::Compact(cuckoo) => {
                cuckoo.insert(key(left, right) << RANK_BITS | u64::from(rank));
            }
            Self::Wide(map) => {
                map.insert((left, right), rank);
            }
        }
    }
}

/// Above the ids of a compact map.
const NONE: u32 = (1 << ID_BITS) - 1;

/// Of a compact map, one more than the largest id can be.
pub const MAX_SIZE: usize = NONE as usize - 1;

/// Ids that are too large, such as that of no token, become ones that none has.
#[inline(always)]
fn key(left: u32, right: u32) -> u64 {
    u64::from(left.min(NONE - 1)) << ID_BITS | u64::from(right.min(NONE - 1))
}

impl Cuckoo {
    /// From slots written by another; `None` if not each is free or a pair and rank that is `known`.
    pub fn from_slots(slots: Zeroed<u64>, known: impl Fn(u32, u32, u32) -> bool) -> Option<Self> {
        let size = slots.as_slice().len() / 2;
        let known = |slot: u64| {
            let (key, rank) = (slot >> RANK_BITS, slot as u32 & ((1 << RANK_BITS) - 1));
            known((key >> ID_BITS) as u32, key as u32 & NONE, rank)
        };
        let sound = size >= 8 && size.is_power_of_two() && slots.as_slice().len() == 2 * size;
        let known = |slot: u64| (slot == FREE) | known(slot);
        // A group at a time, so that the end of the search is asked for less often.
        let mut groups = slots.as_slice().chunks(64);
        let known = groups.all(|group| group.iter().fold(true, |all, &slot| all & known(!slot)));
        (sound && known).then_some(Self { slots, size })
    }

    /// The slots, which [`Cuckoo::from_slots`] takes.
    pub fn slots(&self) -> &[u64] {
        self.slots.as_slice()
    }

    fn new(size: usize) -> Self {
        Self { slots: Zeroed::new(2 * size), size }
    }

    #[inline(always)]
    fn places(&self, key: u64) -> [usize; 2] {
        let shift = 64 - self.size.trailing_zeros();
        let first = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift;
        let second = (key ^ key >> 15).wrapping_mul(0xd6e8_feb8_6659_fd93) >> shift;
        [first as usize, second as usize + self.size]
    }

    #[inline(always)]
    fn rank(&self, key: u64) -> u32 {
        let slots = self.slots.as_slice();
        let [first, second] = self.places(key);
        let (first, second) = (!slots[first], !slots[second]);
        let rank_of = |slot: u64| slot as u32 & ((1 << RANK_BITS) - 1);
        let second = select_unpredictable(second >> RANK_BITS == key, rank_of(second), NO_RANK);
        select_unpredictable(first >> RANK_BITS == key, rank_of(first), second)
    }

    fn insert(&mut self, slot: u64) {
        let mut homeless = slot;
        let mut table = 0;
        for _ in 0..MAX_MOVES {
            let place = self.places(homeless >> RANK_BITS)[table];
            homeless = !std::mem::replace(&mut self.slots.as_mut_slice()[place], !homeless);
            if homeless == FREE {
                return;
            }
            // Who stood here has its other place in the other table.
            table = 1 - table;
        }
        let old = std::mem::replace(self, Self::new(2 * self.size));
        let slots = old.slots.as_slice().iter().map(|&slot| !slot);
        for slot in slots.filter(|&slot| slot != FREE).chain([homeless]) {
            self.insert(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn what_was_inserted_is_found(
            pairs in prop::collection::hash_map((0..60u32, 0..60u32), 0..1000u32, 0..800),
            base in 0..(1u32 << 21),
            room in 0..800usize,
        ) {
            let mut map = Pairs::new(room, base as usize + 60);
            prop_assert_eq!(matches!(map, Pairs::Wide(_)), base + 60 >= (1 << 20) - 1);
            for (&(left, right), &rank) in &pairs {
                map.insert(base + left, base + right, rank);
            }
            for left in 0..60 {
                for right in 0..60 {
                    let expected = pairs.get(&(left, right)).copied().unwrap_or(NO_RANK);
                    prop_assert_eq!(map.rank(base + left, base + right), expected);
                }
                prop_assert_eq!(map.rank(base + left, u32::MAX), NO_RANK);
                prop_assert_eq!(map.rank(u32::MAX, base + left), NO_RANK);
            }
            prop_assert_eq!(map.rank(u32::MAX, u32::MAX), NO_RANK);
        }
    }

    #[test]
    fn many_pairs_find_places_in_the_first_size() {
        let pairs = |n: u32| (0..n).map(|i| (i % 997 * 31, i / 997 + i % 13 * 1000));
        for n in [1000, 50_000, 109_226, 200_000] {
            let mut map = Pairs::new(n as usize, 1 << 19);
            let Pairs::Compact(Cuckoo { size, .. }) = map else { panic!("compact") };
            pairs(n).zip(0..).for_each(|((left, right), rank)| map.insert(left, right, rank));
            assert!(pairs(n).zip(0..).all(|((left, right), rank)| map.rank(left, right) == rank));
            let Pairs::Compact(cuckoo) = map else { panic!("compact") };
            assert_eq!(cuckoo.size, size, "{n}");
        }
    }
}
