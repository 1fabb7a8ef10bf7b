//! `lexigram._core.NgramCounts`; `lexigram.NgramCounts` in Python checks and converts its arguments.

use std::path::PathBuf;

use lexigram_core::ngram::{Counts, Model, Options, Smoothing};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::error::{Callback, attached, detached, to_python};
use crate::ngram::{Ids, NgramModel};

#[pyclass(frozen, module = "lexigram._core")]
pub struct NgramCounts {
    pub counts: Counts,
}

#[pymethods]
impl NgramCounts {
    #[staticmethod]
    #[pyo3(signature = (
        tokens, *, order, vocab_size, document_separator, memory_limit, num_threads, progress
    ))]
    #[allow(clippy::too_many_arguments)]
    fn count(
        py: Python<'_>,
        tokens: Ids<'_>,
        order: usize,
        vocab_size: usize,
        document_separator: Option<u32>,
        memory_limit: Option<u64>,
        num_threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let options = Options {
            document_separator,
            memory_limit,
            num_threads,
            ..Options::new(order, vocab_size)
        };
        let progress = Callback::new(progress);
        let counts = match &tokens {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || Counts::count(ids, &options, &progress))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || Counts::count(ids, &options, &progress))
            }
        }?;
        Ok(Self { counts })
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        detached(py, || Counts::load(&path)).map(|counts| Self { counts })
    }

    #[staticmethod]
    fn merge(
        py: Python<'_>,
        parts: Vec<PyRef<'_, Self>>,
        in_files: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let parts: Vec<Counts> = parts.iter().map(|part| part.counts.clone()).collect();
        let progress = Callback::new(progress);
        detached(py, move || Counts::merge(&parts, in_files, &progress))
            .map(|counts| Self { counts })
    }

    /// Estimates a model; the counts stay as they are.
    #[pyo3(signature = (*, smoothing, pseudocount, prune, num_threads, progress, tokenizer))]
    #[allow(clippy::too_many_arguments)]
    fn model(
        &self,
        py: Python<'_>,
        smoothing: &str,
        pseudocount: f64,
        prune: Vec<u32>,
        num_threads: Option<usize>,
        progress: Option<Py<PyAny>>,
        tokenizer: Option<String>,
    ) -> PyResult<NgramModel> {
        let smoothing =
            Smoothing::from_name(smoothing, pseudocount).map_err(|error| to_python(py, error))?;
        let options = Options {
            smoothing,
            prune,
            num_threads,
            ..Options::new(self.counts.order(), self.counts.vocab_size)
        };
        let (counts, progress) = (self.counts.clone(), Callback::new(progress));
        let mut model = detached(py, move || Model::from_counts(counts, &options, &progress))?;
        model.set_tokenizer(tokenizer);
        Ok(NgramModel { model })
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || self.counts.save(&path))
    }

    fn get(&self, ngram: Vec<u32>) -> u32 {
        self.counts.get(&ngram)
    }

    /// The ids of all n-grams of an order end to end, and the counts.
    #[allow(clippy::type_complexity)]
    fn ngrams<'py>(
        &self,
        py: Python<'py>,
        order: usize,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u32>>)> {
        let (ids, counts) = detached(py, || self.counts.ngrams(order))?;
        Ok((ids.into_pyarray(py), counts.into_pyarray(py)))
    }

    #[getter]
    fn order(&self) -> usize {
        self.counts.order()
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.counts.vocab_size
    }

    #[getter]
    fn document_separator(&self) -> Option<u32> {
        self.counts.document_separator
    }

    #[getter]
    fn num_tokens(&self) -> u64 {
        self.counts.num_tokens
    }

    #[getter]
    fn num_ngrams(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        attached(py, || Ok(self.counts.num_ngrams()))
    }
}

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<NgramCounts>()
}
