//! Writing a tokenizer.json.

use serde_json::{Map, Value, json};

use super::components::model_fields;
use crate::bpe::{Normalization, Tokenizer, alphabet};
use crate::pretokenize::patterns;
use crate::{Error, Result};

/// The `tokenizer.json` of a tokenizer. What came from such a file is written as it stood there.
/// Special tokens stand in the vocabulary too, so that every reader gives them the ids that they
/// have here.
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
                "id": token.id, "content": token.text, "single_word": token.single_word,
                "lstrip": token.lstrip, "rstrip": token.rstrip, "normalized": token.normalized,
                "special": token.special,
            })
        })
        .collect();
    let file = tokenizer.file();
    let mut model = model_fields(&file.map(|file| file.model.clone()).unwrap_or_default());
    model.insert("ignore_merges".into(), tokenizer.whole_pieces().into());
    model.insert("vocab".into(), vocab.into());
    model.insert("merges".into(), merges.into());
    let (normalizer, pre_tokenizer, post_processor, decoder) = match file {
        Some(file) => (
            file.normalizer.clone(),
            file.pre_tokenizer.clone(),
            file.post_processor.clone(),
            file.decoder.clone(),
        ),
        None => (
            write_normalizer(tokenizer.normalization()),
            write_pre_tokenizer(tokenizer.pretokenizer().regex()),
            Value::Null,
            byte_level(true),
        ),
    };
    let file = json!({
        "version": "1.0",
        "truncation": file.map(|file| &file.truncation),
        "padding": file.map(|file| &file.padding),
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    });
    serde_json::to_vec(&file).map_err(|e| Error::Internal(format!("tokenizer.json: {e}")))
}

fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex,
    })
}

/// Of the forms that a tokenizer made here can have.
fn write_normalizer(forms: &[Normalization]) -> Value {
    let forms: Vec<_> =
        forms.iter().map(|form| json!({"type": form.key().to_uppercase()})).collect();
    match &forms[..] {
        [] => Value::Null,
        [form] => form.clone(),
        _ => json!({"type": "Sequence", "normalizers": forms}),
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
