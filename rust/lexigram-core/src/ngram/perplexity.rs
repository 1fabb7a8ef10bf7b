//! Sentences scored by a word model: one at a time, or a text file for its perplexity.
//!
//! As KenLM's query: a line is a sentence, it is read after `<s>`, its `</s>` is scored; words
//! that the vocabulary lacks are `<unk>`. Perplexity = exp(−Σ ln p / number of tokens), over all
//! tokens or without those that are `<unk>` (which stay in the others' contexts).

use std::path::PathBuf;

use super::Model;
use super::batches::read_batches;
use super::words::{SENTENCE_END, UNKNOWN, Words, split};
use crate::progress::Progress;
use crate::{Error, Result};

/// The score of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextScore {
    /// Σ ln p of all tokens, ends of sentences included.
    pub logprob: f64,
    /// The part of it that `<unk>` has.
    pub unknown_logprob: f64,
    /// How many tokens there are.
    pub num_tokens: u64,
    /// How many of them are `<unk>`.
    pub num_unknown: u64,
    /// How many lines.
    pub num_sentences: u64,
}

impl Model {
    /// ln p of each word of a sentence and of its end.
    pub fn score_words(&self, sentence: &[u8]) -> Result<Vec<f64>> {
        let words = self.word_list()?;
        let mut ids = vec![SENTENCE_END];
        ids.extend(split(sentence).map(|word| words.id_in_text(word)));
        ids.push(SENTENCE_END);
        let mut scores = vec![0.0; ids.len()];
        self.score(&ids, &mut scores)?;
        scores.remove(0);
        Ok(scores)
    }

    /// The score of text files, one sentence a line. Progress is in bytes.
    pub fn score_text(&self, paths: &[PathBuf], progress: &dyn Progress) -> Result<TextScore> {
        let words = self.word_list()?;
        let mut sum = TextScore::default();
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        read_batches(paths, progress, |_, batch| {
            ids.clear();
            ids.push(SENTENCE_END);
            for line in batch.split_inclusive(|&byte| byte == b'\n') {
                ids.extend(split(line).map(|word| words.id_in_text(word)));
                ids.push(SENTENCE_END);
                sum.num_sentences += 1;
            }
            scores.resize(ids.len(), 0.0f64);
            self.score(&ids, &mut scores)?;
            for (&id, &score) in ids.iter().zip(&scores).skip(1) {
                sum.logprob += score;
                sum.num_tokens += 1;
                if id == UNKNOWN {
                    sum.unknown_logprob += score;
                    sum.num_unknown += 1;
                }
            }
            Ok(())
        })?;
        match sum.num_tokens {
            0 => Err(Error::Empty { what: "the text".into(), remedy: "give at least one line" }),
            _ => Ok(sum),
        }
    }

    /// The vocabulary, or what to do without one.
    pub(super) fn word_list(&self) -> Result<&Words> {
        self.words()?.ok_or_else(|| {
            let limit = "score ids instead, or use a model of train_words or from_arpa";
            Error::argument("model", "a model of token ids", format!("it knows no words; {limit}"))
        })
    }
}
