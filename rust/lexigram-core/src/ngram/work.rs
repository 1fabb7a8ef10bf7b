//! How long work is cut up: pieces run in parallel inside a batch, and between batches the
//! calling thread reports what is done and may be told to stop.

use rayon::prelude::*;

use crate::progress::Progress;
use crate::{Error, Result};

/// About how many elements one piece holds: a few milliseconds of work.
pub(super) const PIECE: usize = 1 << 16;

/// The pool that work runs on: rayon's own, or one of a given size.
pub(super) struct Threads(Option<rayon::ThreadPool>);

impl Threads {
    pub fn new(num_threads: Option<usize>) -> Result<Self> {
        let Some(number) = num_threads else { return Ok(Self(None)) };
        Self::check(num_threads)?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(number).build();
        pool.map(|pool| Self(Some(pool))).map_err(|e| {
            Error::argument("num_threads", number, format!("cannot start them: {e}; use fewer"))
        })
    }

    /// Whether there can be so many.
    pub fn check(num_threads: Option<usize>) -> Result<()> {
        match num_threads {
            Some(number) if !(1..=1024).contains(&number) => {
                Err(Error::argument("num_threads", number, "use 1 to 1024"))
            }
            _ => Ok(()),
        }
    }

    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Runs stages of work and reports them.
pub(super) struct Meter<'a> {
    progress: &'a dyn Progress,
    threads: &'a Threads,
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub fn new(progress: &'a dyn Progress, threads: &'a Threads, total: u64) -> Self {
        Self { progress, threads, done: 0, total }
    }

    /// Runs `work` on the pool, without a report.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.run(work)
    }

    /// A stage without pieces is done.
    pub fn advance(&mut self, units: u64) -> Result<()> {
        self.done += units;
        self.progress.report(self.done, self.total)
    }

    /// Runs `work` on every item and returns the results in order. The stage is worth `units` of
    /// the total, shared equally among its items.
    pub fn stage<I: Send, O: Send>(
        &mut self,
        units: u64,
        items: Vec<I>,
        work: impl Fn(I) -> O + Sync + Send,
    ) -> Result<Vec<O>> {
        let number = items.len().max(1) as u64;
        let batch = self.threads.run(rayon::current_num_threads) * 8;
        let mut results = Vec::with_capacity(items.len());
        let mut items = items.into_iter();
        loop {
            let now: Vec<I> = items.by_ref().take(batch).collect();
            if now.is_empty() {
                break;
            }
            results.extend(self.threads.run(|| now.into_par_iter().map(&work).collect::<Vec<O>>()));
            let done = self.done + units * results.len() as u64 / number;
            self.progress.report(done, self.total)?;
        }
        self.done += units;
        Ok(results)
    }
}

/// Cuts groups into ranges of about [`PIECE`] members. Group i has its members from `starts[i]`;
/// `starts` never falls and has one entry more than there are groups.
pub(super) fn pieces(starts: &[u32]) -> Vec<std::ops::Range<usize>> {
    let groups = starts.len() - 1;
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < groups {
        let target = starts[from] as usize + PIECE;
        let within = starts[from + 1..groups].partition_point(|&start| (start as usize) < target);
        // An empty group costs too: a piece is bounded in groups as well.
        let to = (from + 1 + within).min(from + PIECE);
        ranges.push(from..to);
        from = to;
    }
    ranges
}

/// Splits `values` at the given member positions, which never fall and end at its length.
pub(super) fn split_mut<'v, T>(mut values: &'v mut [T], ends: &[usize]) -> Vec<&'v mut [T]> {
    let mut parts = Vec::with_capacity(ends.len());
    let mut begin = 0;
    for &end in ends {
        let (part, rest) = values.split_at_mut(end - begin);
        parts.push(part);
        values = rest;
        begin = end;
    }
    parts
}
