//! From text to ids: tokens that are found as they stand, normalization, pieces.

use std::borrow::Cow;
use std::ops::Range;

use super::added::{AddedToken, Finders};
use super::encode::Scratch;
use super::memory::output;
use super::normalize::Normalization;
use super::tokenizer::Tokenizer;
use super::vocabulary::NO_TOKEN;
use super::workspace::Workspace;
use crate::{Error, Result};

/// Which special tokens are recognized in text.
#[derive(Debug, Clone)]
pub enum Allowed {
    /// None: their text is ordinary text.
    None,
    /// All of them.
    All,
    /// These; names that are no special token are ignored.
    Some(Vec<String>),
}

/// What is to be encoded.
#[derive(Debug, Clone, Copy)]
pub enum Text<'t> {
    /// Text.
    Str(&'t str),
    /// Bytes that need not be UTF-8.
    Bytes(&'t [u8]),
}

impl Text<'_> {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tokenizer {
    /// Appends the ids of `text` to `out`.
    ///
    /// Where bytes are not UTF-8, tiktoken's rule holds: the bytes up to the first error are
    /// encoded as text; from the last piece of that on (with blank tokens before it, if it begins
    /// with one), everything is one piece.
    pub fn encode(&self, text: Text<'_>, allowed: &Allowed, out: &mut Vec<u32>) -> Result<()> {
        let finder = self.finder(allowed)?;
        if out.capacity() == 0 {
            *out = output(text.len() / 4 + 16);
        }
        self.workspaces.with(|work| self.encode_with(text, &finder, work, out))
    }

    /// As [`Tokenizer::encode`], in memory that the caller holds.
    pub(super) fn encode_with(
        &self,
        text: Text<'_>,
        finders: &Finders,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        match text {
            Text::Str(text) => self.encode_str(text, finders, work, out).map(drop),
            Text::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.encode_str(text, finders, work, out).map(drop),
                Err(_) => self.encode_bytes(bytes, finders, work, out),
            },
        }
    }

    /// Text, in which the tokens looked for stand for themselves. Returns where in `out` the tokens of
    /// the last piece begin: at its end if the text ends with an added token.
    pub(super) fn encode_str(
        &self,
        text: &str,
        finders: &Finders,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let mut matches = finders.raw.matches(text);
        for (before, token) in matches.by_ref() {
            self.encode_plain(&text[before], finders, work, out)?;
            out.push(token.id);
        }
        self.encode_plain(&text[matches.rest()..], finders, work, out)
    }

    fn encode_bytes(
        &self,
        bytes: &[u8],
        finders: &Finders,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let (mut start, mut chunk_start) = (0, 0);
        for chunk in bytes.utf8_chunks() {
            let mut matches = finders.raw.matches(chunk.valid());
            while let Some((before, token)) = matches.next() {
                let end = chunk_start + before.end;
                self.encode_segment(&bytes[start.min(end)..end], finders, work, out)?;
                out.push(token.id);
                start = chunk_start + matches.rest();
            }
            chunk_start += chunk.valid().len() + chunk.invalid().len();
        }
        self.encode_segment(&bytes[start..], finders, work, out)
    }

    /// Bytes without added tokens to be found.
    fn encode_segment(
        &self,
        bytes: &[u8],
        finders: &Finders,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return self.encode_plain(text, finders, work, out).map(drop),
            Err(error) => error,
        };
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let begin = out.len();
        let mut unstable = self.encode_plain(valid, finders, work, out)?;
        let blank = |id: u32| {
            self.pieces.vocabulary.token(id).iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\t'))
        };
        if unstable < out.len() && blank(out[unstable]) {
            while unstable > begin && blank(out[unstable - 1]) {
                unstable -= 1;
            }
        }
        let mut piece = Vec::new();
        for id in out.drain(unstable..) {
            piece.extend_from_slice(self.pieces.vocabulary.token(id));
        }
        piece.extend_from_slice(&bytes[error.valid_up_to()..]);
        if let Some(&byte) =
            piece.iter().find(|&&byte| self.pieces.byte_ids[byte as usize] == NO_TOKEN)
        {
            let limit = "the vocabulary has no token for this byte; encode text that is UTF-8";
            return Err(Error::argument("byte", format!("{byte:#04x}"), limit));
        }
        self.pieces.encode(&piece, &mut work.scratch, out);
        Ok(())
    }

    pub(super) fn finder(&self, allowed: &Allowed) -> Result<Cow<'_, Finders>> {
        Ok(match allowed {
            Allowed::None => Cow::Borrowed(&self.always),
            Allowed::All => Cow::Borrowed(&self.all),
            Allowed::Some(names) => {
                let found = |t: &&AddedToken| !t.special || names.contains(&t.text);
                let normalize = |text: &str| match self.normalize(text) {
                    Ok(text) => text.into_owned(),
                    Err(_) => text.to_owned(),
                };
                Cow::Owned(Finders::new(self.added().iter().filter(found), normalize)?)
            }
        })
    }

    /// Normalizes, and finds the tokens that are looked for after normalization. Returns where in
    /// `out` the tokens of the last piece begin.
    pub(super) fn encode_plain(
        &self,
        text: &str,
        finders: &Finders,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let text = self.normalize(text)?;
        let mut last = out.len();
        let mut matches = finders.normalized.matches(&text);
        for (before, token) in matches.by_ref() {
            self.encode_pieces(&text, before, work, out)?;
            last = out.len();
            out.push(token.id);
        }
        let at = matches.rest();
        if at < text.len() {
            last = self.encode_pieces(&text, at..text.len(), work, out)?;
        }
        Ok(last)
    }

    /// Appends the tokens of a piece.
    pub(super) fn append_piece(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<u32>) {
        self.pieces.encode(piece, scratch, out);
    }

    /// Whether text is changed, or tokens are found in changed text.
    pub(super) fn is_normalizing(&self, finders: &Finders) -> bool {
        !self.normalization().is_empty() || !finders.normalized.is_empty()
    }

    /// The text as the patterns and merges see it.
    pub fn normalize<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        normalized(self.normalization(), text)
    }

    /// Appends the tokens of `text[range]`, which is normalized and holds no added token, and
    /// returns where in `out` those of the last piece begin.
    pub(super) fn encode_pieces(
        &self,
        text: &str,
        range: Range<usize>,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let text = &text[range];
        // Pieces that are known beforehand, of bytes that need not be those of the text.
        let cut = self.steps().map(|steps| steps.cut(text)).transpose()?;
        let (bytes, mut known) = match &cut {
            Some(cut) => (&cut.bytes[..], Some(&cut.ends[..])),
            None => (text.as_bytes(), None),
        };
        let Workspace { words, scratch, ends } = work;
        let (mut start, mut last) = (0, out.len());
        while start < bytes.len() {
            match &mut known {
                Some(known) => ends.take_from(known),
                None => self.pretokenizer().fill(text, start, ends)?,
            }
            let ends = ends.as_slice();
            last = words.encode(bytes, start, ends, out, |piece, out| {
                self.pieces.encode(piece, scratch, out);
            });
            start = ends.last().copied().unwrap_or(bytes.len());
        }
        Ok(last)
    }
}

/// The text after all steps.
pub(super) fn normalized<'t>(steps: &[Normalization], text: &'t str) -> Result<Cow<'t, str>> {
    steps.iter().try_fold(Cow::Borrowed(text), |text, step| match text {
        Cow::Borrowed(text) => step.apply(text),
        Cow::Owned(text) => Ok(Cow::Owned(step.apply(&text)?.into_owned())),
    })
}
