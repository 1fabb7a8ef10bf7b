//! Long arrays, in memory or, under a memory limit, in temporary files.
//!
//! A file has no name (or loses it at once), so that it goes with the process. It is mapped when
//! it is read: the system keeps as much of it in memory as is free, and drops the rest.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;

use crate::{Error, Result};

/// Where columns lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory.
    Memory,
    /// In files of the system's folder for temporary ones.
    Files,
}

/// An array that is complete.
#[derive(Debug)]
pub enum Column<T> {
    /// In memory.
    Memory(Vec<T>),
    /// In a file.
    File(MmapMut),
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl<T: Pod> Column<T> {
    /// So many zeros.
    pub fn zeroed(length: usize, place: Place) -> Result<Self> {
        if place == Place::Memory || length == 0 {
            return Ok(Self::Memory(vec![T::zeroed(); length]));
        }
        let file = temporary()?;
        file.set_len((length * size_of::<T>()) as u64).map_err(failed)?;
        map(&file).map(Self::File)
    }

    /// The array in memory.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Memory(values) => values,
            Self::File(_) => self.to_vec(),
        }
    }

    /// Lets the system take back the memory that a file's pages are in.
    pub fn release(&self) {
        #[cfg(target_os = "linux")]
        if let Self::File(map) = self {
            release_pages(map);
        }
    }
}

/// The pages of a shared file map stay in the file; only this process's view of them goes.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn release_pages(map: &MmapMut) {
    // SAFETY: the map is shared and backed by a file that nothing else truncates, so pages that are
    // dropped are read again from it, as they were written.
    unsafe { libc::madvise(map.as_ptr() as *mut libc::c_void, map.len(), libc::MADV_DONTNEED) };
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Memory(values) => values,
            Self::File(map) => bytemuck::cast_slice(map),
        }
    }
}

impl<T: Pod> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Memory(values) => values,
            Self::File(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

/// An array that grows at its end.
#[derive(Debug)]
pub enum ColumnWriter<T> {
    /// In memory.
    Memory(Vec<T>),
    /// In a file, but for the last value, which may still change.
    File {
        /// What is written.
        file: BufWriter<File>,
        /// The last value.
        last: Option<T>,
        /// How many values there are.
        length: usize,
    },
}

impl<T: Pod> ColumnWriter<T> {
    /// An empty array.
    pub fn new(place: Place) -> Result<Self> {
        Ok(match place {
            Place::Memory => Self::Memory(Vec::new()),
            Place::Files => {
                let file = BufWriter::with_capacity(1 << 18, temporary()?);
                Self::File { file, last: None, length: 0 }
            }
        })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(values) => values.len(),
            Self::File { length, .. } => *length,
        }
    }

    /// The last value.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Memory(values) => values.last_mut(),
            Self::File { last, .. } => last.as_mut(),
        }
    }

    /// Appends values.
    pub fn extend(&mut self, values: &[T]) -> Result<()> {
        match self {
            Self::Memory(all) => all.extend_from_slice(values),
            Self::File { file, last, length } => {
                let Some((newest, before)) = values.split_last() else { return Ok(()) };
                if let Some(value) = last.replace(*newest) {
                    file.write_all(bytemuck::bytes_of(&value)).map_err(failed)?;
                }
                file.write_all(bytemuck::cast_slice(before)).map_err(failed)?;
                *length += values.len();
            }
        }
        Ok(())
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) -> Result<()> {
        match self {
            Self::Memory(all) => all.push(value),
            Self::File { .. } => return self.extend(&[value]),
        }
        Ok(())
    }

    /// The array as it is now.
    pub fn finish(self) -> Result<Column<T>> {
        match self {
            Self::Memory(mut values) => {
                values.shrink_to_fit();
                Ok(Column::Memory(values))
            }
            Self::File { mut file, last, .. } => {
                let Some(last) = last else { return Ok(Column::default()) };
                file.write_all(bytemuck::bytes_of(&last)).map_err(failed)?;
                let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
                map(&file).map(Column::File)
            }
        }
    }
}

fn temporary() -> Result<File> {
    tempfile::tempfile().map_err(failed)
}

#[allow(unsafe_code)]
fn map(file: &File) -> Result<MmapMut> {
    // SAFETY: the file has no name, so no other process can change or truncate it.
    unsafe { MmapMut::map_mut(file) }.map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::io("write a temporary file in", &std::env::temp_dir(), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_hold_what_was_written() {
        for place in [Place::Memory, Place::Files] {
            let mut writer = ColumnWriter::<u32>::new(place).unwrap();
            assert_eq!((writer.len(), writer.last_mut()), (0, None));
            writer.extend(&[]).unwrap();
            writer.extend(&[1, 2, 3]).unwrap();
            *writer.last_mut().unwrap() += 10;
            writer.push(4).unwrap();
            writer.extend(&[5]).unwrap();
            assert_eq!(writer.len(), 5);
            let column = writer.finish().unwrap();
            column.release();
            assert_eq!(&column[..], [1, 2, 13, 4, 5]);
            assert_eq!(column.into_vec(), [1, 2, 13, 4, 5]);
            assert!(ColumnWriter::<u32>::new(place).unwrap().finish().unwrap().is_empty());
            let mut zeros = Column::<u64>::zeroed(1000, place).unwrap();
            assert!(zeros.iter().all(|&value| value == 0));
            zeros[999] = 7;
            zeros.release();
            assert_eq!((zeros[998], zeros[999]), (0, 7));
            assert!(Column::<u8>::zeroed(0, place).unwrap().is_empty());
        }
    }
}
