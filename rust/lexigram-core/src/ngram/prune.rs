//! Pruning by relative entropy (Stolcke 1998, arXiv cs/0006025, section 3).
//!
//! Taking hw out changes p(w|h) to α′(h) p(w|h′) and the weight of h from α to α′. With F(h) the
//! followers that h is listed with:
//!
//! ```text
//! α(h)  = (1 − Σ_{v ∈ F} p(v|h)) / (1 − Σ_{v ∈ F} p(v|h′)) = a / b
//! α′(h) = (a + p(w|h)) / (b + p(w|h′))
//! D = −p(h) { p(w|h) [ln p(w|h′) + ln α′ − ln p(w|h)] + a [ln α′ − ln α] }
//! ```
//!
//! D is the relative entropy between the two models, p(h) the product of the model's own
//! probabilities (for the begin marker, that of the end). All n-grams of an order with
//! exp(D) − 1, the relative rise of the perplexity, below the threshold are taken out, the
//! longest order first; each D is that of taking out this one alone. What is the context or the
//! suffix of an n-gram that stays, stays: so values never change, and only weights are computed
//! anew.

use rayon::prelude::*;

use super::model::{Level, Model};
use super::suffix::Tree;
use super::{Smoothing, model::LevelView};
use crate::{Error, Result};

impl Model {
    /// The model without the n-grams whose removal raises the perplexity by a factor of less than
    /// 1 + `threshold` each.
    pub fn prune(&self, threshold: f64) -> Result<Self> {
        if !(threshold >= 0.0 && threshold.is_finite()) {
            let limit = "use a number of 0 or more, such as 1e-8";
            return Err(Error::argument("threshold", threshold, limit));
        }
        if matches!(self.smoothing(), Smoothing::StupidBackoff | Smoothing::Additive { .. }) {
            let name = format!("{:?}", self.smoothing().name());
            let limit = "entropy pruning needs a back-off model of probabilities; use \
                         \"modified_kneser_ney\", \"witten_bell\" or \"normalized_stupid_backoff\"";
            return Err(Error::argument("smoothing", name, limit));
        }
        let tree = Tree::new(self)?;
        let kept = kept(&tree, threshold);
        let levels = take(&tree, &kept);
        let mut description = self.description.clone();
        for (number, level) in description.num_ngrams.iter_mut().zip(&levels).skip(1) {
            *number = level.words.len() as u64;
        }
        self.with_levels(description, levels)
    }
}

/// The sums of one context: 1 − Σ p(v|h) and 1 − Σ p(v|h′) over the followers that `counts`.
fn left(tree: &Tree<'_>, k: usize, context: usize, counts: impl Fn(usize) -> bool) -> (f64, f64) {
    let followers = tree.levels[k - 1].followers(context).filter(|&i| counts(i));
    followers.fold((1.0, 1.0), |(a, b), i| {
        (a - tree.levels[k].logprob(i).exp(), b - shorter(tree, k, i).exp())
    })
}

/// ln p(w|h′) of the n-gram hw.
fn shorter(tree: &Tree<'_>, k: usize, i: usize) -> f64 {
    tree.levels[k - 1].logprob(tree.links[k][i] as usize)
}

/// exp(D) − 1 of taking out the n-gram hw, where `weight` is p(h).
fn rise(weight: f64, p: f64, p_shorter: f64, (a, b): (f64, f64)) -> f64 {
    let (a, b) = (a.max(0.0), b.max(0.0));
    let new = ((a + p) / (b + p_shorter)).ln();
    let others = if a > 0.0 { a * (new - (a / b).ln()) } else { 0.0 };
    (-weight * (p * (p_shorter.ln() + new - p.ln()) + others)).exp_m1()
}

/// Which n-grams of each level stay.
fn kept(tree: &Tree<'_>, threshold: f64) -> Vec<Vec<bool>> {
    let order = tree.levels.len();
    // ln p of each n-gram as a whole.
    let mut whole: Vec<Vec<f64>> =
        vec![(0..tree.sizes[0]).map(|i| tree.levels[0].logprob(i)).collect()];
    for k in 1..order.saturating_sub(1) {
        let below = &whole[k - 1];
        let of_context = |context: usize| {
            let followers = tree.levels[k - 1].followers(context);
            followers.map(move |i| below[context] + tree.levels[k].logprob(i))
        };
        let next = (0..tree.sizes[k - 1]).flat_map(of_context).collect();
        whole.push(next);
    }
    let mut kept: Vec<Vec<bool>> = tree.sizes.iter().map(|&size| vec![false; size]).collect();
    kept[0].fill(true);
    for k in (1..order).rev() {
        // What stays because of longer ones is marked already.
        let (now, longer) = kept.split_at_mut(k + 1);
        let (below, now) = now.split_at_mut(k);
        let contexts = (0..tree.sizes[k - 1]).into_par_iter().with_min_len(1 << 10);
        let decide = |context: usize| {
            let sums = left(tree, k, context, |_| true);
            let weight = whole[k - 1][context].exp();
            tree.levels[k - 1].followers(context).map(move |i| {
                let (p, p_shorter) = (tree.levels[k].logprob(i).exp(), shorter(tree, k, i).exp());
                let rise = rise(weight, p, p_shorter, sums);
                // What is not a number has no say in what is lost: it stays.
                rise.is_nan() || rise >= threshold
            })
        };
        let stays: Vec<bool> = contexts.flat_map_iter(decide).collect();
        for (now, stays) in now[0].iter_mut().zip(stays) {
            *now |= stays;
        }
        for context in 0..tree.sizes[k - 1] {
            for i in tree.levels[k - 1].followers(context).filter(|&i| now[0][i]) {
                below[k - 1][context] = true;
                below[k - 1][tree.links[k][i] as usize] = true;
            }
        }
        debug_assert_eq!(longer.len(), order - 1 - k);
    }
    kept
}

/// The levels of what stays.
fn take(tree: &Tree<'_>, kept: &[Vec<bool>]) -> Vec<Level> {
    let order = tree.levels.len();
    let mut levels = Vec::with_capacity(order);
    for k in 0..order {
        let view: &LevelView<'_> = &tree.levels[k];
        let here: Vec<usize> = (0..tree.sizes[k]).filter(|&i| kept[k][i]).collect();
        let mut level =
            Level { logprobs: here.iter().map(|&i| view.logprob(i)).collect(), ..Level::default() };
        if k > 0 {
            level.words = here.iter().map(|&i| view.word(i)).collect();
        }
        if k + 1 < order {
            let mut end = 0;
            level.children.push(0);
            for &i in &here {
                let followers = view.followers(i);
                let stay = followers.clone().filter(|&x| kept[k + 1][x]).count();
                end += stay;
                level.children.push(end as u32);
                level.backoffs.push(match stay == followers.len() {
                    true => view.backoff(i),
                    false => {
                        let (a, b) = left(tree, k + 1, i, |x| kept[k + 1][x]);
                        // Nothing is left below where rounding, or a file of numbers that are
                        // no distribution, has the shorter context give all to what is listed.
                        (a.max(0.0) / b.max(f64::EPSILON)).ln()
                    }
                });
            }
        }
        levels.push(level);
    }
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Options;
    use super::*;
    use crate::progress::Silent;

    fn distribution(model: &Model, context: &[u32]) -> Vec<f64> {
        let mut out = vec![0.0f64; model.vocab_size()];
        model.next_logprobs(context, &mut out).unwrap();
        out.into_iter().map(f64::exp).collect()
    }

    /// All n-grams of an order as ids.
    fn ngrams(tree: &Tree<'_>, k: usize) -> Vec<Vec<u32>> {
        if k == 0 {
            return (0..tree.sizes[0] as u32).map(|id| vec![id]).collect();
        }
        let contexts = ngrams(tree, k - 1).into_iter().enumerate();
        contexts
            .flat_map(|(context, ids)| {
                let followers = tree.levels[k - 1].followers(context);
                followers.map(move |i| [&ids[..], &[tree.levels[k].word(i)]].concat())
            })
            .collect()
    }

    /// exp(D) − 1 by the definition: the sum over the vocabulary of both distributions after h.
    fn naive_rise(model: &Model, listed: &[Vec<u32>], ngram: &[u32]) -> f64 {
        let (word, context) = ngram.split_last().unwrap();
        let p = distribution(model, context);
        let p_shorter = distribution(model, &context[1..]);
        let stays: Vec<usize> = listed
            .iter()
            .filter(|other| other[..context.len()] == *context && other.last() != Some(word))
            .map(|other| other[context.len()] as usize)
            .collect();
        let mass: f64 = stays.iter().map(|&v| p[v]).sum();
        let mass_shorter: f64 = stays.iter().map(|&v| p_shorter[v]).sum();
        let weight = (1.0 - mass) / (1.0 - mass_shorter);
        let entropy: f64 = (0..p.len())
            .map(|v| {
                p[v] * (p[v] / if stays.contains(&v) { p[v] } else { weight * p_shorter[v] }).ln()
            })
            .sum();
        let history: f64 = (0..context.len())
            .map(|i| distribution(model, &context[..i])[context[i] as usize].ln())
            .sum();
        (history.exp() * entropy).exp() - 1.0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn equals_the_definition(
            tokens in prop::collection::vec(0u32..5, 1..80), order in 1usize..5, separated: bool,
            witten_bell: bool, threshold in 0.0f64..0.02
        ) {
            let mut options = Options::new(order, 6);
            options.document_separator = separated.then_some(0);
            if witten_bell {
                options.smoothing = Smoothing::WittenBell;
            }
            let model = Model::train(&tokens, &options, &Silent).unwrap();
            let pruned = model.prune(threshold).unwrap();
            let (tree, small) = (Tree::new(&model).unwrap(), Tree::new(&pruned).unwrap());
            let mut longer: Vec<Vec<u32>> = Vec::new();
            for k in (1..order).rev() {
                let listed = ngrams(&tree, k);
                let left = ngrams(&small, k);
                for ngram in &listed {
                    // The sums of both sides round differently: near the threshold, either goes.
                    let rise = naive_rise(&model, &listed, ngram);
                    let needed = longer.iter().any(|other| {
                        other[..k + 1] == ngram[..] || other[1..] == ngram[..]
                    });
                    if needed || rise > threshold + 1e-5 {
                        prop_assert!(left.contains(ngram), "{ngram:?} {rise}");
                    } else if rise < threshold - 1e-5 {
                        prop_assert!(!left.contains(ngram), "{ngram:?} {rise}");
                    }
                }
                longer = left;
            }
            // What stays keeps its value, and every distribution still sums to one.
            for k in 0..order {
                for ngram in ngrams(&small, k) {
                    let (&word, context) = ngram.split_last().unwrap();
                    if separated && ngram[1..].contains(&0) && context.contains(&0) && context.len() > 1 {
                        continue;
                    }
                    let (old, new) = (distribution(&model, context), distribution(&pruned, context));
                    prop_assert!((old[word as usize] - new[word as usize]).abs() < 1e-6);
                    let sum: f64 = new.iter().sum();
                    prop_assert!((sum - 1.0).abs() < 1e-5, "{sum}");
                }
            }
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        let train = |smoothing| {
            let options = Options { smoothing, ..Options::new(2, 3) };
            Model::train(&[0u32, 1, 0, 2], &options, &Silent).unwrap()
        };
        for threshold in [-1.0, f64::NAN, f64::INFINITY] {
            let error = train(Smoothing::WittenBell).prune(threshold).unwrap_err();
            assert!(error.to_string().contains("threshold"));
        }
        let error = train(Smoothing::StupidBackoff).prune(0.1).unwrap_err();
        assert!(error.to_string().contains("stupid_backoff"));
        let everything = train(Smoothing::WittenBell).prune(1e9).unwrap();
        assert_eq!(everything.num_ngrams(), [3, 0]);
    }
}
