//! Less common ways to encode.

use lexigram_core::Error;
use lexigram_core::bpe::Text;
use pyo3::prelude::*;

use super::input::{Input, Special};
use super::{PyTokenizer, run};
use crate::error::{detached, to_python};

/// The stable ids of a text, and what the rest may become.
#[pyfunction]
#[pyo3(signature = (tokenizer, text, allowed_special=None, disallowed_special=None))]
pub fn encode_with_unstable(
    py: Python<'_>,
    tokenizer: &Bound<'_, PyTokenizer>,
    text: &Bound<'_, PyAny>,
    allowed_special: Option<&Bound<'_, PyAny>>,
    disallowed_special: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Vec<u32>, Vec<Vec<u32>>)> {
    let core = &tokenizer.get().core;
    let special = Special::new(core, allowed_special, disallowed_special)?;
    let input = Input::new(text)?;
    let Text::Str(text) = input.text()? else {
        let limit = "it must be a str; decode the bytes first";
        return Err(to_python(py, Error::argument("text", "bytes", limit)));
    };
    detached(py, || {
        special.check(core, Text::Str(text))?;
        let (stable, completions) = core.encode_with_unstable(text, &special.allowed)?;
        Ok((stable, completions.into_iter().collect()))
    })
}

/// The ids of a text that is taken as one piece, special tokens being ordinary text.
#[pyfunction]
pub fn encode_single_piece(
    py: Python<'_>,
    tokenizer: &Bound<'_, PyTokenizer>,
    text_or_bytes: &Bound<'_, PyAny>,
) -> PyResult<Vec<u32>> {
    let input = Input::new(text_or_bytes)?;
    let bytes = match input.text()? {
        Text::Str(text) => text.as_bytes(),
        Text::Bytes(bytes) => bytes,
    };
    let core = &tokenizer.get().core;
    run(py, bytes.len(), || core.encode_piece(bytes))
}
