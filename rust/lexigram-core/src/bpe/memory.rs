//! Memory of tables and of output: zeroed, in huge pages where the system has them, made once.
//!
//! A probe of a table of megabytes misses the translation cache of 4 KiB pages nearly always. The
//! advice is given before the memory is first touched; a system that does not know it ignores it.

use std::marker::PhantomData;
use std::sync::OnceLock;

use bytemuck::Pod;
use memmap2::MmapMut;

const HUGE: usize = 2 << 20;

/// `length` zeroed values.
#[derive(Debug)]
pub struct Zeroed<T> {
    store: Store<T>,
    start: usize,
    bytes: usize,
    kind: PhantomData<T>,
}

#[derive(Debug)]
enum Store<T> {
    Heap(Vec<T>),
    Map(MmapMut),
}

impl<T: Pod> Zeroed<T> {
    /// All bytes of the values are 0.
    pub fn new(length: usize) -> Self {
        let bytes = length * size_of::<T>();
        let mapped = if bytes >= HUGE { MmapMut::map_anon(bytes + HUGE).ok() } else { None };
        let Some(map) = mapped else {
            let store = Store::Heap(vec![T::zeroed(); length]);
            return Self { store, start: 0, bytes, kind: PhantomData };
        };
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let start = map.as_ptr().align_offset(HUGE).min(HUGE);
        Self { store: Store::Map(map), start, bytes, kind: PhantomData }
    }

    /// The values.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        match &self.store {
            Store::Heap(values) => values,
            Store::Map(map) => bytemuck::cast_slice(&map[self.start..self.start + self.bytes]),
        }
    }

    /// The values, to be changed.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        match &mut self.store {
            Store::Heap(values) => values,
            Store::Map(map) => {
                bytemuck::cast_slice_mut(&mut map[self.start..self.start + self.bytes])
            }
        }
    }
}

impl<T: Pod> Clone for Zeroed<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.as_slice().len());
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl<T: Pod + PartialEq> PartialEq for Zeroed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Pod + Eq> Eq for Zeroed<T> {}

/// The value of a cell, made first if it is not there. Threads that come at the same time may each
/// make it, and one is kept: nothing waits while it is made, so a process that is forked meanwhile
/// has no lock that only a thread of its parent could open.
pub fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    cell.get().unwrap_or_else(|| {
        let made = make();
        cell.get_or_init(|| made)
    })
}

/// An empty vector with room for `capacity` ids. Output of megabytes is written once, from front to
/// back: on small pages, a good part of the time would go into their first touch.
pub fn output(capacity: usize) -> Vec<u32> {
    let mut ids = Vec::with_capacity(capacity);
    advise_huge(ids.spare_capacity_mut());
    ids
}

/// Asks for huge pages where they lie within `memory`. What it holds does not change.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn advise_huge<T>(memory: &mut [T]) {
    let start = memory.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(HUGE);
    let bytes = size_of_val(memory).saturating_sub(skip) / HUGE * HUGE;
    if bytes > 0 {
        // SAFETY: the range is within the memory borrowed; the advice changes how it is mapped, not
        // what it holds, and may fail.
        unsafe { libc::madvise(start.add(skip).cast(), bytes, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn advise_huge<T>(_: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_nothing() {
        for length in [0, 1000, HUGE, 3 * HUGE / 4 + 5] {
            let mut ids = output(length);
            ids.extend(0..length as u32);
            assert!(ids.capacity() >= length && ids.iter().zip(0..).all(|(&id, i)| id == i));
        }
    }

    #[test]
    fn small_and_large_are_zero_and_keep_what_is_written() {
        for length in [0, 1, 1000, (HUGE / 16) - 1, HUGE / 16, HUGE / 4 + 3] {
            let mut memory = Zeroed::<u128>::new(length);
            assert_eq!(memory.as_slice().len(), length);
            assert!(memory.as_slice().iter().all(|&value| value == 0));
            memory.as_mut_slice().iter_mut().enumerate().for_each(|(i, value)| *value = i as u128);
            assert!(memory.as_slice().iter().enumerate().all(|(i, &value)| value == i as u128));
        }
    }
}
