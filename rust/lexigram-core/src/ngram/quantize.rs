//! Fewer bits for a log-probability: the nearest of 2^bits values of its order.
//!
//! The values are those of one-dimensional k-means on ln p (Lloyd 1982), begun with bins of equal
//! population, the bins that KenLM keeps (Heafield 2011, section 4.2.3): each round puts a value
//! in the middle of what is nearest to it, which never makes the mean squared error larger. Weights
//! are treated alike where the bits are at most 8. A distribution then sums to one only nearly.

use rayon::prelude::*;

use super::bits::IntsBuffer;
use super::line::Line;
use super::storage::{BLOCK, LevelView, Values};
use crate::{Error, Result};

/// At most about that many values of a level are looked at to find the table.
const SAMPLE: usize = 1 << 20;
const ROUNDS: usize = 20;

/// What takes the place of a model's levels.
pub(super) struct Quantized {
    pub levels: Vec<QuantizedLevel>,
}

/// What takes the place of some of a level's parts.
#[derive(Default)]
pub(super) struct QuantizedLevel {
    values: Option<(Vec<f32>, IntsBuffer)>,
    weights: Option<(Vec<Line>, Box<[f32; 256]>)>,
}

impl Quantized {
    pub fn new(levels: &[LevelView<'_>], bits: u32) -> Result<Self> {
        if !(2..=16).contains(&bits) {
            return Err(Error::argument("quantize", bits, "use 2 to 16 bits"));
        }
        let level = |(order, level): (usize, &LevelView<'_>)| match order {
            1 => QuantizedLevel::default(),
            _ => QuantizedLevel::new(level, bits),
        };
        Ok(Self { levels: (1..).zip(levels).map(level).collect() })
    }
}

impl QuantizedLevel {
    fn new(level: &LevelView<'_>, bits: u32) -> Self {
        let value = |i: usize| level.values.get(i);
        let table = centres(level.len(), value, 1 << bits);
        let codes = IntsBuffer::new(level.len(), bits, 4, |i| nearest(&table, value(i)) as u32);
        let with_weights = bits <= 8 && !level.lines.is_empty();
        let weights = with_weights.then(|| weights(level, (1 << bits).min(255)));
        Self { values: Some((table, codes)), weights }
    }

    pub fn view<'a>(&'a self, level: &LevelView<'a>) -> LevelView<'a> {
        let mut view = *level;
        if let Some((table, codes)) = &self.values {
            view.values = Values::Coded { table, codes: codes.view() };
        }
        if let Some((lines, table)) = &self.weights {
            (view.lines, view.backoffs, view.rare) = (lines, table, &[]);
        }
        view
    }
}

/// The lines of a level with at most `number` weights.
fn weights(level: &LevelView<'_>, number: usize) -> (Vec<Line>, Box<[f32; 256]>) {
    let weight = |i: usize| level.backoff(i) as f32;
    let zero = (0..level.len()).into_par_iter().any(|i| weight(i) == f32::NEG_INFINITY);
    let mut table = Box::new([0.0; 256]);
    // A weight of zero stays one.
    let centres = centres(level.len(), weight, number - usize::from(zero));
    table[..centres.len()].copy_from_slice(&centres);
    table[number - 1] = if zero { f32::NEG_INFINITY } else { table[number - 1] };
    let code = |i: usize| match weight(i) {
        f32::NEG_INFINITY => number - 1,
        weight => nearest(&centres, weight),
    };
    let line = |(block, line): (usize, &Line)| {
        let mut line = Line { rare: 0, codes: [0; BLOCK], ..*line };
        let from = block * BLOCK;
        for i in from..level.len().min(from + BLOCK) {
            line.codes[i - from] = code(i) as u8;
        }
        line
    };
    (level.lines.par_iter().enumerate().map(line).collect(), table)
}

/// At most `number` values, rising, near those of `length` places. All of them, if they are few.
fn centres(length: usize, value: impl Fn(usize) -> f32 + Sync, number: usize) -> Vec<f32> {
    let step = length.div_ceil(SAMPLE).max(1);
    let mut sample: Vec<f32> = (0..length).into_par_iter().step_by(step).map(&value).collect();
    sample.retain(|value| value.is_finite());
    sample.par_sort_unstable_by(f32::total_cmp);
    let distinct = sample.chunk_by(|a, b| a == b).map(|equal| equal[0]);
    let distinct: Vec<f32> = distinct.take(number + 1).collect();
    if distinct.len() <= number {
        return if distinct.is_empty() { vec![0.0] } else { distinct };
    }
    let mut sums = vec![0.0];
    for &value in &sample {
        sums.push(sums[sums.len() - 1] + f64::from(value));
    }
    let mean = |from: usize, to: usize| ((sums[to] - sums[from]) / (to - from) as f64) as f32;
    let mut ends: Vec<usize> = (0..=number).map(|i| i * sample.len() / number).collect();
    let mut centres = Vec::new();
    for _ in 0..ROUNDS {
        ends.dedup();
        centres = ends.windows(2).map(|bin| mean(bin[0], bin[1])).collect();
        let between = centres.windows(2).map(|pair: &[f32]| middle(pair[0], pair[1]));
        let next: Vec<usize> =
            between.map(|middle| sample.partition_point(|&value| value < middle)).collect();
        ends = [vec![0], next, vec![sample.len()]].concat();
    }
    centres.dedup();
    centres
}

fn middle(one: f32, next: f32) -> f32 {
    one + (next - one) / 2.0
}

/// The place of the value nearest to `value` in a rising table.
fn nearest(table: &[f32], value: f32) -> usize {
    let next = table.partition_point(|&entry| entry < value).min(table.len() - 1);
    let before = next.saturating_sub(1);
    if (value - table[before]).abs() <= (table[next] - value).abs() { before } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_nearest_is_the_nearest(
            values in prop::collection::vec(-20f32..0.0, 1..200), number in 2usize..40,
        ) {
            let table = centres(values.len(), |i| values[i], number);
            prop_assert!(!table.is_empty() && table.len() <= number);
            prop_assert!(table.is_sorted_by(|one, next| one < next));
            let error = |value: f32, entry: f32| (value - entry).abs();
            let mut total = 0.0;
            for &value in &values {
                let found = error(value, table[nearest(&table, value)]);
                prop_assert!(table.iter().all(|&entry| found <= error(value, entry)));
                total += f64::from(found).powi(2);
            }
            // One value for all is the mean; more can only be better.
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
            let one: f64 = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
            prop_assert!(total <= one * (1.0 + 1e-5) + 1e-9);
        }
    }
}
