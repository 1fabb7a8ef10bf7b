//! The model file: a container of kind "NGRM" (see [`crate::format`]), used where it is mapped.
//!
//! Sections (`docs/formats.md` lists the fields): `header`, `words`, `children`, `logprobs`,
//! `backoffs`, `tokenizer`. The levels of the trie follow each other in each section. A reader
//! trusts nothing: [`Model::load`] compares every checksum, then checks that every index stays
//! inside, so that a query cannot leave the file whatever its author wrote.

use std::path::Path;
use std::sync::OnceLock;

use super::model::{Description, Level, LevelView, Model, Storage};
use super::words::Words;
use super::{MAX_ORDER, Options, Smoothing};
use crate::format::{FileWriter, MappedFile};
use crate::{Error, Result};

const KIND: [u8; 4] = *b"NGRM";
const VERSION: u32 = 1;
const NO_SEPARATOR: u64 = u64::MAX;

/// Header fields before those of each order.
const FIXED: usize = 6;
/// Header fields of each order: its number of n-grams, and n₁ … n₄.
const PER_ORDER: usize = 5;

impl Model {
    /// Writes the model to `path` in one step.
    pub fn save(&self, path: &Path) -> Result<()> {
        let levels = self.levels()?;
        let levels = &levels[..self.order()];
        let words = self.words()?;
        let sections = 6 + usize::from(words.is_some());
        let mut file = FileWriter::create(path, KIND, VERSION, sections)?;
        file.section("header")?;
        file.write_slice(&self.description.to_header())?;
        file.section("words")?;
        levels.iter().try_for_each(|level| file.write_slice(level.words))?;
        file.section("children")?;
        levels.iter().try_for_each(|level| file.write_slice(level.children))?;
        file.section("logprobs")?;
        levels.iter().try_for_each(|level| file.write_slice(level.logprobs))?;
        file.section("backoffs")?;
        levels.iter().try_for_each(|level| file.write_slice(level.backoffs))?;
        file.section("tokenizer")?;
        file.write(self.tokenizer().unwrap_or_default().as_bytes())?;
        if let Some(words) = words {
            file.section("vocabulary")?;
            file.write(&words.to_lines())?;
        }
        file.finish()
    }

    /// Opens a file that [`Model::save`] wrote, after checking all of it.
    pub fn load(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path, KIND, VERSION)?;
        file.verify()?;
        let corrupt = |what: String| file.corrupt(what);
        let description = Description::from_header(file.slice("header")?).map_err(&corrupt)?;
        let levels = cut(&file, &description)?;
        check(&levels[..description.order], &description).map_err(&corrupt)?;
        let tokenizer = std::str::from_utf8(file.section("tokenizer")?)
            .map_err(|_| corrupt("its tokenizer is not UTF-8".into()))?;
        let tokenizer = (!tokenizer.is_empty()).then(|| tokenizer.to_owned());
        Ok(Self { description, storage: Storage::File(file), tokenizer, words: OnceLock::new() })
    }

    /// The words of a word model, read when they are first asked for.
    pub fn words(&self) -> Result<Option<&Words>> {
        if let Some(words) = self.words.get() {
            return Ok(Some(words));
        }
        let Storage::File(file) = &self.storage else { return Ok(None) };
        let Ok(lines) = file.section("vocabulary") else { return Ok(None) };
        let words = Words::from_lines(lines).map_err(|what| file.corrupt(what))?;
        let separator = Some(super::words::SENTENCE_END);
        if words.len() != self.vocab_size() || self.document_separator() != separator {
            return Err(file.corrupt("its vocabulary is not that of its header"));
        }
        Ok(Some(self.words.get_or_init(|| words)))
    }

    /// The levels of the trie, wherever they lie.
    pub(super) fn levels(&self) -> Result<[LevelView<'_>; MAX_ORDER]> {
        match &self.storage {
            Storage::Memory(levels) => {
                Ok(std::array::from_fn(|i| levels.get(i).map(Level::view).unwrap_or_default()))
            }
            Storage::File(file) => cut(file, &self.description),
        }
    }
}

impl Level {
    fn view(&self) -> LevelView<'_> {
        LevelView {
            words: &self.words,
            logprobs: &self.logprobs,
            children: &self.children,
            backoffs: &self.backoffs,
        }
    }
}

/// Cuts the sections of a file into levels.
fn cut<'f>(file: &'f MappedFile, description: &Description) -> Result<[LevelView<'f>; MAX_ORDER]> {
    let mut words = Section::open(file, "words")?;
    let mut children = Section::open(file, "children")?;
    let mut logprobs = Section::open(file, "logprobs")?;
    let mut backoffs = Section::open(file, "backoffs")?;
    let mut levels = [LevelView::default(); MAX_ORDER];
    for order in 1..=description.order {
        let nodes = description.num_nodes(order);
        let last = order == description.order;
        levels[order - 1] = LevelView {
            words: words.take(if order == 1 { 0 } else { nodes })?,
            logprobs: logprobs.take(nodes)?,
            children: children.take(if last { 0 } else { nodes + 1 })?,
            backoffs: backoffs.take(if last { 0 } else { nodes })?,
        };
    }
    words.end()?;
    children.end()?;
    logprobs.end()?;
    backoffs.end()?;
    Ok(levels)
}

/// What is left of a section.
struct Section<'f, T> {
    file: &'f MappedFile,
    tag: &'static str,
    rest: &'f [T],
}

impl<'f, T: bytemuck::AnyBitPattern> Section<'f, T> {
    fn open(file: &'f MappedFile, tag: &'static str) -> Result<Self> {
        Ok(Self { file, tag, rest: file.slice(tag)? })
    }

    fn take(&mut self, number: u64) -> Result<&'f [T]> {
        let cut = usize::try_from(number).ok().and_then(|n| self.rest.split_at_checked(n));
        let (taken, rest) = cut.ok_or_else(|| self.wrong("shorter"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong("longer")) }
    }

    fn wrong(&self, how: &str) -> Error {
        self.file.corrupt(format!("section {:?} is {how} than the header says", self.tag))
    }
}

impl Description {
    fn to_header(&self) -> Vec<u64> {
        let (code, parameter) = match self.smoothing {
            Smoothing::ModifiedKneserNey => (0, 0.0),
            Smoothing::WittenBell => (1, 0.0),
            Smoothing::Additive { pseudocount } => (2, pseudocount),
            Smoothing::StupidBackoff => (3, 0.0),
            Smoothing::NormalizedStupidBackoff => (4, 0.0),
            Smoothing::Arpa => (5, 0.0),
        };
        let mut header = vec![
            self.order as u64,
            self.vocab_size as u64,
            self.document_separator.map_or(NO_SEPARATOR, u64::from),
            code,
            f64::to_bits(parameter),
            self.num_tokens,
        ];
        for (ngrams, n) in self.num_ngrams.iter().zip(&self.counts_of_counts) {
            header.push(*ngrams);
            header.extend(n);
        }
        header
    }

    fn from_header(header: &[u64]) -> Result<Self, String> {
        let [order, vocab_size, separator, code, parameter, num_tokens, ref orders @ ..] = *header
        else {
            return Err(format!("its header has {} fields, not {FIXED} or more", header.len()));
        };
        let smoothing = match (code, f64::from_bits(parameter)) {
            (0, 0.0) => Smoothing::ModifiedKneserNey,
            (1, 0.0) => Smoothing::WittenBell,
            (2, pseudocount) => Smoothing::Additive { pseudocount },
            (3, 0.0) => Smoothing::StupidBackoff,
            (4, 0.0) => Smoothing::NormalizedStupidBackoff,
            (5, 0.0) => Smoothing::Arpa,
            _ => return Err(format!("its header names smoothing {code}, which is unknown")),
        };
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let mut options = Options::new(small(order), small(vocab_size));
        options.smoothing = smoothing;
        if separator != NO_SEPARATOR {
            options.document_separator = Some(u32::try_from(separator).unwrap_or(u32::MAX));
        }
        options.check().map_err(|error| format!("its header holds {error}"))?;
        if orders.len() != options.order * PER_ORDER {
            let (found, expected) = (header.len(), FIXED + options.order * PER_ORDER);
            return Err(format!("its header has {found} fields, not {expected}"));
        }
        let orders: Vec<[u64; PER_ORDER]> =
            orders.chunks_exact(PER_ORDER).map(|o| std::array::from_fn(|i| o[i])).collect();
        let num_ngrams: Vec<u64> = orders.iter().map(|order| order[0]).collect();
        if num_ngrams[0] > vocab_size || num_ngrams.iter().any(|&n| n >= u64::from(u32::MAX)) {
            return Err(format!("its header counts {num_ngrams:?} n-grams, which is too many"));
        }
        Ok(Self {
            order: options.order,
            vocab_size: options.vocab_size,
            document_separator: options.document_separator,
            smoothing,
            num_tokens,
            num_ngrams,
            counts_of_counts: orders.iter().map(|o| [o[1], o[2], o[3], o[4]]).collect(),
        })
    }
}

/// Whether the levels make a trie of sorted ids with usable numbers.
fn check(levels: &[LevelView<'_>], description: &Description) -> Result<(), String> {
    for (order, level) in (1..).zip(levels) {
        if !level.logprobs.iter().all(|&logprob| logprob <= 1e-9) {
            return Err(format!("a log-probability of order {order} is above 0 or not a number"));
        }
        if !level.backoffs.iter().all(|&backoff| backoff < f64::INFINITY) {
            return Err(format!("a weight of order {order} is infinite or not a number"));
        }
    }
    for (order, pair) in (2..).zip(levels.windows(2)) {
        let (children, words) = (pair[0].children, pair[1].words);
        let ends = [children.first(), children.last()];
        if ends != [Some(&0), Some(&(words.len() as u32))] || !children.is_sorted() {
            return Err(format!("the n-grams of order {order} do not follow their contexts"));
        }
        if words.iter().any(|&word| word as usize >= description.vocab_size) {
            return Err(format!("an n-gram of order {order} ends in an id past the vocabulary"));
        }
        let rising = |range: &[u32]| {
            words[range[0] as usize..range[1] as usize].is_sorted_by(|one, next| one < next)
        };
        if !children.windows(2).all(rising) {
            return Err(format!("n-grams of order {order} are not sorted"));
        }
    }
    Ok(())
}
