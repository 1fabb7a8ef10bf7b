//! How often each piece occurs in a corpus: what training starts from.
//!
//! Text arrives in batches; a batch is cut into parts that threads count into tables of their own,
//! one table a thread, which are added up at the end. Sums do not depend on the order, so the
//! counts are the same for every number of threads. Special tokens are cut out of the text first:
//! they end a piece and are not counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxBuildHasher;

use super::added::Finder;
use super::batch::in_order;
use crate::Result;
use crate::pretokenize::Pretokenizer;

/// Text is handed to threads in parts of about this many bytes.
const PART_BYTES: usize = 1 << 20;

type Table = HashMap<Box<[u8]>, u64, FxBuildHasher>;

/// Counts pieces.
pub struct PieceCounter<'a> {
    pretokenizer: &'a Pretokenizer,
    special: &'a Finder,
    threads: usize,
    tables: Mutex<Vec<Table>>,
}

impl<'a> PieceCounter<'a> {
    /// A counter that uses at most `threads` threads.
    pub fn new(pretokenizer: &'a Pretokenizer, special: &'a Finder, threads: usize) -> Self {
        Self { pretokenizer, special, threads: threads.max(1), tables: Mutex::default() }
    }

    /// Counts the pieces of texts that have nothing to do with each other.
    pub fn add(&self, texts: &[&str]) -> Result<()> {
        let mut parts = Vec::new();
        for text in texts {
            self.cut(text, &mut parts)?;
        }
        // Small parts are handed out together.
        let mut groups = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (i, part) in parts.iter().enumerate() {
            bytes += part.len();
            if bytes >= PART_BYTES || i + 1 == parts.len() {
                groups.push(&parts[start..=i]);
                (start, bytes) = (i + 1, 0);
            }
        }
        in_order(groups.len(), self.threads, |i| {
            let lock = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = lock().pop();
            let mut table = kept.unwrap_or_default();
            let outcome = groups[i].iter().try_for_each(|text| self.count(text, &mut table));
            lock().push(table);
            outcome
        })?;
        Ok(())
    }

    /// Appends parts of `text` between special tokens whose pieces join to those of the text.
    fn cut<'t>(&self, text: &'t str, parts: &mut Vec<&'t str>) -> Result<()> {
        let mut at = 0;
        while let Some((found, _)) = self.special.find(text, at)? {
            self.cut_plain(&text[at..found.start], parts);
            at = found.end;
        }
        self.cut_plain(&text[at..], parts);
        Ok(())
    }

    fn cut_plain<'t>(&self, mut text: &'t str, parts: &mut Vec<&'t str>) {
        while text.len() > PART_BYTES {
            let cut = self.pretokenizer.cut_before(text, PART_BYTES);
            if cut == 0 {
                break;
            }
            let (part, rest) = text.split_at(cut);
            parts.push(part);
            text = rest;
        }
        if !text.is_empty() {
            parts.push(text);
        }
    }

    fn count(&self, text: &str, table: &mut Table) -> Result<()> {
        self.pretokenizer.for_each(text, |piece| {
            let piece = &text.as_bytes()[piece];
            match table.get_mut(piece) {
                Some(count) => *count += 1,
                None => {
                    table.insert(piece.into(), 1);
                }
            }
            Ok(())
        })
    }

    /// All pieces with their counts, in no particular order.
    pub fn finish(self) -> Vec<(Box<[u8]>, u64)> {
        let mut tables =
            self.tables.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        let mut total = tables.next().unwrap_or_default();
        for table in tables {
            for (piece, count) in table {
                *total.entry(piece).or_default() += count;
            }
        }
        total.into_iter().collect()
    }
}
