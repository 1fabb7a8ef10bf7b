//! Where each n-gram's suffix lies, for whoever walks a whole model.

use rayon::prelude::*;

use super::model::{LevelView, Model};
use crate::Result;

const ABSENT: u32 = u32::MAX;

/// A whole model laid open: level k (from 0) has the n-grams of order k + 1.
pub(super) struct Tree<'m> {
    pub levels: Vec<LevelView<'m>>,
    /// How many n-grams each level has.
    pub sizes: Vec<usize>,
    /// For each n-gram of level k ≥ 1, the place in level k − 1 of itself without its first id.
    /// Level 0 has none.
    pub links: Vec<Vec<u32>>,
}

impl<'m> Tree<'m> {
    /// Of a model from a file, the levels are checked first; so whoever walks the tree ends and
    /// stays inside it.
    pub fn new(model: &'m Model) -> Result<Self> {
        model.check_file()?;
        let order = model.order();
        let levels = model.levels()[..order].to_vec();
        let sizes = (1..=order).map(|k| model.description.num_nodes(k) as usize).collect();
        let mut tree = Self { levels, sizes, links: vec![Vec::new()] };
        for k in 1..order {
            let links = tree.links_of(k);
            if links.contains(&ABSENT) {
                let order = k + 1;
                return Err(model.damaged(format!("an n-gram of order {order} has no suffix")));
            }
            tree.links.push(links);
        }
        Ok(tree)
    }

    /// The suffix of hw is the continuation w of the suffix of h; both lists are sorted.
    fn links_of(&self, k: usize) -> Vec<u32> {
        let contexts = (0..self.sizes[k - 1]).into_par_iter().with_min_len(1 << 12);
        let of_context = |context: usize| {
            let followers = self.levels[k - 1].followers(context);
            followers.map(move |i| {
                let word = self.levels[k].word(i);
                if k == 1 {
                    return word;
                }
                let suffix = self.links[k - 1][context] as usize;
                self.follower(k - 2, suffix, word).map_or(ABSENT, |at| at as u32)
            })
        };
        match k {
            1 => (0..self.sizes[1]).map(|i| self.levels[1].word(i)).collect(),
            _ => contexts.flat_map_iter(of_context).collect(),
        }
    }

    /// The n-gram of level k + 1 that continues `node` of level k by `word`.
    fn follower(&self, k: usize, node: usize, word: u32) -> Option<usize> {
        let mut range = self.levels[k].followers(node);
        while range.start < range.end {
            let middle = range.start + (range.end - range.start) / 2;
            match self.levels[k + 1].word(middle).cmp(&word) {
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Greater => range.end = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}
