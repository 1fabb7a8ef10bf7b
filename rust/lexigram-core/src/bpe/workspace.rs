//! The memory that calls work in, kept between them.

use std::hint::spin_loop;
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::cache::WordCache;
use super::encode::Scratch;
use crate::pretokenize::Ends;

/// What a call works in.
#[derive(Debug, Default)]
pub struct Workspace {
    pub words: WordCache,
    pub scratch: Scratch,
    pub ends: Ends,
}

/// Memory of past calls, at most one for each call that ran at the same time.
#[derive(Debug, Default)]
#[allow(clippy::vec_box)] // moved in and out at each call
pub struct Workspaces(Mutex<Vec<Box<Workspace>>>);

impl Workspaces {
    /// Runs `work` in the memory of an earlier call, or in new memory.
    pub fn with<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let kept = self.kept().and_then(|mut kept| kept.pop());
        let mut workspace = kept.unwrap_or_default();
        let outcome = work(&mut workspace);
        if let Some(mut kept) = self.kept() {
            kept.push(workspace);
        }
        outcome
    }

    /// Sees to it that so many threads find the words of past calls: those beyond the kept ones get
    /// a copy of what the fullest knows.
    pub fn share_words(&self, threads: usize) {
        let fullest = self.kept().and_then(|mut kept| {
            let at = (0..kept.len()).max_by_key(|&at| kept[at].words.table_bytes())?;
            (kept.len() < threads).then(|| (kept.swap_remove(at), kept.len() + 1))
        });
        // Copied while nobody waits.
        let Some((fullest, kept)) = fullest else { return };
        let copy = || Workspace { words: fullest.words.clone(), ..Workspace::default() };
        let mut copies: Vec<_> = (kept..threads).map(|_| Box::new(copy())).collect();
        copies.push(fullest);
        if let Some(mut kept) = self.kept() {
            kept.append(&mut copies);
        }
    }

    /// The memory of past calls, if it can be had. It is held for a push or a pop only, so hardly
    /// ever waited for; but in a process that was forked while another thread held it, it is never
    /// free again.
    #[allow(clippy::vec_box)] // as above
    pub fn kept(&self) -> Option<MutexGuard<'_, Vec<Box<Workspace>>>> {
        for _ in 0..1000 {
            match self.0.try_lock() {
                Ok(kept) => return Some(kept),
                Err(TryLockError::Poisoned(kept)) => return Some(kept.into_inner()),
                Err(TryLockError::WouldBlock) => spin_loop(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes the words of a text, and says how many of them were not known.
    fn encode(work: &mut Workspace, text: &str) -> usize {
        let (mut start, mut unknown) = (0, 0);
        for word in text.split_inclusive(' ') {
            let end = start + word.len();
            work.words.encode(text.as_bytes(), start, &[end], &mut vec![], |_, out| {
                unknown += 1;
                out.push(1);
            });
            start = end;
        }
        unknown
    }

    #[test]
    fn threads_without_memory_know_the_words_of_the_fullest() {
        let workspaces = Workspaces::default();
        workspaces.share_words(2);
        assert!(workspaces.kept().unwrap().is_empty(), "there was nothing to share");
        let words: String = (0..5000).map(|i| format!("w{i} ")).collect();
        workspaces.with(|work| assert_eq!(encode(work, &words), 5000));
        workspaces.with(|outer| {
            encode(outer, "");
            workspaces.with(|inner| assert_eq!(encode(inner, "few words "), 2));
        });
        workspaces.share_words(4);
        let mut kept = workspaces.kept().unwrap();
        assert_eq!(kept.len(), 4);
        // A few words had to give way to others.
        let unknown: Vec<_> = kept.iter_mut().map(|work| encode(work, &words)).collect();
        assert_eq!(unknown.iter().filter(|&&unknown| unknown < 2500).count(), 3, "{unknown:?}");
    }
}
