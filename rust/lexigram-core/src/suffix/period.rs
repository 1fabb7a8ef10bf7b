//! Windows that come again while a text repeats itself.
//!
//! Where a text repeats more of itself than the corpus does (`a a a …`), each id makes the window
//! lose its first id, and to find it anew costs a comparison of all its ids: n² for n ids. But the
//! window after an id is a function of the window's ids and the one before them: with that one it
//! would stand nowhere. So if the text agrees with itself p ids before on more ids than the window
//! had then, the window is the same as then.
//!
//! Invariant: the last `agree` ids of the text equal those p before them; `past` are the windows
//! after the last ids, at most p of them.

use std::collections::VecDeque;

use super::infinigram::Window;
use super::view::Match;

/// What is known of a text that repeats itself.
#[derive(Default)]
pub(super) struct Period {
    /// p; 0: none is known.
    shift: usize,
    agree: usize,
    past: VecDeque<Past>,
}

struct Past {
    length: usize,
    weight: u64,
    matches: Vec<Match>,
}

impl Period {
    /// The text does not go on.
    pub fn clear(&mut self) {
        self.shift = 0;
        self.past.clear();
    }

    /// Takes the last id of `run`, the window before with one id more.
    #[inline]
    pub fn read(&mut self, run: &[u32]) {
        if self.shift == 0 {
            return;
        }
        let (last, earlier) = (run.len() - 1, run.len().wrapping_sub(1 + self.shift));
        match run.get(earlier) == Some(&run[last]) {
            true => self.agree += 1,
            false => self.clear(),
        }
    }

    /// Makes `window` what it was a period before, if it is that.
    pub fn recall(&mut self, window: &mut Window) -> bool {
        let Some(past) = self.past.front().filter(|_| self.past.len() == self.shift) else {
            return false;
        };
        // The second holds in any sorted array; a file may be another.
        let is_same = past.length < self.agree && past.length < window.len();
        if is_same {
            window.set(past.length, past.weight, &past.matches);
        }
        is_same
    }

    /// Looks for a period in a run that was found anew, at the cost of comparing it once: the
    /// length without its longest border (Knuth, Morris and Pratt 1977).
    pub fn look(&mut self, run: &[u32]) {
        if self.shift > 0 {
            return;
        }
        let mut borders = vec![0usize; run.len()];
        let mut border = 0;
        for i in 1..run.len() {
            while border > 0 && run[i] != run[border] {
                border = borders[border - 1];
            }
            border += usize::from(run[i] == run[border]);
            borders[i] = border;
        }
        if 2 * border >= run.len() {
            self.past.clear();
            (self.shift, self.agree) = (run.len() - border, border);
        }
    }

    /// Keeps a window for as long as the next period takes.
    #[inline]
    pub fn remember(&mut self, window: &Window) {
        if self.shift == 0 {
            return;
        }
        let oldest = match self.past.len() == self.shift {
            true => self.past.pop_front(),
            false => None,
        };
        let mut matches = oldest.map_or_else(Vec::new, |oldest| oldest.matches);
        matches.clear();
        matches.extend_from_slice(window.matches());
        let (length, weight) = (window.len(), window.weight());
        self.past.push_back(Past { length, weight, matches });
    }
}
