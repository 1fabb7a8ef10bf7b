//! Many texts end to end in few buffers: what passes between reading, encoding and writing.
//!
//! A document of a few kilobytes as an object of its own costs more to make than to encode; here it
//! costs 8 bytes and a copy. Invariant: every part is UTF-8, and its ends rise to its length and lie
//! between characters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Texts, in order. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    parts: Arc<Vec<Part>>,
}

/// Some of the texts: one buffer, and where each of them ends in it.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The texts end to end.
    pub text: String,
    /// Where each ends.
    pub ends: Vec<usize>,
}

impl Part {
    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.end();
    }

    /// Ends the text whose characters were appended to `text`.
    pub fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }
}

impl From<Vec<Part>> for Texts {
    fn from(parts: Vec<Part>) -> Self {
        Self { parts: Arc::new(parts) }
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        // Their lengths first: a buffer that grows is copied again and again.
        let texts: Vec<&str> = texts.into_iter().collect();
        let length = texts.iter().map(|text| text.len()).sum();
        let ends = Vec::with_capacity(texts.len());
        let mut part = Part { text: String::with_capacity(length), ends };
        texts.into_iter().for_each(|text| part.push(text));
        vec![part].into()
    }
}

impl Texts {
    /// The number of texts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.ends.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.ends.is_empty())
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(Part::iter)
    }

    /// UTF-8 bytes of all texts.
    pub fn num_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.text.len() as u64).sum()
    }

    /// These texts with others put in: each before the text of that number, which must not fall.
    pub fn with(&self, others: &[(usize, String)]) -> Self {
        let mut part = Part::default();
        let mut others = others.iter().peekable();
        for (number, text) in self.iter().enumerate() {
            while let Some((_, other)) = others.next_if(|(before, _)| *before <= number) {
                part.push(other);
            }
            part.push(text);
        }
        others.for_each(|(_, other)| part.push(other));
        vec![part].into()
    }

    /// Those of the texts that `chosen` says yes to.
    pub fn select(&self, chosen: impl Fn(usize) -> bool) -> Self {
        self.iter().enumerate().filter(|&(i, _)| chosen(i)).map(|(_, text)| text).collect()
    }
}

/// Runs `work(i)` for all `i < count` on at most `threads` threads; results in order.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let threads = threads.clamp(1, count.max(1));
    if threads == 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let run = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return;
            }
            let result = work(i);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that the system does not give is done without.
            let _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}
