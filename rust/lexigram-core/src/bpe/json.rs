//! Hugging Face's `tokenizer.json`: what of it is read, and how ours are written.
//!
//! Read are byte-level BPE files: model BPE; a pre-tokenizer with ByteLevel, alone or among other
//! steps; normalizers; added tokens with all their flags. What else a file asks for is named in the
//! error. The post-processor is applied on request; truncation and padding belong to a call and are
//! only kept. Components are written again as they stood.

mod components;
mod write;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use self::components::{Outcome, PreTokenizer};
use super::added::AddedToken;
use super::alphabet;
use super::merges::Merge;
use super::rank_file::in_file;
use super::tokenizer::{Parts, Tokenizer};
use crate::{Error, Result};

pub use self::write::write;

const FORMAT: &str = "tokenizer.json";

/// The fields of a file that are kept as they are.
#[derive(Debug, Clone, Default)]
pub struct FileFields {
    truncation: Value,
    padding: Value,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    /// Those of the model, without its vocabulary and merges.
    model: Map<String, Value>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

/// The model: its vocabulary, its merges, and its settings.
#[derive(Default)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Option<Vec<Pair>>,
    fields: Map<String, Value>,
}

/// The first of its fields are read as they come, so that the vocabulary is held once.
impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct ModelVisitor;
        impl<'de> Visitor<'de> for ModelVisitor {
            type Value = Model;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a model")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Model, A::Error> {
                let mut model = Model::default();
                while let Some(name) = map.next_key::<String>()? {
                    match &name[..] {
                        "vocab" => model.vocab = map.next_value::<Vocab>()?.0,
                        "merges" => model.merges = map.next_value()?,
                        _ => {
                            model.fields.insert(name, map.next_value()?);
                        }
                    }
                }
                Ok(model)
            }
        }
        deserializer.deserialize_map(ModelVisitor)
    }
}

/// Tokens and ids. That of other models is a list, which leads to an error about the model.
#[derive(Default)]
struct Vocab(HashMap<String, u32>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct VocabVisitor;
        impl<'de> Visitor<'de> for VocabVisitor {
            type Value = Vocab;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("model.vocab to map tokens to ids (byte-level BPE)")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Vocab, A::Error> {
                let mut vocab = HashMap::with_capacity(map.size_hint().unwrap_or(0).min(1 << 20));
                while let Some((token, id)) = map.next_entry()? {
                    vocab.insert(token, id);
                }
                Ok(Vocab(vocab))
            }
        }
        deserializer.deserialize_any(VocabVisitor)
    }
}

/// A merge, written `"a b"` or `["a", "b"]`.
struct Pair(String, String);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = Pair;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a merge, \"a b\" or [\"a\", \"b\"]")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Pair, E> {
                let pair = text.split_once(' ').filter(|(_, right)| !right.contains(' '));
                let (left, right) =
                    pair.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Pair(left.to_owned(), right.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Pair, A::Error> {
                let mut next =
                    |i| seq.next_element()?.ok_or_else(|| de::Error::invalid_length(i, &"a pair"));
                let pair = Pair(next(0)?, next(1)?);
                match seq.next_element::<de::IgnoredAny>()? {
                    None => Ok(pair),
                    Some(_) => Err(de::Error::invalid_length(3, &"a pair")),
                }
            }
        }
        deserializer.deserialize_any(PairVisitor)
    }
}

/// Reads a `tokenizer.json` file.
pub fn read(path: &Path) -> Result<Tokenizer> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    parse(&bytes, path)
}

/// Reads the content of a `tokenizer.json`; `path` is named in errors.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer> {
    let bad = |what: String| {
        let what = what.replace('\n', " ");
        Error::Parse { path: path.to_path_buf(), format: FORMAT, what }
    };
    let file: File = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
    let parts = to_parts(file).map_err(bad)?;
    Tokenizer::new(parts).map_err(|error| in_file(path, FORMAT, error))
}

fn to_parts(file: File) -> Outcome<Parts> {
    let File { truncation, padding, added_tokens, normalizer, .. } = file;
    let File { pre_tokenizer, post_processor, decoder, model, .. } = file;
    check_model(&model)?;
    let Model { vocab, merges, fields } = model;
    let merges = read_merges(merges.unwrap_or_default(), &vocab)?;
    let made: HashSet<u32> = merges.iter().map(|merge| merge.token).collect();
    let added = read_added(added_tokens, &vocab)?;
    // A token that merges make, or a byte, stays ordinary when it is also listed as added.
    let found: HashSet<u32> = added.iter().map(|token| token.id).collect();
    let whole_pieces = fields.get("ignore_merges").and_then(Value::as_bool).unwrap_or(false);
    let (pattern, steps) = match components::read_pre_tokenizer(&pre_tokenizer)? {
        PreTokenizer::Pattern(pattern) => (pattern, None),
        PreTokenizer::Steps(steps) => (None, Some(steps)),
    };
    let mut parts = Parts {
        merges: Some(merges),
        pattern,
        steps,
        normalization: components::read_normalizer(&normalizer)?,
        whole_pieces,
        post_processor: components::read_post_processor(&post_processor),
        ..Parts::default()
    };
    components::check_decoder(&decoder)?;
    for (text, id) in vocab {
        match alphabet::to_bytes(&text) {
            Some(token) if !found.contains(&id) || made.contains(&id) || token.len() == 1 => {
                parts.tokens.push((id, token));
            }
            _ if found.contains(&id) => {}
            // No text is written with other characters, so none is encoded to this token.
            _ => parts.inert.push((id, text)),
        }
    }
    parts.added = added;
    parts.file = Some(FileFields {
        truncation,
        padding,
        normalizer,
        pre_tokenizer,
        post_processor,
        decoder,
        model: fields,
    });
    Ok(parts)
}

fn check_model(model: &Model) -> Outcome<()> {
    let unsupported = |what: &str| Err(format!("{what} is not supported, only byte-level BPE is"));
    let field = |name: &str| model.fields.get(name);
    match field("type").and_then(Value::as_str) {
        Some("BPE") => {}
        Some(other) => return unsupported(&format!("model.type {other:?}")),
        None if model.merges.is_none() => return unsupported("a model without merges"),
        None => {}
    }
    if field("byte_fallback").and_then(Value::as_bool) == Some(true) {
        return unsupported("model.byte_fallback (SentencePiece)");
    }
    if field("dropout").and_then(Value::as_f64).is_some_and(|dropout| dropout > 0.0) {
        return unsupported("model.dropout");
    }
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if field(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
            return unsupported(&format!("model.{name}"));
        }
    }
    Ok(())
}

/// Of a pair that is listed twice the last rank counts, as in Hugging Face's tokenizers.
fn read_merges(pairs: Vec<Pair>, ids: &HashMap<String, u32>) -> Outcome<Vec<Merge>> {
    let id = |text: &str, rank: usize| {
        let id = ids.get(text).copied();
        id.ok_or_else(|| format!("merge {rank}: {text:?} is not in the vocabulary"))
    };
    let mut seen = HashSet::with_capacity(pairs.len());
    let mut merges = Vec::with_capacity(pairs.len());
    let mut joined = String::new();
    for (rank, Pair(left, right)) in pairs.iter().enumerate().rev() {
        joined.clear();
        joined.extend([&left[..], &right[..]]);
        let token = id(&joined, rank)?;
        let merge = Merge { left: id(left, rank)?, right: id(right, rank)?, token };
        if seen.insert((merge.left, merge.right)) {
            merges.push(merge);
        }
    }
    merges.reverse();
    Ok(merges)
}

/// Tokens that the vocabulary lacks are numbered on by Hugging Face's tokenizers, whatever the file
/// says; a file that says something else has no one meaning.
fn read_added(added: Vec<Added>, ids: &HashMap<String, u32>) -> Outcome<Vec<AddedToken>> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut next = ids.len() as u32;
    let mut tokens = Vec::with_capacity(added.len());
    for token in added {
        let text = token.content;
        if text.is_empty() {
            continue;
        }
        let id = ids.get(&text).or_else(|| known.get(&text)).copied();
        match id {
            Some(id) if id != token.id => {
                return Err(format!(
                    "added token {text:?} has id {}, but {id} in the vocabulary",
                    token.id
                ));
            }
            None if token.id != next => {
                return Err(format!(
                    "added token {text:?} has id {}, but Hugging Face's tokenizers would give it \
                     {next}; put it into model.vocab with the id that is meant",
                    token.id
                ));
            }
            None => next = next.saturating_add(1),
            _ => {}
        }
        known.insert(text.clone(), token.id);
        tokens.push(AddedToken {
            text,
            id: token.id,
            special: token.special,
            normalized: token.normalized,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            single_word: token.single_word,
        });
    }
    Ok(tokens)
}
