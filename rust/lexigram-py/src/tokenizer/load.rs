//! Tokenizers from files.

use std::path::PathBuf;

use lexigram_core::bpe::{AddedToken, json, rank_file};
use pyo3::prelude::*;

use super::{PyTokenizer, threads};
use crate::error::detached;

/// Reads the content of a tokenizer.json; `source_name` is named in errors.
#[pyfunction]
pub fn tokenizer_from_json(
    py: Python<'_>,
    content: &[u8],
    source_name: PathBuf,
) -> PyResult<PyTokenizer> {
    let core = detached(py, || json::parse(content, &source_name))?;
    Ok(PyTokenizer::of(core))
}

/// Reads a tokenizer.json file.
#[pyfunction]
pub fn load_tokenizer_json(py: Python<'_>, path: PathBuf) -> PyResult<PyTokenizer> {
    let core = detached(py, || json::read(&path))?;
    Ok(PyTokenizer::of(core))
}

/// Reads a .tiktoken file; its tables are kept in, or found in, the folder `compiled`, if given.
#[pyfunction]
#[pyo3(signature = (path, pattern, special_tokens, compiled=None))]
pub fn load_tiktoken(
    py: Python<'_>,
    path: PathBuf,
    pattern: Option<String>,
    special_tokens: Vec<(String, u32)>,
    compiled: Option<PathBuf>,
) -> PyResult<PyTokenizer> {
    let special =
        special_tokens.into_iter().map(|(text, id)| AddedToken::special(text, id)).collect();
    // A setting that is wrong is for the call that encodes to complain about.
    let threads = threads::resolve(py, None).unwrap_or(1);
    let core = detached(py, || {
        let (pattern, compiled) = (pattern.as_deref(), compiled.as_deref());
        rank_file::read_tiktoken_with(&path, pattern, special, compiled, threads)
    })?;
    Ok(PyTokenizer::of(core))
}

/// Reads GPT-2's encoder.json and vocab.bpe.
#[pyfunction]
pub fn load_gpt2(
    py: Python<'_>,
    encoder_json: PathBuf,
    vocab_bpe: PathBuf,
) -> PyResult<PyTokenizer> {
    let core = detached(py, || rank_file::read_gpt2(&encoder_json, &vocab_bpe))?;
    Ok(PyTokenizer::of(core))
}
