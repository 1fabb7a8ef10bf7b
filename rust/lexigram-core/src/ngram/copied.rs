//! A model file's levels in memory of our own.

use rayon::prelude::*;

use super::file::SECTIONS;
use super::line::Line;
use crate::Result;
use crate::bpe::memory::Zeroed;
use crate::format::MappedFile;

/// The sections of a file in memory of our own: what is read at random is read several times as
/// fast from huge pages, which a mapped file does not have.
#[derive(Debug)]
pub(super) struct Copied {
    memory: Zeroed<Line>,
    /// The first byte and the length of each of [`SECTIONS`].
    places: [(usize, usize); SECTIONS.len()],
}

impl Copied {
    pub fn new(file: &MappedFile) -> Result<Self> {
        const PIECE: usize = 1 << 22;
        let mut places = [(0, 0); SECTIONS.len()];
        let mut end = 0;
        for (place, tag) in places.iter_mut().zip(SECTIONS) {
            *place = (end, file.section(tag)?.len());
            end = (end + place.1).next_multiple_of(size_of::<Line>());
        }
        let mut memory = Zeroed::new(end / size_of::<Line>());
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(memory.as_mut_slice());
        for ((from, length), tag) in places.into_iter().zip(SECTIONS) {
            let source = file.section(tag)?.par_chunks(PIECE);
            let target = bytes[from..from + length].par_chunks_mut(PIECE);
            target.zip(source).for_each(|(target, source)| target.copy_from_slice(source));
        }
        Ok(Self { memory, places })
    }

    /// The bytes of section i of [`SECTIONS`].
    pub fn section(&self, i: usize) -> &[u8] {
        let (from, length) = self.places[i];
        &bytemuck::cast_slice(self.memory.as_slice())[from..from + length]
    }
}
