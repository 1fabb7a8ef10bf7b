//! Hugging Face's `tokenizer.json`: what of it is read, and how ours are written.
//!
//! Read are byte-level BPE files: model BPE; pre-tokenizer ByteLevel, alone or after one Split by
//! an expression; normalizers NFC, NFD, NFKC, NFKD; added tokens. What else a file asks for is
//! named in the error. `post_processor` is kept and written again but not applied; truncation and
//! padding belong to a call and are dropped.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::added::AddedToken;
use super::alphabet;
use super::merges::Merge;
use super::rank_file::in_file;
use super::tokenizer::{Normalization, Parts, Tokenizer};
use crate::pretokenize::patterns;
use crate::{Error, Result};

const FORMAT: &str = "tokenizer.json";

#[derive(Deserialize)]
struct File {
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

#[derive(Deserialize)]
struct Model {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f64>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    vocab: Value,
    #[serde(default)]
    merges: Option<Vec<Pair>>,
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
    let bad = |what: String| Error::Parse { path: path.to_path_buf(), format: FORMAT, what };
    let file: File = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
    let parts = to_parts(file).map_err(bad)?;
    Tokenizer::new(parts).map_err(|error| in_file(path, FORMAT, error))
}

type Outcome<T> = std::result::Result<T, String>;

fn to_parts(file: File) -> Outcome<Parts> {
    let File { added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } = file;
    check_model(&model)?;
    let Value::Object(vocab) = model.vocab else {
        return Err("model.vocab must map tokens to ids".into());
    };
    let mut ids = HashMap::with_capacity(vocab.len());
    for (text, id) in &vocab {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        ids.insert(
            text.as_str(),
            id.ok_or_else(|| format!("the id of {text:?} is not an integer"))?,
        );
    }
    let merges = read_merges(model.merges.unwrap_or_default(), &ids)?;
    let made: HashSet<u32> = merges.iter().map(|merge| merge.token).collect();
    let added = read_added(added_tokens, &ids)?;
    // A token that merges make, or a byte, stays ordinary when it is also listed as added.
    let found: HashSet<u32> = added.iter().map(|token| token.id).collect();
    let ordinary = |text: &str, id| !found.contains(&id) || made.contains(&id) || is_byte(text);
    let mut parts = Parts {
        added,
        merges: Some(merges),
        pattern: read_pre_tokenizer(&pre_tokenizer)?,
        normalization: read_normalizer(&normalizer)?,
        whole_pieces: model.ignore_merges,
        post_processor: (!post_processor.is_null()).then_some(post_processor),
        ..Parts::default()
    };
    check_decoder(&decoder)?;
    for (text, id) in ids {
        if ordinary(text, id) {
            let token = alphabet::to_bytes(text);
            let token =
                token.ok_or_else(|| format!("the token {text:?} is not in the byte alphabet"))?;
            parts.tokens.push((id, token));
        }
    }
    Ok(parts)
}

fn is_byte(text: &str) -> bool {
    alphabet::to_bytes(text).is_some_and(|token| token.len() == 1)
}

fn check_model(model: &Model) -> Outcome<()> {
    let unsupported = |what: &str| Err(format!("{what} is not supported, only byte-level BPE is"));
    match model.kind.as_deref() {
        Some("BPE") => {}
        Some(other) => return unsupported(&format!("model.type {other:?}")),
        None if model.merges.is_none() => return unsupported("a model without merges"),
        None => {}
    }
    if model.byte_fallback {
        return unsupported("model.byte_fallback (SentencePiece)");
    }
    if model.dropout.is_some_and(|dropout| dropout > 0.0) {
        return unsupported("model.dropout");
    }
    if model.continuing_subword_prefix.as_deref().is_some_and(|s| !s.is_empty()) {
        return unsupported("model.continuing_subword_prefix");
    }
    if model.end_of_word_suffix.as_deref().is_some_and(|s| !s.is_empty()) {
        return unsupported("model.end_of_word_suffix");
    }
    Ok(())
}

fn read_merges(pairs: Vec<Pair>, ids: &HashMap<&str, u32>) -> Outcome<Vec<Merge>> {
    let id = |text: &str, rank: usize| {
        let id = ids.get(text).copied();
        id.ok_or_else(|| format!("merge {rank}: {text:?} is not in the vocabulary"))
    };
    let merges = pairs.iter().enumerate().map(|(rank, Pair(left, right))| {
        let token = id(&format!("{left}{right}"), rank)?;
        Ok(Merge { left: id(left, rank)?, right: id(right, rank)?, token })
    });
    merges.collect()
}

fn read_added(added: Vec<Added>, ids: &HashMap<&str, u32>) -> Outcome<Vec<AddedToken>> {
    let tokens = added.into_iter().map(|token| {
        let text = token.content;
        let flags = [
            ("single_word", token.single_word),
            ("lstrip", token.lstrip),
            ("rstrip", token.rstrip),
        ];
        if let Some((name, _)) = flags.iter().find(|(_, set)| *set) {
            return Err(format!("added token {text:?}: {name} is not supported"));
        }
        match ids.get(text.as_str()) {
            Some(&id) if id != token.id => {
                Err(format!("added token {text:?} has id {}, but {id} in the vocabulary", token.id))
            }
            _ => {
                // Special tokens are found before normalization here, whatever the file says.
                let (special, normalized) = (token.special, token.normalized && !token.special);
                Ok(AddedToken { text, id: token.id, special, normalized })
            }
        }
    });
    tokens.collect()
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("without a type")
}

/// The steps of a component: those of a Sequence under `key`, or the one.
fn steps<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    match value {
        Value::Null => vec![],
        _ if kind(value) == "Sequence" => {
            value.get(key).and_then(Value::as_array).map_or(vec![], |steps| steps.iter().collect())
        }
        _ => vec![value],
    }
}

fn read_normalizer(value: &Value) -> Outcome<Vec<Normalization>> {
    let forms = steps(value, "normalizers").into_iter().map(|step| match kind(step) {
        "NFC" => Ok(Normalization::Nfc),
        "NFD" => Ok(Normalization::Nfd),
        "NFKC" => Ok(Normalization::Nfkc),
        "NFKD" => Ok(Normalization::Nfkd),
        other => {
            Err(format!("normalizer {other} is not supported, only NFC, NFD, NFKC and NFKD are"))
        }
    });
    forms.collect()
}

fn read_pre_tokenizer(value: &Value) -> Outcome<Option<String>> {
    let steps = steps(value, "pretokenizers");
    let Some((last, before)) = steps.split_last() else {
        return Err("pre_tokenizer is missing; only ByteLevel files are supported".into());
    };
    if kind(last) != "ByteLevel" {
        return Err(format!("pre_tokenizer {} is not supported, only ByteLevel is", kind(last)));
    }
    let flag = |name: &str| last.get(name).and_then(Value::as_bool).unwrap_or(true);
    if flag("add_prefix_space") {
        return Err("pre_tokenizer ByteLevel with add_prefix_space is not supported".into());
    }
    match (before, flag("use_regex")) {
        ([], true) => Ok(Some(patterns::GPT2.to_owned())),
        ([], false) => Ok(None),
        ([split], false) if kind(split) == "Split" => read_split(split).map(Some),
        _ => {
            let kinds: Vec<_> = steps.iter().map(|step| kind(step)).collect();
            Err(format!(
                "pre_tokenizer {} is not supported, only one Split before ByteLevel is",
                kinds.join(" + ")
            ))
        }
    }
}

fn read_split(split: &Value) -> Outcome<String> {
    let regex = split.pointer("/pattern/Regex").and_then(Value::as_str);
    let regex = regex.ok_or("pre_tokenizer Split by a string is not supported, only by a Regex")?;
    let behavior = split.get("behavior").and_then(Value::as_str).unwrap_or_default();
    let invert = split.get("invert").and_then(Value::as_bool).unwrap_or(false);
    // Keeping the matches and dropping the rest is the same where the expression matches all text.
    let covers = patterns::recognize(regex).is_some();
    match (behavior, invert) {
        ("Isolated", _) => Ok(regex.to_owned()),
        ("Removed", true) if covers => Ok(regex.to_owned()),
        _ => Err(format!("pre_tokenizer Split with behavior {behavior:?} is not supported")),
    }
}

fn check_decoder(value: &Value) -> Outcome<()> {
    match steps(value, "decoders").iter().find(|step| kind(step) != "ByteLevel") {
        Some(step) => Err(format!("decoder {} is not supported, only ByteLevel is", kind(step))),
        None => Ok(()),
    }
}

/// The `tokenizer.json` of a tokenizer. Special tokens stand in the vocabulary too, so that every
/// reader gives them the ids that they have here.
pub fn write(tokenizer: &Tokenizer) -> Result<Vec<u8>> {
    let vocabulary = tokenizer.vocabulary();
    let text = |id: u32| alphabet::to_text(vocabulary.token(id));
    let mut vocab = Map::new();
    for (id, token) in vocabulary.iter() {
        let key = match vocabulary.id(token) == Some(id) {
            true => alphabet::to_text(token),
            false => String::from_utf8_lossy(token).into_owned(),
        };
        if let Some(other) = vocab.insert(key.clone(), id.into()) {
            let limit = format!(
                "a tokenizer.json would write the ordinary token {other} the same way; choose \
                 another text for the special token, such as \"<|...|>\""
            );
            return Err(Error::argument("special_tokens", format!("{key:?}"), limit));
        }
    }
    let merges = tokenizer.merges().as_slice().iter();
    let merges: Vec<_> = merges.map(|merge| json!([text(merge.left), text(merge.right)])).collect();
    let added_tokens: Vec<_> = tokenizer
        .added()
        .iter()
        .map(|token| {
            json!({
                "id": token.id, "content": token.text, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": token.normalized, "special": token.special,
            })
        })
        .collect();
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": write_normalizer(tokenizer.normalization()),
        "pre_tokenizer": write_pre_tokenizer(tokenizer.pretokenizer().regex()),
        "post_processor": tokenizer.post_processor(),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": tokenizer.whole_pieces(), "vocab": vocab, "merges": merges,
        },
    });
    serde_json::to_vec(&file).map_err(|e| Error::Internal(format!("tokenizer.json: {e}")))
}

fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex,
    })
}

fn write_normalizer(forms: &[Normalization]) -> Value {
    let name = |form: &Normalization| match form {
        Normalization::Nfc => json!({"type": "NFC"}),
        Normalization::Nfd => json!({"type": "NFD"}),
        Normalization::Nfkc => json!({"type": "NFKC"}),
        Normalization::Nfkd => json!({"type": "NFKD"}),
    };
    match forms {
        [] => Value::Null,
        [form] => name(form),
        forms => {
            json!({"type": "Sequence", "normalizers": forms.iter().map(name).collect::<Vec<_>>()})
        }
    }
}

/// ByteLevel has GPT-2's expression built in; any other is a Split before it.
fn write_pre_tokenizer(regex: Option<&str>) -> Value {
    match regex {
        Some(patterns::GPT2) => byte_level(true),
        None => byte_level(false),
        Some(regex) => json!({
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
                byte_level(false),
            ],
        }),
    }
}
