//! The maximal runs of a text that stand verbatim in the corpus.
//!
//! Definition: `ids[start..end]` is a span if it holds no separator, stands in a document of the
//! corpus, and neither `ids[start − 1..end]` nor `ids[start..end + 1]` does. For each end there is
//! a longest suffix that stands, whose start never falls as the end goes on; it is a span where
//! the next end has a greater start.

use super::index::{Index, Place, Reader, with_reader};
use super::infinigram::{Need, Window};
use super::period::Period;
use super::shard::TokenId;
use crate::Result;

/// A run of a text that stands in the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The number of its first id in the text.
    pub start: usize,
    /// One more than the number of its last id.
    pub end: usize,
    /// In how many places it stands.
    pub count: u64,
    /// Documents that it stands in, rising; not more than were asked for.
    pub documents: Vec<u64>,
}

impl Index {
    /// The spans of at least `min_length` ids, by their start, each with at most `max_documents`
    /// documents. Where documents were cut, spans are no longer than [`Index::max_match`].
    pub fn trace(&self, ids: &[u32], min_length: usize, max_documents: usize) -> Result<Vec<Span>> {
        self.check(ids)?;
        Ok(with_reader!(self, reader => reader.trace(ids, min_length.max(1), max_documents)))
    }
}

impl<T: TokenId> Reader<'_, T> {
    fn trace(&self, ids: &[u32], min_length: usize, max_documents: usize) -> Vec<Span> {
        let separator = self.index.document_separator();
        let mut spans = Vec::new();
        let mut window = self.empty();
        let (mut matches, mut period) = (Vec::new(), Period::default());
        for (at, &id) in ids.iter().enumerate() {
            if Some(id) == separator {
                spans.extend(self.span(&window, at, min_length, max_documents));
                window = self.empty();
                period.clear();
                continue;
            }
            let count = self.extended(&window, id, &mut matches);
            if count == 0 || Some(window.len()) == self.index.max_match() {
                spans.extend(self.span(&window, at, min_length, max_documents));
            }
            self.advance(&mut window, id, &mut matches, Need::Standing, &mut period);
        }
        spans.extend(self.span(&window, ids.len(), min_length, max_documents));
        spans
    }

    /// The window as a span that ends before `end`, if it is long enough.
    fn span(
        &self,
        window: &Window,
        end: usize,
        min_length: usize,
        max_documents: usize,
    ) -> Option<Span> {
        if window.len() < min_length {
            return None;
        }
        let (run, matches) = (window.run(), window.matches());
        // A document that holds a span often gives the same number often.
        let places = self.places(run, matches, max_documents.saturating_mul(8));
        let mut documents: Vec<u64> =
            places.iter().map(|&Place { document, .. }| document).collect();
        documents.dedup();
        documents.truncate(max_documents);
        let (start, count) = (end - window.len(), window.weight());
        Some(Span { start, end, count, documents })
    }
}
