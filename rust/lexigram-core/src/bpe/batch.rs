//! Many texts at once, on several threads.
//!
//! Threads are started for the call and end with it: nothing outlives it that a forked process
//! could wait for. Texts are handed out in order in groups of about [`GROUP_BYTES`]; a long text is
//! handed out in parts, cut where pieces end whatever follows
//! ([`crate::pretokenize::Pretokenizer::cut_before`]). Outputs are joined in the order of the
//! groups, each as soon as all before it are there, so the result does not depend on the number of
//! threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::added::Finders;
use super::memory::output;
use super::text::{Allowed, Text};
use super::tokenizer::Tokenizer;
use super::workspace::Workspace;
use crate::{Error, Result};

/// Text of about this many bytes is one unit of work.
const GROUP_BYTES: usize = 1 << 16;

/// From so many bytes on it pays to copy a word cache for a thread that has none.
const MUCH: usize = 1 << 21;

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
        done.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
    };
    on_threads(threads, run);
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs `run` on so many threads, this one among them, and waits for all. Fewer if the system has
/// no more to give: what one does not take another does.
pub(super) fn on_threads(threads: usize, run: impl Fn() + Sync) {
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, &run).ok();
        let others: Vec<_> = (1..threads).map_while(start).collect();
        run();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
}

/// Runs `work` on this thread, and meanwhile `other` on another, if one `may` be used; `other` is
/// given what tells it that it must end.
pub(super) fn beside<T>(
    may: bool,
    other: impl FnOnce(&dyn Fn() -> bool) + Send,
    work: impl FnOnce() -> T,
) -> T {
    if !may {
        return work();
    }
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = || other(&|| ended.load(Ordering::Relaxed));
        let _ = thread::Builder::new().spawn_scoped(scope, other);
        let done = work();
        ended.store(true, Ordering::Relaxed);
        done
    })
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
        let groups = groups(&units);
        let threads = threads.min(groups.len()).max(1);
        let bytes = texts.iter().map(Text::len).sum::<usize>();
        let mut joined = Joined::default();
        joined.output.ids = output(bytes / 4 + texts.len());
        joined.output.offsets.push(0);
        if threads == 1 {
            self.workspaces.with(|work| {
                units
                    .iter()
                    .try_for_each(|unit| self.encode_unit(unit, &finders, work, &mut joined.output))
            })?;
            return Ok((joined.output.ids, joined.output.offsets));
        }
        if bytes >= MUCH {
            self.workspaces.share_words(threads);
        }
        let (next, joined) = (AtomicUsize::new(0), Mutex::new(joined));
        let run = || {
            self.workspaces.with(|work| {
                let mut mine = Output::default();
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(group) = groups.get(i) else { return };
                    let done = units[group.clone()]
                        .iter()
                        .try_for_each(|unit| self.encode_unit(unit, &finders, work, &mut mine));
                    let mut joined = joined.lock().unwrap_or_else(PoisonError::into_inner);
                    match done {
                        Ok(()) => joined.take(i, &mut mine),
                        Err(error) => {
                            next.store(groups.len(), Ordering::Relaxed);
                            return joined.fail(i, error);
                        }
                    }
                }
            });
        };
        on_threads(threads, run);
        let Joined { output, error, .. } =
            joined.into_inner().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some((_, error)) => Err(error),
            None => Ok((output.ids, output.offsets)),
        }
    }

    fn encode_unit(
        &self,
        (part, is_last): &Unit<'_>,
        finders: &Finders,
        work: &mut Workspace,
        output: &mut Output,
    ) -> Result<()> {
        match part {
            Part::Text(text) => self.encode_with(*text, finders, work, &mut output.ids)?,
            Part::Plain(text) => {
                self.encode_plain(text, finders, work, &mut output.ids).map(drop)?
            }
            Part::Token(id) => output.ids.push(*id),
        }
        if *is_last {
            output.offsets.push(output.ids.len());
        }
        Ok(())
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

/// Ids, and where among them texts end.
#[derive(Debug, Default)]
struct Output {
    ids: Vec<u32>,
    offsets: Vec<usize>,
}

impl Output {
    /// Appends another, and empties it.
    fn append(&mut self, other: &mut Self) {
        let before = self.ids.len();
        self.offsets.extend(other.offsets.drain(..).map(|offset| before + offset));
        self.ids.append(&mut other.ids);
    }
}

/// The output of the groups up to `next`, and of later ones that came early.
#[derive(Debug, Default)]
struct Joined {
    output: Output,
    next: usize,
    early: BTreeMap<usize, Output>,
    /// The first error in order.
    error: Option<(usize, Error)>,
}

impl Joined {
    /// Takes the output of group `i`, and leaves an empty one.
    fn take(&mut self, i: usize, output: &mut Output) {
        if i != self.next {
            self.early.insert(i, std::mem::take(output));
            return;
        }
        self.output.append(output);
        self.next += 1;
        while let Some(mut output) = self.early.remove(&self.next) {
            self.output.append(&mut output);
            self.next += 1;
        }
    }

    fn fail(&mut self, i: usize, error: Error) {
        if self.error.as_ref().is_none_or(|(first, _)| i < *first) {
            self.error = Some((i, error));
        }
    }
}
