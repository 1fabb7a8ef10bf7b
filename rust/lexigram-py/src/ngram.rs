//! `lexigram._core.NgramModel`; `lexigram.NgramModel` in Python checks and converts its arguments.

use std::path::PathBuf;

use lexigram_core::ngram::{LogProb, Model, Options, Smoothing, TextOptions, Words};
use lexigram_core::{Error, Result};
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{Callback, attached, detached, to_python};

/// A contiguous array of ids of either width.
#[derive(FromPyObject)]
pub enum Ids<'py> {
    Narrow(PyReadonlyArray1<'py, u16>),
    Wide(PyReadonlyArray1<'py, u32>),
}

#[pyclass(frozen, module = "lexigram._core")]
pub struct NgramModel {
    pub model: Model,
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
            ..Options::new(order, vocab_size)
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
    #[pyo3(signature = (
        paths, *, order, smoothing, pseudocount, kenlm_compatible, prune, min_count, skip_symbols,
        memory_limit, num_threads, progress
    ))]
    #[allow(clippy::too_many_arguments)]
    fn train_words(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        order: usize,
        smoothing: &str,
        pseudocount: f64,
        kenlm_compatible: bool,
        prune: Vec<u32>,
        min_count: u32,
        skip_symbols: bool,
        memory_limit: Option<u64>,
        num_threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let smoothing =
            Smoothing::from_name(smoothing, pseudocount).map_err(|error| to_python(py, error))?;
        let options =
            Options { smoothing, prune, memory_limit, num_threads, ..Options::new(order, 0) };
        let text = TextOptions { skip_symbols, min_count };
        let progress = Callback::new(progress);
        let train =
            move || Model::train_words(&paths, &text, kenlm_compatible, &options, &progress);
        detached(py, train).map(|model| Self { model })
    }

    /// Also the notes.
    #[staticmethod]
    fn from_arpa(
        py: Python<'_>,
        path: PathBuf,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Self, Vec<String>)> {
        let progress = Callback::new(progress);
        let (model, notes) = detached(py, move || Model::from_arpa(&path, &progress))?;
        Ok((Self { model }, notes))
    }

    fn to_arpa(
        &self,
        py: Python<'_>,
        path: PathBuf,
        tokens: Option<Vec<String>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let progress = Callback::new(progress);
        detached(py, move || {
            let words = tokens.map(|tokens| Words::of_tokens(&tokens)).transpose()?;
            self.model.to_arpa(&path, words.as_ref(), &progress)
        })
    }

    /// An entropy-pruned model.
    fn prune(&self, py: Python<'_>, threshold: f64) -> PyResult<Self> {
        detached(py, || self.model.prune(threshold)).map(|model| Self { model })
    }

    /// Stupid Backoff's scores over their sums.
    fn normalized(&self, py: Python<'_>) -> PyResult<Self> {
        detached(py, || self.model.normalized()).map(|model| Self { model })
    }

    fn score_words<'py>(
        &self,
        py: Python<'py>,
        sentence: &[u8],
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        attached(py, || self.model.score_words(sentence)).map(|scores| scores.into_pyarray(py))
    }

    /// Σ ln p, the part of it that `<unk>` has, and the numbers of tokens, `<unk>` and sentences.
    fn score_text(
        &self,
        py: Python<'_>,
        paths: Vec<PathBuf>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(f64, f64, u64, u64, u64)> {
        let progress = Callback::new(progress);
        let score = detached(py, move || self.model.score_text(&paths, &progress))?;
        let (logprob, unknown) = (score.logprob, score.unknown_logprob);
        Ok((logprob, unknown, score.num_tokens, score.num_unknown, score.num_sentences))
    }

    fn words<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        let words = self.model.words().map_err(|error| to_python(py, error))?;
        Ok(words.map(|words| words.iter().map(|word| PyBytes::new(py, word)).collect()))
    }

    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        detached(py, || Model::load(&path)).map(|model| Self { model })
    }

    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || self.model.verify())
    }

    #[pyo3(signature = (path, quantize = None))]
    fn save(&self, py: Python<'_>, path: PathBuf, quantize: Option<u32>) -> PyResult<()> {
        detached(py, || self.model.save(&path, quantize))
    }

    fn score<'py>(
        &self,
        py: Python<'py>,
        ids: Ids<'py>,
        offsets: PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        self.scores(py, &ids, &offsets, num_threads)
    }

    fn score_f32<'py>(
        &self,
        py: Python<'py>,
        ids: Ids<'py>,
        offsets: PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        self.scores(py, &ids, &offsets, num_threads)
    }

    fn order_used<'py>(
        &self,
        py: Python<'py>,
        ids: Ids<'py>,
        offsets: PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let (offsets, model) = (places(&offsets)?, &self.model);
        let orders = match &ids {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                let work = |out: &mut [u8]| model.order_used(ids, &offsets, num_threads, out);
                detached(py, || filled(ids.len(), work))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                let work = |out: &mut [u8]| model.order_used(ids, &offsets, num_threads, out);
                detached(py, || filled(ids.len(), work))
            }
        };
        Ok(orders?.into_pyarray(py))
    }

    fn next_logprobs<'py>(
        &self,
        py: Python<'py>,
        contexts: PyReadonlyArray1<'py, u32>,
        offsets: PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        self.distributions(py, &contexts, &offsets, num_threads)
    }

    fn next_logprobs_f32<'py>(
        &self,
        py: Python<'py>,
        contexts: PyReadonlyArray1<'py, u32>,
        offsets: PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        self.distributions(py, &contexts, &offsets, num_threads)
    }

    #[getter]
    fn quantized(&self) -> Option<u32> {
        self.model.quantized()
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
        ids: &Ids<'py>,
        offsets: &PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<F>>> {
        let (offsets, model) = (places(offsets)?, &self.model);
        let scores = match ids {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                let work = |out: &mut [F]| model.score_batch(ids, &offsets, num_threads, out);
                detached(py, || filled(ids.len(), work))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                let work = |out: &mut [F]| model.score_batch(ids, &offsets, num_threads, out);
                detached(py, || filled(ids.len(), work))
            }
        };
        Ok(scores?.into_pyarray(py))
    }

    fn distributions<'py, F: LogProb + Element + Default>(
        &self,
        py: Python<'py>,
        contexts: &PyReadonlyArray1<'py, u32>,
        offsets: &PyReadonlyArray1<'py, u64>,
        num_threads: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<F>>> {
        let (offsets, model) = (places(offsets)?, &self.model);
        let contexts = contexts.as_slice()?;
        let rows = offsets.len().saturating_sub(1);
        let work = |out: &mut [F]| model.next_logprobs_batch(contexts, &offsets, num_threads, out);
        let logprobs = detached(py, || filled(rows.saturating_mul(model.vocab_size()), work))?;
        logprobs.into_pyarray(py).reshape([rows, model.vocab_size()])
    }
}

/// Offsets as places of this machine's arrays.
fn places(offsets: &PyReadonlyArray1<'_, u64>) -> PyResult<Vec<usize>> {
    let place = |&offset: &u64| usize::try_from(offset).unwrap_or(usize::MAX);
    Ok(offsets.as_slice()?.iter().map(place).collect())
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
