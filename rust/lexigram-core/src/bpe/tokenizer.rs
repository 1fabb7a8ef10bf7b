//! The tokenizer as a whole: from text to ids and back.

use std::collections::HashMap;
use std::sync::OnceLock;

use xxhash_rust::xxh3::Xxh3;

use super::added::{AddedToken, Finder, Finders};
use super::decode::{TokenBytes, token_at};
use super::encode::PieceEncoder;
use super::json::FileFields;
use super::memory::made;
use super::merges::{Merge, Merges};
use super::normalize::Normalization;
use super::post_process::PostProcessor;
use super::tables::Tables;
use super::text::normalized;
use super::vocabulary::Vocabulary;
use super::workspace::Workspaces;
use crate::pretokenize::Pretokenizer;
use crate::pretokenize::steps::Steps;
use crate::{Error, Result};

/// What a tokenizer is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Ordinary tokens.
    pub tokens: Vec<(u32, Vec<u8>)>,
    /// Tokens that no text is encoded to, but whose ids can be decoded.
    pub inert: Vec<(u32, String)>,
    /// Merges in the order of their ranks; `None`: ids are ranks and imply the merges.
    pub merges: Option<Vec<Merge>>,
    /// Tokens found in text as they stand.
    pub added: Vec<AddedToken>,
    /// `"gpt2"`, `"cl100k"`, `"o200k"`, a regular expression, or `None` for no split.
    pub pattern: Option<String>,
    /// How text is cut into pieces instead, where one pattern cannot say it.
    pub steps: Option<Steps>,
    /// Applied in order.
    pub normalization: Vec<Normalization>,
    /// Whether a piece that is a token becomes that token without merging.
    pub whole_pieces: bool,
    /// The tokens put around a text on request.
    pub post_processor: PostProcessor,
    /// What else stood in the tokenizer.json that this came from, kept for saving.
    pub file: Option<FileFields>,
}

/// A byte-level BPE tokenizer. It can be shared between threads.
#[derive(Debug)]
pub struct Tokenizer {
    pub(super) pieces: PieceEncoder,
    pretokenizer: Pretokenizer,
    steps: Option<Steps>,
    added: Vec<AddedToken>,
    normalization: Vec<Normalization>,
    post_processor: PostProcessor,
    file: Option<FileFields>,
    special_ids: HashMap<String, u32>,
    /// All special tokens; the tokens always found; both together.
    special: Finder,
    pub(super) always: Finders,
    pub(super) all: Finders,
    token_bytes: OnceLock<TokenBytes>,
    /// Ordinary tokens in the order of their bytes.
    pub(super) sorted: OnceLock<Vec<u32>>,
    pub(super) workspaces: Workspaces,
}

impl Tokenizer {
    /// Checks the parts and builds the tables.
    pub fn new(mut parts: Parts) -> Result<Self> {
        let tokens = std::mem::take(&mut parts.tokens);
        let tokens = tokens.iter().map(|(id, token)| (*id, &token[..]));
        let tables = Tables::new(tokens, &parts.inert, &parts.added, parts.merges.take(), 1)?;
        Self::with_tables(parts, tables)
    }

    /// From tables of all tokens and of the merges; the rest is taken from the parts.
    pub(super) fn with_tables(parts: Parts, tables: Tables) -> Result<Self> {
        let Parts {
            mut added,
            pattern,
            steps,
            normalization,
            whole_pieces,
            post_processor,
            file,
            ..
        } = parts;
        let Tables { vocabulary, byte_ids, merges } = tables;
        added.sort_by_key(|token| token.id);
        let post_processor = post_processor.checked(|id| !vocabulary.token(id).is_empty());
        let mut special_ids = HashMap::new();
        for token in &added {
            if special_ids.insert(token.text.clone(), token.id).is_some() {
                let value = format!("{:?}", token.text);
                return Err(Error::argument("special_tokens", value, "it is given twice"));
            }
        }
        special_ids.retain(|text, _| added.iter().any(|t| t.special && t.text == *text));
        let normalize = |text: &str| match normalized(&normalization, text) {
            Ok(text) => text.into_owned(),
            Err(_) => text.to_owned(),
        };
        Ok(Self {
            pieces: PieceEncoder::new(vocabulary, merges, byte_ids, whole_pieces),
            pretokenizer: Pretokenizer::new(pattern.as_deref())?,
            special: Finder::new(added.iter().filter(|t| t.special))?,
            always: Finders::new(added.iter().filter(|t| !t.special), normalize)?,
            all: Finders::new(&added, normalize)?,
            steps,
            file,
            special_ids,
            added,
            normalization,
            post_processor,
            token_bytes: OnceLock::new(),
            sorted: OnceLock::new(),
            workspaces: Workspaces::default(),
        })
    }

    /// The tokens and their bytes, special ones included.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.pieces.vocabulary
    }

    /// The merges.
    pub fn merges(&self) -> &Merges {
        &self.pieces.merges
    }

    /// The tokens of the 256 single bytes.
    pub fn byte_ids(&self) -> &[u32; 256] {
        &self.pieces.byte_ids
    }

    /// How text is cut into pieces.
    pub fn pretokenizer(&self) -> &Pretokenizer {
        &self.pretokenizer
    }

    /// Tokens found in text as they stand, by id.
    pub fn added(&self) -> &[AddedToken] {
        &self.added
    }

    /// How text is cut into pieces where one pattern cannot say it.
    pub fn steps(&self) -> Option<&Steps> {
        self.steps.as_ref()
    }

    /// Whether the tokens of every text are its bytes: nothing is normalized, removed or added.
    pub fn keeps_text(&self) -> bool {
        self.normalization.is_empty()
            && self.steps.as_ref().is_none_or(Steps::keep_text)
            && !self.added.iter().any(|token| token.lstrip || token.rstrip)
    }

    /// The normalization forms, in the order in which they are applied.
    pub fn normalization(&self) -> &[Normalization] {
        &self.normalization
    }

    /// Whether a piece that is a token becomes that token without merging.
    pub fn whole_pieces(&self) -> bool {
        self.pieces.whole_pieces
    }

    /// The tokens put around a text on request.
    pub fn post_processor(&self) -> &PostProcessor {
        &self.post_processor
    }

    pub(super) fn file(&self) -> Option<&FileFields> {
        self.file.as_ref()
    }

    /// The id of a special token.
    pub fn special_id(&self, text: &str) -> Option<u32> {
        self.special_ids.get(text).copied()
    }

    /// The id of a token, ordinary or added, by its bytes.
    pub fn token_id(&self, token: &[u8]) -> Result<u32> {
        let added = || self.added.iter().find(|added| added.text.as_bytes() == token);
        let id = self.pieces.vocabulary.id(token).or_else(|| added().map(|added| added.id));
        id.ok_or_else(|| Error::UnknownToken { token: String::from_utf8_lossy(token).into_owned() })
    }

    /// A digest of everything that ids depend on: 32 hexadecimal digits, the same after saving
    /// and loading.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Xxh3::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (id, token) in self.pieces.vocabulary.iter() {
            field(&id.to_le_bytes());
            field(token);
        }
        field(b"merges");
        for merge in self.pieces.merges.as_slice() {
            field(bytemuck::bytes_of(&[merge.left, merge.right, merge.token]));
        }
        field(b"added");
        for token in &self.added_as_found() {
            field(&token.id.to_le_bytes());
            field(&[token.special.into(), token.normalized.into()]);
            if token.lstrip || token.rstrip || token.single_word {
                field(&[token.lstrip.into(), token.rstrip.into(), token.single_word.into()]);
            }
        }
        field(self.pretokenizer.regex().unwrap_or_default().as_bytes());
        let forms: Vec<_> = self.normalization.iter().map(Normalization::key).collect();
        field(format!("[{}] {}", forms.join(", "), self.pieces.whole_pieces).as_bytes());
        if let Some(steps) = &self.steps {
            field(steps.description().as_bytes());
        }
        if self.post_processor != PostProcessor::default() {
            field(format!("{:?}", self.post_processor).as_bytes());
        }
        format!("{:032x}", hasher.digest128())
    }

    /// The added tokens; where looking for them before or after normalization is the same, before.
    fn added_as_found(&self) -> Vec<AddedToken> {
        let mut added = self.added.clone();
        if self.normalization.is_empty() && added.iter().all(|token| token.normalized) {
            added.iter_mut().for_each(|token| token.normalized = false);
        }
        added
    }

    /// The first special token in `text` among `disallowed` (`None`: all of them).
    pub fn find_special(
        &self,
        text: &str,
        disallowed: Option<&[String]>,
    ) -> Result<Option<String>> {
        let Some((_, token)) = self.special.matches(text).next() else { return Ok(None) };
        let Some(disallowed) = disallowed else { return Ok(Some(token.text.clone())) };
        let chosen = self.added.iter().filter(|t| t.special && disallowed.contains(&t.text));
        let chosen = Finder::new(chosen)?;
        Ok(chosen.matches(text).next().map(|(_, token)| token.text.clone()))
    }

    /// The bytes of the tokens, joined.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let vocabulary = &self.pieces.vocabulary;
        // For a few tokens the table is not worth building.
        if ids.len() < 256 && self.token_bytes.get().is_none() {
            let tokens = ids.iter().enumerate().map(|(at, &id)| self.token_at(id, at));
            return Ok(tokens.collect::<Result<Vec<_>>>()?.concat());
        }
        made(&self.token_bytes, || TokenBytes::new(vocabulary)).decode(ids, vocabulary)
    }

    /// The bytes of one token; `position` is named in the error.
    pub fn token_at(&self, id: u32, position: usize) -> Result<&[u8]> {
        token_at(&self.pieces.vocabulary, id, position)
    }
}

/// Two tokenizers are equal if they give the same ids for every text.
impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        self.pieces.vocabulary == other.pieces.vocabulary
            && self.pieces.merges == other.pieces.merges
            && self.pieces.whole_pieces == other.pieces.whole_pieces
            && self.pretokenizer.regex() == other.pretokenizer.regex()
            && self.steps.as_ref().map(Steps::description)
                == other.steps.as_ref().map(Steps::description)
            && self.added_as_found() == other.added_as_found()
            && self.normalization == other.normalization
            && self.post_processor == other.post_processor
    }
}
