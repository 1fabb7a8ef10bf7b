//! `lexigram._core.SuffixIndex`; `lexigram.SuffixIndex` in Python documents it.

use std::path::PathBuf;
use std::sync::Arc;

use lexigram_core::suffix::{Builder, Index, Options, Scored, Window};
use lexigram_core::{Error, Result};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::error::{Callback, attached, detached, to_python};
use crate::tokenizer::input::token_ids;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SuffixBuilder>()?;
    m.add_class::<SuffixIndex>()?;
    m.add_class::<SuffixWindows>()
}

#[derive(FromPyObject)]
enum Ids<'py> {
    Narrow(PyReadonlyArray1<'py, u16>),
    Wide(PyReadonlyArray1<'py, u32>),
}

#[pyclass(module = "lexigram._core")]
struct SuffixBuilder {
    builder: Option<Builder>,
    progress: Option<Py<PyAny>>,
}

#[pymethods]
impl SuffixBuilder {
    #[new]
    #[pyo3(signature = (
        out_dir, *, vocab_size, document_separator, memory_limit, num_threads, tokenizer, total,
        shard_tokens, progress
    ))]
    #[allow(clippy::too_many_arguments)] // one keyword each
    fn new(
        py: Python<'_>,
        out_dir: PathBuf,
        vocab_size: usize,
        document_separator: Option<u32>,
        memory_limit: Option<u64>,
        num_threads: Option<usize>,
        tokenizer: Option<String>,
        total: u64,
        shard_tokens: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut options = Options::new(vocab_size, document_separator);
        options.memory_limit = memory_limit;
        options.num_threads = num_threads;
        options.tokenizer = tokenizer;
        options.total = total;
        options.shard_tokens = shard_tokens;
        let builder = detached(py, || Builder::create(&out_dir, options))?;
        Ok(Self { builder: Some(builder), progress })
    }

    fn append(&mut self, py: Python<'_>, ids: Ids<'_>) -> PyResult<()> {
        let builder = self.builder.as_mut().ok_or_else(|| to_python(py, closed()))?;
        let progress = Callback::new(self.progress.as_ref().map(|call| call.clone_ref(py)));
        match &ids {
            Ids::Narrow(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || builder.append(ids, &progress))
            }
            Ids::Wide(ids) => {
                let ids = ids.as_slice()?;
                detached(py, move || builder.append(ids, &progress))
            }
        }
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let builder = self.builder.take().ok_or_else(|| to_python(py, closed()))?;
        let progress = Callback::new(self.progress.as_ref().map(|call| call.clone_ref(py)));
        detached(py, move || builder.finish(&progress))
    }

    fn abort(&mut self) {
        self.builder = None;
    }
}

fn closed() -> Error {
    Error::argument("builder", "closed", "finish or abort was called; make a new one")
}

type Spans = Vec<(usize, usize, u64, Vec<u64>)>;

#[pyclass(frozen, module = "lexigram._core")]
struct SuffixIndex(Arc<Index>);

#[pymethods]
impl SuffixIndex {
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        detached(py, || Ok(Self(Arc::new(Index::open(&directory)?))))
    }

    #[getter]
    fn vocab_size(&self) -> usize {
        self.0.vocab_size()
    }

    #[getter]
    fn document_separator(&self) -> Option<u32> {
        self.0.document_separator()
    }

    #[getter]
    fn num_tokens(&self) -> u64 {
        self.0.num_tokens()
    }

    #[getter]
    fn num_documents(&self) -> u64 {
        self.0.num_documents()
    }

    #[getter]
    fn num_shards(&self) -> usize {
        self.0.num_shards()
    }

    #[getter]
    fn max_match(&self) -> Option<usize> {
        self.0.max_match()
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    #[getter]
    fn num_bytes(&self) -> (u64, u64) {
        self.0.num_bytes()
    }

    #[getter]
    fn tokenizer(&self, py: Python<'_>) -> PyResult<Option<String>> {
        attached(py, || self.0.tokenizer())
    }

    #[pyo3(signature = (progress=None))]
    fn verify(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let progress = Callback::new(progress);
        detached(py, move || self.0.verify(&progress))
    }

    fn count(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<u64> {
        let ids = token_ids(ids)?;
        attached(py, || self.0.count(&ids))
    }

    fn count_batch<'py>(
        &self,
        py: Python<'py>,
        ids: PyReadonlyArray1<'py, u32>,
        offsets: PyReadonlyArray1<'py, i64>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let (ids, offsets) = (ids.as_slice()?, offsets.as_slice()?);
        let counts = detached(py, || {
            let offsets = checked(offsets, ids.len())?;
            let mut counts = vec![0u64; offsets.len() - 1];
            self.0.count_batch(ids, &offsets, &mut counts)?;
            Ok(counts.into_iter().map(|count| count as i64).collect::<Vec<_>>())
        })?;
        Ok(counts.into_pyarray(py))
    }

    fn find(
        &self,
        py: Python<'_>,
        ids: &Bound<'_, PyAny>,
        limit: usize,
    ) -> PyResult<Vec<(u64, i64)>> {
        let ids = token_ids(ids)?;
        let places = attached(py, || self.0.find(&ids, limit))?;
        Ok(places.into_iter().map(|place| (place.document, place.position)).collect())
    }

    fn document<'py>(
        &self,
        py: Python<'py>,
        document: u64,
        start: u64,
        stop: u64,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let ids = attached(py, || self.0.document(document, start, stop))?;
        Ok(ids.into_pyarray(py))
    }

    #[allow(clippy::type_complexity)]
    fn next_counts<'py>(
        &self,
        py: Python<'py>,
        context: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>)> {
        let context = token_ids(context)?;
        let found = attached(py, || self.0.next_counts(&context))?;
        let ids: Vec<u32> = found.iter().map(|&(id, _)| id).collect();
        let counts: Vec<i64> = found.iter().map(|&(_, count)| count as i64).collect();
        Ok((ids.into_pyarray(py), counts.into_pyarray(py)))
    }

    fn infinigram<'py>(
        &self,
        py: Python<'py>,
        context: &Bound<'py, PyAny>,
        support: u64,
    ) -> PyResult<(Bound<'py, PyArray1<f64>>, usize)> {
        let context = token_ids(context)?;
        let mut logprobs = vec![0.0; self.0.vocab_size()];
        let order = attached(py, || {
            let window = self.0.window(&context, support)?;
            self.0.distribution(&window, &mut logprobs);
            Ok(window.len() + 1)
        })?;
        Ok((logprobs.into_pyarray(py), order))
    }

    fn probability(
        &self,
        py: Python<'_>,
        context: &Bound<'_, PyAny>,
        id: u32,
        support: u64,
    ) -> PyResult<(f64, u32)> {
        let context = token_ids(context)?;
        attached(py, || self.0.probability(&context, id, support))
    }

    #[allow(clippy::type_complexity)]
    fn score<'py>(
        &self,
        py: Python<'py>,
        ids: PyReadonlyArray1<'py, u32>,
        support: u64,
        sparse: bool,
    ) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<bool>>)>
    {
        let ids = ids.as_slice()?;
        let scored = detached(py, || {
            let mut scored = vec![Scored::default(); ids.len()];
            self.0.score(ids, support, sparse, &mut scored)?;
            Ok(scored)
        })?;
        let logprobs: Vec<f64> = scored.iter().map(|s| s.logprob).collect();
        let orders: Vec<u32> = scored.iter().map(|s| s.order).collect();
        let sparse: Vec<bool> = scored.iter().map(|s| s.sparse).collect();
        Ok((logprobs.into_pyarray(py), orders.into_pyarray(py), sparse.into_pyarray(py)))
    }

    fn trace(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u32>,
        min_length: usize,
        max_documents: usize,
    ) -> PyResult<Spans> {
        let ids = ids.as_slice()?;
        let spans = detached(py, || self.0.trace(ids, min_length, max_documents))?;
        Ok(spans.into_iter().map(|s| (s.start, s.end, s.count, s.documents)).collect())
    }

    fn start(&self, py: Python<'_>, batch_size: usize, support: u64) -> PyResult<SuffixWindows> {
        let window = attached(py, || self.0.window(&[], support))?;
        let index = Arc::clone(&self.0);
        Ok(SuffixWindows { index, support, windows: vec![window; batch_size] })
    }
}

/// Offsets as the core takes them, if they rise from 0 to `length`.
fn checked(offsets: &[i64], length: usize) -> Result<Vec<usize>> {
    let numbers: Option<Vec<usize>> = offsets.iter().map(|&o| usize::try_from(o).ok()).collect();
    let numbers = numbers.filter(|offsets| {
        offsets.first() == Some(&0) && offsets.last() == Some(&length) && offsets.is_sorted()
    });
    numbers.ok_or_else(|| {
        let limit = "they must rise from 0 to the number of ids, one more than there are runs";
        Error::argument("offsets", format!("for {length} ids"), limit)
    })
}

/// The states of some rows; never changed.
#[pyclass(frozen, module = "lexigram._core")]
struct SuffixWindows {
    index: Arc<Index>,
    support: u64,
    windows: Vec<Window>,
}

#[pymethods]
impl SuffixWindows {
    fn __len__(&self) -> usize {
        self.windows.len()
    }

    /// The windows after `ids` (B, n).
    fn read(&self, py: Python<'_>, ids: PyReadonlyArray2<'_, u32>) -> PyResult<Self> {
        let (rows, length) = (ids.shape()[0], ids.shape()[1]);
        let ids = ids.as_slice()?;
        if rows != self.windows.len() {
            let limit = format!("give one for each of the state's {}", self.windows.len());
            return Err(to_python(py, Error::argument("number of rows", rows, limit)));
        }
        let windows = detached(py, || {
            let row = |i: usize| &ids[i * length..(i + 1) * length];
            let read = |(i, window)| self.index.read(window, row(i), self.support);
            self.windows.iter().enumerate().map(read).collect::<Result<Vec<_>>>()
        })?;
        Ok(Self { index: Arc::clone(&self.index), support: self.support, windows })
    }

    /// ln p (B, V), |h*| + 1 (B), and whether one id alone follows (B).
    #[allow(clippy::type_complexity)]
    fn distributions<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<bool>>)>
    {
        let (rows, vocab_size) = (self.windows.len(), self.index.vocab_size());
        let (logprobs, sparse) = detached(py, || {
            let mut out = vec![0.0f64; rows * vocab_size];
            let each = self.windows.iter().zip(out.chunks_mut(vocab_size));
            let sparse: Vec<bool> =
                each.map(|(window, out)| self.index.distribution(window, out)).collect();
            Ok((out, sparse))
        })?;
        let orders: Vec<u32> = self.windows.iter().map(|w| w.len() as u32 + 1).collect();
        let logprobs = logprobs.into_pyarray(py).reshape([rows, vocab_size])?;
        Ok((logprobs, orders.into_pyarray(py), sparse.into_pyarray(py)))
    }

    /// The rows of those numbers.
    fn reorder(&self, py: Python<'_>, rows: Vec<usize>) -> PyResult<Self> {
        let windows = rows.iter().map(|&row| self.windows.get(row).cloned()).collect();
        let windows: Option<Vec<Window>> = windows;
        let limit = || format!("rows are 0 to {}", self.windows.len().saturating_sub(1));
        let windows = windows
            .ok_or_else(|| to_python(py, Error::argument("rows", format!("{rows:?}"), limit())))?;
        Ok(Self { index: Arc::clone(&self.index), support: self.support, windows })
    }
}
