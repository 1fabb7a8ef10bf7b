//! Ids of a text that arrives in parts.
//!
//! Definition: the ids are those of [`Tokenizer::encode`] for the whole text, wherever it was cut.
//! The text passes the same stages, each of which holds back what is not yet certain:
//!
//! | stage | holds back |
//! | --- | --- |
//! | bytes to characters | an unfinished character |
//! | tokens found in the text ([`Split`]) | less than the longest of them |
//! | normalization ([`Normalize`]) | from the last character on that nothing reaches across |
//! | tokens found after normalization | less than the longest of them |
//! | pieces | from the last place on where the text may be taken apart |
//!
//! Tokens that heed what is around them, and steps of normalization other than the four forms, hold
//! back all of the text. The last place is that of [`Pretokenizer::cut_before`]. Where none is found, the search starts
//! again when twice as much is there, so all searches together are linear in the text. Hence the
//! bound: with `k` the longest stretch of the text without a safe place, at most the larger of `2 k`
//! and [`BLOCK`] bytes wait, besides what one push brings and what the stages before hold. Prose and
//! code have a `k` of a line or less; it is large where a single piece is, which needs all of it.
//!
//! [`Pretokenizer::cut_before`]: crate::pretokenize::Pretokenizer::cut_before

use std::sync::Arc;

use super::super::added::{AddedToken, Finder, Finders};
use super::super::text::Allowed;
use super::super::tokenizer::Tokenizer;
use super::super::workspace::Workspace;
use super::OnError;
use super::normalize::Normalize;
use super::split::{Part, Split};
use crate::{Error, Result};

/// Text of so many bytes is looked at for a place to take it apart.
const BLOCK: usize = 1 << 14;

/// Encodes a text in parts, and then the next.
#[derive(Debug)]
pub struct StreamEncoder {
    tokenizer: Arc<Tokenizer>,
    source_name: String,
    on_error: OnError,
    /// Bytes of an unfinished character, and where in the text they stand.
    raw: Vec<u8>,
    offset: u64,
    /// Texts that may not occur, and the search for them.
    forbidden: Vec<AddedToken>,
    find_forbidden: Split,
    raw_tokens: Split,
    normalize: Normalize,
    normalized_tokens: Split,
    pieces: Pieces,
    failed: bool,
}

impl StreamEncoder {
    /// `allowed` tokens stand for themselves; a text with one of `disallowed` in it is an error, as
    /// are bytes that are not UTF-8 if `on_error` is strict. `source_name` is named in that error.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        allowed: &Allowed,
        disallowed: &[String],
        on_error: OnError,
        source_name: &str,
    ) -> Result<Self> {
        let texts = disallowed.iter().cloned();
        let forbidden: Vec<_> =
            (0..).zip(texts).map(|(id, text)| AddedToken::special(text, id)).collect();
        let Finders { raw, normalized } = tokenizer.finder(allowed)?.into_owned();
        Ok(Self {
            find_forbidden: Split::new(Finder::new(&forbidden)?),
            forbidden,
            raw_tokens: Split::new(raw),
            normalized_tokens: Split::new(normalized),
            tokenizer,
            source_name: source_name.to_owned(),
            on_error,
            raw: Vec::new(),
            offset: 0,
            normalize: Normalize::default(),
            pieces: Pieces::default(),
            failed: false,
        })
    }

    /// Bytes of text that wait for more.
    pub fn waiting(&self) -> usize {
        let tokens = self.raw_tokens.waiting() + self.normalized_tokens.waiting();
        self.raw.len() + tokens + self.normalize.waiting() + self.pieces.waiting.len()
    }

    /// Takes more of the text and appends the ids that became certain to `out`. After an error the
    /// encoder is of no more use.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u32>) -> Result<()> {
        self.run(|this, work| {
            if this.raw.is_empty()
                && let Ok(text) = std::str::from_utf8(bytes)
            {
                this.offset += bytes.len() as u64;
                return this.take(text, false, work, out);
            }
            this.raw.extend_from_slice(bytes);
            let mut text = String::with_capacity(this.raw.len());
            let Self { on_error, raw, source_name, offset, .. } = this;
            let done = on_error.decode_part(raw, &mut text, source_name, *offset)?;
            raw.drain(..done);
            *offset += done as u64;
            this.take(&text, false, work, out)
        })
    }

    /// Ends the text and appends its last ids to `out`. The next push begins another text.
    pub fn finish(&mut self, out: &mut Vec<u32>) -> Result<()> {
        self.run(|this, work| {
            let mut text = String::new();
            this.on_error.finish(&this.raw, &mut text, &this.source_name, this.offset)?;
            this.raw.clear();
            this.offset = 0;
            this.take(&text, true, work, out)
        })
    }

    fn run(&mut self, work: impl FnOnce(&mut Self, &mut Workspace) -> Result<()>) -> Result<()> {
        if self.failed {
            let limit = "it has failed before; make another one for the next text";
            return Err(Error::argument("stream encoder", &self.source_name, limit));
        }
        // Until it has worked: a panic counts as well.
        self.failed = true;
        let tokenizer = Arc::clone(&self.tokenizer);
        tokenizer.workspaces.with(|workspace| work(self, workspace))?;
        self.failed = false;
        Ok(())
    }

    /// Text through all stages.
    fn take(
        &mut self,
        text: &str,
        end: bool,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let Self { tokenizer, forbidden, find_forbidden, .. } = self;
        find_forbidden.push(text, end, |part| match part {
            Part::Text(_) => Ok(()),
            Part::Token(id) => {
                Err(Error::SpecialToken { token: forbidden[id as usize].text.clone() })
            }
        })?;
        let Self { raw_tokens, normalize, normalized_tokens, pieces, .. } = self;
        // One text without tokens from outside: it may end before the whole does.
        let mut plain = |text: &str, end: bool, out: &mut Vec<u32>| {
            let mut found = |text: &str, end: bool, pieces: &mut Pieces, out: &mut Vec<u32>| {
                normalized_tokens.push(text, end, |part| match part {
                    Part::Text(text) => pieces.push(text, tokenizer, work, out),
                    Part::Token(id) => {
                        pieces.finish(tokenizer, work, out)?;
                        out.push(id);
                        Ok(())
                    }
                })
            };
            normalize.push(tokenizer, text, end, |text| found(text, false, pieces, out))?;
            if end {
                found("", true, pieces, out)?;
                pieces.finish(tokenizer, work, out)?;
            }
            Ok::<_, Error>(())
        };
        raw_tokens.push(text, end, |part| match part {
            Part::Text(text) => plain(text, false, out),
            Part::Token(id) => {
                plain("", true, out)?;
                out.push(id);
                Ok(())
            }
        })?;
        if end { plain("", true, out) } else { Ok(()) }
    }
}

/// Text that is to be cut into pieces; the first begins at its start.
#[derive(Debug, Default)]
struct Pieces {
    waiting: String,
    /// The search for a cut starts when so many bytes wait.
    wanted: usize,
}

impl Pieces {
    fn push(
        &mut self,
        text: &str,
        tokenizer: &Tokenizer,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        self.waiting.push_str(text);
        if self.waiting.len() < self.wanted.max(BLOCK) {
            return Ok(());
        }
        let cut = tokenizer.pretokenizer().cut_before(&self.waiting, self.waiting.len());
        if cut > 0 {
            tokenizer.encode_pieces(&self.waiting, 0..cut, work, out)?;
            self.waiting.drain(..cut);
            self.waiting.shrink_to(4 * BLOCK);
        }
        self.wanted = 2 * self.waiting.len();
        Ok(())
    }

    fn finish(
        &mut self,
        tokenizer: &Tokenizer,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        if !self.waiting.is_empty() {
            tokenizer.encode_pieces(&self.waiting, 0..self.waiting.len(), work, out)?;
            self.waiting.clear();
            self.waiting.shrink_to(4 * BLOCK);
        }
        self.wanted = 0;
        Ok(())
    }
}
