//! The header of a model file: what the model is, and the shape of each level.
//!
//! `docs/formats.md` lists the fields; the last is the checksum of those before it.

use xxhash_rust::xxh3::xxh3_64;

use super::model::{Description, LevelView, Model};
use super::storage::Values;
use super::{Options, Smoothing};

const NO_SEPARATOR: u64 = u64::MAX;

/// Header fields before those of each order.
const FIXED: usize = 8;
/// Header fields of each order: its number of n-grams, n₁ … n₄, and the shape of its level.
const PER_ORDER: usize = 9;

/// What the lengths of a level's parts follow from, besides its number of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    pub long: u64,
    pub rare: u64,
    /// The bits of a log-probability; 32: float32 as they are.
    pub width: u32,
    /// The smallest bit pattern; of quantised values, how many the table holds.
    pub base: u32,
}

impl Model {
    /// The header of a file of these levels.
    pub(super) fn header(&self, levels: &[LevelView<'_>], quantized: Option<u32>) -> Vec<u64> {
        let description = &self.description;
        let (code, parameter) = match description.smoothing {
            Smoothing::ModifiedKneserNey => (0, 0.0),
            Smoothing::WittenBell => (1, 0.0),
            Smoothing::Additive { pseudocount } => (2, pseudocount),
            Smoothing::StupidBackoff => (3, 0.0),
            Smoothing::NormalizedStupidBackoff => (4, 0.0),
            Smoothing::Arpa => (5, 0.0),
        };
        let mut header = vec![
            description.order as u64,
            description.vocab_size as u64,
            description.document_separator.map_or(NO_SEPARATOR, u64::from),
            code,
            f64::to_bits(parameter),
            description.num_tokens,
            u64::from(self.suffixes),
            quantized.map_or(0, u64::from),
        ];
        let orders = description.num_ngrams.iter().zip(&description.counts_of_counts);
        for ((ngrams, n), level) in orders.zip(levels) {
            header.push(*ngrams);
            header.extend(n);
            let (width, base) = match level.values {
                Values::Plain(_) => (32, 0),
                Values::Offset { base, codes } => (codes.width(), base),
                Values::Coded { table, codes } => (codes.width(), table.len() as u32),
            };
            let shape = [level.long.len(), level.rare.len(), width as usize, base as usize];
            header.extend(shape.map(|field| field as u64));
        }
        header.push(xxh3_64(bytemuck::cast_slice(&header)));
        header
    }
}

/// What the header says of the model besides its description.
pub struct Flags {
    pub suffixes: bool,
    pub quantized: Option<u32>,
}

/// Reads a header; says what is wrong with one that cannot be.
pub fn parse(header: &[u64]) -> Result<(Description, Vec<Shape>, Flags), String> {
    let Some((sum, header)) = header.split_last() else {
        return Err("its header is empty".into());
    };
    if xxh3_64(bytemuck::cast_slice(header)) != *sum {
        return Err("the model's header does not match its checksum".into());
    }
    let [
        order,
        vocab_size,
        separator,
        code,
        parameter,
        num_tokens,
        suffixes,
        bits,
        ref orders @ ..,
    ] = *header
    else {
        return Err(format!("its header has {} fields, not {FIXED} or more", header.len()));
    };
    let smoothing = match (code, f64::from_bits(parameter)) {
        (0, 0.0) => Smoothing::ModifiedKneserNey,
        (1, 0.0) => Smoothing::WittenBell,
        (2, pseudocount) => Smoothing::Additive { pseudocount },
        (3, 0.0) => Smoothing::StupidBackoff,
        (4, 0.0) => Smoothing::NormalizedStupidBackoff,
        (5, 0.0) => Smoothing::Arpa,
        _ => return Err(format!("its header names smoothing {code}, which is unknown")),
    };
    let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut options = Options::new(small(order), small(vocab_size));
    options.smoothing = smoothing;
    if separator != NO_SEPARATOR {
        options.document_separator = Some(u32::try_from(separator).unwrap_or(u32::MAX));
    }
    options.check().map_err(|error| format!("its header holds {error}"))?;
    if orders.len() != options.order * PER_ORDER {
        let (found, expected) = (header.len(), FIXED + options.order * PER_ORDER);
        return Err(format!("its header has {found} fields, not {expected}"));
    }
    let quantized = match (suffixes, bits) {
        (0 | 1, 0) => None,
        (0 | 1, 2..=16) => Some(bits as u32),
        _ => return Err(format!("its header holds the flags {suffixes}, {bits}")),
    };
    let orders: Vec<[u64; PER_ORDER]> =
        orders.chunks_exact(PER_ORDER).map(|o| std::array::from_fn(|i| o[i])).collect();
    let num_ngrams: Vec<u64> = orders.iter().map(|order| order[0]).collect();
    if num_ngrams[0] > vocab_size || num_ngrams.iter().any(|&n| n >= u64::from(u32::MAX)) {
        return Err(format!("its header counts {num_ngrams:?} n-grams, which is too many"));
    }
    let mut shapes = Vec::with_capacity(options.order);
    for (order, &[.., long, rare, width, base]) in (1..).zip(&orders) {
        let allowed = match quantized {
            _ if order == 1 => width == 32,
            Some(bits) => width == u64::from(bits),
            None => (1..=32).contains(&width),
        };
        if !allowed || base > u64::from(u32::MAX) {
            return Err(format!("its header gives values of order {order} {width} bits"));
        }
        shapes.push(Shape { long, rare, width: width as u32, base: base as u32 });
    }
    let description = Description {
        order: options.order,
        vocab_size: options.vocab_size,
        document_separator: options.document_separator,
        smoothing,
        num_tokens,
        num_ngrams,
        counts_of_counts: orders.iter().map(|o| [o[1], o[2], o[3], o[4]]).collect(),
    };
    Ok((description, shapes, Flags { suffixes: suffixes == 1, quantized }))
}
