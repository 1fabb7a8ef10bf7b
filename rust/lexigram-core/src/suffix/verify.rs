//! Whether a shard is what it says: all of it is read, and computed anew where that can be done.

use super::shard::{Shard, TokenId, document_starts};
use crate::Result;
use crate::progress::Progress;

impl<T: TokenId> Shard<T> {
    /// Reads everything: checksums, ids, documents, the order of the suffixes, the tree.
    pub fn verify(&self, done: u64, total: u64, progress: &dyn Progress) -> Result<()> {
        self.file().verify()?;
        progress.report(done + self.num_tokens() / 4, total)?;
        let view = self.view();
        let corrupt = |what: String| Err(self.corrupt(what));
        let vocab_size = self.part().vocab_size;
        if let Some(at) = view.text.iter().position(|&id| id.into() as usize >= vocab_size) {
            return corrupt(format!("id {at} of its text is not in the vocabulary"));
        }
        let separator = self.part().separator;
        let own = &view.text[..view.len as usize];
        if self.part().front && own.first().map(|&id| id.into()) != separator {
            return corrupt("no separator stands in front".to_owned());
        }
        let documents = document_starts(own, separator, self.part().front);
        if documents != self.documents() {
            return corrupt("its documents are not those of its separators".to_owned());
        }
        let suffixes = self.unpack()?;
        let tree =
            super::tree::build(view.text, &suffixes, vocab_size, separator, super::tree::EXPANDED);
        progress.report(done + self.num_tokens() / 2, total)?;
        self.check_order(&suffixes)?;
        let same = tree.starts == view.starts
            && tree.levels.iter().zip(&view.levels).all(|(ours, theirs)| {
                ours.expanded == theirs.expanded
                    && ours.ranks == theirs.ranks
                    && ours.offsets == theirs.offsets
                    && ours.words == theirs.words
                    && ours.starts == theirs.starts
            });
        if !same {
            return corrupt("its tree is not that of its suffixes".to_owned());
        }
        progress.report(done + self.num_tokens(), total)
    }

    /// The suffix array, after checking that it holds every position once.
    fn unpack(&self) -> Result<Vec<u32>> {
        let view = self.view();
        let mut seen = vec![false; view.len as usize];
        let mut suffixes = Vec::with_capacity(view.len as usize);
        for i in 0..view.len {
            let position = view.suffixes.get(i);
            match seen.get_mut(position as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(self.corrupt(format!("suffix {i} is no new position"))),
            }
            suffixes.push(position);
        }
        Ok(suffixes)
    }

    /// Neighbours are in order: their first ids rise, or are equal and the suffixes after these
    /// stand in the same order. (Where one of those belongs to the next shard, they are compared.)
    fn check_order(&self, suffixes: &[u32]) -> Result<()> {
        let text = self.view().text;
        let mut ranks = vec![0u32; suffixes.len()];
        for (rank, &position) in (0..).zip(suffixes) {
            ranks[position as usize] = rank;
        }
        let ids = |at: usize| text[at..].iter().map(|&id| id.into());
        let rising = |pair: &[u32]| {
            let (one, two) = (pair[0] as usize, pair[1] as usize);
            let first = (text[one].into()).cmp(&text[two].into());
            first.is_lt()
                || first.is_eq()
                    && match (ranks.get(one + 1), ranks.get(two + 1)) {
                        (Some(one), Some(two)) => one < two,
                        _ => ids(one).lt::<_>(ids(two)),
                    }
        };
        match suffixes.windows(2).position(|pair| !rising(pair)) {
            None => Ok(()),
            Some(i) => Err(self.corrupt(format!("suffixes {i} and {} are not in order", i + 1))),
        }
    }
}
