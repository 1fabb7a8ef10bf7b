//! One shard: a text of ids, its suffix array and the first levels of its suffix tree, in a file.
//!
//! A container ([`crate::format`]) of kind "SUFX", version 1; `docs/formats.md` lists the sections.

use std::path::Path;

use super::packed::{self, Packed};
use super::tree::{LEVELS, Lists, Tree};
use super::view::View;
use crate::format::{FileWriter, MappedFile};
use crate::{Error, Result};

const KIND: [u8; 4] = *b"SUFX";
const VERSION: u32 = 1;
const FIELDS: usize = 6;
/// Sections before those of the tree's levels, and of each level.
const FIXED: usize = 5;
const PER_LEVEL: usize = 5;
const LEVEL_TAGS: [&str; PER_LEVEL] = ["expanded", "ranks", "offsets", "words", "begins"];

/// A type of stored ids.
pub trait TokenId:
    Copy + Send + Sync + Into<u32> + PartialEq + bytemuck::Pod + std::fmt::Debug + 'static
{
    /// The id, where it fits.
    fn new(id: u32) -> Option<Self>;
}

impl TokenId for u16 {
    fn new(id: u32) -> Option<Self> {
        u16::try_from(id).ok()
    }
}

impl TokenId for u32 {
    fn new(id: u32) -> Option<Self> {
        Some(id)
    }
}

/// What a shard is a part of, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of its first document.
    pub first_document: u64,
    /// How many ids of that document stand in earlier shards.
    pub offset: u64,
    /// Whether a separator stands in front that is not in the stream.
    pub front: bool,
    /// How many suffixes there are; what the text has more belongs to the next shard.
    pub num_suffixes: u32,
    pub vocab_size: usize,
    pub separator: Option<u32>,
}

impl Part {
    fn to_header(self) -> [u64; FIELDS] {
        [
            self.first_document,
            self.offset,
            u64::from(self.front),
            self.num_suffixes.into(),
            self.vocab_size as u64,
            self.separator.map_or(u64::MAX, u64::from),
        ]
    }

    fn from_header(header: &[u64]) -> Option<Self> {
        let &[first_document, offset, front, num_suffixes, vocab_size, separator] = header else {
            return None;
        };
        let separator = match separator {
            u64::MAX => None,
            id => Some(u32::try_from(id).ok().filter(|&id| u64::from(id) < vocab_size)?),
        };
        let plausible = front <= 1
            && first_document < 1 << 62
            && offset < 1 << 62
            && (1..=super::MAX_VOCAB_SIZE as u64).contains(&vocab_size)
            && (front == 0 || separator.is_some());
        let num_suffixes = u32::try_from(num_suffixes).ok()?;
        let vocab_size = vocab_size as usize;
        let front = front == 1;
        plausible.then_some(Self {
            first_document,
            offset,
            front,
            num_suffixes,
            vocab_size,
            separator,
        })
    }
}

/// Where each document begins in the text of a shard's own suffixes: behind each separator but the
/// last id, and at the start where no separator stands in front.
pub fn document_starts<T: TokenId>(own: &[T], separator: Option<u32>, front: bool) -> Vec<u32> {
    let mut starts: Vec<u32> = (!front).then_some(0).into_iter().collect();
    if let Some(separator) = separator {
        let begins = |&i: &usize| own[i - 1].into() == separator;
        starts.extend((1..own.len()).filter(begins).map(|i| i as u32));
    }
    starts
}

/// Writes a shard. `documents`: where each document begins in `text`.
pub fn write<T: TokenId>(
    path: &Path,
    part: &Part,
    text: &[T],
    documents: &[u32],
    suffixes: &[u32],
    tree: &Tree<T>,
) -> Result<()> {
    let mut file = FileWriter::create(path, KIND, VERSION, FIXED + LEVELS * PER_LEVEL)?;
    file.section("header")?;
    file.write_slice(&part.to_header())?;
    file.section("tokens")?;
    file.write_slice(text)?;
    file.section("documents")?;
    file.write_slice(documents)?;
    file.section("suffixes")?;
    let width = packed::width(text.len());
    let mut bytes = Vec::new();
    for some in suffixes.chunks(1 << 16) {
        bytes.clear();
        packed::pack(some, width, &mut bytes);
        file.write(&bytes)?;
    }
    file.write(&[0; packed::PADDING])?;
    file.section("starts")?;
    file.write_slice(&tree.starts)?;
    for (k, level) in tree.levels.iter().enumerate() {
        let mut section = |i: usize| file.section(&tag(k, i));
        section(0)?;
        file.write_slice(&level.expanded)?;
        file.section(&tag(k, 1))?;
        file.write_slice(&level.ranks)?;
        file.section(&tag(k, 2))?;
        file.write_slice(&level.offsets)?;
        file.section(&tag(k, 3))?;
        file.write_slice(&level.words)?;
        file.section(&tag(k, 4))?;
        file.write_slice(&level.starts)?;
    }
    file.finish()
}

fn tag(level: usize, section: usize) -> String {
    format!("{}{}", LEVEL_TAGS[section], level + 1)
}

/// A shard, mapped into memory.
#[derive(Debug)]
pub struct Shard<T> {
    file: MappedFile,
    part: Part,
    ids: std::marker::PhantomData<T>,
}

impl<T: TokenId> Shard<T> {
    /// Opens a shard; reads its header only.
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path, KIND, VERSION)?;
        let part = Part::from_header(file.slice("header")?);
        let part = part.ok_or_else(|| file.corrupt("its header contradicts itself"))?;
        let order = ["header", "tokens", "documents", "suffixes", "starts"].map(str::to_owned);
        let levels = (0..LEVELS * PER_LEVEL).map(|i| tag(i / PER_LEVEL, i % PER_LEVEL));
        for (number, tag) in order.into_iter().chain(levels).enumerate() {
            if file.number(&tag)? != number {
                return Err(file.corrupt(format!("section {tag:?} is not number {number}")));
            }
        }
        let shard = Self { file, part, ids: std::marker::PhantomData };
        let tokens = shard.file.slice::<T>("tokens")?.len();
        let m = part.num_suffixes as usize;
        let stored = shard.file.section("suffixes")?.len();
        let documents = shard.file.slice::<u32>("documents")?.len() as u64;
        let wrong = if m == 0 || m > tokens || tokens > i32::MAX as usize {
            format!("{m} suffixes of {tokens} ids")
        } else if stored != packed::num_bytes(m, packed::width(tokens)) {
            format!("{stored} bytes hold {m} suffixes of {tokens} ids")
        } else if shard.file.slice::<u32>("starts")?.len() != part.vocab_size + 1 {
            "the first level of its tree has another size than the vocabulary".to_owned()
        } else if documents == 0 || part.first_document.checked_add(documents).is_none() {
            format!("it has {documents} documents from {}", part.first_document)
        } else {
            return Ok(shard);
        };
        Err(shard.file.corrupt(wrong))
    }

    pub fn part(&self) -> &Part {
        &self.part
    }

    pub fn file(&self) -> &MappedFile {
        &self.file
    }

    /// How many ids of the stream are this shard's.
    pub fn num_tokens(&self) -> u64 {
        u64::from(self.part.num_suffixes) - u64::from(self.part.front)
    }

    /// The bytes of the file without the text, and those of the text.
    pub fn sizes(&self) -> (u64, u64) {
        let text = std::mem::size_of_val(self.file.nth::<T>(1)) as u64;
        (self.file.num_bytes() - text, text)
    }

    /// Where each document begins in the text.
    pub fn documents(&self) -> &[u32] {
        self.file.nth(2)
    }

    /// How many ids the text goes on by that are the next shard's.
    pub fn overlap(&self) -> usize {
        self.file.nth::<T>(1).len() - self.part.num_suffixes as usize
    }

    pub fn view(&self) -> View<'_, T> {
        let text: &[T] = self.file.nth(1);
        let level = |k: usize| {
            let at = FIXED + k * PER_LEVEL;
            Lists {
                expanded: self.file.nth(at),
                ranks: self.file.nth(at + 1),
                offsets: self.file.nth(at + 2),
                words: self.file.nth(at + 3),
                starts: self.file.nth(at + 4),
            }
        };
        View {
            text,
            suffixes: Packed { bytes: self.file.nth(3), width: packed::width(text.len()) },
            len: self.part.num_suffixes,
            starts: self.file.nth(4),
            levels: std::array::from_fn(level),
        }
    }

    /// The document of a place in the text, and the place in that document.
    pub fn place(&self, position: u32, begin_marker: bool) -> (u64, i64) {
        let documents = self.documents();
        let inside = u64::from(position) + u64::from(begin_marker);
        let after = documents.partition_point(|&start| u64::from(start) <= inside);
        let document = after.saturating_sub(1);
        let start = documents.get(document).copied().unwrap_or(0);
        let earlier = if document == 0 { self.part.offset as i64 } else { 0 };
        let at = i64::from(position) - i64::from(start) + earlier;
        (self.part.first_document + document as u64, at)
    }

    /// Appends what this shard has of ids `start` to `stop` of a document.
    pub fn read(&self, document: u64, start: u64, stop: u64, ids: &mut Vec<u32>) {
        let (text, documents): (&[T], _) = (self.file.nth(1), self.documents());
        let number = document.checked_sub(self.part.first_document);
        let Some(number) = number.and_then(|n| usize::try_from(n).ok()) else { return };
        let Some(&begin) = documents.get(number) else { return };
        let end = documents.get(number + 1).copied().unwrap_or(self.part.num_suffixes);
        let Some(own) = text.get(begin as usize..end as usize) else { return };
        let own = match own.split_last() {
            Some((&last, rest)) if Some(last.into()) == self.part.separator => rest,
            _ => own,
        };
        let earlier = if number == 0 { self.part.offset } else { 0 };
        let inside = |at: u64| at.saturating_sub(earlier).min(own.len() as u64) as usize;
        let range = inside(start)..inside(stop).max(inside(start));
        ids.extend(own[range].iter().map(|&id| id.into()));
    }

    pub fn corrupt(&self, what: impl Into<String>) -> Error {
        self.file.corrupt(what)
    }
}
