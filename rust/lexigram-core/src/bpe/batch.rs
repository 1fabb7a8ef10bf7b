//! Many texts at once, on several threads.
//!
//! Threads are started for the call and end with it: nothing outlives it that a forked process
//! could wait for. Texts are handed out in order in groups of about [`GROUP_BYTES`]; a long text is
//! handed out in parts, cut where pieces end whatever follows
//! ([`crate::pretokenize::Pretokenizer::cut_before`]). Each group writes its own output, and the
//! outputs are joined in order, so the result does not depend on the number of threads.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::added::Finders;
use super::memory::{output, zeros};
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

/// What a thread encodes at a time.
#[derive(Debug, Clone, Copy)]
enum Part<'t> {
    /// A text.
    Text(Text<'t>),
    /// A part of a text in which no added token is to be found.
    Plain(&'t str),
    /// An added token.
    Token(u32),
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Plain(text) => text.len(),
            Self::Token(_) => 0,
        }
    }
}

/// A part, and whether it is the last of its text.
type Unit<'t> = (Part<'t>, bool);

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
        let finders = self.finder(allowed)?;
        let mut units = Vec::with_capacity(texts.len());
        for text in texts {
            self.cut_text(*text, &finders, threads, &mut units)?;
        }
        let encode = |units: &[Unit<'_>], ids: &mut Vec<u32>, offsets: &mut Vec<usize>| {
            self.with_workspace(|work| {
                units.iter().try_for_each(|(part, is_last)| {
                    match part {
                        Part::Text(text) => self.encode_with(*text, &finders, work, ids)?,
                        Part::Plain(text) => {
                            self.encode_plain(text, &finders, work, ids).map(drop)?
                        }
                        Part::Token(id) => ids.push(*id),
                    }
                    if *is_last {
                        offsets.push(ids.len());
                    }
                    Ok(())
                })
            })
        };
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        offsets.push(0);
        let groups = groups(&units);
        if threads == 1 || groups.len() < 2 {
            let bytes = texts.iter().map(Text::len).sum::<usize>();
            let mut ids = output(bytes / 4 + texts.len());
            encode(&units, &mut ids, &mut offsets)?;
            return Ok((ids, offsets));
        }
        let encoded = in_order(groups.len(), threads, |i| {
            let (mut ids, mut offsets) = (Vec::new(), Vec::new());
            encode(&units[groups[i].clone()], &mut ids, &mut offsets)?;
            Ok((ids, offsets))
        })?;
        let mut total = 0;
        for (group, group_offsets) in &encoded {
            offsets.extend(group_offsets.iter().map(|offset| total + offset));
            total += group.len();
        }
        Ok((join(&encoded, total, threads), offsets))
    }

    /// Appends the parts of a text: itself, or several if it is long, there are threads for them,
    /// and where they may be cut does not depend on normalization.
    fn cut_text<'t>(
        &self,
        text: Text<'t>,
        finders: &Finders,
        threads: usize,
        units: &mut Vec<Unit<'t>>,
    ) -> Result<()> {
        let whole = match text {
            Text::Str(text) => Some(text),
            Text::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        };
        let cuttable = threads > 1
            && text.len() > 2 * GROUP_BYTES
            && self.steps().is_none()
            && !self.is_normalizing(finders);
        let Some(whole) = whole.filter(|_| cuttable) else {
            units.push((Part::Text(text), true));
            return Ok(());
        };
        let mut matches = finders.raw.matches(whole);
        for (before, token) in matches.by_ref() {
            self.cut_plain(&whole[before], units);
            units.push((Part::Token(token.id), false));
        }
        self.cut_plain(&whole[matches.rest()..], units);
        if let Some((_, is_last)) = units.last_mut() {
            *is_last = true;
        }
        Ok(())
    }

    fn cut_plain<'t>(&self, mut text: &'t str, units: &mut Vec<Unit<'t>>) {
        while text.len() > GROUP_BYTES {
            let cut = self.pretokenizer().cut_before(text, GROUP_BYTES);
            if cut == 0 {
                break;
            }
            let (part, rest) = text.split_at(cut);
            units.push((Part::Plain(part), false));
            text = rest;
        }
        units.push((Part::Plain(text), false));
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

/// Ranges of parts that together have about [`GROUP_BYTES`].
fn groups(units: &[Unit<'_>]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, (part, _)) in units.iter().enumerate() {
        bytes += part.len();
        if bytes >= GROUP_BYTES {
            groups.push(start..i + 1);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < units.len() {
        groups.push(start..units.len());
    }
    groups
}

/// The ids of all groups, `total` of them, end to end. Each thread copies some of the groups:
/// touching fresh memory takes longer than copying.
fn join(encoded: &[(Vec<u32>, Vec<usize>)], total: usize, threads: usize) -> Vec<u32> {
    let mut ids = zeros(total);
    thread::scope(|scope| {
        let mut rest = &mut ids[..];
        for groups in encoded.chunks(encoded.len().div_ceil(threads).max(1)) {
            let length = groups.iter().map(|(group, _)| group.len()).sum();
            let (mut mine, others) = std::mem::take(&mut rest).split_at_mut(length);
            rest = others;
            scope.spawn(move || {
                for (group, _) in groups {
                    let (place, others) = std::mem::take(&mut mine).split_at_mut(group.len());
                    place.copy_from_slice(group);
                    mine = others;
                }
            });
        }
    });
    ids
}
