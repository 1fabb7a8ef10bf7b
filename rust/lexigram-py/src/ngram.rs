//! `lexigram._core.NgramModel`; `lexigram.NgramModel` in Python checks and converts its arguments.

use std::path::PathBuf;

use lexigram_core::ngram::{LogProb, Model, Options, Smoothing};
use lexigram_core::{Error, Result};
use numpy::{
    Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::error::{Callback, detached, to_python};

/// A contiguous array of ids of either width.
#[derive(FromPyObject)]
enum Ids<'py> {
    Narrow(PyReadonlyArray1<'py, u16>),
    Wide(PyReadonlyArray1<'py, u32>),
}

#[pyclass(frozen, module = "lexigram._core")]
struct NgramModel {
    model: Model,
}

#[pymethods]
impl NgramModel {
    #[staticmethod]
    #[pyo3(signature = (
        tokens, *, order, vocab_size, document_separator, smoothing, pseudocount, prune,
        memory_limit, num_threads, progress, tokenizer
    ))]
    #[allow(clippy::too_many_arguments)]
    fn train(
        py: Python<'_>,
        tokens: Ids<'_>,
        order: usize,
        vocab_size: usize,
        document_separator: Option<u32>,
        smoothing: &str,
        pseudocount: f64,
        prune: Vec<u32>,
        memory_limit: Option<u64>,
        num_threads: Option<usize>,
        progress: Option<Py<PyAny>>,
        tokenizer: Option<String>,
    ) -> PyResult<Self> {
        let smoothing =
            Smoothing::from_name(smoothing, pseudocount).map_err(|error| to_python(py, error))?;
        let options = Options {
            order,
            vocab_size,
            document_separator,
            smoothing,
            prune,
            memory_limit,
            num_threads,
        };
        let progress = Callback::new(progress);
        let mut model = match &tokens {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || Model::train(ids, &options, &progress))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || Model::train(ids, &options, &progress))
            }
        }?;
        model.set_tokenizer(tokenizer);
        Ok(Self { model })
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        detached(py, || Model::load(&path)).map(|model| Self { model })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || self.model.save(&path))
    }

    fn score<'py>(&self, py: Python<'py>, ids: Ids<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.scores(py, ids)
    }

    fn score_f32<'py>(
        &self,
        py: Python<'py>,
        ids: Ids<'py>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        self.scores(py, ids)
    }

    fn next_logprobs<'py>(
        &self,
        py: Python<'py>,
        contexts: PyReadonlyArray2<'py, u32>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        self.distributions(py, &contexts)
    }

    fn next_logprobs_f32<'py>(
        &self,
        py: Python<'py>,
        contexts: PyReadonlyArray2<'py, u32>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        self.distributions(py, &contexts)
    }

    #[getter]
    fn order(&self) -> usize {
        self.model.order()
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.model.vocab_size()
    }

    #[getter]
    fn document_separator(&self) -> Option<u32> {
        self.model.document_separator()
    }

    #[getter]
    fn smoothing(&self) -> &'static str {
        self.model.smoothing().name()
    }

    #[getter]
    fn num_tokens(&self) -> u64 {
        self.model.num_tokens()
    }

    #[getter]
    fn num_ngrams(&self) -> Vec<u64> {
        self.model.num_ngrams().to_vec()
    }

    #[getter]
    fn discounts(&self) -> Vec<(f64, f64, f64)> {
        self.model.discounts().iter().map(|d| d.values.into()).collect()
    }

    #[getter]
    fn discount_fallbacks(&self) -> Vec<usize> {
        let discounts = self.model.discounts();
        (1..).zip(discounts).filter(|(_, d)| d.fallback).map(|(order, _)| order).collect()
    }

    #[getter]
    fn tokenizer(&self) -> Option<&str> {
        self.model.tokenizer()
    }

    fn counts_of_counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u64>>> {
        let counts = self.model.counts_of_counts();
        let flat: Vec<u64> = counts.iter().flatten().copied().collect();
        flat.into_pyarray(py).reshape([counts.len(), 4])
    }
}

impl NgramModel {
    fn scores<'py, F: LogProb + Element + Default>(
        &self,
        py: Python<'py>,
        ids: Ids<'py>,
    ) -> PyResult<Bound<'py, PyArray1<F>>> {
        let scores = match &ids {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                detached(py, || filled(ids.len(), |out| self.model.score(ids, out)))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                detached(py, || filled(ids.len(), |out| self.model.score(ids, out)))
            }
        };
        Ok(scores?.into_pyarray(py))
    }

    fn distributions<'py, F: LogProb + Element + Default>(
        &self,
        py: Python<'py>,
        contexts: &PyReadonlyArray2<'py, u32>,
    ) -> PyResult<Bound<'py, PyArray2<F>>> {
        let [rows, length] = [contexts.shape()[0], contexts.shape()[1]];
        let contexts = contexts.as_slice()?;
        let model = &self.model;
        let work = |out: &mut [F]| model.next_logprobs_rows(contexts, length, out);
        let logprobs = detached(py, || filled(rows * model.vocab_size(), work))?;
        logprobs.into_pyarray(py).reshape([rows, model.vocab_size()])
    }
}

/// A vector of `length` that `work` has written.
fn filled<F: Default + Clone>(
    length: usize,
    work: impl FnOnce(&mut [F]) -> Result<()>,
) -> Result<Vec<F>> {
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| {
        Error::argument("number of scores", length, "they do not fit in memory; use fewer rows")
    })?;
    out.resize(length, F::default());
    work(&mut out)?;
    Ok(out)
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<NgramModel>()
}
