//! The plain walk: for each id, every suffix of the context is looked up from the root of the
//! trie, word by word, and the longest that has the id gives its value. No states, no lanes, no
//! searches that end early; only [`LevelView`]'s four readings of a node.

use super::estimate::missing_weight;
use super::model::{LevelView, Model};
use super::{MAX_ORDER, Smoothing};

pub struct NaiveQuery<'a> {
    model: &'a Model,
    levels: [LevelView<'a>; MAX_ORDER],
}

impl<'a> NaiveQuery<'a> {
    pub fn new(model: &'a Model) -> Self {
        Self { model, levels: model.levels() }
    }

    /// The node of an n-gram.
    fn node(&self, ngram: &[u32]) -> Option<usize> {
        let mut node = ngram[0] as usize;
        for (level, &word) in ngram[1..].iter().enumerate() {
            node = self.levels[level]
                .followers(node)
                .find(|&follower| self.levels[level + 1].word(follower) == word)?;
        }
        Some(node)
    }

    /// ln p of the last of `ids` given the others, and the order that gave it.
    pub fn score(&self, ids: &[u32]) -> (f64, u8) {
        let (id, before) = ids.split_last().unwrap();
        let longest = before.len().min(self.model.order() - 1);
        let separator = self.model.document_separator();
        let start = before.iter().rposition(|&id| Some(id) == separator).unwrap_or(0);
        let context = &before[start.max(before.len() - longest)..];
        let smoothing = self.model.smoothing();
        let mut paid = 0.0;
        for from in 0..=context.len() {
            let context = &context[from..];
            let order = context.len() + 1;
            if let Some(node) = self.node(&[context, &[*id]].concat()) {
                return (paid + self.levels[order - 1].logprob(node), order as u8);
            }
            paid += match self.node(context) {
                Some(node) => self.levels[order - 2].backoff(node),
                None => missing_weight(smoothing).ln(),
            };
            if matches!(smoothing, Smoothing::Additive { .. }) {
                return (paid - (self.model.vocab_size() as f64).ln(), 0);
            }
        }
        unreachable!("every id is a unigram")
    }
}
