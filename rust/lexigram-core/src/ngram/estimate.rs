//! From counts to values and weights, one order after the other.
//!
//! Every smoothing of [`Smoothing`] is one formula with other terms (a: the count, adjusted for
//! Kneser-Ney; A(h) = Σ_x a(hx); sums over the followers x of h):
//!
//! ```text
//! p(w|h) = (a(hw) − D(a(hw))) / (A(h) + E(h)) + γ(h) · lower
//! γ(h)   = (Σ_x D(a(hx)) + E(h)) / (A(h) + E(h))
//!
//!                   D            E(h)      lower
//! Kneser-Ney        discounts    0         p(w|h′)
//! Witten-Bell       0            t(h)      p(w|h′)
//! additive          0            kV        1/V
//! ```
//!
//! with 1/V for p(w|h′) at order 1. So Σ_w p(w|h) = 1 whenever the lower distribution sums to
//! one. Stupid Backoff has D = E = lower = 0 and the constant weight 0.4. A pruned n-gram keeps
//! nothing: all of its a counts as discount, and D and A are those from before the pruning.

use std::borrow::Cow;

use rayon::prelude::*;

use super::count::Counts;
use super::kneser_ney::{AHEAD, Discounts, adjusted_counts, counts_of_counts, suffix_links};
use super::model::{Description, Level, Model};
use super::work::{Meter, pieces, split_mut};
use super::{Options, STUPID_BACKOFF_FACTOR, Smoothing};
use crate::{Result, prefetch};

/// Turns counts into a model.
pub(super) fn estimate(counts: Counts, options: &Options, meter: &mut Meter<'_>) -> Result<Model> {
    let Counts { levels: mut counted, num_tokens, heads, .. } = counts;
    let smoothing = options.smoothing;
    let linked = matches!(smoothing, Smoothing::ModifiedKneserNey | Smoothing::WittenBell);
    let adjusts = smoothing == Smoothing::ModifiedKneserNey;
    let mut levels: Vec<Level> = Vec::with_capacity(options.order);
    let mut all_counts_of_counts = Vec::with_capacity(options.order);
    let mut links = Vec::new();
    for order in 1..=options.order {
        let mut links_above = Vec::new();
        if order < options.order && linked {
            links_above = suffix_links(&counted, order + 1, &links, num_tokens, meter)?;
        } else if order < options.order {
            meter.advance(num_tokens)?;
        }
        let raw = &counted[order - 1].counts[..];
        let counts = if adjusts && order < options.order {
            let separator = options.document_separator;
            let adjusted = || adjusted_counts(&counted, order, &links_above, separator, &heads);
            Cow::Owned(meter.run(adjusted))
        } else {
            Cow::Borrowed(raw)
        };
        let n = counts_of_counts(&counts);
        let discounts = if adjusts { Discounts::new(n) } else { Discounts::NONE };
        all_counts_of_counts.push(n);
        let root = [0, options.vocab_size as u32];
        let estimator = Estimator {
            smoothing,
            vocab_size: options.vocab_size as f64,
            discounts,
            contexts: if order == 1 { &root } else { &counted[order - 2].children },
            counts: &counts,
            raw,
            threshold: options.threshold(order),
            links: &links,
            lower: levels.last().map_or(&[], |level| &level.logprobs),
        };
        let (values, weights) = estimator.run(num_tokens, meter)?;
        if let Some(below) = levels.last_mut() {
            meter.run(|| below.logprobs.par_iter_mut().for_each(|p| *p = p.ln()));
            below.backoffs = meter.run(|| weights.into_par_iter().map(f64::ln).collect());
        }
        // Until the next order is estimated, the level holds probabilities, not logarithms.
        levels.push(Level { logprobs: values, ..Level::default() });
        links = links_above;
    }
    if let Some(last) = levels.last_mut() {
        meter.run(|| last.logprobs.par_iter_mut().for_each(|p| *p = p.ln()));
    }
    let seen = counted[0].counts.iter().filter(|&&count| count > 0).count() as u64;
    for (level, counted) in levels.iter_mut().zip(&mut counted) {
        level.words = std::mem::take(&mut counted.words).into_vec();
        level.children = std::mem::take(&mut counted.children).into_vec();
    }
    if options.prune.iter().any(|&threshold| threshold > 0) {
        let raw: Vec<Vec<u32>> = counted.into_iter().map(|level| level.counts.into_vec()).collect();
        drop_pruned(&mut levels, &raw, options);
    }
    let mut num_ngrams: Vec<u64> = levels.iter().map(|level| level.words.len() as u64).collect();
    num_ngrams[0] = seen;
    let description = Description {
        order: options.order,
        vocab_size: options.vocab_size,
        document_separator: options.document_separator,
        smoothing,
        num_tokens,
        num_ngrams,
        counts_of_counts: all_counts_of_counts,
    };
    Ok(Model::new(description, levels))
}

/// One order's inputs.
struct Estimator<'a> {
    smoothing: Smoothing,
    vocab_size: f64,
    discounts: Discounts,
    /// Where the followers of each context begin; one entry more, the end.
    contexts: &'a [u32],
    counts: &'a [u32],
    raw: &'a [u32],
    threshold: u32,
    links: &'a [u32],
    lower: &'a [f64],
}

impl Estimator<'_> {
    /// The value of each n-gram and the weight of each context.
    fn run(&self, units: u64, meter: &mut Meter<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut values = vec![0.0; self.counts.len()];
        let mut weights = vec![0.0; self.contexts.len() - 1];
        let ranges = pieces(self.contexts);
        let context_ends: Vec<usize> = ranges.iter().map(|range| range.end).collect();
        let ends: Vec<usize> =
            context_ends.iter().map(|&end| self.contexts[end] as usize).collect();
        let value_parts = split_mut(&mut values, &ends);
        let weight_parts = split_mut(&mut weights, &context_ends);
        let parts = value_parts.into_iter().zip(weight_parts);
        meter.stage(
            units,
            ranges.into_iter().zip(parts).collect(),
            |(range, (values, weights))| {
                let base = self.contexts[range.start] as usize;
                for (context, weight) in range.zip(weights) {
                    let from = self.contexts[context] as usize;
                    let to = self.contexts[context + 1] as usize;
                    *weight = self.context(from..to, &mut values[from - base..to - base]);
                }
            },
        )?;
        Ok((values, weights))
    }

    /// The values of one context's followers; returns the context's weight.
    fn context(&self, followers: std::ops::Range<usize>, values: &mut [f64]) -> f64 {
        let counts = &self.counts[followers.clone()];
        let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        if total == 0 {
            return missing_weight(self.smoothing);
        }
        // How many followers have the count 1, 2, 3 or more, and what the pruned ones had.
        let (mut tally, mut pruned) = ([0u64; 3], 0u64);
        for i in followers.clone().filter(|&i| self.counts[i] > 0) {
            match self.raw[i] > self.threshold {
                true => tally[self.counts[i].min(3) as usize - 1] += 1,
                false => pruned += u64::from(self.counts[i]),
            }
        }
        let extra = match self.smoothing {
            Smoothing::WittenBell => counts.iter().filter(|&&count| count > 0).count() as f64,
            Smoothing::Additive { pseudocount } => pseudocount * self.vocab_size,
            Smoothing::ModifiedKneserNey | Smoothing::StupidBackoff => 0.0,
        };
        let denominator = total as f64 + extra;
        let discounted = self.discounts.values.iter().zip(tally).map(|(d, n)| d * n as f64);
        let held_back = discounted.sum::<f64>() + pruned as f64 + extra;
        let weight = match self.smoothing {
            Smoothing::StupidBackoff => STUPID_BACKOFF_FACTOR,
            _ => held_back / denominator,
        };
        for (i, value) in followers.zip(values) {
            self.expect(i + AHEAD);
            let kept = f64::from(self.counts[i]) - self.discounts.of(self.counts[i]);
            *value = kept / denominator + weight * self.lower(i);
        }
        weight
    }

    /// Asks for what [`Self::lower`] will read.
    #[inline]
    fn expect(&self, ngram: usize) {
        if let Some(&link) = self.links.get(ngram)
            && let Some(value) = self.lower.get(link as usize)
        {
            prefetch(value);
        }
    }

    fn lower(&self, ngram: usize) -> f64 {
        match self.smoothing {
            Smoothing::StupidBackoff => 0.0,
            Smoothing::ModifiedKneserNey | Smoothing::WittenBell if !self.links.is_empty() => {
                self.lower[self.links[ngram] as usize]
            }
            _ => 1.0 / self.vocab_size,
        }
    }
}

/// The weight of a context that nothing is known to follow.
pub(super) fn missing_weight(smoothing: Smoothing) -> f64 {
    match smoothing {
        Smoothing::StupidBackoff => STUPID_BACKOFF_FACTOR,
        _ => 1.0,
    }
}

/// Takes the pruned n-grams out. Whatever is kept has its context kept, because a context stands
/// at least as often and the thresholds never fall; for the same reason, its suffix.
fn drop_pruned(levels: &mut [Level], raw: &[Vec<u32>], options: &Options) {
    let kept = |order: usize, i: usize| raw[order - 1][i] > options.threshold(order);
    for order in 1..=options.order {
        let level = &mut levels[order - 1];
        // Level 1 is dense: unseen ids stay.
        let here = |i: usize| order == 1 || kept(order, i);
        if order < options.order {
            let mut end = 0;
            let mut children = vec![0];
            for (i, range) in level.children.windows(2).enumerate().filter(|&(i, _)| here(i)) {
                debug_assert!(i < raw[order - 1].len());
                end += (range[0]..range[1]).filter(|&x| kept(order + 1, x as usize)).count();
                children.push(end as u32);
            }
            level.children = children;
        }
        retain(&mut level.words, here);
        retain(&mut level.logprobs, here);
        retain(&mut level.backoffs, here);
    }
}

fn retain<T>(values: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut i = 0;
    values.retain(|_| {
        i += 1;
        keep(i - 1)
    });
    values.shrink_to_fit();
}
