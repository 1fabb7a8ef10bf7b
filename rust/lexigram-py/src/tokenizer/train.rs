//! Training from Python iterables and from files.

use std::path::PathBuf;
use std::sync::Arc;

use lexigram_core::Result;
use lexigram_core::bpe::stream::{OnError, TextReader};
use lexigram_core::bpe::train::{TrainOptions, Trainer};
use lexigram_core::progress::Progress;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;

use super::PyTokenizer;
use super::input::Input;
use super::threads;
use crate::error::{Callback, detached, to_python};

/// The options of both ways to train, a dict of these keys.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Options<'py> {
    vocab_size: usize,
    pattern: Option<String>,
    special_tokens: Vec<String>,
    num_threads: Option<i64>,
    min_frequency: u64,
    max_token_length: Option<usize>,
    memory_limit: Option<usize>,
    base: Option<Bound<'py, PyTokenizer>>,
    errors: String,
}

impl Options<'_> {
    fn trainer(self, py: Python<'_>) -> PyResult<(Trainer, OnError)> {
        let core_error = |error| to_python(py, error);
        let on_error = OnError::parse(&self.errors).map_err(core_error)?;
        let options = TrainOptions {
            vocab_size: self.vocab_size,
            pattern: self.pattern,
            special_tokens: self.special_tokens,
            num_threads: threads::resolve(py, self.num_threads)?,
            min_frequency: self.min_frequency,
            max_token_length: self.max_token_length,
            memory_limit: self.memory_limit.unwrap_or(usize::MAX),
            base: self.base.map(|base| Arc::clone(&base.get().core)),
        };
        Ok((Trainer::new(options).map_err(core_error)?, on_error))
    }
}

/// Trains on an iterable of str or bytes.
#[pyfunction]
pub fn train_tokenizer(
    py: Python<'_>,
    texts: &Bound<'_, PyAny>,
    options: Options<'_>,
    progress: Option<Py<PyAny>>,
) -> PyResult<PyTokenizer> {
    let core_error = |error| to_python(py, error);
    let (trainer, on_error) = options.trainer(py)?;
    let counter = trainer.counter();
    let progress = Callback::new(progress);
    let mut batch: Vec<PyBackedStr> = Vec::new();
    let (mut bytes, mut done) = (0, 0);
    let count = |batch: &mut Vec<PyBackedStr>| {
        let texts: Vec<&str> = batch.iter().map(|text| &**text).collect();
        detached(py, || counter.add(&texts))?;
        batch.clear();
        Ok::<_, PyErr>(())
    };
    for (i, text) in texts.try_iter()?.enumerate() {
        let text = match Input::new(&text?)? {
            Input::Str(text) => text.try_into()?,
            Input::Repaired(text) => PyString::new(py, &text).try_into()?,
            Input::Bytes(bytes) => {
                let text =
                    on_error.decode(bytes.as_bytes(), &format!("text {i}")).map_err(core_error)?;
                PyString::new(py, &text).try_into()?
            }
        };
        let text: PyBackedStr = text;
        bytes += text.len();
        batch.push(text);
        if bytes >= counter.batch_bytes() {
            count(&mut batch)?;
            done += bytes as u64;
            bytes = 0;
            progress.report(done, 0).map_err(core_error)?;
        }
    }
    count(&mut batch)?;
    let words = detached(py, || counter.finish())?;
    let trainer = &trainer;
    let core = detached(py, move || trainer.finish(words, &progress))?;
    Ok(PyTokenizer::of(core))
}

/// Trains on text files.
#[pyfunction]
pub fn train_tokenizer_files(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    options: Options<'_>,
    progress: Option<Py<PyAny>>,
) -> PyResult<PyTokenizer> {
    let (trainer, on_error) = options.trainer(py)?;
    let progress = Callback::new(progress);
    let core = detached(py, move || {
        let counter = trainer.counter();
        let open = |path: &PathBuf| TextReader::open(path, on_error, counter.batch_bytes());
        // All files are opened before the first is read, so that a missing one is named at once.
        let readers = paths.iter().map(open).collect::<Result<Vec<_>>>()?;
        let total = readers.iter().map(TextReader::size).sum();
        let mut done = 0;
        for mut reader in readers {
            while let Some(text) = reader.next(|text| trainer.cut_before(text))? {
                counter.add(&[&text])?;
                progress.report(done + reader.position(), total)?;
            }
            done += reader.position();
        }
        trainer.finish(counter.finish()?, &progress)
    })?;
    Ok(PyTokenizer::of(core))
}
