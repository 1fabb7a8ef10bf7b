//! The ∞-gram: the longest suffix of a context that the corpus goes on from, and what follows it.
//!
//! If h* is the longest suffix of h with C(h*) > 0 and h*w stands somewhere, the longest suffix of
//! hw that stands anywhere is h*w itself: a longer one would make h* longer. So a text is read with
//! a window that grows at its end by one id at a time and is found anew only when it stands
//! nowhere, or when nothing follows it, and then not where the text repeats itself ([`Period`]).

use rayon::prelude::*;

use super::index::{Index, Reader, with_reader};
use super::period::Period;
use super::search;
use super::shard::TokenId;
use super::view::Match;
use crate::Result;

/// Lengths that are looked up together: most windows are shorter.
const TOGETHER: usize = 8;
/// Ids of a text that one task scores.
const CHUNK: usize = 1 << 12;

/// h*, and where it stands in each shard.
#[derive(Clone, Debug)]
pub struct Window {
    /// h* is `ids[start..]`: it mostly loses its first ids one by one.
    ids: Vec<u32>,
    start: usize,
    matches: Vec<Match>,
    /// C(h*), or c(h*) while spans are traced.
    weight: u64,
}

impl Window {
    /// |h*|.
    pub fn len(&self) -> usize {
        self.ids.len() - self.start
    }

    /// Whether h* has no ids.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// C(h*).
    pub fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn run(&self) -> &[u32] {
        &self.ids[self.start..]
    }

    /// Keeps the last ids only, `length` of them, which stand there so often.
    pub(super) fn set(&mut self, length: usize, weight: u64, matches: &[Match]) {
        self.start = self.ids.len() - length;
        if self.start > length {
            self.ids.drain(..self.start);
            self.start = 0;
        }
        self.weight = weight;
        self.matches.clear();
        self.matches.extend_from_slice(matches);
    }

    pub(super) fn matches(&self) -> &[Match] {
        &self.matches
    }
}

/// What the ∞-gram says of one id.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// ln p(w|h): −∞ where h*w stands nowhere.
    pub logprob: f64,
    /// |h*| + 1.
    pub order: u32,
    /// Whether h* has ids and one id alone follows it.
    pub sparse: bool,
}

/// What makes a suffix long enough to be looked at no further.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// C of at least so many.
    Followed(u64),
    /// c of at least one.
    Standing,
}

impl<T: TokenId> Reader<'_, T> {
    fn weight(&self, need: Need, run: &[u32], matches: &[Match]) -> u64 {
        match need {
            Need::Followed(_) => self.followed(run, matches),
            Need::Standing => self.standing(run, matches),
        }
    }

    fn least(need: Need) -> u64 {
        match need {
            Need::Followed(least) => least.max(1),
            Need::Standing => 1,
        }
    }

    /// The window of an empty context.
    pub fn empty(&self) -> Window {
        let matches = self.views.iter().map(|view| view.root()).collect();
        Window { ids: Vec::new(), start: 0, matches, weight: self.index.num_tokens() }
    }

    /// The window of the longest suffix of `context` that is enough; it does not go back over a
    /// separator.
    pub fn longest(&self, context: &[u32], need: Need) -> Window {
        let separator = self.index.document_separator();
        let begin = match separator {
            Some(s) => context.iter().rposition(|&id| id == s).unwrap_or(0),
            None => 0,
        };
        let context = &context[begin..];
        let most = self.index.max_match().unwrap_or(usize::MAX).min(context.len());
        let suffix = |length: usize| &context[context.len() - length..];
        let least = Self::least(need);

        let together = most.min(TOGETHER);
        let mut found = vec![Match::nowhere(0); together * self.views.len()];
        for (shard, view) in self.views.iter().enumerate().filter(|_| together > 0) {
            let here = &mut found[shard..];
            let number = self.views.len();
            search::find_all(view, (1..=together).map(suffix), |i, m| here[i * number] = m);
        }
        let mut window = self.empty();
        let mut best = 0;
        for (i, matches) in found.chunks(self.views.len().max(1)).enumerate() {
            let weight = self.weight(need, suffix(i + 1), matches);
            if weight < least {
                break;
            }
            best = i + 1;
            window.weight = weight;
            window.matches.copy_from_slice(matches);
        }
        // Longer ones in steps that double, then by halves.
        if best == together {
            let (mut step, mut bad) = (best.max(1), most + 1);
            while best + 1 < bad {
                let length =
                    if step > 0 { (best + step).min(bad - 1) } else { best + (bad - best) / 2 };
                let matches = self.find(suffix(length));
                let weight = self.weight(need, suffix(length), &matches);
                if weight >= least {
                    (best, window.weight, window.matches) = (length, weight, matches);
                    step *= 2;
                } else {
                    (bad, step) = (length, 0);
                }
            }
        }
        window.ids.extend_from_slice(suffix(best));
        window
    }

    /// Where h*w stands in each shard, and c(h*w).
    pub fn extended(&self, window: &Window, id: u32, matches: &mut Vec<Match>) -> u64 {
        matches.clear();
        let both = self.views.iter().zip(&window.matches);
        matches.extend(both.map(|(view, m)| search::extend(view, m, id)));
        if window.is_empty() {
            return self.standing(&[id], matches);
        }
        matches.iter().map(|m| u64::from(m.len())).sum()
    }

    /// The window after one more id, given where it stands then. `period` goes with the window.
    pub fn advance(
        &self,
        window: &mut Window,
        id: u32,
        matches: &mut Vec<Match>,
        need: Need,
        period: &mut Period,
    ) {
        if Some(id) == self.index.document_separator() {
            *window = self.longest(&[id], need);
            period.clear();
            return;
        }
        window.ids.push(id);
        period.read(window.run());
        let too_long = self.index.max_match().is_some_and(|most| window.len() > most);
        let weight = self.weight(need, window.run(), matches);
        if weight >= Self::least(need) && !too_long {
            window.weight = weight;
            std::mem::swap(&mut window.matches, matches);
        } else if !period.recall(window) {
            self.shorten(window, need);
            if window.len() > TOGETHER {
                period.look(window.run());
            }
        }
        period.remember(window);
    }

    /// Finds the window of a run that is too long, of at least one id.
    fn shorten(&self, window: &mut Window, need: Need) {
        let rest = &window.run()[1..];
        // Repetition mostly loses one id at its begin: that one search is then enough. Short
        // windows are looked up together anyway.
        if rest.len() <= TOGETHER {
            *window = self.longest(rest, need);
            return;
        }
        let found = self.find(rest);
        let weight = self.weight(need, rest, &found);
        if weight >= Self::least(need) {
            window.set(window.len() - 1, weight, &found);
        } else {
            *window = self.longest(&rest[1..], need);
        }
    }

    /// Whether h* has ids and one id alone follows it: then the first and the last are equal.
    fn sparse(&self, window: &Window) -> bool {
        if window.is_empty() {
            return false;
        }
        let mut only = None;
        for (view, m) in self.views.iter().zip(&window.matches) {
            let followed = view.followed(m);
            if followed == 0 {
                continue;
            }
            for i in [m.hi - followed, m.hi - 1] {
                let id = view.id(i, m.depth);
                if *only.get_or_insert(id) != id {
                    return false;
                }
            }
        }
        only.is_some()
    }

    fn score(&self, context: &[u32], ids: &[u32], need: Need, sparse: bool, out: &mut [Scored]) {
        let mut window = self.longest(context, need);
        let (mut matches, mut period) = (Vec::with_capacity(self.views.len()), Period::default());
        for (&id, out) in ids.iter().zip(out) {
            let count = self.extended(&window, id, &mut matches);
            *out = Scored {
                logprob: (count as f64 / window.weight as f64).ln(),
                order: window.len() as u32 + 1,
                sparse: sparse && self.sparse(&window),
            };
            self.advance(&mut window, id, &mut matches, need, &mut period);
        }
    }

    fn distribution(&self, window: &Window, out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        let total = window.weight as f64;
        for (id, count) in self.followers(window.run(), &window.matches) {
            if let Some(out) = out.get_mut(id as usize) {
                *out = (count as f64 / total).ln();
            }
        }
    }
}

impl Index {
    /// What the ∞-gram says of each of `ids` given those before it, the first given an empty
    /// context. `support`: C(h*) is at least that. `sparse`: whether that field is wanted.
    pub fn score(&self, ids: &[u32], support: u64, sparse: bool, out: &mut [Scored]) -> Result<()> {
        self.check(ids)?;
        let need = Need::Followed(support);
        with_reader!(self, reader => {
            if ids.len() <= CHUNK {
                reader.score(&[], ids, need, sparse, out);
            } else {
                ids.par_chunks(CHUNK).zip(out.par_chunks_mut(CHUNK)).enumerate().for_each(
                    |(i, (some, out))| reader.score(&ids[..i * CHUNK], some, need, sparse, out),
                );
            }
        });
        Ok(())
    }

    /// p(id | context) and |h*| + 1.
    pub fn probability(&self, context: &[u32], id: u32, support: u64) -> Result<(f64, u32)> {
        self.check(context)?;
        self.check(&[id])?;
        Ok(with_reader!(self, reader => {
            let window = reader.longest(context, Need::Followed(support));
            let count = reader.extended(&window, id, &mut Vec::with_capacity(1));
            (count as f64 / window.weight as f64, window.len() as u32 + 1)
        }))
    }

    /// The window of the longest suffix of `context` with C of at least `support`.
    pub fn window(&self, context: &[u32], support: u64) -> Result<Window> {
        self.check(context)?;
        Ok(with_reader!(self, reader => reader.longest(context, Need::Followed(support))))
    }

    /// The window after `ids` more; the given one must be of this index.
    pub fn read(&self, window: &Window, ids: &[u32], support: u64) -> Result<Window> {
        self.check(ids)?;
        let need = Need::Followed(support);
        Ok(with_reader!(self, reader => {
            let mut window = window.clone();
            let (mut matches, mut period) = (Vec::new(), Period::default());
            for &id in ids {
                reader.extended(&window, id, &mut matches);
                reader.advance(&mut window, id, &mut matches, need, &mut period);
            }
            window
        }))
    }

    /// ln p of every id after a window's run, and whether only one follows.
    pub fn distribution(&self, window: &Window, out: &mut [f64]) -> bool {
        with_reader!(self, reader => {
            reader.distribution(window, out);
            reader.sparse(window)
        })
    }
}
