//! Batches made by threads before they are asked for.
//!
//! The caller hands in jobs, each a step with memory for its batch, and takes them back filled, in
//! any order. Invariants: a job's memory is touched by one thread at a time; an error, or a panic,
//! comes back as the outcome of its own job; dropping ends the threads after the jobs in hand.
//!
//! A process that was forked has no threads but the one that forked, and locks may be held for ever
//! by those that are gone. In it an [`Ahead`] of its parent may only be dropped, which then
//! leaves everything as it is.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::loader::Loader;
use crate::{Error, Result};

/// Memory of a batch; has the bytes that the loader asks for.
pub trait Memory: Send + 'static {
    /// The bytes to fill, aligned for the loader's numbers.
    fn bytes(&mut self) -> &mut [u8];
}

/// Threads that fill batches.
#[derive(Debug)]
pub struct Ahead<M> {
    shared: Arc<Shared<M>>,
    threads: Vec<JoinHandle<()>>,
    process: u32,
}

#[derive(Debug)]
struct Shared<M> {
    loader: Arc<Loader>,
    queue: Mutex<Queue<M>>,
    submitted: Condvar,
    finished: Condvar,
}

#[derive(Debug)]
struct Queue<M> {
    waiting: VecDeque<(u64, u64, M)>,
    done: HashMap<u64, (M, Result<()>)>,
    /// Jobs of an earlier generation were cancelled.
    generation: u64,
    /// Memory of cancelled jobs that were in hand: left for the caller to drop, which may need
    /// locks that no thread of ours may hold while the process forks.
    stale: Vec<M>,
    stop: bool,
}

impl<M> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Memory> Ahead<M> {
    /// Starts `num_threads` threads.
    pub fn new(loader: Arc<Loader>, num_threads: usize) -> Result<Self> {
        let queue = Queue {
            waiting: VecDeque::new(),
            done: HashMap::new(),
            generation: 0,
            stale: Vec::new(),
            stop: false,
        };
        let shared = Arc::new(Shared {
            loader,
            queue: Mutex::new(queue),
            submitted: Condvar::new(),
            finished: Condvar::new(),
        });
        let mut ahead = Self { shared, threads: Vec::new(), process: std::process::id() };
        for i in 0..num_threads {
            let shared = Arc::clone(&ahead.shared);
            let thread = thread::Builder::new().name(format!("lexigram-batches-{i}"));
            let thread = thread.spawn(move || work(&shared)).map_err(|e| {
                let limit = format!("could not start a thread: {e}; lower prefetch");
                Error::argument("prefetch", num_threads, limit)
            })?;
            ahead.threads.push(thread);
        }
        Ok(ahead)
    }

    /// Hands in a job.
    pub fn submit(&self, step: u64, memory: M) {
        let mut queue = self.shared.lock();
        let generation = queue.generation;
        queue.waiting.push_back((generation, step, memory));
        let stale = std::mem::take(&mut queue.stale);
        drop(queue);
        drop(stale);
        self.shared.submitted.notify_one();
    }

    /// Waits for a job at most so long; what it made, and whether that went well. A step that was
    /// not handed in never comes.
    pub fn take(&self, step: u64, patience: Duration) -> Option<(M, Result<()>)> {
        let queue = self.shared.lock();
        let waited = self
            .shared
            .finished
            .wait_timeout_while(queue, patience, |queue| !queue.done.contains_key(&step));
        waited.unwrap_or_else(PoisonError::into_inner).0.done.remove(&step)
    }

    /// Forgets all jobs.
    pub fn cancel(&self) {
        let mut queue = self.shared.lock();
        queue.generation += 1;
        let old = (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.done));
        drop(queue);
        drop(old);
    }
}

fn work<M: Memory>(shared: &Shared<M>) {
    let mut queue = shared.lock();
    loop {
        if queue.stop {
            return;
        }
        let Some((generation, step, mut memory)) = queue.waiting.pop_front() else {
            queue = shared.submitted.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(queue);
        let fill = || shared.loader.fill(step, memory.bytes());
        let outcome = catch_unwind(AssertUnwindSafe(fill)).unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<String>().cloned();
            let what = what.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(Error::Internal(what.unwrap_or_else(|| "panic".to_owned())))
        });
        queue = shared.lock();
        if generation == queue.generation {
            queue.done.insert(step, (memory, outcome));
            shared.finished.notify_all();
        } else {
            queue.stale.push(memory);
        }
    }
}

impl<M> Drop for Ahead<M> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget((Arc::clone(&self.shared), std::mem::take(&mut self.threads)));
            return;
        }
        self.shared.lock().stop = true;
        self.shared.submitted.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
