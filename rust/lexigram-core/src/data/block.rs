//! Memory of batches that is used again when nobody holds it any more.
//!
//! A system that hands out fresh pages for every batch clears each of them first, which takes longer
//! than filling them. Invariant: a block is in the pool or with one owner, never both.

use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};

use super::ahead::Memory;

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

    /// A block of so many bytes, whatever they say.
    pub fn take(&self, num_bytes: usize) -> Block {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = num_bytes.div_ceil(64);
        let fits = free.iter().position(|block| block.lines.len() >= lines);
        if let Some(mut block) = fits.map(|at| free.swap_remove(at)) {
            block.num_bytes = num_bytes;
            return block;
        }
        drop(free);
        Block { lines: vec![Line::zeroed(); lines], num_bytes }
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
        let (mut a, mut b) = (pool.take(100), pool.take(100));
        assert_eq!(a.bytes().as_ptr() as usize % 64, 0);
        a.bytes().fill(1);
        b.bytes().fill(2);
        assert!(a.bytes().iter().all(|&byte| byte == 1) && a.bytes().len() == 100);
        let at = a.bytes().as_ptr();
        pool.give(a);
        let mut again = pool.take(64);
        assert_eq!((again.bytes().as_ptr(), again.bytes().len()), (at, 64));
        assert_ne!(pool.take(64).bytes().as_ptr(), at, "it is in use");
        pool.give(again);
        assert_ne!(pool.take(129).bytes().as_ptr(), at, "it is too small");
        for block in [b, pool.take(1), pool.take(1)] {
            pool.give(block);
        }
        assert_eq!(pool.free.lock().unwrap().len(), 2);
    }
}
