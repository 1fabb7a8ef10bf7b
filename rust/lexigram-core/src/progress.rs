//! How long work reports what it has done, and how it is told to stop.
//!
//! Invariant: `report` is called only from the thread that called into the core, never from a
//! worker, so that an implementation may touch thread-bound state (Python's signals, a terminal).

use crate::Result;

/// Receives progress; may end the work by returning an error.
pub trait Progress {
    /// `done` of `total` units are finished (bytes, tokens or merges, as the caller documents);
    /// `total` is 0 where it is not known. `Err(Error::Interrupted)` stops the work, and whatever
    /// was half-done is discarded.
    fn report(&self, done: u64, total: u64) -> Result<()>;
}

/// Reports nothing and never interrupts.
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) -> Result<()> {
        Ok(())
    }
}
