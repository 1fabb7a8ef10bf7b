//! Training: exact greedy byte-pair encoding.
//!
//! Definition. Every piece of the corpus is a sequence of byte tokens. Repeat: of all pairs of
//! adjacent tokens, weighted by how often their piece occurs, take the most frequent; among equals
//! the one whose left id is lowest, then whose right id is lowest; replace its occurrences in each
//! piece from left to right by a new token. A pair's frequency counts positions, so `aaa` holds
//! `(a, a)` twice.
//!
//! Ids are those that Hugging Face's trainer gives, so that ties fall the same way and files are
//! identical: special tokens first, then the 256 bytes in the order of their characters in the
//! byte alphabet, then one id a merge.
//!
//! Training can go on from a tokenizer: its tokens and merges stay, pieces begin as it encodes them,
//! and new ids follow its own.
//!
//! [`super::learn`] has the algorithm. Source: Sennrich et al. 2016, section 3.2.

use std::sync::Arc;

use super::added::{AddedToken, Finder};
use super::alphabet;
use super::batch::default_threads;
use super::count::PieceCounter;
use super::encode::Scratch;
use super::learn::Learner;
use super::merges::Merge;
use super::piece_counts::PieceCounts;
use super::tokenizer::{Parts, Tokenizer};
use super::vocabulary::MAX_ID;
use super::words::{Codes, Words};
use crate::pretokenize::Pretokenizer;
use crate::progress::Progress;
use crate::{Error, Result};

/// How a vocabulary is to be trained.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Special tokens, bytes and merges together. A small corpus may give fewer.
    pub vocab_size: usize,
    /// As in [`Pretokenizer::new`].
    pub pattern: Option<String>,
    /// They get the ids 0, 1, … in this order.
    pub special_tokens: Vec<String>,
    /// 0: one a core. The result does not depend on it.
    pub num_threads: usize,
    /// Pairs that occur less often are not merged.
    pub min_frequency: u64,
    /// The longest token in bytes; `None`: any length.
    pub max_token_length: Option<usize>,
    /// The memory that counted pieces may take, in bytes.
    pub memory_limit: usize,
    /// What training goes on from. Then `pattern` is not used, `vocab_size` counts its tokens too,
    /// and special tokens are added to its own.
    pub base: Option<Arc<Tokenizer>>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            vocab_size: 32_768,
            pattern: Some("cl100k".into()),
            special_tokens: vec![],
            num_threads: 0,
            min_frequency: 1,
            max_token_length: None,
            memory_limit: usize::MAX,
            base: None,
        }
    }
}

/// Learns a tokenizer from text that arrives in batches.
pub struct Trainer {
    options: TrainOptions,
    pretokenizer: Pretokenizer,
    special: Finder,
    added: Vec<AddedToken>,
}

impl Trainer {
    /// Checks the options.
    pub fn new(options: TrainOptions) -> Result<Self> {
        let base = options.base.as_deref();
        if base.is_some_and(|base| !takes_text_as_it_is(base)) {
            let limit = "it changes text before it cuts it, or cuts it in several steps, and \
                         training counts text as it is; go on from a tokenizer that does neither";
            return Err(Error::argument("base", "the tokenizer", limit));
        }
        let (there, what) = match base {
            Some(base) => (base.vocabulary().size(), "ids of the base"),
            None => (256, "bytes"),
        };
        let (specials, least) =
            (options.special_tokens.len(), there + options.special_tokens.len());
        if options.vocab_size < least || options.vocab_size > MAX_ID as usize {
            let limit = format!(
                "it must be at least {there} {what} + {specials} special tokens = {least}, and at \
                 most {MAX_ID}"
            );
            return Err(Error::argument("vocab_size", options.vocab_size, limit));
        }
        if options.max_token_length == Some(0) {
            return Err(Error::argument("max_token_length", 0, "it must be at least 1"));
        }
        let mut added = base.map_or(vec![], |base| base.added().to_vec());
        let first = base.map_or(0, |base| base.vocabulary().size() as u32);
        let is_token = |text: &str| {
            let bytes = alphabet::to_bytes(text);
            base.zip(bytes).is_some_and(|(base, bytes)| base.vocabulary().id(&bytes).is_some())
        };
        for (id, text) in (first..).zip(&options.special_tokens) {
            let is_byte = alphabet::to_bytes(text).is_some_and(|bytes| bytes.len() == 1);
            let limit = match text {
                _ if text.is_empty() => "a special token must not be empty",
                _ if added.iter().any(|other| other.text == *text) => "it is given twice",
                _ if is_token(text) => "it is an ordinary token of the base; choose another text",
                _ if is_byte => "it stands for a byte; choose a text such as \"<|...|>\"",
                _ => {
                    added.push(AddedToken::special(text.clone(), id));
                    continue;
                }
            };
            return Err(Error::argument("special_tokens", format!("{text:?}"), limit));
        }
        let pattern = match base {
            Some(base) => base.pretokenizer().regex(),
            None => options.pattern.as_deref(),
        };
        let pretokenizer = Pretokenizer::new(pattern)?;
        let special = Finder::new(&added)?;
        Ok(Self { options, pretokenizer, special, added })
    }

    /// A counter for the corpus.
    pub fn counter(&self) -> PieceCounter<'_> {
        let threads = match self.options.num_threads {
            0 => default_threads(),
            threads => threads,
        };
        PieceCounter::new(&self.pretokenizer, &self.special, threads, self.options.memory_limit)
    }

    /// Where a corpus that arrives in chunks may be cut: the last place in `text` at which neither
    /// a piece nor a special token is taken apart, whatever follows `text`; 0 for none.
    pub fn cut_before(&self, text: &str) -> Result<usize> {
        // A special token that begins before the cut lies within the text.
        let longest = self.added.iter().map(|token| token.text.len()).max().unwrap_or(0);
        let limit = text.len().saturating_sub(longest + 1);
        let (mut cut, mut at) = (self.pretokenizer.cut_before(text, limit), 0);
        while let Some((found, _)) = self.special.find(text, at)? {
            if found.end > cut {
                cut = cut.min(found.start);
                break;
            }
            at = found.end;
        }
        Ok(cut)
    }

    /// Learns the merges from counted pieces. `progress` counts merges.
    pub fn finish(&self, pieces: PieceCounts, progress: &dyn Progress) -> Result<Tokenizer> {
        if pieces.is_empty() {
            return Err(Error::Empty {
                what: "the training text".into(),
                remedy: "give at least one text that is not empty",
            });
        }
        let (mut parts, byte_ids) = self.start();
        let first = self.added.iter().map(|token| token.id).chain(parts.tokens.iter().map(|t| t.0));
        let first = first.chain(parts.inert.iter().map(|t| t.0));
        let first = first.max().map_or(0, |id| id + 1);
        let mut bytes: Vec<Box<[u8]>> = vec![Box::default(); first as usize];
        for (id, token) in &parts.tokens {
            bytes[*id as usize] = token.clone().into_boxed_slice();
        }
        let words = self.words(pieces, &byte_ids)?;
        let lengths = bytes.iter().map(|token| token.len()).collect();
        let mut learner =
            Learner::new(words, lengths, self.options.min_frequency, self.options.max_token_length);
        let wanted = self.options.vocab_size - first as usize;
        let merges = parts.merges.get_or_insert_default();
        for made in 0..wanted {
            if made % 64 == 0 {
                progress.report(made as u64, wanted as u64)?;
            }
            let token = first + made as u32;
            let Some((left, right)) = learner.merge_best(token, wanted - made) else { break };
            let joined = [&bytes[left as usize][..], &bytes[right as usize]].concat();
            if let Some(special) = self.conflict(&joined) {
                return Err(Error::argument(
                    "special_tokens",
                    format!("{special:?}"),
                    "it arises as an ordinary token too; choose a text such as \"<|...|>\"",
                ));
            }
            if let Some(base) = self.options.base.as_deref()
                && let Some(id) = base.vocabulary().id(&joined)
            {
                let value = format!("{:?}", String::from_utf8_lossy(&joined));
                let limit = format!(
                    "training would make this token, which the base already has as {id} without a \
                     merge that makes it; go on from a tokenizer all of whose tokens are made"
                );
                return Err(Error::argument("base", value, limit));
            }
            bytes.push(joined.clone().into_boxed_slice());
            parts.tokens.push((token, joined));
            merges.push(Merge { left, right, token });
        }
        progress.report(wanted as u64, wanted as u64)?;
        Tokenizer::new(parts)
    }

    /// What there is before the first merge, and the tokens of the bytes.
    fn start(&self) -> (Parts, [u32; 256]) {
        let mut parts = Parts { added: self.added.clone(), ..Parts::default() };
        if let Some(base) = self.options.base.as_deref() {
            let vocabulary = base.vocabulary();
            let is_added = |id| base.added().iter().any(|token| token.id == id);
            for (id, token) in vocabulary.iter() {
                if vocabulary.is_ordinary(id) {
                    parts.tokens.push((id, token.to_vec()));
                } else if !is_added(id) {
                    parts.inert.push((id, String::from_utf8_lossy(token).into_owned()));
                }
            }
            parts.merges = Some(base.merges().as_slice().to_vec());
            parts.pattern = base.pretokenizer().regex().map(str::to_owned);
            parts.whole_pieces = base.whole_pieces();
            parts.post_processor = base.post_processor().clone();
            return (parts, *base.byte_ids());
        }
        let mut ids = [0; 256];
        for (id, byte) in (self.added.len() as u32..).zip(alphabet::bytes_in_order()) {
            ids[byte as usize] = id;
            parts.tokens.push((id, vec![byte]));
        }
        parts.pattern.clone_from(&self.options.pattern);
        (parts, ids)
    }

    /// Pieces as words of tokens. The pieces are freed on the way, so that the memory of both is
    /// hardly more than that of one.
    fn words(&self, pieces: PieceCounts, byte_ids: &[u32; 256]) -> Result<Words> {
        let mut words = Words::new(Codes::new(self.options.vocab_size));
        let (mut scratch, mut tokens) = (Scratch::default(), Vec::new());
        pieces.drain(|piece, count| match self.options.base.as_deref() {
            Some(base) => {
                tokens.clear();
                base.append_piece(piece, &mut scratch, &mut tokens);
                words.push(tokens.iter().copied(), count)
            }
            None => words.push(piece.iter().map(|&byte| byte_ids[byte as usize]), count),
        })?;
        words.shrink();
        Ok(words)
    }

    /// A special token that a file would write like the ordinary token `token`.
    fn conflict(&self, token: &[u8]) -> Option<&str> {
        let same = |text: &str| alphabet::to_bytes(text).is_some_and(|bytes| bytes == token);
        self.added.iter().map(|added| added.text.as_str()).find(|text| same(text))
    }
}

/// Whether the pieces of a text are those of its own pattern on the text between added tokens.
fn takes_text_as_it_is(base: &Tokenizer) -> bool {
    let exact = |token: &AddedToken| !(token.lstrip || token.rstrip || token.single_word);
    base.normalization().is_empty() && base.steps().is_none() && base.added().iter().all(exact)
}
