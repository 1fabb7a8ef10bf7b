//! Stupid Backoff as a distribution.
//!
//! Brants et al. 2007 leave the scores S(w|h) unnormalised, so they have no perplexity. Their
//! sum over the vocabulary, Z(h) = Σ_w S(w|h), needs only the followers F(h) that h was seen with,
//! because all others are scored by the shorter context:
//!
//! ```text
//! Z(h) = Σ_{w ∈ F(h)} S(w|h) + α (Z(h′) − Σ_{w ∈ F(h)} S(w|h′)),   α = 0.4
//! p(w|h) = S(w|h) / Z(h)
//! ```
//!
//! For a w that h was not seen with, S(w|h) = α S(w|h′), so p(w|h) = α Z(h′)/Z(h) · p(w|h′): the
//! normalised form is a back-off model with these weights, and a context that was never seen has
//! the weight 1. The recursion here goes one step below the unigrams, to the uniform
//! distribution: an id never seen has S = α/V, else a single one would make every perplexity
//! infinite; Z of the empty context is 1 + α/V times the number of such ids.

use super::model::{Level, Model};
use super::suffix::Tree;
use super::{STUPID_BACKOFF_FACTOR, Smoothing};
use crate::{Error, Result};

/// A sum is taken for at least that much, so that its inverse is a number: of trained models none
/// is less, but a file may hold any scores.
const LEAST: f64 = 1e-280;

impl Model {
    /// The scores of a model of Stupid Backoff, divided by their sums.
    pub fn normalized(&self) -> Result<Self> {
        if self.smoothing() != Smoothing::StupidBackoff {
            let name = format!("{:?}", self.smoothing().name());
            let limit = "its values are probabilities already; only \"stupid_backoff\" needs this";
            return Err(Error::argument("smoothing", name, limit));
        }
        let tree = Tree::new(self)?;
        let order = self.order();
        let floor = STUPID_BACKOFF_FACTOR / self.vocab_size() as f64;
        let score = |k: usize, i: usize| match tree.levels[k].logprob(i) {
            f64::NEG_INFINITY if k == 0 => floor,
            logprob => logprob.exp(),
        };
        let empty = (0..tree.sizes[0]).map(|i| score(0, i)).sum::<f64>().max(LEAST);
        // Z of the contexts of the level before, and of those whose n-grams are being written.
        let mut shorter = vec![empty];
        let mut levels: Vec<Level> = Vec::with_capacity(order);
        let unigrams = (0..tree.sizes[0]).map(|i| (score(0, i) / empty).ln()).collect();
        levels.push(Level { logprobs: unigrams, ..Level::default() });
        for k in 1..order {
            let mut totals = Vec::with_capacity(tree.sizes[k - 1]);
            let mut level = Level::default();
            let mut children = Vec::with_capacity(tree.sizes[k - 1] + 1);
            for context in 0..tree.sizes[k - 1] {
                let followers = tree.levels[k - 1].followers(context);
                let seen: f64 = followers.clone().map(|i| score(k, i)).sum();
                let below: f64 =
                    followers.clone().map(|i| score(k - 1, tree.links[k][i] as usize)).sum();
                let suffix = if k == 1 { 0 } else { tree.links[k - 1][context] as usize };
                let left = (shorter[suffix] - below).max(0.0);
                let total = (seen + STUPID_BACKOFF_FACTOR * left).max(LEAST);
                let weight = STUPID_BACKOFF_FACTOR * shorter[suffix] / total;
                levels[k - 1].backoffs.push(weight.ln());
                children.push(followers.start as u32);
                for i in followers {
                    level.words.push(tree.levels[k].word(i));
                    level.logprobs.push((score(k, i) / total).ln());
                }
                totals.push(total);
            }
            children.push(tree.sizes[k] as u32);
            levels[k - 1].children = children;
            levels.push(level);
            shorter = totals;
        }
        let mut description = self.description.clone();
        description.smoothing = Smoothing::NormalizedStupidBackoff;
        self.with_levels(description, levels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Options;
    use super::*;
    use crate::progress::Silent;

    proptest! {
        #[test]
        fn is_the_scores_over_their_sum(
            tokens in prop::collection::vec(0u32..5, 1..60), order in 1usize..5,
            separated: bool, pruned in 0u32..2, context in prop::collection::vec(0u32..6, 0..6)
        ) {
            let mut options = Options::new(order, 6);
            options.document_separator = separated.then_some(0);
            options.smoothing = Smoothing::StupidBackoff;
            options.prune = vec![0, pruned, pruned][..order.min(3)].to_vec();
            let raw = Model::train(&tokens, &options, &Silent).unwrap();
            options.smoothing = Smoothing::NormalizedStupidBackoff;
            let model = Model::train(&tokens, &options, &Silent).unwrap();
            prop_assert_eq!(model.smoothing(), Smoothing::NormalizedStupidBackoff);
            let values = |model: &Model, context: &[u32]| {
                let mut out = vec![0.0f64; 6];
                model.next_logprobs(context, &mut out).unwrap();
                out.into_iter().map(f64::exp).collect::<Vec<f64>>()
            };
            for length in 0..=context.len() {
                // A seen unigram has a positive score; what has none backs off to α/V, by as
                // many steps as there are contexts above it.
                let context = &context[..length];
                let unigrams = values(&raw, &[]);
                let mut depth = context.len().min(order - 1);
                if let (true, Some(at)) = (separated, context.iter().rposition(|&id| id == 0)) {
                    depth = depth.min(context.len() - at);
                }
                let floor = STUPID_BACKOFF_FACTOR.powi(depth as i32 + 1) / 6.0;
                let scores = values(&raw, context).into_iter().zip(unigrams)
                    .map(|(score, unigram)| if unigram > 0.0 { score } else { floor });
                let scores: Vec<f64> = scores.collect();
                let total: f64 = scores.iter().sum();
                for (probability, score) in values(&model, context).into_iter().zip(scores) {
                    prop_assert!((probability - score / total).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn other_models_are_refused() {
        let model = Model::train(&[0u32, 1], &Options::new(2, 2), &Silent).unwrap();
        assert!(model.normalized().unwrap_err().to_string().contains("smoothing"));
    }
}
