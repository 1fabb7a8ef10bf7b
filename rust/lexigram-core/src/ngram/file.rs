//! The model file: a container of kind "NGRM" (see [`crate::format`]), used where it is mapped.
//!
//! `docs/formats.md` lists the sections; [`file_header`](super::file_header) is the header. [`Model::load`] reads the
//! container's header and ours, each under its own checksum, and sees that every section has the
//! length that the header implies: work that does not grow with the model. Nothing else is trusted
//! either, but checked where it is used ([`storage`](super::storage)), so a file that is not what
//! it says gives wrong numbers at worst; [`Model::verify`] reads it all and finds out.

use std::path::Path;
use std::sync::OnceLock;

use super::MAX_ORDER;
use super::bits::{Ints, int_bytes, packed_bytes};
use super::copied::Copied;
use super::file_header::{Shape, parse};
use super::line::Line;
use super::model::{Description, LevelView, Model, Storage};
use super::quantize::Quantized;
use super::storage::{BLOCK, NO_LEVEL, Values, word_width};
use super::words::Words;
use crate::format::{FileWriter, MappedFile};
use crate::{Error, Result};

const KIND: [u8; 4] = *b"NGRM";
const VERSION: u32 = 2;
/// The sections that hold the levels, one after the other.
pub(super) const SECTIONS: [&str; 8] =
    ["words", "samples", "lines", "long", "rare", "weights", "logprobs", "codebook"];

/// A model's file, and where in it the levels lie.
#[derive(Debug)]
pub(super) struct ModelFile {
    file: MappedFile,
    description: Description,
    shapes: Vec<Shape>,
    quantized: bool,
    copy: Option<Copied>,
}

impl Model {
    /// Writes the model to `path` in one step. With `quantize`, a number of bits from 2 to 16, each
    /// log-probability becomes the nearest of 2^bits values of its order, and so do the weights if
    /// the bits are at most 8; those of order 1 stay as they are.
    pub fn save(&self, path: &Path, quantize: Option<u32>) -> Result<()> {
        match quantize {
            None => self.write(path, &self.levels()[..self.order()], self.quantized),
            Some(bits) => {
                let levels = &self.levels()[..self.order()];
                let quantized = Quantized::new(levels, bits)?;
                let levels: Vec<LevelView<'_>> =
                    levels.iter().zip(&quantized.levels).map(|(l, q)| q.view(l)).collect();
                self.write(path, &levels, Some(bits))
            }
        }
    }

    fn write(&self, path: &Path, levels: &[LevelView<'_>], quantized: Option<u32>) -> Result<()> {
        let words = self.words()?;
        let sections = SECTIONS.len() + 2 + usize::from(words.is_some());
        let mut file = FileWriter::create(path, KIND, VERSION, sections)?;
        file.section("header")?;
        file.write_slice(&self.header(levels, quantized))?;
        for tag in SECTIONS {
            file.section(tag)?;
            levels.iter().try_for_each(|level| file.write(part(level, tag)))?;
        }
        file.section("tokenizer")?;
        file.write(self.tokenizer().unwrap_or_default().as_bytes())?;
        if let Some(words) = words {
            file.section("vocabulary")?;
            file.write(&words.to_lines())?;
        }
        file.finish()
    }

    /// Opens a file that [`Model::save`] wrote, in a time that does not depend on its size.
    pub fn load(path: &Path) -> Result<Self> {
        Self::open(path, false)
    }

    /// The same, with the levels copied into memory in huge pages where the system has them: it
    /// takes as long as reading the file, and scores come several times as fast.
    pub fn load_into_memory(path: &Path) -> Result<Self> {
        Self::open(path, true)
    }

    fn open(path: &Path, copy: bool) -> Result<Self> {
        let file = MappedFile::open(path, KIND, VERSION)?;
        let corrupt = |what: String| file.corrupt(what);
        let (description, shapes, flags) = parse(file.slice("header")?).map_err(&corrupt)?;
        let tokenizer = std::str::from_utf8(file.section("tokenizer")?)
            .map_err(|_| corrupt("its tokenizer is not UTF-8".into()))?;
        let tokenizer = (!tokenizer.is_empty()).then(|| tokenizer.to_owned());
        let (suffixes, quantized) = (flags.suffixes, flags.quantized);
        let copy = if copy { Some(Copied::new(&file)?) } else { None };
        let file = ModelFile {
            file,
            copy,
            description: description.clone(),
            shapes,
            quantized: quantized.is_some(),
        };
        file.cut()?;
        let storage = Storage::File(Box::new(file));
        let (words, roots) = (OnceLock::new(), OnceLock::new());
        Ok(Self { description, storage, tokenizer, words, suffixes, quantized, roots })
    }

    /// The words of a word model, read when they are first asked for.
    pub fn words(&self) -> Result<Option<&Words>> {
        if let Some(words) = self.words.get() {
            return Ok(Some(words));
        }
        let Storage::File(file) = &self.storage else { return Ok(None) };
        let file = &file.file;
        let Ok(lines) = file.section("vocabulary") else { return Ok(None) };
        let words = Words::from_lines(lines).map_err(|what| file.corrupt(what))?;
        let separator = Some(super::words::SENTENCE_END);
        if words.len() != self.vocab_size() || self.document_separator() != separator {
            return Err(file.corrupt("its vocabulary is not that of its header"));
        }
        Ok(Some(self.words.get_or_init(|| words)))
    }

    /// Reads the whole file and compares all checksums, then checks that the levels make a trie of
    /// sorted ids with usable numbers. A model in memory has no file and passes the second check.
    pub fn verify(&self) -> Result<()> {
        if let Storage::File(file) = &self.storage {
            file.file.verify()?;
        }
        self.words()?;
        self.check_levels()
    }

    /// Whether the levels make a trie of sorted ids with usable numbers: whoever walks all of it
    /// asks first, since a file is opened without reading its levels. A model in memory was made
    /// here and is not looked at.
    pub(super) fn check_file(&self) -> Result<()> {
        match self.storage {
            Storage::File(_) => self.check_levels(),
            Storage::Memory(_) => Ok(()),
        }
    }

    fn check_levels(&self) -> Result<()> {
        super::check::check(&self.levels()[..self.order()], self.vocab_size())
            .map_err(|what| self.damaged(what))
    }

    /// The error for levels that cannot be.
    pub(super) fn damaged(&self, what: String) -> Error {
        match &self.storage {
            Storage::File(file) => file.file.corrupt(what),
            Storage::Memory(_) => Error::Internal(what),
        }
    }
}

/// The bytes of a level's part of a section.
fn part<'a>(level: &LevelView<'a>, tag: &str) -> &'a [u8] {
    match tag {
        "words" => level.words.map_or(&[], |words| words.bytes()),
        "samples" => level.samples.bytes(),
        "lines" => bytemuck::cast_slice(level.lines),
        "long" => bytemuck::cast_slice(level.long),
        "rare" => bytemuck::cast_slice(level.rare),
        "weights" if level.lines.is_empty() => &[],
        "weights" => bytemuck::cast_slice(level.backoffs),
        "logprobs" => match level.values {
            Values::Plain(values) => bytemuck::cast_slice(values),
            Values::Offset { codes, .. } | Values::Coded { codes, .. } => codes.bytes(),
        },
        _ => match level.values {
            Values::Coded { table, .. } => bytemuck::cast_slice(table),
            _ => &[],
        },
    }
}

impl ModelFile {
    /// The levels; [`Model::load`] has seen that they are there.
    pub fn levels(&self) -> [LevelView<'_>; MAX_ORDER] {
        self.cut().unwrap_or([NO_LEVEL; MAX_ORDER])
    }

    /// Cuts the sections into levels.
    fn cut(&self) -> Result<[LevelView<'_>; MAX_ORDER]> {
        let mut sections = [Section { tag: "", rest: &[] }; SECTIONS.len()];
        for (i, tag) in SECTIONS.into_iter().enumerate() {
            let rest = match &self.copy {
                Some(copy) => copy.section(i),
                None => self.file.section(tag)?,
            };
            sections[i] = Section { tag, rest };
        }
        let wrong = |what: String| self.file.corrupt(what);
        let mut levels = [NO_LEVEL; MAX_ORDER];
        for order in 1..=self.description.order {
            levels[order - 1] = self.cut_level(order, &mut sections).map_err(wrong)?;
        }
        match sections.iter().find(|section| !section.rest.is_empty()) {
            None => Ok(levels),
            Some(section) => Err(wrong(section.wrong("longer"))),
        }
    }

    fn cut_level<'f>(
        &'f self,
        order: usize,
        sections: &mut [Section<'f>; SECTIONS.len()],
    ) -> Result<LevelView<'f>, String> {
        let shape = self.shapes[order - 1];
        let nodes = self.description.num_nodes(order);
        let (first, last) = (order == 1, order == self.description.order);
        let width = word_width(self.description.vocab_size);
        let [words, samples, lines, long, rare, weights, logprobs, codebook] = sections;
        let blocks = nodes.div_ceil(BLOCK as u64);
        let with_lines = if last { 0 } else { blocks };
        let nodes_below = if last { 0 } else { self.description.num_nodes(order + 1) as u32 };
        let words = words.take(if first { Some(0) } else { int_bytes(nodes, width, BLOCK) })?;
        let sampled = if first { 0 } else { blocks };
        let samples = samples.take(int_bytes(sampled, width, 1))?;
        let ints = |bytes| Ints::from_bytes(bytes, width).ok_or("words are not aligned");
        let values = match (shape.width, self.quantized && !first) {
            (32, _) => Values::Plain(logprobs.slice(nodes, 4)?),
            (width, coded) => {
                let bytes = logprobs.take(packed_or_narrow(nodes, width))?;
                let codes = Ints::from_bytes(bytes, width).ok_or("values are not aligned")?;
                match coded {
                    false => Values::Offset { base: shape.base, codes },
                    true => Values::Coded { table: codebook.slice(shape.base.into(), 4)?, codes },
                }
            }
        };
        Ok(LevelView {
            nodes: nodes as usize,
            nodes_below,
            words: if first { None } else { Some(ints(words)?) },
            samples: ints(samples)?,
            values,
            lines: lines.slice(with_lines, size_of::<Line>())?,
            long: long.slice(shape.long, 4)?,
            rare: rare.slice(shape.rare, 4)?,
            backoffs: weights
                .slice::<[f32; 256]>(u64::from(with_lines > 0), 1024)?
                .first()
                .unwrap_or(NO_LEVEL.backoffs),
        })
    }
}

/// The bytes of a level's codes.
pub(super) fn packed_or_narrow(nodes: u64, width: u32) -> Option<u64> {
    if width == 16 { int_bytes(nodes, 16, 4) } else { packed_bytes(nodes, width) }
}

/// What is left of a section.
#[derive(Clone, Copy)]
struct Section<'f> {
    tag: &'static str,
    rest: &'f [u8],
}

impl<'f> Section<'f> {
    fn take(&mut self, bytes: Option<u64>) -> Result<&'f [u8], String> {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let cut = bytes.and_then(|bytes| self.rest.split_at_checked(bytes));
        let (taken, rest) = cut.ok_or_else(|| self.wrong("shorter"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn slice<T: bytemuck::AnyBitPattern>(
        &mut self,
        number: u64,
        size: usize,
    ) -> Result<&'f [T], String> {
        let bytes = self.take(number.checked_mul(size as u64))?;
        bytemuck::try_cast_slice(bytes).map_err(|_| self.wrong("less aligned"))
    }

    fn wrong(&self, how: &str) -> String {
        format!("section {:?} is {how} than the header says", self.tag)
    }
}
