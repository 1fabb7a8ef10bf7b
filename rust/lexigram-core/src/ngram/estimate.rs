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

use super::count::{CountLevel, Counts};
use super::kneser_ney::{
    AHEAD, Discounts, Starts, adjusted_counts, count_raw_suffix, counts_of_counts, suffix_links,
};
use super::model::{Description, Model};
use super::storage::{Level, OwnedLevel};
use super::work::{Meter, pieces, split_mut};
use super::{Options, STUPID_BACKOFF_FACTOR, Smoothing};
use crate::{Result, prefetch};

/// Turns counts into a model, order by order. A level is packed, and its counts are given up, as
/// soon as the order above has given its weights.
pub(super) fn estimate(counts: Counts, options: &Options, meter: &mut Meter<'_>) -> Result<Model> {
    let smoothing = options.smoothing;
    let linked = matches!(smoothing, Smoothing::ModifiedKneserNey | Smoothing::WittenBell);
    let adjusts = smoothing == Smoothing::ModifiedKneserNey;
    let starts = Starts::new(&counts, &options.raw_suffixes);
    let num_tokens = counts.num_tokens;
    let mut packer = Packer::new(counts.levels, options);
    let mut all_counts_of_counts = Vec::with_capacity(options.order);
    // The probabilities of the order below; for each n-gram, where its suffix is in that order.
    let (mut lower, mut links) = (Vec::new(), Vec::new());
    for order in 1..=options.order {
        let is_last = order == options.order;
        let counted = &packer.counted;
        let mut links_above = Vec::new();
        if !is_last && linked {
            links_above = suffix_links(counted, order + 1, &links, num_tokens, meter)?;
        } else if !is_last {
            meter.advance(num_tokens)?;
        }
        let raw = &counted[order - 1].counts[..];
        let counts = if adjusts && !is_last {
            Cow::Owned(meter.run(|| adjusted_counts(raw, &links_above, &starts, order)))
        } else {
            Cow::Borrowed(raw)
        };
        let mut n = counts_of_counts(&counts);
        if adjusts {
            count_raw_suffix(&mut n, raw, &counts, &starts, order);
        }
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
            lower: &lower,
        };
        // Of the last order only the logarithms are needed.
        let (values, logprobs, weights);
        if is_last {
            (logprobs, weights) = estimator.run(|p| p.ln() as f32, num_tokens, meter)?;
            values = Vec::new();
        } else {
            (values, weights) = estimator.run(|p| p, num_tokens, meter)?;
            logprobs = Vec::new();
        }
        drop(counts);
        links = links_above;
        let below = std::mem::replace(&mut lower, values);
        if order > 1 {
            let below = meter.run(|| below.into_par_iter().map(|p| p.ln() as f32).collect());
            meter.run(|| packer.pack(order - 1, below, weights));
        }
        if is_last {
            meter.run(|| packer.pack(order, logprobs, Vec::new()));
        }
    }
    let description = Description {
        order: options.order,
        vocab_size: options.vocab_size,
        document_separator: options.document_separator,
        smoothing,
        num_tokens,
        num_ngrams: packer.num_ngrams,
        counts_of_counts: all_counts_of_counts,
    };
    Ok(Model::packed(description, packer.packed))
}

/// Packs levels and gives up their counts.
struct Packer<'a> {
    options: &'a Options,
    counted: Vec<CountLevel>,
    packed: Vec<OwnedLevel>,
    num_ngrams: Vec<u64>,
}

impl<'a> Packer<'a> {
    fn new(counted: Vec<CountLevel>, options: &'a Options) -> Self {
        let seen = counted[0].counts.iter().filter(|&&count| count > 0).count() as u64;
        Self { options, counted, packed: Vec::new(), num_ngrams: vec![seen] }
    }

    /// Packs the level of `order`; the one above is still there.
    fn pack(&mut self, order: usize, logprobs: Vec<f32>, backoffs: Vec<f32>) {
        let counted = std::mem::take(&mut self.counted[order - 1]);
        let (words, children) = (counted.words.into_vec(), counted.children.into_vec());
        let mut level = Level { words, logprobs, children, backoffs };
        if self.options.prune.iter().any(|&threshold| threshold > 0) {
            let next = self.counted.get(order).map(|next| &next.counts[..]);
            drop_pruned(&mut level, order, &counted.counts, next, self.options);
        }
        if order > 1 {
            self.num_ngrams.push(level.words.len() as u64);
        }
        self.packed.push(OwnedLevel::new(level, order, self.options.vocab_size));
    }
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
    /// The value of each n-gram, as `put` makes it of a probability, and ln of the weight of each
    /// context.
    fn run<V: Copy + Default + Send>(
        &self,
        put: impl Fn(f64) -> V + Copy + Send + Sync,
        units: u64,
        meter: &mut Meter<'_>,
    ) -> Result<(Vec<V>, Vec<f32>)> {
        let mut values = vec![V::default(); self.counts.len()];
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
            |(range, (values, weights)): (_, (&mut [V], &mut [f32]))| {
                let base = self.contexts[range.start] as usize;
                for (context, weight) in range.zip(weights) {
                    let from = self.contexts[context] as usize;
                    let to = self.contexts[context + 1] as usize;
                    let values = &mut values[from - base..to - base];
                    *weight = self.context(from..to, values, put).ln() as f32;
                }
            },
        )?;
        Ok((values, weights))
    }

    /// The values of one context's followers; returns the context's weight.
    fn context<V>(
        &self,
        followers: std::ops::Range<usize>,
        values: &mut [V],
        put: impl Fn(f64) -> V,
    ) -> f64 {
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
            _ => 0.0,
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
            *value = put(kept / denominator + weight * self.lower(i));
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

/// Takes the pruned n-grams out of a level; `raw` and `next` are the raw counts of it and of the
/// level above. Whatever is kept has its context kept, because a context stands at least as often
/// and the thresholds never fall; for the same reason, its suffix.
fn drop_pruned(
    level: &mut Level<f32>,
    order: usize,
    raw: &[u32],
    next: Option<&[u32]>,
    options: &Options,
) {
    // Level 1 is dense: unseen ids stay.
    let kept = |i: usize| order == 1 || raw[i] > options.threshold(order);
    if let Some(next) = next {
        let mut end = 0;
        let mut children = vec![0];
        for (_, range) in level.children.windows(2).enumerate().filter(|&(i, _)| kept(i)) {
            let followers = &next[range[0] as usize..range[1] as usize];
            end += followers.iter().filter(|&&raw| raw > options.threshold(order + 1)).count();
            children.push(end as u32);
        }
        level.children = children;
    }
    retain(&mut level.words, kept);
    retain(&mut level.logprobs, kept);
    retain(&mut level.backoffs, kept);
}

fn retain<T>(values: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut i = 0;
    values.retain(|_| {
        i += 1;
        keep(i - 1)
    });
    values.shrink_to_fit();
}
