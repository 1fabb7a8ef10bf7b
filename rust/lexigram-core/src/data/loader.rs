//! The batch of any step, as a function of the step alone.
//!
//! One source. Step s belongs to epoch e = ⌊s / b⌋, where b is the number of batches of an epoch; batch
//! k of an epoch takes rows π(kB) … π(kB + B − 1), with π the epoch's own permutation
//! ([`super::order`]) of the rows that [`super::pack`] defines.
//!
//! A mixture. Rows form one sequence without end; [`super::mix`] says that row n is row j of source
//! i, which belongs to epoch ⌊j / r⌋ of that source, r the number of its rows: every row of a source is
//! read once before any is read again. Batch s is rows sB … sB + B − 1, in a seeded order, so that a
//! rank's share of it is a random one. What is called an epoch of a mixture is as many batches as
//! the rows of all its sources fill.
//!
//! Rank r of w takes rows r, r + w, … of each batch.
//!
//! Invariants: the sequence of global batches depends on datasets, weights, seed, B, T, packing,
//! shuffle and drop_last, never on rank, world size or threads; going to any step takes constant
//! time; within an epoch of a source no token is a target twice.

use std::ops::Range;
use std::sync::Arc;

use super::dataset::Dataset;
use super::mix::Schedule;
use super::order::{Permutation, offset};
use super::pack::{Packing, Plan};
pub use super::rows::IGNORED;
use super::rows::{Rows, Value};
use crate::{Error, Result};

/// The numbers of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 16 bits; has no place for [`IGNORED`].
    U16,
}

impl Width {
    /// Bytes of a number.
    pub fn num_bytes(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::I32 => 4,
            Self::U16 => 2,
        }
    }

    fn largest(self) -> u64 {
        match self {
            Self::I64 => i64::MAX as u64,
            Self::I32 => i32::MAX as u64,
            Self::U16 => u64::from(u16::MAX),
        }
    }
}

/// What fixes the order of batches, which rows are ours, and how they are written.
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
    /// The numbers of a batch.
    pub width: Width,
    /// Whether document ids and positions are part of a batch.
    pub documents: bool,
}

/// Makes batches.
#[derive(Debug)]
pub struct Loader {
    sources: Vec<Source>,
    /// Which source each row is of; without one there is one source, read epoch by epoch.
    schedule: Option<Schedule>,
    config: LoaderConfig,
}

/// A dataset and its rows.
#[derive(Debug)]
struct Source {
    dataset: Arc<Dataset>,
    plan: Plan,
    seed: u64,
}

/// Targets of a row that stand in the stream one after another.
struct Run<'a> {
    row: usize,
    dataset: &'a Dataset,
    targets: Range<u64>,
}

/// How many runs ahead memory is asked for.
const AHEAD: usize = 2;

/// The order of an epoch of a source.
struct Epoch {
    number: u64,
    order: Option<Permutation>,
    cut: u64,
}

impl Source {
    fn epoch(&self, number: u64, shuffle: bool) -> Epoch {
        if !shuffle {
            return Epoch { number, order: None, cut: 0 };
        }
        let order = Some(Permutation::new(self.plan.num_rows(), self.seed, number));
        Epoch { number, order, cut: self.plan.cut_at(self.seed, number) }
    }
}

impl Loader {
    /// Checks the configuration and plans the rows of one dataset.
    pub fn new(dataset: Arc<Dataset>, config: LoaderConfig) -> Result<Self> {
        let loader = Self::build(vec![(dataset, config.seed)], None, config)?;
        let LoaderConfig { batch_size, seq_len, drop_last, .. } = loader.config;
        if drop_last && loader.num_rows() < batch_size {
            let limit = format!(
                "the dataset's {} tokens fill {} rows of seq_len = {seq_len}, less than one batch; \
                 lower batch_size or seq_len, add text, or pass drop_last=False",
                loader.sources[0].dataset.num_tokens(),
                loader.num_rows()
            );
            return Err(Error::argument("batch_size", batch_size, limit));
        }
        Ok(loader)
    }

    /// Checks the configuration and plans the rows of several datasets, which share a vocabulary,
    /// to be read in the proportion of their weights.
    pub fn mixture(sources: Vec<(Arc<Dataset>, u64)>, config: LoaderConfig) -> Result<Self> {
        let weights: Vec<u64> = sources.iter().map(|(_, weight)| *weight).collect();
        let schedule = Schedule::new(&weights)?;
        // A dataset that stands in a mixture twice has two orders.
        let seeds = (0..).map(|i| offset(u64::MAX, config.seed, i));
        let datasets = sources.into_iter().map(|(dataset, _)| dataset).zip(seeds).collect();
        let loader = Self::build(datasets, Some(schedule), config)?;
        for source in &loader.sources {
            if source.plan.num_rows() == 0 {
                let limit = format!(
                    "the {} tokens of one source of the mixture fill no row; lower seq_len, add \
                     text, or pass drop_last=False",
                    source.dataset.num_tokens()
                );
                return Err(Error::argument("seq_len", loader.config.seq_len, limit));
            }
        }
        Ok(loader)
    }

    fn build(
        datasets: Vec<(Arc<Dataset>, u64)>,
        schedule: Option<Schedule>,
        config: LoaderConfig,
    ) -> Result<Self> {
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
        let bytes = (batch_size / world_size)
            .checked_mul(u64::from(seq_len))
            .and_then(|targets| targets.checked_mul(4 * 8))
            .filter(|&bytes| bytes <= isize::MAX as u64);
        if bytes.is_none() {
            let limit = format!("times seq_len = {seq_len} is more memory than can be addressed");
            return Err(Error::argument("batch_size", batch_size, limit));
        }
        let mut sources = Vec::with_capacity(datasets.len());
        for (dataset, seed) in datasets {
            check_width(&dataset, &config)?;
            let plan = Plan::new(&dataset, config.packing, seq_len, !config.drop_last)?;
            sources.push(Source { dataset, plan, seed });
        }
        Ok(Self { sources, schedule, config })
    }

    /// T, the targets of a row.
    pub fn seq_len(&self) -> usize {
        self.config.seq_len as usize
    }

    /// The configuration.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The number of rows of an epoch, over all batches and ranks.
    pub fn num_rows(&self) -> u64 {
        self.sources.iter().map(|source| source.plan.num_rows()).sum()
    }

    /// The number of rows of an epoch of each source.
    pub fn source_rows(&self) -> Vec<u64> {
        self.sources.iter().map(|source| source.plan.num_rows()).collect()
    }

    /// How many rows of each source come before the batch at `step`.
    pub fn rows_before(&self, step: u64) -> Vec<u64> {
        match &self.schedule {
            Some(schedule) => schedule.counts(step.saturating_mul(self.config.batch_size)),
            None => {
                let (epochs, batches) = (step / self.num_batches(), step % self.num_batches());
                let whole = self.num_rows().min(self.num_batches() * self.config.batch_size);
                vec![epochs * whole + batches * self.config.batch_size]
            }
        }
    }

    /// The number of batches of an epoch; at least 1.
    pub fn num_batches(&self) -> u64 {
        let (rows, size) = (self.num_rows(), self.config.batch_size);
        let batches = if self.config.drop_last { rows / size } else { rows.div_ceil(size) };
        batches.max(1)
    }

    /// How many rows of the batch at `step` are this rank's. The last batch of an epoch of one
    /// dataset may have fewer than the others when `drop_last` is false.
    pub fn rows_at(&self, step: u64) -> usize {
        let LoaderConfig { batch_size, rank, world_size, .. } = self.config;
        let rows = match self.schedule {
            Some(_) => batch_size,
            None => batch_size.min(self.num_rows() - step % self.num_batches() * batch_size),
        };
        rows.saturating_sub(rank).div_ceil(world_size) as usize
    }

    /// Inputs and targets, and document ids and positions if they were asked for.
    pub fn num_arrays(&self) -> usize {
        if self.config.documents { 4 } else { 2 }
    }

    /// The bytes of this rank's part of the batch at `step`.
    pub fn num_bytes(&self, step: u64) -> usize {
        self.num_arrays() * self.rows_at(step) * self.seq_len() * self.config.width.num_bytes()
    }

    /// Writes this rank's rows of the batch at `step`, counted from the first batch of epoch 0, into
    /// `out`, which is aligned for its numbers: inputs, targets, document ids and positions,
    /// rows × T values each.
    pub fn fill(&self, step: u64, out: &mut [u8]) -> Result<()> {
        let expected = self.num_bytes(step);
        if out.len() != expected {
            let limit = format!("must be {expected} bytes, the arrays of this batch");
            return Err(Error::argument("len(out)", out.len(), limit));
        }
        match self.config.width {
            Width::I64 => self.fill_as::<i64>(step, out),
            Width::I32 => self.fill_as::<i32>(step, out),
            Width::U16 => self.fill_as::<u16>(step, out),
        }
    }

    fn fill_as<T: Value>(&self, step: u64, out: &mut [u8]) -> Result<()> {
        let out = bytemuck::try_cast_slice_mut::<u8, T>(out)
            .map_err(|e| Error::Internal(format!("the memory of a batch: {e}")))?;
        let mut batch = Rows::new(out, self.config.documents);
        let LoaderConfig { batch_size, seed, rank, world_size, shuffle, .. } = self.config;
        let within = (self.schedule.is_some() && shuffle)
            .then(|| Permutation::new(batch_size, seed, u64::MAX - step));
        let mut epochs: Vec<Option<Epoch>> = self.sources.iter().map(|_| None).collect();
        let mut runs: Vec<Run<'_>> = Vec::with_capacity(self.rows_at(step));
        for i in 0..self.rows_at(step) {
            let of_batch = rank + i as u64 * world_size;
            let (source, epoch, row) = match &self.schedule {
                None => {
                    let first = step % self.num_batches() * batch_size;
                    (0, step / self.num_batches(), first + of_batch)
                }
                Some(schedule) => {
                    let of_batch = within.as_ref().map_or(of_batch, |order| order.at(of_batch));
                    let row = step.checked_mul(batch_size).and_then(|n| n.checked_add(of_batch));
                    let row = row.filter(|&row| row < u64::MAX).ok_or_else(|| {
                        Error::argument("step", step, "the mixture has fewer than 2^64 rows")
                    })?;
                    let (source, nth) = schedule.row(row);
                    let rows = self.sources[source].plan.num_rows();
                    (source, nth / rows, nth % rows)
                }
            };
            let place = &mut epochs[source];
            let source = &self.sources[source];
            if place.as_ref().is_none_or(|known| known.number != epoch) {
                *place = Some(source.epoch(epoch, shuffle));
            }
            let Some(epoch) = place else { continue };
            let row = epoch.order.as_ref().map_or(row, |order| order.at(row));
            source.plan.row(row, epoch.cut, &mut |targets| {
                runs.push(Run { row: i, dataset: &source.dataset, targets });
            });
        }
        self.write(&runs, &mut batch)
    }

    /// Writes the runs, which are sorted by row. All places are known before the first is read, so
    /// that memory can be asked for two rows ahead: else each row waits for its first line.
    fn write<T: Value>(&self, runs: &[Run<'_>], batch: &mut Rows<'_, T>) -> Result<()> {
        let mut ahead = runs.iter();
        for run in ahead.by_ref().take(AHEAD) {
            run.dataset.prefetch(&run.targets);
        }
        for row in runs.chunk_by(|a, b| a.row == b.row) {
            let (mut at, end) = (row[0].row * self.seq_len(), (row[0].row + 1) * self.seq_len());
            let mut document = 0;
            for run in row {
                if let Some(next) = ahead.next() {
                    next.dataset.prefetch(&next.targets);
                }
                batch.write(run.dataset, run.targets.clone(), &mut at, &mut document)?;
            }
            let separator = row[0].dataset.manifest().vocabulary.document_separator;
            batch.pad(separator, at..end, document);
        }
        Ok(())
    }
}

fn check_width(dataset: &Dataset, config: &LoaderConfig) -> Result<()> {
    let LoaderConfig { width, documents, seq_len, drop_last, packing, .. } = *config;
    let refuse = |limit: String| {
        let name = format!("{width:?}").replace('I', "int").replace('U', "uint");
        Err(Error::argument("dtype", format!("{name:?}"), limit))
    };
    let vocab_size = dataset.manifest().vocabulary.vocab_size;
    if vocab_size - 1 > width.largest() {
        return refuse(format!("has no place for the ids of {vocab_size} tokens; use \"int64\""));
    }
    if width == Width::U16 && (packing == Packing::BestFit || !drop_last) {
        return refuse(format!(
            "has no place for {IGNORED}, the target of padding; use \"int32\", or \
             packing=\"contiguous\" with drop_last=True, which never pad"
        ));
    }
    if documents && u64::from(seq_len) > width.largest() {
        return refuse(format!(
            "has no place for the positions of {seq_len} tokens; use \"int32\" or documents=False"
        ));
    }
    Ok(())
}
