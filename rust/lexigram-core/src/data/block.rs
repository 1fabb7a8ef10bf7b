//! Memory of batches that is used again when nobody holds it any more.
//!
//! A system that hands out fresh pages for every batch clears each of them first, which takes longer
//! than filling them. Invariant: a block is in the pool or with one owner, never both.

use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};

use super::ahead::Memory;
use crate::{Error, Result};

/// A cache line.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes that begin at a cache line.
#[derive(Debug)]
pub struct Block {
    lines: Vec<Line>,
    num_bytes: usize,
}

impl Block {
    /// New memory of so many bytes.
    pub fn new(num_bytes: usize) -> Result<Self> {
        let mut lines = Vec::new();
        let length = num_bytes.div_ceil(64);
        lines.try_reserve_exact(length).map_err(|_| {
            let limit = "the system has no memory for it; lower batch_size or seq_len";
            Error::argument("a batch of bytes", num_bytes, limit)
        })?;
        lines.resize(length, Line::zeroed());
        Ok(Self { lines, num_bytes })
    }
}

impl Memory for Block {
    fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.num_bytes]
    }
}

/// Blocks that nobody uses.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Vec<Block>>,
    limit: usize,
}

impl Pool {
    /// A pool that keeps so many blocks at most.
    pub fn new(limit: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), limit }
    }

    /// A block of so many bytes, whatever they say, if one is there.
    pub fn take(&self, num_bytes: usize) -> Option<Block> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = num_bytes.div_ceil(64);
        let fits = free.iter().position(|block| block.lines.len() >= lines);
        fits.map(|at| Block { num_bytes, ..free.swap_remove(at) })
    }

    /// Takes a block back.
    pub fn give(&self, block: Block) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.limit {
            free.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_are_never_given_out_twice() {
        let pool = Pool::new(2);
        let (mut a, mut b) = (Block::new(100).unwrap(), Block::new(100).unwrap());
        assert_eq!(a.bytes().as_ptr() as usize % 64, 0);
        a.bytes().fill(1);
        b.bytes().fill(2);
        assert!(a.bytes().iter().all(|&byte| byte == 1) && a.bytes().len() == 100);
        let at = a.bytes().as_ptr();
        pool.give(a);
        let mut again = pool.take(64).unwrap();
        assert_eq!((again.bytes().as_ptr(), again.bytes().len()), (at, 64));
        assert!(pool.take(64).is_none(), "it is in use");
        pool.give(again);
        assert!(pool.take(129).is_none(), "it is too small");
        for block in [b, Block::new(1).unwrap(), Block::new(1).unwrap()] {
            pool.give(block);
        }
        assert_eq!(pool.free.lock().unwrap().len(), 2);
    }

    #[test]
    fn memory_that_no_machine_has_is_an_error() {
        let error = Block::new(isize::MAX as usize).unwrap_err().to_string();
        assert!(error.contains("no memory") && error.contains("lower batch_size"), "{error}");
    }
}
