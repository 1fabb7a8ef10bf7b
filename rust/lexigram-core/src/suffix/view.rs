//! A shard's tables, as searches read them: every access is checked or cut to what is there.

use super::packed::Packed;
use super::shard::TokenId;
use super::tree::{LEVELS, Lists};

/// A shard's tables.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    pub text: &'a [T],
    pub suffixes: Packed<'a>,
    /// How many suffixes there are.
    pub len: u32,
    /// Where the suffixes of each id begin, and the end.
    pub starts: &'a [u32],
    pub levels: [Lists<'a, T>; LEVELS],
}

/// The suffixes that begin with some run of ids: `lo..hi` in the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    pub lo: u32,
    pub hi: u32,
    /// The length of the run.
    pub depth: u32,
    /// Its node in the tree, at level `depth`, if the tree lists it.
    pub node: Option<u32>,
}

impl Match {
    pub fn len(&self) -> u32 {
        self.hi - self.lo
    }

    /// The same run, standing nowhere.
    pub fn nowhere(depth: u32) -> Self {
        Self { lo: 0, hi: 0, depth, node: None }
    }
}

impl<T: TokenId> View<'_, T> {
    /// All suffixes.
    pub fn root(&self) -> Match {
        Match { lo: 0, hi: self.len, depth: 0, node: None }
    }

    /// The node of one id.
    #[inline]
    pub fn first(&self, id: u32) -> Match {
        let id_at = id as usize;
        match (self.starts.get(id_at), self.starts.get(id_at + 1)) {
            (Some(&lo), Some(&hi)) => {
                let hi = hi.min(self.len);
                Match { lo: lo.min(hi), hi, depth: 1, node: Some(id) }
            }
            _ => Match::nowhere(1),
        }
    }

    /// The list of what follows a match, if the tree has it.
    #[inline]
    pub fn list(&self, m: &Match) -> Option<(Lists<'_, T>, u32, u32)> {
        let level = self.levels.get((m.depth as usize).checked_sub(1)?)?;
        let (from, to) = level.of(m.node?)?;
        Some((*level, from, to))
    }

    /// Child `i` of a list `from..to` of the match.
    #[inline]
    pub fn child(&self, m: &Match, lists: &Lists<'_, T>, i: u32, to: u32) -> Match {
        let lo = lists.starts[i as usize];
        let hi = if i + 1 < to { lists.starts[i as usize + 1] } else { m.hi };
        let hi = hi.min(m.hi);
        Match { lo: lo.clamp(m.lo.min(hi), hi), hi, depth: m.depth + 1, node: Some(i) }
    }

    /// The id at `depth` of suffix `i`; None behind the end of the text.
    #[inline]
    pub fn id(&self, i: u32, depth: u32) -> Option<u32> {
        #[cfg(test)]
        super::search::COMPARED.set(super::search::COMPARED.get() + 1);
        let at = self.suffixes.get(i) as usize + depth as usize;
        self.text.get(at).map(|&id| id.into())
    }

    /// How many of a match's suffixes have a next id. The one that has none, at the end of the
    /// text, is the first.
    #[inline]
    pub fn followed(&self, m: &Match) -> u32 {
        let ends =
            m.lo < m.hi && self.suffixes.get(m.lo) as usize + m.depth as usize >= self.text.len();
        m.len() - u32::from(ends)
    }
}
