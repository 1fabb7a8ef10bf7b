//! How often each piece occurs in a corpus: what training starts from.
//!
//! Text arrives in batches; a batch is cut into parts that threads count into tables of their own,
//! one table a thread, which are added up at the end. Sums do not depend on the order, so the
//! counts are the same for every number of threads. Special tokens are cut out of the text first:
//! they end a piece and are not counted.

use std::sync::{Mutex, PoisonError};

use super::added::Finder;
use super::batch::in_order;
use super::piece_counts::PieceCounts;
use crate::pretokenize::{Ends, Pretokenizer};
use crate::{Error, Result};

/// Text is handed to threads in parts of about this many bytes.
const PART_BYTES: usize = 1 << 18;

/// Counts pieces.
pub struct PieceCounter<'a> {
    pretokenizer: &'a Pretokenizer,
    special: &'a Finder,
    threads: usize,
    memory_limit: usize,
    tables: Mutex<Vec<PieceCounts>>,
}

impl<'a> PieceCounter<'a> {
    /// A counter that uses at most `threads` threads, and fails when a table of all pieces takes
    /// more than `memory_limit` bytes.
    pub fn new(
        pretokenizer: &'a Pretokenizer,
        special: &'a Finder,
        threads: usize,
        memory_limit: usize,
    ) -> Self {
        let tables = Mutex::default();
        Self { pretokenizer, special, threads: threads.max(1), memory_limit, tables }
    }

    /// How many bytes of text it had best be given at a time: few, for they are memory, but parts
    /// for all threads.
    pub fn batch_bytes(&self) -> usize {
        4 * PART_BYTES * self.threads
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
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.iter().map(PieceCounts::memory).sum::<usize>() > self.memory_limit {
            // Tables of different threads hold the same pieces: whether there is too much must not
            // depend on how many tables there are.
            let all = merged(std::mem::take(&mut *tables))?;
            self.check(&all)?;
            tables.push(all);
        }
        Ok(())
    }

    /// Fails if a table of all that was counted takes too much memory.
    fn check(&self, all: &PieceCounts) -> Result<()> {
        let (pieces, memory) = (all.len(), all.memory());
        if memory <= self.memory_limit {
            return Ok(());
        }
        let limit = format!(
            "the {pieces} distinct pieces counted so far take {memory} bytes; raise the limit, or \
             use a pattern that cuts text into shorter pieces, or less text"
        );
        Err(Error::argument("memory_limit", self.memory_limit, limit))
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

    fn count(&self, text: &str, table: &mut PieceCounts) -> Result<()> {
        let mut ends = Ends::default();
        let mut start = 0;
        while start < text.len() {
            self.pretokenizer.fill(text, start, &mut ends)?;
            table.count(text.as_bytes(), start, ends.as_slice())?;
            start = ends.as_slice().last().copied().unwrap_or(text.len());
        }
        Ok(())
    }

    /// All pieces with their counts, in no particular order.
    pub fn finish(self) -> Result<PieceCounts> {
        let all = merged(self.take_tables())?;
        self.check(&all)?;
        Ok(all)
    }

    fn take_tables(&self) -> Vec<PieceCounts> {
        std::mem::take(&mut *self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One table with the counts of all, of which the largest is kept and the others are added to it.
fn merged(mut tables: Vec<PieceCounts>) -> Result<PieceCounts> {
    tables.sort_by_key(PieceCounts::len);
    let mut all = tables.pop().unwrap_or_default();
    tables.into_iter().try_for_each(|table| all.merge(table))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads meet the same pieces, so their tables together take more than one table of all.
    #[test]
    fn the_memory_limit_does_not_depend_on_threads() {
        let text: String = (0..200_000).map(|i| format!(" {}x", i % 3000)).collect();
        let (pretokenizer, special) =
            (Pretokenizer::new(Some("gpt2")).unwrap(), Finder::new(&[]).unwrap());
        let count = |threads, limit| {
            let counter = PieceCounter::new(&pretokenizer, &special, threads, limit);
            for _ in 0..2 {
                counter.add(&[&text])?;
            }
            counter.finish()
        };
        let needed = count(1, usize::MAX).unwrap().memory();
        for threads in 1..=3 {
            for limit in [needed - 1, needed, needed + needed / 2, 2 * needed] {
                let counted = count(threads, limit).map(|all| (all.len(), all.memory()));
                if limit < needed {
                    let error = counted.unwrap_err().to_string();
                    assert!(error.contains("distinct pieces"), "{error}");
                } else {
                    assert_eq!(counted.unwrap(), (3001, needed), "{threads} threads, {limit}");
                }
            }
        }
    }
}
