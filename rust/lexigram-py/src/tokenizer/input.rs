//! What Python hands over: texts, sets of special tokens, ids.

use std::borrow::Cow;

use lexigram_core::bpe::{Allowed, Text, Tokenizer};
use lexigram_core::{Error, Result};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::lists;
use crate::error::to_python;

/// What is to be encoded, borrowed from Python.
pub enum Input<'py> {
    Str(Bound<'py, PyString>),
    /// A string that held lone surrogates.
    Repaired(String),
    Bytes(Bound<'py, PyBytes>),
}

impl<'py> Input<'py> {
    pub fn new(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        let text = object.cast::<PyString>().map_err(|_| {
            let kind =
                object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
            PyTypeError::new_err(format!("text must be str or bytes, not {kind}"))
        })?;
        match text.to_str() {
            Ok(_) => Ok(Self::Str(text.clone())),
            // As tiktoken: surrogate pairs are joined, lone ones become U+FFFD.
            Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(object.py()) => {
                let bytes = text.call_method1("encode", ("utf-16", "surrogatepass"))?;
                let repaired = bytes.call_method1("decode", ("utf-16", "replace"))?;
                Ok(Self::Repaired(repaired.extract()?))
            }
            Err(error) => Err(error),
        }
    }

    pub fn text(&self) -> PyResult<Text<'_>> {
        Ok(match self {
            Self::Str(text) => Text::Str(text.to_str()?),
            Self::Repaired(text) => Text::Str(text),
            Self::Bytes(bytes) => Text::Bytes(bytes.as_bytes()),
        })
    }
}

/// `allowed_special` and `disallowed_special` with tiktoken's meaning.
pub struct Special {
    pub allowed: Allowed,
    /// `None`: every special token; otherwise these.
    disallowed: Option<Vec<String>>,
}

impl Special {
    pub fn new(
        core: &Tokenizer,
        allowed: Option<&Bound<'_, PyAny>>,
        disallowed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let is_all = |object: &Bound<'_, PyAny>| object.extract::<&str>().is_ok_and(|s| s == "all");
        let names = |object: &Bound<'_, PyAny>, what: &str| -> PyResult<Vec<String>> {
            if object.is_instance_of::<PyString>() {
                let message =
                    format!("{what} must be \"all\" or a collection of strings, not a string");
                return Err(PyTypeError::new_err(message));
            }
            object.try_iter()?.map(|name| name?.extract()).collect()
        };
        let allowed = match allowed {
            None => Allowed::None,
            Some(object) if is_all(object) => Allowed::All,
            Some(object) => match names(object, "allowed_special")? {
                names if names.is_empty() => Allowed::None,
                names => Allowed::Some(names),
            },
        };
        let disallowed = match disallowed {
            Some(object) if !is_all(object) => Some(names(object, "disallowed_special")?),
            _ => match &allowed {
                Allowed::None => None,
                Allowed::All => Some(vec![]),
                Allowed::Some(names) => {
                    let special = core.added().iter().filter(|token| token.special);
                    let rest = special.filter(|token| !names.contains(&token.text));
                    Some(rest.map(|token| token.text.clone()).collect())
                }
            },
        };
        Ok(Self { allowed, disallowed })
    }

    /// What may not occur in a text.
    pub fn disallowed(&self, core: &Tokenizer) -> Vec<String> {
        self.disallowed.clone().unwrap_or_else(|| {
            let special = core.added().iter().filter(|token| token.special);
            special.map(|token| token.text.clone()).collect()
        })
    }

    pub fn ordinary() -> Self {
        Self { allowed: Allowed::None, disallowed: Some(vec![]) }
    }

    pub fn check(&self, core: &Tokenizer, text: Text<'_>) -> Result<()> {
        let disallowed = self.disallowed.as_deref();
        if disallowed.is_some_and(<[String]>::is_empty) {
            return Ok(());
        }
        let text = match text {
            Text::Str(text) => Cow::Borrowed(text),
            Text::Bytes(bytes) => String::from_utf8_lossy(bytes),
        };
        // As in tiktoken, any text may be disallowed, not only that of a special token.
        let other = disallowed.into_iter().flatten().find(|name| {
            !core.added().iter().any(|token| token.special && token.text == **name)
                && text.contains(name.as_str())
        });
        let found = match other {
            Some(name) => Some(name.clone()),
            None => core.find_special(&text, disallowed)?,
        };
        found.map_or(Ok(()), |token| Err(Error::SpecialToken { token }))
    }
}

/// Ids from a list or another sequence of integers, or from an integer array.
pub fn token_ids(object: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if let Ok(array) = object.cast::<PyArray1<u32>>() {
        return Ok(array.try_readonly()?.as_array().to_vec());
    }
    if let Ok(array) = object.cast::<PyArray1<u16>>() {
        return Ok(array.try_readonly()?.as_array().iter().map(|&id| id.into()).collect());
    }
    if let Ok(array) = object.cast::<PyArray1<i64>>() {
        let ids = array.try_readonly()?.as_array().iter().map(|&id| u32::try_from(id)).collect();
        if let Ok(ids) = ids {
            return Ok(ids);
        }
    }
    if let Ok(list) = object.cast::<PyList>()
        && let Some(ids) = lists::numbers(list)
    {
        return Ok(ids);
    }
    let mut ids = Vec::with_capacity(object.len().unwrap_or(0));
    for (position, item) in object.try_iter()?.enumerate() {
        let item = item?;
        match item.extract::<u32>() {
            Ok(id) => ids.push(id),
            Err(error) => return Err(bad_id(&item, position).unwrap_or(error)),
        }
    }
    Ok(ids)
}

/// The error for an integer that cannot be an id; `None` for what is no integer.
pub fn bad_id(item: &Bound<'_, PyAny>, position: usize) -> Option<PyErr> {
    let value: i128 = item.extract().ok()?;
    Some(to_python(item.py(), Error::TokenRange { value, position }))
}
