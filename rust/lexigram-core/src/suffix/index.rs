//! A finished index: its shards as one corpus.

use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST, Manifest, TOKENIZER};
use super::open::{check_overlaps, open_shards};
use super::search;
use super::shard::{Shard, TokenId};
use super::view::{Match, View};
use crate::data::shard::Dtype;
use crate::format::manifest::hex;
use crate::progress::Progress;
use crate::{Error, Result};

/// An index, opened for reading.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    manifest: Manifest,
    fingerprint: String,
    pub(super) shards: Shards,
}

#[derive(Debug)]
pub(super) enum Shards {
    Narrow(Vec<Shard<u16>>),
    Wide(Vec<Shard<u32>>),
}

/// Runs `$body` with `$reader`, a [`Reader`] of the ids' type.
macro_rules! with_reader {
    ($index:expr, $reader:ident => $body:expr) => {
        match &$index.shards {
            $crate::suffix::index::Shards::Narrow(shards) => {
                let $reader = $crate::suffix::index::Reader::new($index, shards);
                $body
            }
            $crate::suffix::index::Shards::Wide(shards) => {
                let $reader = $crate::suffix::index::Reader::new($index, shards);
                $body
            }
        }
    };
}
pub(super) use with_reader;

/// Where a run of ids stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the document.
    pub document: u64,
    /// The place in the document of the run's first id; −1: the separator in front.
    pub position: i64,
}

impl Index {
    /// Opens the index in `dir`: reads its manifest and its shards' headers.
    pub fn open(dir: &Path) -> Result<Self> {
        let entries = fs::metadata(dir).map_err(|e| Error::io("read", dir, e))?;
        let path = dir.join(MANIFEST);
        if !entries.is_dir() || !path.exists() {
            return Err(Error::WrongKind {
                path: dir.to_path_buf(),
                expected: "finished suffix index".to_owned(),
                found: format!("it is not a directory with an {MANIFEST}"),
            });
        }
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let (manifest, fingerprint) = Manifest::from_bytes(&bytes, &path)?;
        let shards = match manifest.dtype {
            Dtype::Uint16 => Shards::Narrow(open_shards(dir, &manifest)?),
            Dtype::Uint32 => Shards::Wide(open_shards(dir, &manifest)?),
        };
        Ok(Self { dir: dir.to_path_buf(), manifest, fingerprint, shards })
    }

    /// V, the number of token ids.
    pub fn vocab_size(&self) -> usize {
        self.manifest.vocab_size as usize
    }

    /// The id at both ends of a document.
    pub fn document_separator(&self) -> Option<u32> {
        self.manifest.document_separator
    }

    /// The ids of the stream, separators included.
    pub fn num_tokens(&self) -> u64 {
        self.manifest.num_tokens
    }

    /// The documents, an unfinished last one included.
    pub fn num_documents(&self) -> u64 {
        self.manifest.num_documents
    }

    /// The number of shards.
    pub fn num_shards(&self) -> usize {
        self.manifest.shards.len()
    }

    /// The longest run that can be looked up, where a document was cut.
    pub fn max_match(&self) -> Option<usize> {
        self.manifest.max_match.map(|most| usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// 16 hexadecimal digits that stand for the whole content.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Bytes on the disk: of the tables, and of the ids.
    pub fn num_bytes(&self) -> (u64, u64) {
        let sum = |(a, b): (u64, u64), (c, d): (u64, u64)| (a + c, b + d);
        match &self.shards {
            Shards::Narrow(shards) => shards.iter().map(Shard::sizes).fold((0, 0), sum),
            Shards::Wide(shards) => shards.iter().map(Shard::sizes).fold((0, 0), sum),
        }
    }

    /// The text of the tokenizer.json that the ids belong to.
    pub fn tokenizer(&self) -> Result<Option<String>> {
        let Some(checksum) = &self.manifest.tokenizer else { return Ok(None) };
        let path = self.dir.join(TOKENIZER);
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let text = String::from_utf8(bytes).ok();
        let text =
            text.filter(|text| hex(xxhash_rust::xxh3::xxh3_64(text.as_bytes())) == *checksum);
        let what = format!("it is not the file that {MANIFEST} names");
        text.map(Some).ok_or(Error::Corrupt { path, offset: 0, what })
    }

    /// Reads and checks everything, the order of the suffixes included. Reports tokens.
    pub fn verify(&self, progress: &dyn Progress) -> Result<()> {
        let fresh = Self::open(&self.dir)?;
        fresh.tokenizer()?;
        let total = fresh.num_tokens();
        match &fresh.shards {
            Shards::Narrow(shards) => verify(shards, total, progress),
            Shards::Wide(shards) => verify(shards, total, progress),
        }
    }

    /// Whether all ids are of the vocabulary.
    pub fn check(&self, ids: &[u32]) -> Result<()> {
        let vocab_size = self.vocab_size();
        match ids.iter().position(|&id| id as usize >= vocab_size) {
            None => Ok(()),
            Some(position) => {
                Err(Error::TokenId { id: ids[position].into(), position, vocab_size })
            }
        }
    }

    /// Whether a run may be looked up: its ids and its length.
    fn check_run(&self, ids: &[u32]) -> Result<()> {
        self.check(ids)?;
        match self.max_match() {
            Some(most) if ids.len() > most => Err(Error::argument(
                "number of ids",
                ids.len(),
                format!(
                    "this index holds documents in parts, so that a run has at most {most}; give \
                     fewer, or build with a larger memory_limit"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a run goes over the end of a document, so that it stands nowhere.
    pub(super) fn crosses(&self, ids: &[u32]) -> bool {
        let inner = ids.get(1..ids.len().saturating_sub(1)).unwrap_or_default();
        let separator = self.document_separator();
        separator.is_some() && inner.iter().any(|&id| Some(id) == separator)
    }

    /// c(ids): in how many places they stand; of no ids, the number of tokens.
    pub fn count(&self, ids: &[u32]) -> Result<u64> {
        self.check_run(ids)?;
        Ok(with_reader!(self, reader => reader.standing(ids, &reader.find(ids))))
    }

    /// c of each of the runs `ids[offsets[i]..offsets[i + 1]]`.
    pub fn count_batch(&self, ids: &[u32], offsets: &[usize], out: &mut [u64]) -> Result<()> {
        let runs = || offsets.windows(2).map(|pair| &ids[pair[0]..pair[1]]);
        self.check(ids)?;
        if self.max_match().is_some() {
            runs().try_for_each(|run| self.check_run(run))?;
        }
        out.fill(0);
        with_reader!(self, reader => {
            for view in &reader.views {
                search::find_all(view, runs(), |i, m| out[i] += u64::from(m.len()));
            }
        });
        let fronts = self.fronts();
        for (run, count) in runs().zip(out) {
            if run.is_empty() {
                *count = self.num_tokens();
            } else if self.crosses(run) {
                *count = 0;
            } else if run.len() == 1 && Some(run[0]) == self.document_separator() {
                *count -= fronts.min(*count);
            }
        }
        Ok(())
    }

    /// Separators in front of shards: they end no document.
    pub(super) fn fronts(&self) -> u64 {
        let number = match &self.shards {
            Shards::Narrow(shards) => shards.iter().filter(|shard| shard.part().front).count(),
            Shards::Wide(shards) => shards.iter().filter(|shard| shard.part().front).count(),
        };
        number as u64
    }

    /// At most `limit` places where `ids` stand, sorted; which ones, is not said but is always the
    /// same.
    pub fn find(&self, ids: &[u32], limit: usize) -> Result<Vec<Place>> {
        self.check_run(ids)?;
        if ids.is_empty() {
            return Err(Error::argument("ids", "[]", "no ids stand everywhere; give at least one"));
        }
        Ok(with_reader!(self, reader => reader.places(ids, &reader.find(ids), limit)))
    }

    /// Ids `start` to `stop` of a document, as far as it has them, its separators left out.
    pub fn document(&self, document: u64, start: u64, stop: u64) -> Result<Vec<u32>> {
        if document >= self.num_documents() {
            let limit = format!("must be below {}, the number of documents", self.num_documents());
            return Err(Error::argument("document", document, limit));
        }
        let mut ids = Vec::new();
        match &self.shards {
            Shards::Narrow(shards) => {
                shards.iter().for_each(|shard| shard.read(document, start, stop, &mut ids));
            }
            Shards::Wide(shards) => {
                shards.iter().for_each(|shard| shard.read(document, start, stop, &mut ids));
            }
        }
        Ok(ids)
    }

    /// c(context x) of every x of which it is not 0; x rise.
    pub fn next_counts(&self, context: &[u32]) -> Result<Vec<(u32, u64)>> {
        self.check_run(context)?;
        let last = context.get(1..).and_then(<[u32]>::last);
        if last.is_some() && last.copied() == self.document_separator() {
            return Ok(Vec::new()); // behind the end of a document
        }
        Ok(with_reader!(self, reader => reader.followers(context, &reader.find(context))))
    }
}

fn verify<T: TokenId>(shards: &[Shard<T>], total: u64, progress: &dyn Progress) -> Result<()> {
    let mut done = 0;
    for shard in shards {
        shard.verify(done, total, progress)?;
        done += shard.num_tokens();
    }
    check_overlaps(shards)
}

/// The tables of all shards.
pub(super) struct Reader<'a, T> {
    pub index: &'a Index,
    shards: &'a [Shard<T>],
    pub views: Vec<View<'a, T>>,
}

impl<'a, T: TokenId> Reader<'a, T> {
    pub fn new(index: &'a Index, shards: &'a [Shard<T>]) -> Self {
        Self { index, shards, views: shards.iter().map(Shard::view).collect() }
    }

    /// Where `run` stands in each shard.
    pub fn find(&self, run: &[u32]) -> Vec<Match> {
        if self.index.crosses(run) {
            return vec![Match::nowhere(run.len() as u32); self.views.len()];
        }
        self.views.iter().map(|view| search::find(view, run)).collect()
    }

    /// c(run).
    pub fn standing(&self, run: &[u32], matches: &[Match]) -> u64 {
        if run.is_empty() {
            return self.index.num_tokens();
        }
        let sum: u64 = matches.iter().map(|m| u64::from(m.len())).sum();
        if run.len() == 1 && Some(run[0]) == self.index.document_separator() {
            return sum.saturating_sub(self.index.fronts());
        }
        sum
    }

    /// C(run), for a run that does not go over the end of a document.
    pub fn followed(&self, run: &[u32], matches: &[Match]) -> u64 {
        if run.is_empty() {
            return self.index.num_tokens();
        }
        self.views.iter().zip(matches).map(|(view, m)| u64::from(view.followed(m))).sum()
    }

    /// c(run x) of every x of which it is not 0.
    pub fn followers(&self, run: &[u32], matches: &[Match]) -> Vec<(u32, u64)> {
        let mut counts: Vec<(u32, u64)> = Vec::new();
        for (view, m) in self.views.iter().zip(matches) {
            search::followers(view, m, |id, count| counts.push((id, count.into())));
        }
        if self.views.len() > 1 {
            counts.sort_unstable();
            counts.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 += next.1;
                }
                same
            });
        }
        if run.is_empty() {
            let fronts = self.index.fronts();
            for (id, count) in &mut counts {
                if Some(*id) == self.index.document_separator() {
                    *count = count.saturating_sub(fronts);
                }
            }
            counts.retain(|&(_, count)| count > 0);
        }
        counts
    }

    pub fn places(&self, run: &[u32], matches: &[Match], limit: usize) -> Vec<Place> {
        let separator = self.index.document_separator();
        let begins = !run.is_empty() && Some(run[0]) == separator;
        let mut places = Vec::new();
        for ((shard, view), m) in self.shards.iter().zip(&self.views).zip(matches) {
            for i in m.lo..m.hi {
                if places.len() >= limit {
                    break;
                }
                let position = view.suffixes.get(i);
                if begins && run.len() == 1 && shard.part().front && position == 0 {
                    continue;
                }
                let (document, position) = shard.place(position, begins && run.len() > 1);
                places.push(Place { document, position });
            }
        }
        places.sort_unstable();
        places
    }
}
