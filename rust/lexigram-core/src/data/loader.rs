//! The batch of any step, as a function of the step alone.
//!
//! Step s belongs to epoch e = ⌊s / b⌋, where b is the number of batches of an epoch; batch k of an
//! epoch takes rows π(kB) … π(kB + B − 1), with π the epoch's own permutation ([`super::order`]) of the
//! rows that [`super::pack`] defines. Rank r of w takes rows r, r + w, … of each batch.
//!
//! Invariants: the sequence of global batches depends on dataset, seed, B, T, packing, shuffle and
//! drop_last, never on rank, world size or threads; going to any step takes constant time; within
//! an epoch no token is a target twice.

use std::ops::Range;
use std::sync::Arc;

use super::dataset::Dataset;
use super::order::Permutation;
use super::pack::{Packing, Plan};
use super::shard::Ids;
use crate::{Error, Result};

/// The target of padding, which losses leave out (PyTorch's default `ignore_index`).
pub const IGNORED: i64 = -100;

/// What fixes the order of batches, and which rows are ours.
#[derive(Clone, Debug)]
pub struct LoaderConfig {
    /// B: rows of a global batch, over all ranks.
    pub batch_size: u64,
    /// T: targets of a row.
    pub seq_len: u32,
    /// Chooses the order.
    pub seed: u64,
    /// Which of the `world_size` readers this is.
    pub rank: u64,
    /// How many readers share each batch.
    pub world_size: u64,
    /// How documents become rows.
    pub packing: Packing,
    /// Whether each epoch has an order of its own, or the order of the stream.
    pub shuffle: bool,
    /// Whether an epoch leaves out what fills no row and the rows that fill no batch.
    pub drop_last: bool,
}

/// Where a batch is written: four arrays of rows × T values, row after row.
#[derive(Debug)]
struct Batch<'a> {
    /// The token before each target; the separator where there is padding.
    inputs: &'a mut [i64],
    /// The token to predict; [`IGNORED`] where there is padding.
    targets: &'a mut [i64],
    /// The number, within the row, of the document that the target belongs to; padding counts as
    /// one more document. A separator is the first input of the document that it precedes.
    document_ids: &'a mut [i64],
    /// The place of the input in its document, counted from the first input in this row.
    positions: &'a mut [i64],
}

/// Makes batches.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    config: LoaderConfig,
    plan: Plan,
}

impl Loader {
    /// Checks the configuration and plans the rows.
    pub fn new(dataset: Arc<Dataset>, config: LoaderConfig) -> Result<Self> {
        let LoaderConfig { batch_size, seq_len, rank, world_size, .. } = config;
        if seq_len == 0 {
            return Err(Error::argument("seq_len", seq_len, "must be at least 1"));
        }
        if world_size == 0 || rank >= world_size {
            let limit = format!("must be below world_size = {world_size}, which is at least 1");
            return Err(Error::argument("rank", rank, limit));
        }
        if batch_size == 0 || batch_size % world_size != 0 {
            let limit = format!("must be a positive multiple of world_size = {world_size}");
            return Err(Error::argument("batch_size", batch_size, limit));
        }
        let plan = Plan::new(&dataset, config.packing, seq_len, !config.drop_last)?;
        let num_rows = plan.num_rows();
        if config.drop_last && num_rows < batch_size {
            return Err(Error::argument(
                "batch_size",
                batch_size,
                format!(
                    "the dataset's {} tokens fill {num_rows} rows of seq_len = {seq_len}, less than \
                     one batch; lower batch_size or seq_len, add text, or pass drop_last=False",
                    dataset.num_tokens()
                ),
            ));
        }
        Ok(Self { dataset, config, plan })
    }

    /// T, the targets of a row.
    pub fn seq_len(&self) -> usize {
        self.config.seq_len as usize
    }

    /// The number of rows of an epoch, over all batches and ranks.
    pub fn num_rows(&self) -> u64 {
        self.plan.num_rows()
    }

    /// The number of batches of an epoch.
    pub fn num_batches(&self) -> u64 {
        let (rows, size) = (self.num_rows(), self.config.batch_size);
        if self.config.drop_last { rows / size } else { rows.div_ceil(size) }
    }

    /// How many rows of the batch at `step` are this rank's. The last batch of an epoch may have
    /// fewer than the others when `drop_last` is false.
    pub fn rows_at(&self, step: u64) -> usize {
        self.ours(step).count()
    }

    fn ours(&self, step: u64) -> impl Iterator<Item = u64> + use<> {
        let LoaderConfig { batch_size, rank, world_size, .. } = self.config;
        let first = step % self.num_batches() * batch_size;
        let rows = first..(first + batch_size).min(self.num_rows());
        rows.skip(rank as usize).step_by(world_size as usize)
    }

    /// Writes this rank's rows of the batch at `step`, counted from the first batch of epoch 0, into
    /// `out`: inputs, targets, document ids and positions, rows × T values each.
    pub fn fill(&self, step: u64, out: &mut [i64]) -> Result<()> {
        let expected = 4 * self.rows_at(step) * self.seq_len();
        if out.len() != expected {
            let limit = format!("must be {expected}, four arrays of this batch's rows by seq_len");
            return Err(Error::argument("len(out)", out.len(), limit));
        }
        let (front, back) = out.split_at_mut(expected / 2);
        let (inputs, targets) = front.split_at_mut(expected / 4);
        let (document_ids, positions) = back.split_at_mut(expected / 4);
        let mut batch = Batch { inputs, targets, document_ids, positions };

        let LoaderConfig { seed, shuffle, .. } = self.config;
        let epoch = step / self.num_batches();
        let order = shuffle.then(|| Permutation::new(self.num_rows(), seed, epoch));
        let cut = if shuffle { self.plan.cut_at(seed, epoch) } else { 0 };
        for (i, row) in self.ours(step).enumerate() {
            let row = order.as_ref().map_or(row, |order| order.at(row));
            let (mut at, end) = (i * self.seq_len(), (i + 1) * self.seq_len());
            let mut document = 0;
            self.plan.row(row, cut, |piece| {
                self.write(piece, &mut at, &mut document, &mut batch);
            });
            self.pad(at..end, document, &mut batch);
        }
        Ok(())
    }

    /// Writes the targets `piece`, which does not wrap, and what stands beside them, from `at` on.
    fn write(&self, piece: Range<u64>, at: &mut usize, document: &mut i64, batch: &mut Batch) {
        let before = piece.start.checked_sub(1).unwrap_or(self.dataset.num_tokens() - 1);
        let end = *at + (piece.end - piece.start) as usize;
        batch.inputs[*at] = i64::from(self.dataset.at(before));
        for (shard, part) in self.dataset.parts(piece) {
            // Both are read from the ids: copying one from the other, which lies a power of two
            // away, makes loads wait for stores (4 KiB aliasing): 5.8 instead of 2.3 ns a token.
            let targets = &mut batch.targets[*at..*at + part.len()];
            let inputs = &mut batch.inputs[*at + 1..end.min(*at + part.len() + 1)];
            match shard.ids() {
                Ids::U16(ids) => widen(&ids[part.clone()], targets, inputs),
                Ids::U32(ids) => widen(&ids[part.clone()], targets, inputs),
            }
            // A shard begins with a document, so that each step of this walk is a new one.
            let ends = shard.documents();
            let mut next = ends.partition_point(|&start| start <= part.start as u64);
            let mut from = part.start;
            while from < part.end {
                // The clamp holds the walk inside the part even if the index is damaged.
                let end = ends.get(next).map_or(part.end, |&end| end as usize);
                let end = end.clamp(from + 1, part.end);
                let span = *at..*at + (end - from);
                batch.document_ids[span.clone()].fill(*document);
                count(&mut batch.positions[span.clone()]);
                *document += 1;
                next += 1;
                (from, *at) = (end, span.end);
            }
        }
    }

    fn pad(&self, rest: Range<usize>, document: i64, batch: &mut Batch) {
        let separator = self.dataset.manifest().vocabulary.document_separator;
        batch.inputs[rest.clone()].fill(i64::from(separator));
        batch.targets[rest.clone()].fill(IGNORED);
        batch.document_ids[rest.clone()].fill(document);
        count(&mut batch.positions[rest]);
    }
}

fn widen<T: Copy + Into<i64>>(ids: &[T], targets: &mut [i64], inputs: &mut [i64]) {
    for out in [targets, inputs] {
        for (out, &id) in out.iter_mut().zip(ids) {
            *out = id.into();
        }
    }
}

fn count(out: &mut [i64]) {
    for (out, i) in out.iter_mut().zip(0..) {
        *out = i;
    }
}
