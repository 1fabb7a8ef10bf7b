//! `lexigram._core.Tokenizer`: the methods of `lexigram.Tokenizer` that do work.

pub(crate) mod input;
mod lists;
mod load;
mod stream;
pub(crate) mod threads;
mod train;
mod unstable;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use lexigram_core::bpe::{Text, Tokenizer, character_spans, json, rank_file};
use lexigram_core::{Error, format};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PySet, PyString};

use self::input::{Input, Special, bad_id, token_ids};
use self::work::run;
use crate::error::{attached, detached, to_python};

#[pyclass(name = "Tokenizer", module = "lexigram._core", subclass, frozen)]
pub struct PyTokenizer {
    core: Arc<Tokenizer>,
    /// One integer object for each id, made when the first long list is asked for: a list of them
    /// is filled several times as fast as one of new integers.
    integers: Arc<PyOnceLock<Vec<Py<PyInt>>>>,
}

#[pymethods]
impl PyTokenizer {
    #[new]
    #[pyo3(signature = (tokenizer, /))]
    fn new(tokenizer: &Bound<'_, PyTokenizer>) -> Self {
        let PyTokenizer { core, integers } = tokenizer.get();
        Self { core: Arc::clone(core), integers: Arc::clone(integers) }
    }

    /// The ids of a text, special tokens as in tiktoken.
    #[pyo3(signature = (text, *, allowed_special=None, disallowed_special=None, add_special_tokens=false))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
        add_special_tokens: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let special = Special::new(&self.core, allowed_special, disallowed_special)?;
        self.list(py, &self.encode_input(py, text, &special, add_special_tokens)?)
    }

    /// The ids of a text in which special tokens are ordinary text.
    fn encode_ordinary<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.list(py, &self.encode_input(py, text, &Special::ordinary(), false)?)
    }

    /// As `encode`, as a uint32 array, a long text by several threads.
    #[pyo3(signature = (text, *, allowed_special=None, disallowed_special=None, num_threads=Some(1), add_special_tokens=false))]
    fn encode_to_numpy<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
        num_threads: Option<i64>,
        add_special_tokens: bool,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let special = Special::new(&self.core, allowed_special, disallowed_special)?;
        if num_threads == Some(1) {
            return Ok(self.encode_input(py, text, &special, add_special_tokens)?.into_pyarray(py));
        }
        let texts = PyList::new(py, [text])?;
        let (mut ids, _) = self.encode_inputs(py, texts.as_any(), &special, num_threads)?;
        if add_special_tokens {
            attached(py, || self.core.post_processor().apply(&mut ids, 0))?;
        }
        Ok(ids.into_pyarray(py))
    }

    /// The ids of each text.
    #[pyo3(signature = (text, *, num_threads=None, allowed_special=None, disallowed_special=None, add_special_tokens=false))]
    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
        add_special_tokens: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let special = Special::new(&self.core, allowed_special, disallowed_special)?;
        let flat = self.encode_inputs(py, text, &special, num_threads)?;
        if !add_special_tokens {
            return self.lists(py, &flat);
        }
        let lists = flat.1.windows(2).map(|range| {
            let mut ids = flat.0[range[0]..range[1]].to_vec();
            attached(py, || self.core.post_processor().apply(&mut ids, 0))?;
            self.list(py, &ids)
        });
        PyList::new(py, lists.collect::<PyResult<Vec<_>>>()?)
    }

    /// As `encode_batch`, special tokens being ordinary text.
    #[pyo3(signature = (text, *, num_threads=None))]
    fn encode_ordinary_batch<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.lists(py, &self.encode_inputs(py, text, &Special::ordinary(), num_threads)?)
    }

    /// The ids of all texts end to end, and the offset of each.
    #[pyo3(signature = (text, *, num_threads=None))]
    #[allow(clippy::type_complexity)]
    fn encode_ordinary_batch_to_numpy<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>)> {
        let (ids, offsets) = self.encode_inputs(py, text, &Special::ordinary(), num_threads)?;
        let offsets: Vec<i64> = offsets.into_iter().map(|offset| offset as i64).collect();
        Ok((ids.into_pyarray(py), offsets.into_pyarray(py)))
    }

    /// The ids of a text and the range of characters of each.
    #[pyo3(signature = (text, *, allowed_special=None, disallowed_special=None))]
    fn encode_with_offsets<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        allowed_special: Option<&Bound<'py, PyAny>>,
        disallowed_special: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        if !self.core.keeps_text() {
            let limit = "it normalizes text, or removes from it or adds to it, so tokens have no \
                         place in the text given; use a tokenizer that does not";
            return Err(to_python(py, Error::argument("tokenizer", "encode_with_offsets", limit)));
        }
        let special = Special::new(&self.core, allowed_special, disallowed_special)?;
        let ids = self.encode_input(py, text, &special, false)?;
        let input = Input::new(text)?;
        let bytes = match input.text()? {
            Text::Str(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        };
        let lengths = ids.iter().map(|&id| self.core.vocabulary().token(id).len());
        let spans = PyList::new(py, character_spans(bytes, lengths))?;
        Ok((self.list(py, &ids)?, spans))
    }

    /// The id of a token given by its text or bytes, special ones included.
    fn encode_single_token(
        &self,
        py: Python<'_>,
        text_or_bytes: &Bound<'_, PyAny>,
    ) -> PyResult<u32> {
        let input = Input::new(text_or_bytes)?;
        let found = match input.text()? {
            Text::Str(text) => self.core.token_id(text.as_bytes()),
            Text::Bytes(bytes) => self.core.token_id(bytes),
        };
        found.map_err(|error| to_python(py, error))
    }

    /// The bytes of the tokens, joined.
    fn decode_bytes<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let ids = token_ids(tokens)?;
        let bytes = run(py, ids.len(), || self.core.decode(&ids))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The text of the tokens.
    #[pyo3(signature = (tokens, errors="replace"))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
        errors: &str,
    ) -> PyResult<Bound<'py, PyString>> {
        let ids = token_ids(tokens)?;
        let bytes = run(py, ids.len(), || self.core.decode(&ids))?;
        Self::to_text(py, &bytes, errors)
    }

    /// The bytes of one token.
    fn decode_single_token_bytes<'py>(
        &self,
        py: Python<'py>,
        token: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let id = token.extract::<u32>().map_err(|error| bad_id(token, 0).unwrap_or(error))?;
        let bytes = self.core.token_at(id, 0).map_err(|error| to_python(py, error))?;
        Ok(PyBytes::new(py, bytes))
    }

    /// The bytes of each token.
    fn decode_tokens_bytes<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let ids = token_ids(tokens)?;
        let tokens = ids.iter().enumerate().map(|(position, &id)| {
            let bytes = self.core.token_at(id, position).map_err(|error| to_python(py, error))?;
            Ok(PyBytes::new(py, bytes))
        });
        PyList::new(py, tokens.collect::<PyResult<Vec<_>>>()?)
    }

    /// The text of the tokens, and the character in which each begins.
    fn decode_with_offsets<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyList>)> {
        let ids = token_ids(tokens)?;
        let bytes = run(py, ids.len(), || self.core.decode(&ids))?;
        let text = Self::to_text(py, &bytes, "strict")?;
        let lengths = ids.iter().map(|&id| self.core.vocabulary().token(id).len());
        let starts = character_spans(&bytes, lengths).into_iter().map(|(start, _)| start);
        Ok((text, PyList::new(py, starts.collect::<Vec<_>>())?))
    }

    /// The texts of many sequences of tokens.
    #[pyo3(signature = (batch, *, errors="replace", num_threads=None))]
    fn decode_batch<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
        errors: &str,
        num_threads: Option<i64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = self.decode_each(py, batch, num_threads)?;
        let texts = all.iter().map(|bytes| Self::to_text(py, bytes, errors));
        PyList::new(py, texts.collect::<PyResult<Vec<_>>>()?)
    }

    /// The bytes of many sequences of tokens.
    #[pyo3(signature = (batch, *, num_threads=None))]
    fn decode_bytes_batch<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = self.decode_each(py, batch, num_threads)?;
        PyList::new(py, all.iter().map(|bytes| PyBytes::new(py, bytes)))
    }

    /// The bytes of all tokens but the special ones, in the order of their ids.
    fn token_byte_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let vocabulary = self.core.vocabulary();
        let ordinary = vocabulary.iter().filter(|(id, token)| vocabulary.id(token) == Some(*id));
        let mut values: Vec<_> = ordinary.map(|(_, token)| token).collect();
        values.sort_unstable();
        PyList::new(py, values.into_iter().map(|token| PyBytes::new(py, token)))
    }

    /// Special tokens and their ids.
    #[getter]
    fn special_tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let special = PyDict::new(py);
        for token in self.core.added().iter().filter(|token| token.special) {
            special.set_item(&token.text, token.id)?;
        }
        Ok(special)
    }

    #[getter]
    fn special_tokens_set<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        let special = self.core.added().iter().filter(|token| token.special);
        PySet::new(py, special.map(|token| token.text.as_str()).collect::<Vec<_>>())
    }

    fn is_special_token(&self, token: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id: i64 = token.extract()?;
        Ok(self.core.added().iter().any(|added| added.special && i64::from(added.id) == id))
    }

    #[getter]
    fn n_vocab(&self) -> usize {
        self.core.vocabulary().size()
    }

    #[getter]
    fn max_token_value(&self) -> usize {
        self.core.vocabulary().size() - 1
    }

    #[getter]
    fn num_tokens(&self) -> usize {
        self.core.vocabulary().num_tokens()
    }

    #[getter]
    fn eot_token(&self, py: Python<'_>) -> PyResult<u32> {
        let token = "<|endoftext|>";
        let id = self.core.special_id(token).ok_or(Error::NoSpecialToken { token });
        id.map_err(|error| to_python(py, error))
    }

    #[getter]
    fn pattern(&self) -> Option<&str> {
        match self.core.steps() {
            Some(steps) => Some(steps.description()),
            None => self.core.pretokenizer().name(),
        }
    }

    #[getter]
    fn pattern_regex(&self) -> Option<&str> {
        self.core.pretokenizer().regex()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.core.fingerprint()
    }

    /// The merges as triples `(left id, right id, id)` in the order of their ranks.
    #[getter]
    fn merges<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let merges = self.core.merges().as_slice();
        PyList::new(py, merges.iter().map(|merge| (merge.left, merge.right, merge.token)))
    }

    /// The pieces that a text is cut into before encoding, special tokens being ordinary text.
    fn pretokenize<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyList>> {
        let text = text.to_str()?;
        let pieces = run(py, text.len(), || self.pieces(text))?;
        PyList::new(py, pieces)
    }

    /// The content of a tokenizer.json.
    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || json::write(&self.core))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn save_json(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || format::write_atomic(&path, &json::write(&self.core)?))
    }

    fn save_tiktoken(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || format::write_atomic(&path, &rank_file::write_tiktoken(&self.core)?))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PyTokenizer>().is_ok_and(|other| self.core == other.get().core)
    }

    fn __hash__(&self) -> u64 {
        u64::from_str_radix(&self.core.fingerprint()[..16], 16).unwrap_or_default()
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    threads::remember_process();
    m.add_class::<PyTokenizer>()?;
    m.add_class::<stream::PyStreamEncoder>()?;
    m.add_function(wrap_pyfunction!(threads::default_threads, m)?)?;
    m.add_function(wrap_pyfunction!(unstable::encode_single_piece, m)?)?;
    m.add_function(wrap_pyfunction!(unstable::encode_with_unstable, m)?)?;
    m.add_function(wrap_pyfunction!(load::tokenizer_from_json, m)?)?;
    m.add_function(wrap_pyfunction!(load::load_tokenizer_json, m)?)?;
    m.add_function(wrap_pyfunction!(load::load_tiktoken, m)?)?;
    m.add_function(wrap_pyfunction!(load::load_gpt2, m)?)?;
    m.add_function(wrap_pyfunction!(train::train_tokenizer, m)?)?;
    m.add_function(wrap_pyfunction!(train::train_tokenizer_files, m)?)
}
