//! What the methods of `Tokenizer` do: Python's arguments in, the core's answers out as Python has
//! them.

use std::sync::Arc;

use lexigram_core::bpe::{Text, Tokenizer};
use lexigram_core::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::input::{Input, Special, token_ids};
use super::{PyTokenizer, lists, threads};
use crate::data_writer::TextBatch;
use crate::error::{attached, detached, to_python};

/// Below this many bytes of text or tokens the work is shorter than giving up the GIL.
const SHORT: usize = 2048;

/// From so many ids on, a list is worth a table of integers.
const LONG_LIST: usize = 1024;

/// Runs short work with the GIL and long work without it.
pub(super) fn run<T: Send>(
    py: Python<'_>,
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    if bytes < SHORT { attached(py, work) } else { detached(py, work) }
}

impl PyTokenizer {
    pub(super) fn encode_input(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        special: &Special,
        add_special_tokens: bool,
    ) -> PyResult<Vec<u32>> {
        let input = Input::new(text)?;
        let text = input.text()?;
        run(py, text.len(), || {
            special.check(&self.core, text)?;
            let mut ids = Vec::new();
            self.core.encode(text, &special.allowed, &mut ids)?;
            if add_special_tokens {
                self.core.post_processor().apply(&mut ids, 0)?;
            }
            Ok(ids)
        })
    }

    pub(super) fn encode_inputs(
        &self,
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        special: &Special,
        num_threads: Option<i64>,
    ) -> PyResult<(Vec<u32>, Vec<usize>)> {
        if let Ok(batch) = texts.cast::<TextBatch>() {
            let texts: Vec<Text<'_>> = batch.get().0.iter().map(Text::Str).collect();
            return self.encode_texts(py, &texts, special, num_threads);
        }
        let inputs =
            texts.try_iter()?.map(|text| Input::new(&text?)).collect::<PyResult<Vec<_>>>()?;
        let texts = inputs.iter().map(Input::text).collect::<PyResult<Vec<_>>>()?;
        self.encode_texts(py, &texts, special, num_threads)
    }

    fn encode_texts(
        &self,
        py: Python<'_>,
        texts: &[Text<'_>],
        special: &Special,
        num_threads: Option<i64>,
    ) -> PyResult<(Vec<u32>, Vec<usize>)> {
        let threads = threads::resolve(py, num_threads)?;
        run(py, texts.iter().map(Text::len).sum(), || {
            texts.iter().try_for_each(|text| special.check(&self.core, *text))?;
            self.core.encode_batch(texts, &special.allowed, threads)
        })
    }

    pub(super) fn of(core: Tokenizer) -> Self {
        Self { core: Arc::new(core), integers: Arc::default() }
    }

    /// A list of ids, which are ids of this tokenizer.
    pub(super) fn list<'py>(&self, py: Python<'py>, ids: &[u32]) -> PyResult<Bound<'py, PyList>> {
        if ids.len() < LONG_LIST && self.integers.get(py).is_none() {
            return PyList::new(py, ids);
        }
        let size = self.core.vocabulary().size() as u32;
        let make = || (0..size).map(|id| PyInt::new(py, id).unbind()).collect();
        let integers = self.integers.get_or_init(py, make);
        let unknown = || to_python(py, Error::Internal("an id outside the vocabulary".into()));
        lists::pick(py, ids, integers)?.ok_or_else(unknown)
    }

    /// Flat ids as one list a text.
    pub(super) fn lists<'py>(
        &self,
        py: Python<'py>,
        (ids, offsets): &(Vec<u32>, Vec<usize>),
    ) -> PyResult<Bound<'py, PyList>> {
        let lists = PyList::empty(py);
        for range in offsets.windows(2) {
            lists.append(self.list(py, &ids[range[0]..range[1]])?)?;
        }
        Ok(lists)
    }

    pub(super) fn to_text<'py>(
        py: Python<'py>,
        bytes: &[u8],
        errors: &str,
    ) -> PyResult<Bound<'py, PyString>> {
        if let Ok(text) = PyString::from_bytes(py, bytes) {
            return Ok(text);
        }
        Ok(PyBytes::new(py, bytes).call_method1("decode", ("utf-8", errors))?.cast_into()?)
    }

    pub(super) fn decode_each(
        &self,
        py: Python<'_>,
        batch: &Bound<'_, PyAny>,
        num_threads: Option<i64>,
    ) -> PyResult<Vec<Vec<u8>>> {
        let batch = batch.try_iter()?.map(|ids| token_ids(&ids?)).collect::<PyResult<Vec<_>>>()?;
        let total = batch.iter().map(Vec::len).sum();
        let threads = threads::resolve(py, num_threads)?;
        run(py, total, || self.core.decode_batch(&batch, threads))
    }

    /// The pieces that a text is cut into before encoding.
    pub(super) fn pieces(&self, text: &str) -> Result<Vec<String>> {
        let text = self.core.normalize(text)?;
        if let Some(steps) = self.core.steps() {
            let cut = steps.cut(&text)?;
            let starts = std::iter::once(&0).chain(&cut.ends);
            let pieces = starts.zip(&cut.ends).map(|(&start, &end)| &cut.bytes[start..end]);
            return Ok(pieces.map(|p| String::from_utf8_lossy(p).into_owned()).collect());
        }
        let pieces = self.core.pretokenizer().split(&text)?;
        Ok(pieces.into_iter().map(|piece| text[piece].to_owned()).collect())
    }
}
