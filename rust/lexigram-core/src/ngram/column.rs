//! Long arrays, in memory or, under a memory limit, in temporary files.
//!
//! A file has no name (or loses it at once), so that it goes with the process. It is mapped when
//! it is read: the system keeps as much of it in memory as is free, and drops the rest.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::MmapMut;

use crate::format::MappedFile;
use crate::{Error, Result};

/// Where columns lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory.
    Memory,
    /// In files of the system's folder for temporary ones.
    Files,
}

/// An array that is complete. A clone is the same array, not a copy.
#[derive(Debug, Clone)]
pub enum Column<T> {
    /// In memory.
    Memory(Arc<Vec<T>>),
    /// In a temporary file.
    File(Arc<MmapMut>),
    /// A range of a section of a saved file.
    Section(Arc<MappedFile>, &'static str, Range<usize>),
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Memory(Arc::new(values))
    }
}

impl<T: Pod> Column<T> {
    /// The array in memory, without a copy if it lies there and this is the last clone.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Memory(values) => Arc::unwrap_or_clone(values),
            _ => self.to_vec(),
        }
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Memory(values) => values,
            Self::File(map) => bytemuck::cast_slice(map),
            Self::Section(file, tag, range) => {
                file.slice(tag).ok().and_then(|all| all.get(range.clone())).unwrap_or_default()
            }
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
                Ok(values.into())
            }
            Self::File { mut file, last, .. } => {
                let Some(last) = last else { return Ok(Column::default()) };
                file.write_all(bytemuck::bytes_of(&last)).map_err(failed)?;
                let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
                Ok(Column::File(Arc::new(map(&file)?)))
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
            assert_eq!(&column[..], [1, 2, 13, 4, 5]);
            assert_eq!(column.into_vec(), [1, 2, 13, 4, 5]);
            assert!(ColumnWriter::<u32>::new(place).unwrap().finish().unwrap().is_empty());
        }
    }
}
