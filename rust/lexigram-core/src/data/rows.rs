//! Writing one row: tokens of any stored width into numbers of any asked width.
#![allow(unsafe_code)]

use std::ops::Range;

use bytemuck::Pod;

use super::dataset::Dataset;
use super::shard::Ids;
use crate::Result;

/// The target of padding, which losses leave out (PyTorch's default `ignore_index`).
pub const IGNORED: i64 = -100;

/// A kind of number that batches are made of.
pub trait Value: Pod {
    /// [`IGNORED`]; 0 in a kind that has no place for it, which is never used with padding.
    const IGNORED: Self;

    /// The number, which has a place in this kind.
    fn of(number: u32) -> Self;
}

macro_rules! value {
    ($kind:ty, $ignored:expr) => {
        impl Value for $kind {
            const IGNORED: Self = $ignored;

            #[inline(always)]
            fn of(number: u32) -> Self {
                number as $kind
            }
        }
    };
}
value!(i64, IGNORED);
value!(i32, IGNORED as i32);
value!(u16, 0);

/// Where a batch is written: arrays of rows × T values, row after row.
#[derive(Debug)]
pub struct Rows<'a, T> {
    /// The token before each target; the separator where there is padding.
    pub inputs: &'a mut [T],
    /// The token to predict; [`IGNORED`] where there is padding.
    pub targets: &'a mut [T],
    /// Which document each target belongs to, if asked.
    pub places: Option<Places<'a, T>>,
}

/// Two more arrays.
#[derive(Debug)]
pub struct Places<'a, T> {
    /// The number, within the row, of the document that the target belongs to; padding counts as
    /// one more document. A separator is the first input of the document that it precedes.
    pub document_ids: &'a mut [T],
    /// The place of the input in its document, counted from the first input in this row.
    pub positions: &'a mut [T],
}

impl<'a, T: Value> Rows<'a, T> {
    /// The arrays, one after another in `out`.
    pub fn new(out: &'a mut [T], documents: bool) -> Self {
        let size = out.len() / if documents { 4 } else { 2 };
        let (inputs, rest) = out.split_at_mut(size);
        let (targets, rest) = rest.split_at_mut(size);
        let places = documents.then(|| {
            let (document_ids, positions) = rest.split_at_mut(size);
            Places { document_ids, positions }
        });
        Self { inputs, targets, places }
    }

    /// Writes the targets `piece`, which does not wrap, and what stands beside them, from `at` on;
    /// `document` counts the documents of the row.
    pub fn write(
        &mut self,
        dataset: &Dataset,
        piece: Range<u64>,
        at: &mut usize,
        document: &mut u32,
    ) -> Result<()> {
        let before = piece.start.checked_sub(1).unwrap_or(dataset.num_tokens() - 1);
        let end = *at + (piece.end - piece.start) as usize;
        self.inputs[*at] = T::of(dataset.at(before)?);
        for (shard, part) in dataset.parts(piece) {
            // Both are read from the ids: copying one from the other, which lies a power of two
            // away, makes loads wait for stores (4 KiB aliasing): 5.8 instead of 2.3 ns a token.
            let targets = &mut self.targets[*at..*at + part.len()];
            let inputs = &mut self.inputs[*at + 1..end.min(*at + part.len() + 1)];
            match shard.ids(&part)? {
                Ids::U16(ids) => {
                    widen(&ids[part.clone()], targets);
                    widen(&ids[part.clone()], inputs);
                }
                Ids::U32(ids) => {
                    widen(&ids[part.clone()], targets);
                    widen(&ids[part.clone()], inputs);
                }
            }
            let Some(places) = &mut self.places else {
                *at += part.len();
                continue;
            };
            // A shard begins with a document, so that each step of this walk is a new one.
            let mut next = shard.document_of(part.start as u64)? + 1;
            let ends = shard.documents(next..next + part.len())?;
            let mut from = part.start;
            while from < part.end {
                // The clamp holds the walk inside the part even if the index is damaged.
                let end = ends.get(next).map_or(part.end, |&end| end as usize);
                let end = end.clamp(from + 1, part.end);
                let span = *at..*at + (end - from);
                places.document_ids[span.clone()].fill(T::of(*document));
                count(&mut places.positions[span.clone()]);
                *document += 1;
                next += 1;
                (from, *at) = (end, span.end);
            }
        }
        Ok(())
    }

    /// Writes padding.
    pub fn pad(&mut self, separator: u32, rest: Range<usize>, document: u32) {
        self.inputs[rest.clone()].fill(T::of(separator));
        self.targets[rest.clone()].fill(T::IGNORED);
        if let Some(places) = &mut self.places {
            places.document_ids[rest.clone()].fill(T::of(document));
            count(&mut places.positions[rest]);
        }
    }
}

/// 0, 1, 2, …
fn count<T: Value>(out: &mut [T]) {
    vectors(|| {
        for (out, i) in out.iter_mut().zip(0..) {
            *out = T::of(i);
        }
    });
}

/// Ids, one for one.
fn widen<S: Copy + Into<u32>, T: Value>(ids: &[S], out: &mut [T]) {
    vectors(|| {
        for (out, &id) in out.iter_mut().zip(ids) {
            *out = T::of(id.into());
        }
    });
}

/// Runs a loop compiled for the vectors of AVX2 where the machine has them: twice as long as those
/// that every x86-64 has.
#[inline(always)]
fn vectors(work: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        unsafe fn with_avx2(work: impl FnOnce()) {
            work();
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has AVX2.
            return unsafe { with_avx2(work) };
        }
    }
    work();
}
