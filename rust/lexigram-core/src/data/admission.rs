//! Which documents are written, and on which side of a split.
//!
//! Three decisions, in this order, each a function of the document's own text and of those before:
//!
//! 1. Of equal documents the first stays, if duplicates are joined: equal means equal xxh3-128. By
//!    chance two of 10⁸ different documents are taken for equal with a probability of 10⁻²³; whoever
//!    writes documents to that end can make them so.
//! 2. The side: BLAKE2b keyed with the seed, as in `lexigram.data.split_of`. Equal documents are on
//!    the same side, whatever their order.
//! 3. A document that a finished shard of an interrupted run holds is not written again.
//!
//! Invariant for the third: the documents of a side that are passed over are those of its finished
//! shards. A chain of their digests says so: c₀ = 0, cᵢ = xxh3-64 of cᵢ₋₁ and the digest of i.
//!
//! Memory for joining duplicates: 17 bytes for each place of a table that is at most 7/8 full, so 19
//! to 39 bytes a document, and half as much again while it grows.

use rustc_hash::FxHashSet;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::blake2b::keyed64;
use super::texts::{Texts, in_order};
use crate::{Error, Result};

/// The most splits there can be.
pub const MAX_SPLITS: usize = 64;
/// The side of what is not written.
const DROPPED: u8 = u8::MAX;
/// Texts hashed as one unit of work.
const UNIT: usize = 256;

/// Names of splits and their parts of the documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// Each name, and its fraction.
    pub parts: Vec<(String, f64)>,
    /// The key of the hash.
    pub seed: u64,
}

impl Splits {
    /// Checks the names and the fractions.
    pub fn new(parts: Vec<(String, f64)>, seed: u64) -> Result<Self> {
        let wrong = |limit: &str| Err(Error::argument("splits", format!("{parts:?}"), limit));
        if parts.is_empty() || parts.len() > MAX_SPLITS {
            return wrong("there must be 1 to 64 of them");
        }
        // The exact sum is checked where split_of is; here only what would send documents astray.
        let sum: f64 = parts.iter().map(|(_, fraction)| fraction).sum();
        if parts.iter().any(|&(_, f)| f.is_nan() || f < 0.0) || (sum - 1.0).abs() > 1e-6 {
            return wrong("fractions must be at least 0 and sum to 1");
        }
        let plain = |name: &str| {
            let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            name.chars().all(inside) && name.starts_with(char::is_alphanumeric)
        };
        if let Some((name, _)) = parts.iter().find(|(name, _)| !plain(name)) {
            let limit =
                "a split is a folder: letters, digits, - _ and . only, a letter or digit first";
            return Err(Error::argument("splits", format!("{name:?}"), limit));
        }
        let mut names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("names must differ");
        }
        Ok(Self { parts, seed })
    }

    /// The number of the split that a text belongs to.
    pub fn side(&self, text: &str) -> u8 {
        let u = keyed64(self.seed, text.as_bytes()) as f64 / 18_446_744_073_709_551_616.0;
        let (mut chosen, mut reached) = (0, 0.0);
        for (i, (_, fraction)) in self.parts.iter().enumerate() {
            if *fraction > 0.0 {
                chosen = i;
                reached += fraction;
                if u < reached {
                    break;
                }
            }
        }
        chosen as u8 // rounding may leave u above the last sum: the last split that is not empty
    }
}

/// Stands for a sequence of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain(pub u64);

impl Chain {
    /// With one document more.
    pub fn add(&mut self, digest: u128) {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..].copy_from_slice(&digest.to_le_bytes());
        self.0 = xxh3_64(&bytes);
    }
}

/// What is to be written of some texts.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    /// The texts.
    pub texts: Texts,
    /// The side of each.
    pub sides: Vec<u8>,
    /// The digest of each.
    pub digests: Vec<u128>,
}

/// One side's documents so far.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// Documents in finished shards, and their chain.
    done: (u64, Chain),
    /// Those that came again so far.
    passed: (u64, Chain),
    duplicates: u64,
}

/// Decides for document after document.
#[derive(Debug)]
pub struct Admission {
    seen: Option<FxHashSet<u128>>,
    splits: Option<Splits>,
    sides: Vec<Side>,
}

impl Admission {
    /// Sides whose finished shards hold so many documents with these chains.
    pub fn new(deduplicate: bool, splits: Option<Splits>, done: &[(u64, Chain)]) -> Self {
        let side = |&done| Side { done, ..Side::default() };
        Self {
            seen: deduplicate.then(FxHashSet::default),
            splits,
            sides: done.iter().map(side).collect(),
        }
    }

    /// Decides about the next texts.
    pub fn admit(&mut self, texts: Texts, threads: usize) -> Result<Admitted> {
        let marks = self.marks(&texts, threads);
        if let Some(seen) = &mut self.seen {
            seen.try_reserve(marks.len()).map_err(|_| {
                let limit = "there is no memory for so many documents' hashes (39 bytes each at \
                             most, and half as much again while the table grows); tokenize parts \
                             of the source, or join duplicates before";
                Error::argument("deduplicate", format!("True, at {} documents", seen.len()), limit)
            })?;
        }
        let mut sides = Vec::with_capacity(marks.len());
        for &(digest, at) in &marks {
            let side = &mut self.sides[usize::from(at)];
            if self.seen.as_mut().is_some_and(|seen| !seen.insert(digest)) {
                side.duplicates += 1;
                sides.push(DROPPED);
            } else if side.passed.0 < side.done.0 {
                side.passed.0 += 1;
                side.passed.1.add(digest);
                if side.passed.0 == side.done.0 && side.passed.1 != side.done.1 {
                    return Err(other_source());
                }
                sides.push(DROPPED);
            } else {
                sides.push(at);
            }
        }
        if !sides.contains(&DROPPED) {
            let digests = marks.into_iter().map(|(digest, _)| digest).collect();
            return Ok(Admitted { texts, sides, digests });
        }
        let texts = texts.select(|i| sides[i] != DROPPED);
        let kept = marks.iter().zip(&sides).filter(|&(_, &side)| side != DROPPED);
        let digests = kept.map(|(&(digest, _), _)| digest).collect();
        sides.retain(|&side| side != DROPPED);
        Ok(Admitted { texts, sides, digests })
    }

    /// The digest and the side of each text.
    fn marks(&self, texts: &Texts, threads: usize) -> Vec<(u128, u8)> {
        let texts: Vec<&str> = texts.iter().collect();
        let units: Vec<&[&str]> = texts.chunks(UNIT).collect();
        let mark = |text: &&str| {
            let side = self.splits.as_ref().map_or(0, |splits| splits.side(text));
            (xxh3_128(text.as_bytes()), side)
        };
        let marks =
            in_order(units.len(), threads, |i| units[i].iter().map(mark).collect::<Vec<_>>());
        marks.concat()
    }

    /// To be called when there are no more texts. How many documents of each side were equal to an
    /// earlier one; `None` if that was not asked for.
    pub fn finish(&self) -> Result<Vec<Option<u64>>> {
        if self.sides.iter().any(|side| side.passed.0 < side.done.0) {
            return Err(other_source());
        }
        let joined = self.seen.is_some();
        Ok(self.sides.iter().map(|side| joined.then_some(side.duplicates)).collect())
    }
}

fn other_source() -> Error {
    let limit = "the source does not begin with the documents that the interrupted run had \
                 written; give the same source and options, or start anew without resume";
    Error::argument("resume", "True", limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_are_checked() {
        let make = |parts: &[(&str, f64)]| {
            Splits::new(parts.iter().map(|&(n, f)| (n.to_owned(), f)).collect(), 0)
        };
        assert!(make(&[("train", 0.9), ("test-1.a_b", 0.1)]).is_ok());
        for parts in [
            &[][..],
            &[("a", 0.5)],
            &[("a", 0.5), ("a", 0.5)],
            &[("a", -0.5), ("b", 1.5)],
            &[("a", f64::NAN)],
            &[("../a", 1.0)],
            &[("", 1.0)],
            &[(".a", 1.0)],
            &[("a/b", 1.0)],
        ] {
            assert!(make(parts).is_err(), "{parts:?}");
        }
    }

    proptest! {
        /// Against the definition, done naively; and whatever was written before is not written
        /// again, at any number of threads and however texts come in batches.
        #[test]
        fn as_defined(
            numbers in prop::collection::vec(0u32..40, 1..120), cut in 0usize..120, deduplicate: bool,
            threads in 1usize..4, done in 0usize..40, fraction in 0.0f64..1.0,
        ) {
            let texts: Vec<String> = numbers.iter().map(|n| format!("text {n}")).collect();
            let parts = vec![("a".to_owned(), 1.0 - fraction), ("b".to_owned(), fraction)];
            let splits = Splits::new(parts, 3).unwrap();
            let mut expected = vec![Vec::new(); 2];
            let mut duplicates = [0, 0];
            for (i, text) in texts.iter().enumerate() {
                let side = usize::from(splits.side(text));
                if deduplicate && texts[..i].contains(text) {
                    duplicates[side] += 1;
                } else {
                    expected[side].push(text.clone());
                }
            }
            let done = done.min(expected[1].len());
            let mut chain = Chain::default();
            expected[1][..done].iter().for_each(|t| chain.add(xxh3_128(t.as_bytes())));
            let states = [(0, Chain::default()), (done as u64, chain)];
            let mut admission = Admission::new(deduplicate, Some(splits.clone()), &states);
            let mut found = vec![Vec::new(), expected[1][..done].to_vec()];
            let cut = cut.min(texts.len());
            for batch in [&texts[..cut], &texts[cut..]] {
                let batch = batch.iter().map(String::as_str).collect();
                let admitted = admission.admit(batch, threads).unwrap();
                for ((text, side), digest) in
                    admitted.texts.iter().zip(&admitted.sides).zip(&admitted.digests)
                {
                    prop_assert_eq!(*digest, xxh3_128(text.as_bytes()));
                    found[usize::from(*side)].push(text.to_owned());
                }
            }
            prop_assert_eq!(found, expected);
            let counted = admission.finish().unwrap();
            prop_assert_eq!(counted, duplicates.map(|n| deduplicate.then_some(n)).to_vec());

            if done > 0 {
                let states = [(0, Chain::default()), (done as u64, Chain(chain.0 ^ 1))];
                let mut other = Admission::new(deduplicate, Some(splits.clone()), &states);
                let batch = || texts.iter().map(String::as_str).collect();
                prop_assert!(other.admit(batch(), threads).is_err());
                let states = [(0, Chain::default()), (texts.len() as u64 + 1, chain)];
                let mut longer = Admission::new(deduplicate, Some(splits), &states);
                longer.admit(batch(), threads).unwrap();
                prop_assert!(longer.finish().is_err());
            }
        }
    }
}
