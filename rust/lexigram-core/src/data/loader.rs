//! The batch of any step, as a function of the step alone.
//!
//! Step s belongs to epoch e = ⌊s / b⌋, where b is the number of batches of an epoch; batch k of an
//! epoch takes rows π(kB) … π(kB + B − 1), with π the epoch's own permutation ([`super::order`]) of the
//! rows that [`super::pack`] defines. Rank r of w takes rows r, r + w, … of each batch.
//!
//! Invariants: the sequence of global batches depends on dataset, seed, B, T, packing, shuffle and
//! drop_last, never on rank, world size or threads; going to any step takes constant time; within
//! an epoch no token is a target twice.

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

/// Rows × T values each, row after row.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The number of rows.
    pub rows: usize,
    /// The token before each target; the separator where there is padding.
    pub inputs: Vec<i64>,
    /// The token to predict; [`IGNORED`] where there is padding.
    pub targets: Vec<i64>,
    /// The number, within the row, of the document that the target belongs to; padding counts as
    /// one more document. A separator is the first input of the document that it precedes.
    pub document_ids: Vec<i64>,
    /// The place of the input in its document, counted from the first input in this row.
    pub positions: Vec<i64>,
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

    /// This rank's rows of the batch at `step`, counted from the first batch of epoch 0. The last
    /// batch of an epoch may have fewer rows when `drop_last` is false.
    pub fn batch(&self, step: u64) -> Batch {
        let LoaderConfig { batch_size, seq_len, seed, rank, world_size, shuffle, .. } = self.config;
        let (epoch, k) = (step / self.num_batches(), step % self.num_batches());
        let order = shuffle.then(|| Permutation::new(self.num_rows(), seed, epoch));
        let cut = if shuffle { self.plan.cut_at(seed, epoch) } else { 0 };
        let rows = k * batch_size..(k * batch_size + batch_size).min(self.num_rows());
        let ours = rows.skip(rank as usize).step_by(world_size as usize);

        let room = ours.size_hint().0 * seq_len as usize;
        let mut batch = Batch {
            rows: 0,
            inputs: Vec::with_capacity(room),
            targets: Vec::with_capacity(room),
            document_ids: Vec::with_capacity(room),
            positions: Vec::with_capacity(room),
        };
        for row in ours {
            let row = order.as_ref().map_or(row, |order| order.at(row));
            let mut document = 0;
            self.plan.row(row, cut, |piece| self.append(piece, &mut document, &mut batch));
            batch.rows += 1;
            self.pad(document, &mut batch);
        }
        batch
    }

    /// Appends the targets `piece`, which does not wrap, and what stands beside them.
    fn append(&self, piece: std::ops::Range<u64>, document: &mut i64, batch: &mut Batch) {
        let first = batch.targets.len();
        let before = piece.start.checked_sub(1).unwrap_or(self.dataset.num_tokens() - 1);
        for (shard, part) in self.dataset.parts(piece) {
            match shard.ids() {
                Ids::U16(ids) => {
                    batch.targets.extend(ids[part.clone()].iter().map(|&id| i64::from(id)))
                }
                Ids::U32(ids) => {
                    batch.targets.extend(ids[part.clone()].iter().map(|&id| i64::from(id)))
                }
            }
            // A shard begins with a document, so that each step of this walk is a new one.
            let ends = shard.documents();
            let mut next = ends.partition_point(|&start| start <= part.start as u64);
            let mut at = part.start;
            while at < part.end {
                // The clamp holds the walk inside the part even if the index is damaged.
                let end = ends.get(next).map_or(part.end, |&end| end as usize);
                let length = end.clamp(at + 1, part.end) - at;
                batch.document_ids.extend(std::iter::repeat_n(*document, length));
                batch.positions.extend(0..length as i64);
                *document += 1;
                next += 1;
                at += length;
            }
        }
        batch.inputs.push(i64::from(self.dataset.at(before)));
        batch.inputs.extend_from_slice(&batch.targets[first..batch.targets.len() - 1]);
    }

    fn pad(&self, document: i64, batch: &mut Batch) {
        let full = batch.rows * self.config.seq_len as usize;
        let missing = full - batch.targets.len();
        let separator = self.dataset.manifest().vocabulary.document_separator;
        batch.targets.resize(full, IGNORED);
        batch.inputs.resize(full, i64::from(separator));
        batch.document_ids.resize(full, document);
        batch.positions.extend(0..missing as i64);
    }
}
