//! The oracle: every n-gram model of this room by its definition, over a hash map from n-grams to
//! counts. Nothing is shared with the fast path but the names of the smoothings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Options, STUPID_BACKOFF_FACTOR, Smoothing};

/// The begin marker, which is no id here: the two roles of the separator are kept apart.
const BEGIN: i64 = -1;

pub struct Naive {
    options: Options,
    /// Raw counts; an n-gram may start with the begin marker.
    counts: BTreeMap<Vec<i64>, u32>,
    /// Adjusted counts for Kneser-Ney, else raw counts.
    used: BTreeMap<Vec<i64>, u32>,
}

fn documents(tokens: &[u32], separator: Option<u32>) -> Vec<Vec<i64>> {
    let Some(separator) = separator else {
        return vec![tokens.iter().map(|&id| i64::from(id)).collect()];
    };
    let mut documents = Vec::new();
    let mut current = vec![BEGIN];
    for &id in tokens {
        current.push(i64::from(id));
        if id == separator {
            documents.push(std::mem::replace(&mut current, vec![BEGIN]));
        }
    }
    documents.push(current);
    documents
}

impl Naive {
    pub fn train(tokens: &[u32], options: &Options) -> Self {
        let mut counts = BTreeMap::new();
        let mut left = BTreeMap::<Vec<i64>, BTreeSet<i64>>::new();
        for document in documents(tokens, options.document_separator) {
            for start in 0..document.len() {
                for stop in start + 1..=document.len().min(start + options.order) {
                    let ngram = document[start..stop].to_vec();
                    if ngram != [BEGIN] {
                        *counts.entry(ngram.clone()).or_insert(0) += 1;
                        let neighbour = if start == 0 { BEGIN } else { document[start - 1] };
                        left.entry(ngram).or_default().insert(neighbour);
                    }
                }
            }
        }
        let adjust = options.smoothing == Smoothing::ModifiedKneserNey;
        let used = counts.iter().map(|(ngram, &count)| {
            let raw = !adjust || ngram.len() == options.order || ngram[0] == BEGIN;
            (ngram.clone(), if raw { count } else { left[ngram].len() as u32 })
        });
        let used = used.collect();
        Self { options: options.clone(), counts, used }
    }

    /// All n-grams and their counts; the begin marker is the separator again.
    pub fn ngrams(&self) -> Vec<(Vec<u32>, u32)> {
        let separator = i64::from(self.options.document_separator.unwrap_or(0));
        let plain = |&id: &i64| if id == BEGIN { separator } else { id } as u32;
        let ids = |ngram: &Vec<i64>| ngram.iter().map(plain).collect();
        let mut all: Vec<_> =
            self.counts.iter().map(|(ngram, &count)| (ids(ngram), count)).collect();
        all.sort();
        all
    }

    pub fn num_ngrams(&self) -> Vec<u64> {
        let kept = |order: usize| {
            let of_order = self.counts.iter().filter(|(ngram, _)| ngram.len() == order);
            of_order.filter(|(_, count)| **count > self.options.threshold(order)).count() as u64
        };
        (1..=self.options.order).map(kept).collect()
    }

    pub fn counts_of_counts(&self) -> Vec<[u64; 4]> {
        (1..=self.options.order)
            .map(|order| {
                [1, 2, 3, 4].map(|j| {
                    let same =
                        |(ngram, count): &(&Vec<i64>, &u32)| ngram.len() == order && **count == j;
                    self.used.iter().filter(same).count() as u64
                })
            })
            .collect()
    }

    fn discounts(&self, order: usize) -> [f64; 3] {
        let n = self.counts_of_counts()[order - 1].map(|n| n as f64);
        let y = n[0] / (n[0] + 2.0 * n[1]);
        let d = [1.0, 2.0, 3.0].map(|j| j - (j + 1.0) * y * n[j as usize] / n[j as usize - 1]);
        let good = (0..3).all(|i| n[i] > 0.0 && d[i] >= 0.0 && d[i] <= (i + 1) as f64);
        if good { d } else { [0.5, 1.0, 1.5] }
    }

    /// The score of `word` after the whole of `prefix`.
    pub fn score(&self, prefix: &[u32], word: u32) -> f64 {
        let separator = self.options.document_separator;
        let mut context: Vec<i64> = Vec::new();
        for &id in prefix {
            if Some(id) == separator {
                context = vec![BEGIN];
            } else {
                context.push(i64::from(id));
            }
        }
        let from = context.len().saturating_sub(self.options.order - 1);
        self.probability(&context[from..], i64::from(word))
    }

    fn probability(&self, context: &[i64], word: i64) -> f64 {
        let order = context.len() + 1;
        let ngram = |word: i64| [context, &[word]].concat();
        let used = |word: i64| self.used.get(&ngram(word)).copied().unwrap_or(0);
        let kept = |word: i64| {
            let raw = self.counts.get(&ngram(word)).copied().unwrap_or(0);
            raw > self.options.threshold(order)
        };
        let ids = 0..self.options.vocab_size as i64;
        let total: f64 = ids.clone().map(|x| f64::from(used(x))).sum();
        let followers = ids.clone().filter(|&x| used(x) > 0).count() as f64;
        let uniform = 1.0 / self.options.vocab_size as f64;
        let shorter = || match context.split_first() {
            Some((_, rest)) => self.probability(rest, word),
            None => uniform,
        };
        let here = if kept(word) { f64::from(used(word)) } else { 0.0 };
        match self.options.smoothing {
            Smoothing::StupidBackoff if here > 0.0 => here / total,
            Smoothing::StupidBackoff if context.is_empty() => 0.0,
            Smoothing::StupidBackoff => STUPID_BACKOFF_FACTOR * shorter(),
            Smoothing::Additive { pseudocount } => {
                let pruned: f64 = ids.filter(|&x| !kept(x)).map(|x| f64::from(used(x))).sum();
                let k = pseudocount * self.options.vocab_size as f64;
                (here + (k + pruned) * uniform) / (total + k)
            }
            Smoothing::NormalizedStupidBackoff | Smoothing::Arpa => {
                unreachable!("not estimated from counts")
            }
            _ if total == 0.0 => shorter(),
            Smoothing::WittenBell => {
                let pruned: f64 = ids.filter(|&x| !kept(x)).map(|x| f64::from(used(x))).sum();
                (here + (followers + pruned) * shorter()) / (total + followers)
            }
            Smoothing::ModifiedKneserNey => {
                let discounts = self.discounts(order);
                let discount = |count: u32| match count {
                    0 => 0.0,
                    count => discounts[count.min(3) as usize - 1],
                };
                let left_over: f64 =
                    ids.map(|x| if kept(x) { discount(used(x)) } else { f64::from(used(x)) }).sum();
                let own = if here > 0.0 { here - discount(used(word)) } else { 0.0 };
                (own + left_over * shorter()) / total
            }
        }
    }
}
