//! From n-grams in any order to the levels of a trie.
//!
//! Invariant of every model: with an n-gram, its context and its suffix are there. Files that
//! were pruned may lack them (KenLM calls what it puts in their place "blanks"). What lacks is
//! added with the value that the file gives it all the same, the weight of its context times the
//! value of its suffix, and with the weight 1, so that no probability changes.

use rayon::prelude::*;

use super::super::model::Level;

const ABSENT: u32 = u32::MAX;

/// The n-grams of one order.
#[derive(Debug)]
pub(super) struct Grams {
    order: usize,
    /// `order` ids each.
    pub ids: Vec<u32>,
    /// log₁₀ p; not a number for what is added.
    pub logprobs: Vec<f32>,
    /// log₁₀ of the weight as a context.
    pub backoffs: Vec<f32>,
}

impl Grams {
    pub fn new(order: usize) -> Self {
        Self { order, ids: Vec::new(), logprobs: Vec::new(), backoffs: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.logprobs.len()
    }

    pub fn get(&self, i: usize) -> &[u32] {
        &self.ids[i * self.order..(i + 1) * self.order]
    }

    /// Sorts by ids; an n-gram that is there twice is returned, as its two places of before.
    pub fn sort(&mut self, vocab_size: usize) -> Result<(), [usize; 2]> {
        if (1..self.len()).into_par_iter().all(|i| self.get(i - 1) < self.get(i)) {
            return Ok(());
        }
        let bits = usize::BITS - (vocab_size - 1).leading_zeros();
        let places = 0..self.len() as u32;
        let sorted: Vec<u32> = if bits as usize * self.order <= 128 {
            let pack = |i: u32| {
                let key = self.get(i as usize).iter();
                (key.fold(0u128, |key, &id| key << bits | u128::from(id)), i)
            };
            let mut keys: Vec<(u128, u32)> = places.into_par_iter().map(pack).collect();
            keys.par_sort_unstable();
            keys.into_par_iter().map(|(_, place)| place).collect()
        } else {
            let mut sorted: Vec<u32> = places.collect();
            sorted.par_sort_unstable_by_key(|&i| (self.get(i as usize), i));
            sorted
        };
        let same = |pair: &&[u32]| self.get(pair[0] as usize) == self.get(pair[1] as usize);
        if let Some(pair) = sorted.windows(2).find(same) {
            return Err([pair[0] as usize, pair[1] as usize]);
        }
        let mut ids = Vec::with_capacity(self.ids.len());
        for &i in &sorted {
            ids.extend_from_slice(self.get(i as usize));
        }
        self.ids = ids;
        self.logprobs = sorted.par_iter().map(|&i| self.logprobs[i as usize]).collect();
        self.backoffs = sorted.par_iter().map(|&i| self.backoffs[i as usize]).collect();
        Ok(())
    }

    /// Adds n-grams that lack; `missing` may name one more than once.
    fn add(&mut self, mut missing: Vec<&[u32]>, vocab_size: usize) {
        missing.sort_unstable();
        missing.dedup();
        let number = self.len() + missing.len();
        self.ids.extend(missing.into_iter().flatten());
        self.logprobs.resize(number, f32::NAN);
        self.backoffs.resize(number, 0.0);
        let sorted = self.sort(vocab_size);
        debug_assert!(sorted.is_ok());
    }
}

/// The levels of the trie of `grams`, which are those of orders 2 to N, each sorted; `unigrams`
/// has a value for each id. Also how many n-grams were added.
pub(super) fn levels(unigrams: &Grams, grams: &mut [Grams]) -> (Vec<Level>, usize) {
    let vocab_size = unigrams.len();
    let number = |grams: &[Grams]| grams.iter().map(Grams::len).sum::<usize>();
    let given = number(grams);
    let (mut levels, links) = loop {
        add_contexts(grams, vocab_size);
        let levels = shape(vocab_size, grams);
        if let Some(links) = suffix_links(&levels, grams, vocab_size) {
            break (levels, links);
        }
    };
    fill(&mut levels, &links, unigrams, grams);
    (levels, number(grams) - given)
}

/// Adds the contexts that lack, the longest first.
fn add_contexts(grams: &mut [Grams], vocab_size: usize) {
    for k in (1..grams.len()).rev() {
        let (below, above) = grams.split_at_mut(k);
        let (below, above) = (&mut below[k - 1], &above[0]);
        let mut missing: Vec<&[u32]> = Vec::new();
        let mut at = 0;
        for i in 0..above.len() {
            let context = &above.get(i)[..below.order];
            while at < below.len() && below.get(at) < context {
                at += 1;
            }
            let found = at < below.len() && below.get(at) == context;
            if !found && missing.last() != Some(&context) {
                missing.push(context);
            }
        }
        if !missing.is_empty() {
            below.add(missing, vocab_size);
        }
    }
}

/// Levels with words and children, but no values.
fn shape(vocab_size: usize, grams: &[Grams]) -> Vec<Level> {
    let mut levels = vec![Level::default()];
    for above in grams {
        let order = above.order;
        let below = order.checked_sub(3).map(|k| &grams[k]);
        let nodes = below.map_or(vocab_size, Grams::len);
        let mut children = Vec::with_capacity(nodes + 1);
        let mut at = 0;
        for node in 0..nodes {
            children.push(at as u32);
            let unigram = [node as u32];
            let context = below.map_or(&unigram[..], |below| below.get(node));
            while at < above.len() && &above.get(at)[..order - 1] == context {
                at += 1;
            }
        }
        children.push(at as u32);
        if let Some(level) = levels.last_mut() {
            level.children = children;
        }
        let words = above.ids.chunks_exact(order).map(|ids| ids[order - 1]).collect();
        levels.push(Level { words, ..Level::default() });
    }
    levels
}

/// For each n-gram of each order from 2 on, its suffix's place in the level below. Where one
/// lacks, it is added to `grams`, and there is no result.
fn suffix_links(levels: &[Level], grams: &mut [Grams], vocab_size: usize) -> Option<Vec<Vec<u32>>> {
    let mut links: Vec<Vec<u32>> = Vec::new();
    for k in 1..levels.len() {
        let Some(last) = links.last() else {
            links.push(levels[1].words.clone());
            continue;
        };
        // The suffix of hw is the continuation w of the suffix of h.
        let (above, below, root) = (&levels[k], &levels[k - 1], &levels[k - 2]);
        let range = |level: &Level, node: usize| {
            level.children[node] as usize..level.children[node + 1] as usize
        };
        let found: Vec<u32> = (0..last.len())
            .into_par_iter()
            .with_min_len(1 << 12)
            .flat_map_iter(|context| {
                let candidates = range(root, last[context] as usize);
                let words = &below.words[candidates.clone()];
                range(below, context).map(move |i| match words.binary_search(&above.words[i]) {
                    Ok(at) => (candidates.start + at) as u32,
                    Err(_) => ABSENT,
                })
            })
            .collect();
        let (lower, upper) = grams.split_at_mut(k - 1);
        let missing = found.iter().enumerate().filter(|&(_, &link)| link == ABSENT);
        let missing: Vec<&[u32]> = missing.map(|(i, _)| &upper[0].get(i)[1..]).collect();
        if !missing.is_empty() {
            lower[k - 2].add(missing, vocab_size);
            return None;
        }
        links.push(found);
    }
    Some(links)
}

/// Natural logarithms for log₁₀, and values for what was added.
fn fill(levels: &mut [Level], links: &[Vec<u32>], unigrams: &Grams, grams: &[Grams]) {
    let ln = |&log10: &f32| f64::from(log10) * std::f64::consts::LN_10;
    for (k, given) in std::iter::once(unigrams).chain(grams).enumerate() {
        let mut logprobs: Vec<f64> = given.logprobs.iter().map(ln).collect();
        if k > 0 {
            let below = &levels[k - 1];
            for (context, range) in below.children.windows(2).enumerate() {
                for i in range[0] as usize..range[1] as usize {
                    if logprobs[i].is_nan() {
                        let shorter = below.logprobs[links[k - 1][i] as usize];
                        logprobs[i] = (below.backoffs[context] + shorter).min(0.0);
                    }
                }
            }
        }
        levels[k].logprobs = logprobs;
        if k < grams.len() {
            levels[k].backoffs = given.backoffs.iter().map(ln).collect();
        }
    }
}
