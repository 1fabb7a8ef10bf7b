//! The components of a tokenizer.json: normalizer, pre-tokenizer, post-processor, decoder.

use serde_json::{Map, Value};

use crate::bpe::{Normalization, PostProcessor};
use crate::pretokenize::dialect::{self, Dialect};
use crate::pretokenize::steps::{Behavior, Matcher, Step, Steps};
use crate::pretokenize::{Pretokenizer, compile, patterns};

/// A value, or what is wrong or not supported.
pub(super) type Outcome<T> = Result<T, String>;

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("without a type")
}

/// The steps of a component, those of Sequences under `key` in their place.
fn steps<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    match value {
        Value::Null => vec![],
        _ if kind(value) == "Sequence" => {
            let parts = value.get(key).and_then(Value::as_array);
            parts.into_iter().flatten().flat_map(|part| steps(part, key)).collect()
        }
        _ => vec![value],
    }
}

fn flag(value: &Value, name: &str, default: bool) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(default)
}

fn text<'v>(value: &'v Value, name: &str) -> Outcome<&'v str> {
    let found = value.get(name).and_then(Value::as_str);
    found.ok_or_else(|| format!("{} has no {name:?} that is a text", kind(value)))
}

/// The text or the expression that a step looks for.
enum Pattern<'v> {
    Literal(&'v str),
    Regex(&'v str),
}

fn pattern<'v>(step: &'v Value) -> Outcome<Pattern<'v>> {
    let part = |pointer| step.pointer(pointer).and_then(Value::as_str);
    match (part("/pattern/Regex"), part("/pattern/String")) {
        (Some(regex), _) => Ok(Pattern::Regex(regex)),
        (_, Some(text)) => Ok(Pattern::Literal(text)),
        _ => Err(format!("{} has no pattern of a String or a Regex", kind(step))),
    }
}

/// An expression of the file in the spelling of [`dialect`].
fn portable(regex: &str) -> Outcome<String> {
    dialect::portable(regex, Dialect::Oniguruma)
        .map_err(|what| format!("the expression {regex:?} is not supported: {what}"))
}

fn compiled(regex: &str) -> Outcome<Box<fancy_regex::Regex>> {
    compile(regex).map(Box::new).map_err(|error| error.to_string())
}

pub(super) fn read_normalizer(value: &Value) -> Outcome<Vec<Normalization>> {
    let forms = steps(value, "normalizers").into_iter().map(|step| {
        Ok(match kind(step) {
            "NFC" => Normalization::Nfc,
            "NFD" => Normalization::Nfd,
            "NFKC" => Normalization::Nfkc,
            "NFKD" => Normalization::Nfkd,
            "Lowercase" => Normalization::Lowercase,
            "StripAccents" => Normalization::StripAccents,
            "Strip" => Normalization::Strip {
                left: flag(step, "strip_left", true),
                right: flag(step, "strip_right", true),
            },
            "Prepend" => Normalization::Prepend(text(step, "prepend")?.to_owned()),
            "Replace" => Normalization::Replace {
                pattern: compiled(&match pattern(step)? {
                    Pattern::Literal(text) => fancy_regex::escape(text).into_owned(),
                    Pattern::Regex(regex) => portable(regex)?,
                })?,
                content: text(step, "content")?.to_owned(),
            },
            other => {
                return Err(format!(
                    "normalizer {other} is not supported, only NFC, NFD, NFKC, NFKD, Lowercase, \
                     StripAccents, Strip, Prepend and Replace are"
                ));
            }
        })
    });
    forms.collect()
}

/// One pattern (`None`: no split) where it can be, otherwise steps.
pub(super) enum PreTokenizer {
    Pattern(Option<String>),
    Steps(Steps),
}

pub(super) fn read_pre_tokenizer(value: &Value) -> Outcome<PreTokenizer> {
    let steps = steps(value, "pretokenizers");
    let kinds = || steps.iter().map(|step| kind(step)).collect::<Vec<_>>().join(" + ");
    match steps.iter().filter(|step| kind(step) == "ByteLevel").count() {
        1 => {}
        0 if steps.is_empty() => {
            return Err("pre_tokenizer is missing; only ByteLevel files are supported".into());
        }
        0 => {
            return Err(format!(
                "pre_tokenizer {} is not supported, only those with ByteLevel are",
                kinds()
            ));
        }
        _ => return Err(format!("pre_tokenizer {} has ByteLevel twice", kinds())),
    }
    if let Some(pattern) = one_pattern(&steps)? {
        return Ok(PreTokenizer::Pattern(pattern));
    }
    let described: Vec<_> = steps.iter().map(|step| describe(step)).collect();
    let steps = steps.into_iter().map(read_step).collect::<Outcome<_>>()?;
    Ok(PreTokenizer::Steps(Steps::new(steps, format!("Sequence({})", described.join(", ")))))
}

/// The one pattern that says the same as the steps, if there is one.
fn one_pattern(steps: &[&Value]) -> Outcome<Option<Option<String>>> {
    let Some((last, before)) = steps.split_last() else { return Ok(None) };
    if kind(last) != "ByteLevel" || flag(last, "add_prefix_space", true) {
        return Ok(None);
    }
    match (before, flag(last, "use_regex", true)) {
        ([], true) => Ok(Some(Some(patterns::GPT2.to_owned()))),
        ([], false) => Ok(Some(None)),
        ([split], false) if kind(split) == "Split" => {
            let Pattern::Regex(regex) = pattern(split)? else { return Ok(None) };
            let regex = portable(regex)?;
            // Where the expression covers all text, keeping matches is dropping the rest.
            let covers = patterns::recognize(&regex).is_some();
            let keeps = match (text(split, "behavior")?, flag(split, "invert", false)) {
                ("Isolated", _) => true,
                ("Removed", true) => covers,
                _ => false,
            };
            Ok(keeps.then_some(Some(regex)))
        }
        _ => Ok(None),
    }
}

fn behavior(step: &Value) -> Outcome<Behavior> {
    match step.get("behavior").and_then(Value::as_str).unwrap_or("Isolated") {
        "Isolated" => Ok(Behavior::Isolated),
        "Removed" => Ok(Behavior::Removed),
        "MergedWithPrevious" => Ok(Behavior::MergedWithPrevious),
        "MergedWithNext" => Ok(Behavior::MergedWithNext),
        "Contiguous" => Ok(Behavior::Contiguous),
        other => Err(format!("pre_tokenizer {}: behavior {other:?} is unknown", kind(step))),
    }
}

fn matcher(regex: &str) -> Outcome<Matcher> {
    match patterns::recognize(regex) {
        Some(_) => Ok(Matcher::Known(known(regex)?)),
        None => Ok(Matcher::Regex(compiled(regex)?)),
    }
}

fn known(pattern: &str) -> Outcome<Pretokenizer> {
    Pretokenizer::new(Some(pattern)).map_err(|error| error.to_string())
}

fn read_step(step: &Value) -> Outcome<Step> {
    let split = |matcher, behavior, invert| Ok(Step::Split { matcher, behavior, invert });
    match kind(step) {
        "ByteLevel" => Ok(Step::ByteLevel {
            prefix: flag(step, "add_prefix_space", true),
            split: match flag(step, "use_regex", true) {
                true => Some(known("gpt2")?),
                false => None,
            },
        }),
        "Split" => {
            let matcher = match pattern(step)? {
                Pattern::Literal(text) => Matcher::Literal(text.to_owned()),
                Pattern::Regex(regex) => matcher(&portable(regex)?)?,
            };
            split(matcher, behavior(step)?, flag(step, "invert", false))
        }
        "Digits" if flag(step, "individual_digits", false) => {
            split(Matcher::Numeric, Behavior::Isolated, false)
        }
        "Digits" => split(Matcher::Numeric, Behavior::Contiguous, false),
        "Punctuation" => split(matcher(r"[\p{P}!-/:-@\[-`{-\~]")?, behavior(step)?, false),
        "WhitespaceSplit" => split(Matcher::Blank, Behavior::Removed, false),
        "CharDelimiterSplit" => {
            let delimiter = text(step, "delimiter")?.to_owned();
            split(Matcher::Literal(delimiter), Behavior::Removed, false)
        }
        "Whitespace" => {
            // The one expression that tokenizers does not match by Oniguruma.
            let regex = fancy_regex::Regex::new(r"\w+|[^\w\s]+").map_err(|e| e.to_string())?;
            split(Matcher::Regex(Box::new(regex)), Behavior::Removed, true)
        }
        other => Err(format!(
            "pre_tokenizer {other} is not supported, only ByteLevel, Split, Digits, Punctuation, \
             Whitespace, WhitespaceSplit and CharDelimiterSplit are"
        )),
    }
}

/// A step as text; its fields in a fixed order, without what does not change pieces.
fn describe(step: &Value) -> String {
    let Some(fields) = step.as_object() else { return step.to_string() };
    let said = |(name, _): &(&String, &Value)| !matches!(&name[..], "type" | "trim_offsets");
    let mut fields: Vec<_> = fields.iter().filter(said).collect();
    fields.sort_by_key(|(name, _)| *name);
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}({})", kind(step), fields.join(", "))
}

/// Only the ids that are put around one text.
pub(super) fn read_post_processor(value: &Value) -> PostProcessor {
    let mut found = PostProcessor::default();
    for step in steps(value, "processors") {
        let this = match kind(step) {
            "ByteLevel" => continue,
            "TemplateProcessing" => read_template(step),
            "RobertaProcessing" | "BertProcessing" => {
                let id = |name| step.get(name)?.get(1)?.as_u64().and_then(|id| id.try_into().ok());
                let ids = id("cls").zip(id("sep"));
                let missing = || format!("{} lacks cls or sep", kind(step));
                ids.map(|(cls, sep)| PostProcessor::new(vec![cls], vec![sep])).ok_or_else(missing)
            }
            other => Err(format!("{other} is unknown")),
        };
        match this {
            Err(why) => return PostProcessor::unsupported(why),
            Ok(_) if found != PostProcessor::default() => {
                return PostProcessor::unsupported("a Sequence of two that add tokens".into());
            }
            Ok(this) => found = this,
        }
    }
    found
}

fn read_template(step: &Value) -> Outcome<PostProcessor> {
    let pieces = step.get("single").and_then(Value::as_array).ok_or("TemplateProcessing.single")?;
    let (mut before, mut after) = (Vec::new(), None);
    for piece in pieces {
        let special = piece.pointer("/SpecialToken/id").and_then(Value::as_str);
        match (special, &mut after) {
            (Some(name), after) => {
                let ids = step.get("special_tokens").and_then(|all| all.get(name)?.get("ids"));
                let ids = ids.and_then(Value::as_array).and_then(|ids| {
                    ids.iter().map(|id| id.as_u64().and_then(|id| id.try_into().ok())).collect()
                });
                let mut ids: Vec<u32> = ids
                    .ok_or_else(|| format!("TemplateProcessing names {name:?} but not its ids"))?;
                after.as_mut().unwrap_or(&mut before).append(&mut ids);
            }
            (None, after @ None)
                if piece.pointer("/Sequence/id").and_then(Value::as_str) == Some("A") =>
            {
                *after = Some(Vec::new());
            }
            _ => return Err("TemplateProcessing.single must hold the sequence A once".into()),
        }
    }
    let after = after.ok_or("TemplateProcessing.single lacks the sequence A")?;
    Ok(PostProcessor::new(before, after))
}

pub(super) fn check_decoder(value: &Value) -> Outcome<()> {
    match steps(value, "decoders").iter().find(|step| kind(step) != "ByteLevel") {
        Some(step) => Err(format!("decoder {} is not supported, only ByteLevel is", kind(step))),
        None => Ok(()),
    }
}

/// The settings of the model of a file, those not given as tokenizers has them.
pub(super) fn model_fields(given: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, default) in [
        ("type", "BPE".into()),
        ("dropout", Value::Null),
        ("unk_token", Value::Null),
        ("continuing_subword_prefix", Value::Null),
        ("end_of_word_suffix", Value::Null),
        ("fuse_unk", false.into()),
        ("byte_fallback", false.into()),
        ("ignore_merges", false.into()),
    ] {
        fields.insert(name.to_owned(), given.get(name).cloned().unwrap_or(default));
    }
    fields
}
