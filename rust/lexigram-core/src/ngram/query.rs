//! One context at a time: its nodes, and the distribution after it.
//!
//! A query holds the trie nodes of all suffixes of its context, one a length. Reading one id
//! looks it up among the continuations of each; the hits are the nodes of the next context. For
//! the whole vocabulary, level 1 is copied and each longer context writes over it, shortest
//! first, with the sum of the weights that are still to be paid.

use super::estimate::missing_weight;
use super::model::{LevelView, LogProb, Model};
use super::storage::Values;
use super::{MAX_ORDER, Smoothing};

/// A context of a length that was never seen.
pub(super) const ABSENT: u32 = u32::MAX;

/// The nodes of a context: `nodes[j]` is that of its last j ids, for j = 1 … `length`.
pub(super) struct Context {
    nodes: [u32; MAX_ORDER],
    length: usize,
}

/// A model made ready to answer.
pub(super) struct Query<'a> {
    pub levels: [LevelView<'a>; MAX_ORDER],
    pub order: usize,
    pub separator: Option<u32>,
    /// ln of the weight of a context that was never seen.
    pub missing: f64,
    /// ln 1/V, where the longest context backs off to that and to no shorter context.
    pub uniform: Option<f64>,
    /// Whether the longer n-grams are absent where a shorter one is.
    pub suffixes: bool,
}

impl<'a> Query<'a> {
    pub fn new(model: &'a Model) -> Self {
        let smoothing = model.smoothing();
        let additive = matches!(smoothing, Smoothing::Additive { .. });
        Self {
            levels: model.levels(),
            order: model.order(),
            separator: model.document_separator(),
            missing: missing_weight(smoothing).ln(),
            uniform: additive.then(|| -(model.vocab_size() as f64).ln()),
            suffixes: model.suffixes,
        }
    }

    /// The length of a context of `length` ids after it has read `id`.
    #[inline]
    pub fn next_length(&self, length: usize, id: u32) -> usize {
        let longest = self.order - 1;
        match self.separator == Some(id) {
            true => longest.min(1),
            false => longest.min(length + 1),
        }
    }

    /// The context that `ids` make.
    pub fn context(&self, ids: &[u32]) -> Context {
        let mut context = Context { nodes: [ABSENT; MAX_ORDER], length: 0 };
        for &id in &ids[ids.len().saturating_sub(self.order - 1)..] {
            let mut nodes = [ABSENT; MAX_ORDER];
            nodes[1] = id;
            for j in 1..=context.length.min(self.order - 2) {
                if context.nodes[j] != ABSENT {
                    let followers = self.levels[j - 1].followers(context.nodes[j] as usize);
                    if let Some(found) = self.levels[j].find(followers, id) {
                        nodes[j + 1] = found as u32;
                    }
                }
            }
            context = Context { nodes, length: self.next_length(context.length, id) };
        }
        context
    }

    /// ln of the weight of the context's last j ids.
    fn backoff(&self, context: &Context, j: usize) -> f64 {
        match context.nodes[j] {
            ABSENT => self.missing,
            node => self.levels[j - 1].backoff(node as usize),
        }
    }

    /// ln p of every id after the context.
    pub fn fill<F: LogProb>(&self, context: &Context, out: &mut [F]) {
        // What is still to be paid when a context of j ids has the word.
        let mut owed = [0.0; MAX_ORDER];
        for j in (1..=context.length).rev() {
            owed[j - 1] = owed[j] + self.backoff(context, j);
        }
        let mut shortest = 1;
        match (self.uniform, self.levels[0].values) {
            (Some(uniform), _) if context.length > 0 => {
                shortest = context.length;
                out.fill(F::from_f64(owed[shortest - 1] + uniform));
            }
            (_, Values::Plain(logprobs)) => {
                for (out, &logprob) in out.iter_mut().zip(logprobs) {
                    *out = F::from_f64(owed[0] + f64::from(logprob));
                }
            }
            (_, values) => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = F::from_f64(owed[0] + f64::from(values.get(i)));
                }
            }
        }
        for j in (shortest..=context.length).filter(|&j| context.nodes[j] != ABSENT) {
            let followers = self.levels[j - 1].followers(context.nodes[j] as usize);
            self.levels[j].each(followers, |word, logprob| {
                if let Some(out) = out.get_mut(word as usize) {
                    *out = F::from_f64(owed[j] + f64::from(logprob));
                }
            });
        }
    }
}
