//! Many texts at once, on several threads.
//!
//! Threads are started for the call and end with it: nothing outlives it that a forked process
//! could wait for. Texts are handed out in order in groups of about [`GROUP_BYTES`]; each group
//! writes its own output, and the outputs are joined in order, so the result does not depend on
//! the number of threads.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::tokenizer::{Allowed, Text, Tokenizer};
use crate::Result;

/// Text of about this many bytes is one unit of work.
const GROUP_BYTES: usize = 1 << 16;

/// How many threads to use when the caller does not say.
pub(super) fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Runs `work(i)` for all `i < count` on at most `threads` threads and returns the results in
/// order. The first error in order wins.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let threads = threads.clamp(1, count.max(1));
    if threads == 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let run = || {
        let mut mine = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                break;
            }
            mine.push((i, work(i)));
        }
        if let Ok(mut done) = done.lock() {
            done.append(&mut mine);
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        run();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Tokenizer {
    /// The ids of all texts end to end, and where each text's ids begin: text `i` has
    /// `ids[offsets[i]..offsets[i + 1]]`. `threads` 0 means one a core.
    pub fn encode_batch(
        &self,
        texts: &[Text<'_>],
        allowed: &Allowed,
        threads: usize,
    ) -> Result<(Vec<u32>, Vec<usize>)> {
        let threads = if threads == 0 { default_threads() } else { threads };
        let finder = self.finder(allowed)?;
        let encode = |texts: &[Text<'_>], ids: &mut Vec<u32>, offsets: &mut Vec<usize>| {
            self.with_workspace(|work| {
                texts.iter().try_for_each(|text| {
                    self.encode_with(*text, &finder, work, ids)?;
                    offsets.push(ids.len());
                    Ok(())
                })
            })
        };
        let mut ids = Vec::new();
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        offsets.push(0);
        let groups = groups(texts);
        if threads == 1 || groups.len() < 2 {
            ids.reserve(texts.iter().map(Text::len).sum::<usize>() / 4 + texts.len());
            encode(texts, &mut ids, &mut offsets)?;
            return Ok((ids, offsets));
        }
        let encoded = in_order(groups.len(), threads, |i| {
            let (mut ids, mut offsets) = (Vec::new(), Vec::new());
            encode(&texts[groups[i].clone()], &mut ids, &mut offsets)?;
            Ok((ids, offsets))
        })?;
        ids.reserve(encoded.iter().map(|(ids, _)| ids.len()).sum());
        for (group, group_offsets) in encoded {
            offsets.extend(group_offsets.iter().map(|offset| ids.len() + offset));
            ids.extend_from_slice(&group);
        }
        Ok((ids, offsets))
    }

    /// The bytes of each sequence of tokens. `threads` 0 means one a core.
    pub fn decode_batch(&self, batch: &[Vec<u32>], threads: usize) -> Result<Vec<Vec<u8>>> {
        let threads = if threads == 0 { default_threads() } else { threads };
        let per_group = batch.len().div_ceil(threads * 4).max(1);
        let groups: Vec<_> = batch.chunks(per_group).collect();
        let decoded = in_order(groups.len(), threads, |i| {
            groups[i].iter().map(|ids| self.decode(ids)).collect::<Result<Vec<_>>>()
        })?;
        Ok(decoded.into_iter().flatten().collect())
    }
}

/// Ranges of texts that together have about [`GROUP_BYTES`].
fn groups(texts: &[Text<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, text) in texts.iter().enumerate() {
        bytes += text.len();
        if bytes >= GROUP_BYTES {
            groups.push(start..i + 1);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < texts.len() {
        groups.push(start..texts.len());
    }
    groups
}
