//! The tokenizer as a whole: from text to ids and back.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};

use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::Xxh3;

use super::added::{AddedToken, Finder};
use super::cache::WordCache;
use super::decode::{TokenBytes, token_at};
use super::encode::{PieceEncoder, Scratch};
use super::memory::output;
use super::merges::{Merge, Merges};
use super::vocabulary::{NO_TOKEN, Vocabulary};
use crate::pretokenize::{Ends, Pretokenizer};
use crate::{Error, Result};

/// A Unicode normalization form that is applied to text before it is cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

impl Normalization {
    fn apply<'t>(self, text: &'t str) -> Cow<'t, str> {
        // ASCII is its own normal form in all four.
        if text.is_ascii() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(match self {
            Self::Nfc => text.nfc().collect(),
            Self::Nfd => text.nfd().collect(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Nfkd => text.nfkd().collect(),
        })
    }
}

/// What a tokenizer is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Ordinary tokens.
    pub tokens: Vec<(u32, Vec<u8>)>,
    /// Merges in the order of their ranks; `None`: ids are ranks and imply the merges.
    pub merges: Option<Vec<Merge>>,
    /// Tokens found in text as they stand.
    pub added: Vec<AddedToken>,
    /// `"gpt2"`, `"cl100k"`, `"o200k"`, a regular expression, or `None` for no split.
    pub pattern: Option<String>,
    /// Applied in order.
    pub normalization: Vec<Normalization>,
    /// Whether a piece that is a token becomes that token without merging.
    pub whole_pieces: bool,
    /// The post-processor of the tokenizer.json that this came from, kept for saving.
    pub post_processor: Option<serde_json::Value>,
}

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

/// A byte-level BPE tokenizer. It can be shared between threads.
#[derive(Debug)]
pub struct Tokenizer {
    pub(super) pieces: PieceEncoder,
    pretokenizer: Pretokenizer,
    added: Vec<AddedToken>,
    normalization: Vec<Normalization>,
    post_processor: Option<serde_json::Value>,
    special_ids: HashMap<String, u32>,
    /// All special tokens; the tokens always found; both together.
    special: Finder,
    always: Finder,
    all: Finder,
    /// The tokens found after normalization.
    normalized: Finder,
    token_bytes: OnceLock<TokenBytes>,
    /// Ordinary tokens in the order of their bytes.
    pub(super) sorted: OnceLock<Vec<u32>>,
    /// Memory of past calls, at most one for each call that ran at the same time.
    #[allow(clippy::vec_box)] // moved in and out at each call
    workspaces: Mutex<Vec<Box<Workspace>>>,
}

/// What a call works in.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    words: WordCache,
    scratch: Scratch,
    ends: Ends,
}

impl Tokenizer {
    /// Checks the parts and builds the tables.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts {
            tokens,
            merges,
            mut added,
            pattern,
            normalization,
            whole_pieces,
            post_processor,
        } = parts;
        added.sort_by_key(|token| token.id);
        let ids: HashSet<u32> = added.iter().map(|token| token.id).collect();
        let listed = tokens.iter().filter(|(id, _)| ids.contains(id));
        let by_id: HashMap<u32, &[u8]> = listed.map(|(id, token)| (*id, &token[..])).collect();
        let ordinary = tokens.iter().map(|(id, token)| (*id, &token[..], true));
        // An added token may also be an ordinary one; then it is entered once.
        let entered = |token: &&AddedToken| by_id.get(&token.id) != Some(&token.text.as_bytes());
        let found = added.iter().filter(entered).map(|t| (t.id, t.text.as_bytes(), false));
        let vocabulary = Vocabulary::new(ordinary.chain(found))?;
        let byte_ids = vocabulary.byte_ids()?;
        let merges = match merges {
            Some(merges) => {
                check_merges(&merges, &vocabulary)?;
                Merges::new(merges, &byte_ids)?
            }
            None => Merges::from_ranks(&vocabulary, &byte_ids)?,
        };
        let mut special_ids = HashMap::new();
        for token in &added {
            if special_ids.insert(token.text.clone(), token.id).is_some() {
                let value = format!("{:?}", token.text);
                return Err(Error::argument("special_tokens", value, "it is given twice"));
            }
        }
        special_ids.retain(|text, _| added.iter().any(|t| t.special && t.text == *text));
        let raw = |token: &&AddedToken| token.special || !token.normalized;
        Ok(Self {
            pieces: PieceEncoder::new(vocabulary, merges, byte_ids, whole_pieces),
            pretokenizer: Pretokenizer::new(pattern.as_deref())?,
            special: Finder::new(added.iter().filter(|t| t.special))?,
            always: Finder::new(added.iter().filter(raw).filter(|t| !t.special))?,
            all: Finder::new(added.iter().filter(raw))?,
            normalized: Finder::new(added.iter().filter(|t| !raw(t)))?,
            special_ids,
            added,
            normalization,
            post_processor,
            token_bytes: OnceLock::new(),
            sorted: OnceLock::new(),
            workspaces: Mutex::default(),
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

    /// The normalization forms, in the order in which they are applied.
    pub fn normalization(&self) -> &[Normalization] {
        &self.normalization
    }

    /// Whether a piece that is a token becomes that token without merging.
    pub fn whole_pieces(&self) -> bool {
        self.pieces.whole_pieces
    }

    pub(super) fn post_processor(&self) -> Option<&serde_json::Value> {
        self.post_processor.as_ref()
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
        for token in &self.added {
            field(&token.id.to_le_bytes());
            field(&[token.special.into(), token.normalized.into()]);
        }
        field(self.pretokenizer.regex().unwrap_or_default().as_bytes());
        field(format!("{:?} {}", self.normalization, self.pieces.whole_pieces).as_bytes());
        format!("{:032x}", hasher.digest128())
    }

    /// The first special token in `text` among `disallowed` (`None`: all of them).
    pub fn find_special(
        &self,
        text: &str,
        disallowed: Option<&[String]>,
    ) -> Result<Option<String>> {
        let Some((range, _)) = self.special.find(text, 0)? else { return Ok(None) };
        let Some(disallowed) = disallowed else { return Ok(Some(text[range].to_owned())) };
        let chosen = self.added.iter().filter(|t| t.special && disallowed.contains(&t.text));
        let found = Finder::new(chosen)?.find(text, 0)?;
        Ok(found.map(|(range, _)| text[range].to_owned()))
    }

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
        self.with_workspace(|work| self.encode_with(text, &finder, work, out))
    }

    /// As [`Tokenizer::encode`], in memory that the caller holds.
    pub(super) fn encode_with(
        &self,
        text: Text<'_>,
        finder: &Finder,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        match text {
            Text::Str(text) => self.encode_str(text, finder, work, out).map(drop),
            Text::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.encode_str(text, finder, work, out).map(drop),
                Err(_) => self.encode_bytes(bytes, finder, work, out),
            },
        }
    }

    /// Text, in which `finder`'s tokens stand for themselves. Returns where in `out` the tokens of
    /// the last piece begin: at its end if the text ends with an added token.
    pub(super) fn encode_str(
        &self,
        text: &str,
        finder: &Finder,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let mut at = 0;
        while let Some((found, id)) = finder.find(text, at)? {
            self.encode_plain(&text[at..found.start], work, out)?;
            out.push(id);
            at = found.end;
        }
        self.encode_plain(&text[at..], work, out)
    }

    fn encode_bytes(
        &self,
        bytes: &[u8],
        finder: &Finder,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let (mut start, mut chunk_start) = (0, 0);
        for chunk in bytes.utf8_chunks() {
            let mut from = 0;
            while let Some((found, id)) = finder.find(chunk.valid(), from)? {
                self.encode_segment(&bytes[start..chunk_start + found.start], work, out)?;
                out.push(id);
                from = found.end;
                start = chunk_start + found.end;
            }
            chunk_start += chunk.valid().len() + chunk.invalid().len();
        }
        self.encode_segment(&bytes[start..], work, out)
    }

    /// Bytes without added tokens to be found.
    fn encode_segment(&self, bytes: &[u8], work: &mut Workspace, out: &mut Vec<u32>) -> Result<()> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return self.encode_plain(text, work, out).map(drop),
            Err(error) => error,
        };
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let begin = out.len();
        let mut unstable = self.encode_plain(valid, work, out)?;
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

    pub(super) fn finder(&self, allowed: &Allowed) -> Result<Cow<'_, Finder>> {
        Ok(match allowed {
            Allowed::None => Cow::Borrowed(&self.always),
            Allowed::All => Cow::Borrowed(&self.all),
            Allowed::Some(names) => {
                let special = |t: &&AddedToken| t.special && names.contains(&t.text);
                let always = |t: &&AddedToken| !t.special && !t.normalized;
                let chosen = self.added.iter().filter(|t| special(t) || always(t));
                Cow::Owned(Finder::new(chosen)?)
            }
        })
    }

    /// Finds the tokens that are looked for after normalization.
    pub(super) fn normalized_finder(&self) -> &Finder {
        &self.normalized
    }

    /// Runs `work` in the memory of an earlier call, or in new memory.
    pub(super) fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let kept = self.kept_workspaces().and_then(|mut kept| kept.pop());
        let mut workspace = kept.unwrap_or_default();
        let outcome = work(&mut workspace);
        if let Some(mut kept) = self.kept_workspaces() {
            kept.push(workspace);
        }
        outcome
    }

    /// The memory of past calls, if it can be had. It is held for a push or a pop only, so hardly
    /// ever waited for; but in a process that was forked while another thread held it, it is never
    /// free again.
    #[allow(clippy::vec_box)]
    pub(super) fn kept_workspaces(&self) -> Option<MutexGuard<'_, Vec<Box<Workspace>>>> {
        for _ in 0..1000 {
            match self.workspaces.try_lock() {
                Ok(kept) => return Some(kept),
                Err(TryLockError::Poisoned(kept)) => return Some(kept.into_inner()),
                Err(TryLockError::WouldBlock) => spin_loop(),
            }
        }
        None
    }

    /// Normalizes, and finds the tokens that are looked for after normalization. Returns where in
    /// `out` the tokens of the last piece begin.
    pub(super) fn encode_plain(
        &self,
        text: &str,
        work: &mut Workspace,
        out: &mut Vec<u32>,
    ) -> Result<usize> {
        let text = self.normalize(text);
        let (mut at, mut last) = (0, out.len());
        while let Some((found, id)) = self.normalized.find(&text, at)? {
            self.encode_pieces(&text, at..found.start, work, out)?;
            last = out.len();
            out.push(id);
            at = found.end;
        }
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
    pub(super) fn is_normalizing(&self) -> bool {
        !self.normalization.is_empty() || !self.normalized.is_empty()
    }

    /// The text as the patterns and merges see it.
    pub fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.normalization.iter().fold(Cow::Borrowed(text), |text, form| match text {
            Cow::Borrowed(text) => form.apply(text),
            Cow::Owned(text) => Cow::Owned(form.apply(&text).into_owned()),
        })
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
        let bytes = text.as_bytes();
        let Workspace { words, scratch, ends } = work;
        let (mut start, mut last) = (0, out.len());
        while start < text.len() {
            self.pretokenizer.fill(text, start, ends)?;
            let ends = ends.as_slice();
            last = words.encode(bytes, start, ends, out, |piece, out| {
                self.pieces.encode(piece, scratch, out);
            });
            start = ends.last().copied().unwrap_or(text.len());
        }
        Ok(last)
    }

    /// The bytes of the tokens, joined.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>> {
        let vocabulary = &self.pieces.vocabulary;
        // For a few tokens the table is not worth building.
        if ids.len() < 256 && self.token_bytes.get().is_none() {
            let tokens = ids.iter().enumerate().map(|(at, &id)| self.token_at(id, at));
            return Ok(tokens.collect::<Result<Vec<_>>>()?.concat());
        }
        self.token_bytes.get_or_init(|| TokenBytes::new(vocabulary)).decode(ids, vocabulary)
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
            && self.added == other.added
            && self.normalization == other.normalization
    }
}

/// A merge's token must be its parts joined.
fn check_merges(merges: &[Merge], vocabulary: &Vocabulary) -> Result<()> {
    let mut joined = Vec::new();
    for (rank, merge) in merges.iter().enumerate() {
        joined.clear();
        joined.extend_from_slice(vocabulary.token(merge.left));
        joined.extend_from_slice(vocabulary.token(merge.right));
        let known = [merge.left, merge.right].iter().all(|&id| !vocabulary.token(id).is_empty());
        if !known || vocabulary.token(merge.token) != joined {
            let value =
                format!("number {rank} ({} + {} -> {})", merge.left, merge.right, merge.token);
            let limit = "both parts must be tokens and their joined bytes the third";
            return Err(Error::argument("merges", value, limit));
        }
    }
    Ok(())
}
