//! The suffixes that begin with a run of ids, for many runs at once.
//!
//! A search goes down the tree as far as its lists go and then halves what is left of the array.
//! Each step depends on the one before and waits for memory, but steps of different searches do
//! not: the searches of a group take turns, and each asks for what it will read next before the
//! others go on.
//!
//! Invariant of a search: `m` holds the suffixes that begin with the first `m.depth` ids; while
//! the array is searched, those before `a` are smaller than the run, and those from `b` on are not
//! (`Lower`), or are greater (`Upper`).

use std::cmp::Ordering;

use super::shard::TokenId;
use super::view::{Match, View};

/// Searches that take turns.
pub const GROUP: usize = 24;

#[cfg(test)]
thread_local! {
    /// How many searches this thread has begun.
    pub static SEARCHES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    /// How many ids of a text it has compared.
    pub static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

enum Phase {
    /// A node was reached.
    Node,
    /// Looks for the next id in the list `a..b`, which ends at `to`.
    List {
        to: u32,
    },
    /// Looks for the first suffix that is not smaller; its entry `probe` was asked for.
    Lower,
    /// The same; the text at `position` was asked for.
    LowerText {
        position: usize,
    },
    /// Looks for the first suffix that is greater, in steps that double while `gallop` is not 0.
    Upper {
        gallop: u32,
    },
    UpperText {
        gallop: u32,
        position: usize,
    },
    Done,
}

struct Search<'q> {
    run: &'q [u32],
    m: Match,
    a: u32,
    b: u32,
    probe: u32,
    phase: Phase,
}

impl<'q> Search<'q> {
    fn new<T: TokenId>(view: &View<'_, T>, run: &'q [u32]) -> Self {
        #[cfg(test)]
        SEARCHES.set(SEARCHES.get() + 1);
        let mut search = Self { run, m: view.root(), a: 0, b: 0, probe: 0, phase: Phase::Done };
        if let Some(&first) = run.first() {
            if let Some(start) = view.starts.get(first as usize) {
                crate::prefetch(start);
            }
            view.levels[0].prefetch(first);
            search.phase = Phase::Node;
        }
        search
    }

    /// One step; whether there are more.
    fn step<T: TokenId>(&mut self, view: &View<'_, T>) -> bool {
        match self.phase {
            Phase::Done => return false,
            Phase::Node => self.node(view),
            Phase::List { to } => self.list(view, to),
            Phase::Lower => {
                let position = view.suffixes.get(self.probe) as usize + self.m.depth as usize;
                if let Some(id) = view.text.get(position) {
                    crate::prefetch(id);
                }
                self.phase = Phase::LowerText { position };
            }
            Phase::LowerText { position } => {
                if self.compare(view, position).is_lt() {
                    self.a = self.probe + 1;
                } else {
                    self.b = self.probe;
                }
                if self.a < self.b {
                    self.ask(view, self.a + (self.b - self.a) / 2, Phase::Lower);
                } else {
                    self.m.lo = self.a;
                    self.b = self.m.hi;
                    if self.a < self.b {
                        self.ask(view, self.a, Phase::Upper { gallop: 1 });
                    } else {
                        self.end(self.a);
                    }
                }
            }
            Phase::Upper { gallop } => {
                let position = view.suffixes.get(self.probe) as usize + self.m.depth as usize;
                if let Some(id) = view.text.get(position) {
                    crate::prefetch(id);
                }
                self.phase = Phase::UpperText { gallop, position };
            }
            Phase::UpperText { mut gallop, position } => {
                if self.compare(view, position).is_gt() {
                    self.b = self.probe;
                    gallop = 0;
                } else {
                    self.a = self.probe + 1;
                }
                if self.a >= self.b {
                    self.end(self.b);
                } else if gallop == 0 {
                    self.ask(view, self.a + (self.b - self.a) / 2, Phase::Upper { gallop });
                } else {
                    let probe = self.a.saturating_add(gallop - 1).min(self.b - 1);
                    let gallop = gallop.saturating_mul(2);
                    self.ask(view, probe, Phase::Upper { gallop });
                }
            }
        }
        true
    }

    /// From a node to what is known of the ids that follow it.
    fn node<T: TokenId>(&mut self, view: &View<'_, T>) {
        let depth = self.m.depth as usize;
        if depth == 0 {
            self.m = view.first(self.run[0]);
        }
        let depth = self.m.depth as usize;
        if self.m.lo >= self.m.hi {
            self.m = Match::nowhere(self.run.len() as u32);
            self.phase = Phase::Done;
        } else if depth == self.run.len() {
            self.phase = Phase::Done;
        } else if let Some((lists, from, to)) = view.list(&self.m) {
            (self.a, self.b) = (from, to);
            self.phase = Phase::List { to };
            if let Some(word) = lists.words.get((from + (to - from) / 2) as usize) {
                crate::prefetch(word);
            }
        } else {
            (self.a, self.b) = (self.m.lo, self.m.hi);
            self.ask(view, self.a + (self.b - self.a) / 2, Phase::Lower);
        }
    }

    /// Halves a list until the next id or its place is found.
    fn list<T: TokenId>(&mut self, view: &View<'_, T>, to: u32) {
        let depth = self.m.depth as usize;
        let lists = &view.levels[depth - 1];
        let id = self.run[depth];
        if self.a < self.b {
            // A few steps stay in one line of the cache.
            loop {
                let middle = self.a + (self.b - self.a) / 2;
                if lists.words[middle as usize].into() < id {
                    self.a = middle + 1;
                } else {
                    self.b = middle;
                }
                if self.a >= self.b {
                    break;
                }
                if self.b - self.a > 24 {
                    crate::prefetch(&lists.words[(self.a + (self.b - self.a) / 2) as usize]);
                    return;
                }
            }
        }
        if self.a < to && lists.words[self.a as usize].into() == id {
            self.m = view.child(&self.m, lists, self.a, to);
            if let Some(level) = view.levels.get(depth) {
                level.prefetch(self.a);
            }
            self.phase = Phase::Node;
        } else {
            self.m = Match::nowhere(self.run.len() as u32);
            self.phase = Phase::Done;
        }
    }

    fn ask<T: TokenId>(&mut self, view: &View<'_, T>, probe: u32, phase: Phase) {
        view.suffixes.prefetch(probe);
        self.probe = probe;
        self.phase = phase;
    }

    fn end(&mut self, hi: u32) {
        self.m.hi = hi;
        self.m.depth = self.run.len() as u32;
        self.m.node = None;
        if self.m.lo >= self.m.hi {
            self.m = Match::nowhere(self.m.depth);
        }
        self.phase = Phase::Done;
    }

    /// The text from `position` on against the rest of the run; equal if it begins with it.
    fn compare<T: TokenId>(&self, view: &View<'_, T>, position: usize) -> Ordering {
        let rest = &self.run[self.m.depth as usize..];
        let text = view.text.get(position..).unwrap_or_default();
        for (&id, &wanted) in text.iter().zip(rest) {
            #[cfg(test)]
            COMPARED.set(COMPARED.get() + 1);
            let id: u32 = id.into();
            if id != wanted {
                return id.cmp(&wanted);
            }
        }
        if text.len() < rest.len() { Ordering::Less } else { Ordering::Equal }
    }
}

/// The suffixes that begin with `run`.
pub fn find<T: TokenId>(view: &View<'_, T>, run: &[u32]) -> Match {
    let mut search = Search::new(view, run);
    while search.step(view) {}
    search.m
}

/// Calls `found` with the number of each run and the suffixes that begin with it.
pub fn find_all<'q, T: TokenId>(
    view: &View<'_, T>,
    runs: impl Iterator<Item = &'q [u32]>,
    mut found: impl FnMut(usize, Match),
) {
    let mut runs = runs.enumerate();
    let mut open: Vec<(usize, Search<'q>)> = Vec::with_capacity(GROUP);
    for (number, run) in runs.by_ref().take(GROUP) {
        open.push((number, Search::new(view, run)));
    }
    // A search that ends gives its place to the next run.
    while !open.is_empty() {
        let mut i = 0;
        while i < open.len() {
            let (number, search) = &mut open[i];
            if search.step(view) {
                i += 1;
                continue;
            }
            found(*number, search.m);
            match runs.next() {
                Some((next, run)) => {
                    open[i] = (next, Search::new(view, run));
                    i += 1;
                }
                None => {
                    open.swap_remove(i);
                }
            }
        }
    }
}

/// From a match to that of one id more.
pub fn extend<T: TokenId>(view: &View<'_, T>, m: &Match, id: u32) -> Match {
    if m.depth == 0 {
        return view.first(id);
    }
    if m.lo >= m.hi {
        return Match::nowhere(m.depth + 1);
    }
    if let Some((lists, from, to)) = view.list(m) {
        let words = &lists.words[from as usize..to as usize];
        let at = from + words.partition_point(|&word| word.into() < id) as u32;
        if at < to && lists.words[at as usize].into() == id {
            return view.child(m, &lists, at, to);
        }
        return Match::nowhere(m.depth + 1);
    }
    let smaller = |i: u32| view.id(i, m.depth).is_none_or(|next| next < id);
    let lo = partition(m.lo, m.hi, smaller);
    let equal = |i: u32| view.id(i, m.depth) == Some(id);
    let hi = run_end(lo, m.hi, equal);
    if lo < hi {
        Match { lo, hi, depth: m.depth + 1, node: None }
    } else {
        Match::nowhere(m.depth + 1)
    }
}

/// The first of `lo..hi` for which `holds` does not hold, if it holds for a beginning only.
fn partition(mut lo: u32, mut hi: u32, holds: impl Fn(u32) -> bool) -> u32 {
    while lo < hi {
        let middle = lo + (hi - lo) / 2;
        if holds(middle) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    lo
}

/// The same, found from `lo` in steps that double: for short beginnings.
fn run_end(mut lo: u32, mut hi: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let mut step = 1u32;
    while lo < hi {
        let probe = lo.saturating_add(step - 1).min(hi - 1);
        if !holds(probe) {
            hi = probe;
            break;
        }
        lo = probe + 1;
        step = step.saturating_mul(2);
    }
    partition(lo, hi, holds)
}

/// Calls `found` with each id that follows a match, rising, and how often.
pub fn followers<T: TokenId>(view: &View<'_, T>, m: &Match, mut found: impl FnMut(u32, u32)) {
    if m.depth == 0 {
        for (id, pair) in (0..).zip(view.starts.windows(2)) {
            let count = pair[1].min(m.hi).saturating_sub(pair[0]);
            if count > 0 {
                found(id, count);
            }
        }
    } else if let Some((lists, from, to)) = view.list(m) {
        for i in from..to {
            found(lists.words[i as usize].into(), view.child(m, &lists, i, to).len());
        }
    } else {
        let mut at = m.hi - view.followed(m);
        while at < m.hi {
            let id = view.id(at, m.depth);
            let end = run_end(at + 1, m.hi, |i| view.id(i, m.depth) == id);
            if let Some(id) = id {
                found(id, end - at);
            }
            at = end;
        }
    }
}
