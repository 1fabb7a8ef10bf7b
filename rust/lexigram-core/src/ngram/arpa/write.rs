//! From a model to an ARPA file.
//!
//! The n-grams of an order are written by walking the trie from the unigrams, so they are sorted
//! by their ids and the words of a context are copied once. Pieces of the walk are written into
//! memory in parallel, and to the file in order. Numbers are the shortest that give the same
//! float32, as lmplz prints them; log₁₀ 0 is −99, as SRILM has it.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::super::model::{LevelView, Model};
use super::super::words::{SENTENCE_END, Words, is_white};
use super::super::{MAX_ORDER, Smoothing};
use super::{BEGIN, END, NOTHING};
use crate::format::AtomicFile;
use crate::progress::Progress;
use crate::{Error, Result};

/// About how many n-grams one thread writes at a time.
const PIECE: usize = 1 << 14;

/// log₁₀ 0.
const ZERO: f32 = -99.0;

impl Model {
    /// Writes an ARPA file. For a model of token ids, `tokens` has the text of each id, without
    /// white space and none a marker; else the ids stand for themselves. Progress is in n-grams.
    ///
    /// A model without `<s>`, `</s>` or `<unk>` lists them all the same, as good as impossible,
    /// because readers want them.
    pub fn to_arpa(
        &self,
        path: &Path,
        tokens: Option<&Words>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let backs_off = match self.smoothing() {
            Smoothing::StupidBackoff => false,
            Smoothing::Additive { .. } => self.order() == 1,
            _ => true,
        };
        if !backs_off {
            return Err(Error::argument(
                "smoothing",
                format!("{:?}", self.smoothing().name()),
                "an ARPA file cannot hold it; train with \"modified_kneser_ney\", \
                 \"witten_bell\" or \"normalized_stupid_backoff\"",
            ));
        }
        self.check_file()?;
        let numbers;
        let words = match (self.words()?, tokens) {
            (Some(words), _) | (None, Some(words)) => words,
            (None, None) => {
                numbers = number_words(self.vocab_size(), self.document_separator());
                &numbers
            }
        };
        check_words(words, self)?;
        let writer = Writer::new(self, words)?;
        let mut file = AtomicFile::create(path)?;
        let failed = |e| Error::io("write", path, e);
        let mut out = BufWriter::with_capacity(1 << 18, file.file());
        let mut head = b"\\data\\\n".to_vec();
        for order in 1..=self.order() {
            let number = writer.number(order);
            head.extend(format!("ngram {order}={number}\n").into_bytes());
        }
        out.write_all(&head).map_err(failed)?;
        let total: u64 = (1..=self.order()).map(|order| writer.number(order)).sum();
        let mut done = 0;
        for order in 1..=self.order() {
            out.write_all(format!("\n\\{order}-grams:\n").as_bytes()).map_err(failed)?;
            if order == 1 {
                out.write_all(&writer.extra_unigrams()).map_err(failed)?;
            }
            let pieces = writer.pieces(order);
            for batch in pieces.chunks(4 * rayon::current_num_threads()) {
                let write = |piece: &Range<usize>| writer.piece(order, piece.clone());
                let texts: Vec<(Vec<u8>, u64)> = batch.par_iter().map(write).collect();
                for (text, number) in texts {
                    out.write_all(&text).map_err(failed)?;
                    done += number;
                }
                progress.report(done, total)?;
            }
        }
        out.write_all(b"\n\\end\\\n").map_err(failed)?;
        out.flush().map_err(failed)?;
        drop(out);
        file.commit()
    }
}

/// Whether the words can stand in an ARPA file.
fn check_words(words: &Words, model: &Model) -> Result<()> {
    let refuse = |id: u32, limit: &str| {
        let word = String::from_utf8_lossy(words.get(id)).into_owned();
        Err(Error::argument("token", format!("{word:?} (id {id})"), limit))
    };
    if words.len() != model.vocab_size() {
        let limit = format!("the model has {} ids; give one for each", model.vocab_size());
        return Err(Error::argument("number of tokens", words.len(), limit));
    }
    let is_word_model = model.words()?.is_some();
    for id in 0..words.len() as u32 {
        let word = words.get(id);
        if word.is_empty() || word.iter().any(|&byte| is_white(byte)) {
            return refuse(id, "a word of an ARPA file is not empty and has no white space");
        }
        let marker = [BEGIN, END, b"<unk>", b"<UNK>"].contains(&word);
        // A word model has its own two first.
        let own =
            if is_word_model { id <= SENTENCE_END } else { Some(id) == model.document_separator() };
        if marker && !own {
            return refuse(id, "an ARPA file keeps this word for itself; name the token otherwise");
        }
    }
    Ok(())
}

/// A model and its words, ready to be written.
struct Writer<'a> {
    levels: [LevelView<'a>; MAX_ORDER],
    nodes: [usize; MAX_ORDER],
    order: usize,
    words: &'a Words,
    separator: Option<u32>,
    has_unknown: bool,
}

impl<'a> Writer<'a> {
    fn new(model: &'a Model, words: &'a Words) -> Result<Self> {
        let nodes = |i| match i < model.order() {
            true => model.description.num_nodes(i + 1) as usize,
            false => 0,
        };
        Ok(Self {
            levels: model.levels(),
            nodes: std::array::from_fn(nodes),
            order: model.order(),
            words,
            separator: model.document_separator(),
            has_unknown: model.words()?.is_some(),
        })
    }

    /// How many n-grams of an order are written.
    fn number(&self, order: usize) -> u64 {
        let extra = match order {
            1 => 1 + u64::from(self.separator.is_none()) + u64::from(!self.has_unknown),
            _ => 0,
        };
        self.nodes[order - 1] as u64 + extra
    }

    /// The unigrams that no node stands for.
    fn extra_unigrams(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |logprob: f32, word: &[u8], backoff: f32| {
            push_number(&mut out, logprob);
            out.push(b'\t');
            out.extend(word);
            if self.order > 1 {
                out.push(b'\t');
                push_number(&mut out, backoff);
            }
            out.push(b'\n');
        };
        if !self.has_unknown {
            line(NOTHING, b"<unk>", 0.0);
        }
        let backoff = match self.separator {
            Some(id) if self.order > 1 => log10(self.levels[0].backoff(id as usize)),
            _ => 0.0,
        };
        line(0.0, BEGIN, backoff);
        if self.separator.is_none() {
            line(NOTHING, END, 0.0);
        }
        out
    }

    /// Ranges of unigrams whose n-grams of `order` are about as many.
    fn pieces(&self, order: usize) -> Vec<Range<usize>> {
        let first = |unigram: usize| {
            (0..order - 1).fold(unigram, |node, level| match node < self.nodes[level] {
                true => self.levels[level].followers(node).start,
                false => self.nodes[level + 1],
            })
        };
        let mut pieces = Vec::new();
        let (mut from, mut at) = (0, 0);
        for to in 1..=self.nodes[0] {
            let end = first(to);
            if end - at >= PIECE || to - from >= PIECE || to == self.nodes[0] {
                pieces.push(from..to);
                (from, at) = (to, end);
            }
        }
        pieces
    }

    /// The lines of the n-grams of `order` that begin with these unigrams, and their number.
    fn piece(&self, order: usize, unigrams: Range<usize>) -> (Vec<u8>, u64) {
        let mut out = Lines { text: Vec::new(), number: 0 };
        let mut context = Vec::new();
        for unigram in unigrams {
            self.walk(order, 1, unigram, &mut context, &mut out);
        }
        (out.text, out.number)
    }

    /// Writes the n-grams of `order` below a node of `level`; `context` has the words before it,
    /// a space after each.
    fn walk(
        &self,
        order: usize,
        level: usize,
        node: usize,
        context: &mut Vec<u8>,
        out: &mut Lines,
    ) {
        let id = self.levels[level - 1].word(node);
        let is_separator = self.separator == Some(id);
        if level == order {
            return self.line(
                order,
                node,
                if is_separator { END } else { self.words.get(id) },
                context,
                out,
            );
        }
        let length = context.len();
        context.extend(if is_separator { BEGIN } else { self.words.get(id) });
        context.push(b' ');
        for follower in self.levels[level - 1].followers(node) {
            self.walk(order, level + 1, follower, context, out);
        }
        context.truncate(length);
    }

    fn line(&self, order: usize, node: usize, word: &[u8], context: &[u8], out: &mut Lines) {
        let level = &self.levels[order - 1];
        push_number(&mut out.text, log10(level.logprob(node)));
        out.text.push(b'\t');
        out.text.extend(context);
        out.text.extend(word);
        if order < self.order {
            out.text.push(b'\t');
            // Nothing follows an end; the weight of a lone separator is that of `<s>`.
            let ends = self.separator == Some(level.word(node));
            push_number(&mut out.text, if ends { 0.0 } else { log10(level.backoff(node)) });
        }
        out.text.push(b'\n');
        out.number += 1;
    }
}

struct Lines {
    text: Vec<u8>,
    number: u64,
}

/// log₁₀ of a number whose natural logarithm is given.
fn log10(ln: f64) -> f32 {
    match ln == f64::NEG_INFINITY {
        true => ZERO,
        false => (ln / std::f64::consts::LN_10) as f32,
    }
}

fn push_number(out: &mut Vec<u8>, value: f32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value + 0.0); // −0 is 0
    out.extend(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// The texts of the ids of a model that knows no words: the numbers.
fn number_words(vocab_size: usize, separator: Option<u32>) -> Words {
    let mut words = Words::default();
    for id in 0..vocab_size as u32 {
        match Some(id) == separator {
            true => words.insert(END),
            false => words.insert(id.to_string().as_bytes()),
        };
    }
    words
}
