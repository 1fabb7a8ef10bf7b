//! Bindings of what makes datasets: texts in batches, and the writer of shards.

use std::path::PathBuf;

use lexigram_core::Error;
use lexigram_core::data::admission::{Admitted, Splits};
use lexigram_core::data::shard::Vocabulary;
use lexigram_core::data::{DatasetWriter, Settings, Texts, json_lines, pieces};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::error::{detached, to_python};
use crate::tokenizer::threads;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ShardWriter>()?;
    m.add_class::<TextBatch>()?;
    m.add_class::<Admission>()?;
    m.add_function(wrap_pyfunction!(read_json_lines, m)?)?;
    m.add_function(wrap_pyfunction!(read_pieces, m)?)
}

/// Texts that are not Python objects.
#[pyclass(module = "lexigram._core", frozen)]
pub struct TextBatch(pub Texts);

#[pymethods]
impl TextBatch {
    #[new]
    fn new(texts: &Bound<'_, PyList>) -> PyResult<Self> {
        let texts: Vec<_> =
            texts.iter().map(|text| Ok(text.cast_into::<PyString>()?)).collect::<PyResult<_>>()?;
        let texts: Vec<&str> = texts.iter().map(|text| text.to_str()).collect::<PyResult<_>>()?;
        Ok(Self(texts.into_iter().collect()))
    }

    /// The texts of a list of bytes, and the numbers of those that are not UTF-8, left out.
    #[staticmethod]
    fn of_bytes(contents: &Bound<'_, PyList>) -> PyResult<(Self, Vec<usize>)> {
        let contents: Vec<_> = contents
            .iter()
            .map(|text| Ok(text.cast_into::<PyBytes>()?))
            .collect::<PyResult<_>>()?;
        let texts = contents.iter().map(|content| std::str::from_utf8(content.as_bytes()).ok());
        let texts: Vec<Option<&str>> = texts.collect();
        let wrong = (0..texts.len()).filter(|&i| texts[i].is_none()).collect();
        Ok((Self(texts.into_iter().flatten().collect()), wrong))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn num_bytes(&self) -> u64 {
        self.0.num_bytes()
    }

    fn texts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.iter().collect::<Vec<_>>())
    }

    fn insert(&self, py: Python<'_>, others: Vec<(usize, String)>) -> PyResult<Self> {
        detached(py, || Ok(Self(self.0.with(&others))))
    }
}

/// What must be read otherwise: texts before it, number, start, end.
type Doubtful = Vec<(usize, usize, usize, usize)>;

/// The texts of a block of JSON Lines, the lines that must be read otherwise, the number of lines.
type Rows = (TextBatch, Doubtful, usize);

fn plain(doubtful: Vec<json_lines::Doubtful>) -> Doubtful {
    doubtful.into_iter().map(|d| (d.before, d.line, d.place.start, d.place.end)).collect()
}

#[pyfunction]
#[pyo3(signature = (block, field, num_threads=None))]
fn read_json_lines(
    py: Python<'_>,
    block: &Bound<'_, PyBytes>,
    field: &str,
    num_threads: Option<i64>,
) -> PyResult<Rows> {
    let threads = threads::count(py, num_threads)?;
    let block = block.as_bytes();
    detached(py, || {
        let rows = json_lines::read(block, field, threads);
        Ok((TextBatch(rows.texts), plain(rows.doubtful), rows.num_lines))
    })
}

/// The texts before delimiters, the pieces that must be read otherwise, the number of pieces, where
/// the rest begins, and the line feeds before it.
type Pieces = (TextBatch, Doubtful, usize, usize, usize);

#[pyfunction]
#[pyo3(signature = (block, delimiter, num_threads=None))]
fn read_pieces(
    py: Python<'_>,
    block: &Bound<'_, PyBytes>,
    delimiter: &[u8],
    num_threads: Option<i64>,
) -> PyResult<Pieces> {
    let threads = threads::count(py, num_threads)?;
    let block = block.as_bytes();
    detached(py, || {
        let found = pieces::read(block, delimiter, threads)?;
        let pieces::Pieces { texts, doubtful, num_pieces, rest, line_feeds } = found;
        Ok((TextBatch(texts), plain(doubtful), num_pieces, rest, line_feeds))
    })
}

/// Texts that are to be written, and where.
#[pyclass(module = "lexigram._core", frozen)]
struct Admission(Admitted);

#[pymethods]
impl Admission {
    fn __len__(&self) -> usize {
        self.0.sides.len()
    }

    #[getter]
    fn batch(&self) -> TextBatch {
        TextBatch(self.0.texts.clone())
    }
}

#[pyclass(module = "lexigram._core")]
// Boxed: the checksum's state is aligned to 64 bytes, a Python object only to 16.
struct ShardWriter(Option<Box<DatasetWriter>>);

impl ShardWriter {
    fn open(&mut self, py: Python<'_>) -> PyResult<&mut DatasetWriter> {
        self.0.as_deref_mut().ok_or_else(|| to_python(py, closed()))
    }
}

#[pymethods]
impl ShardWriter {
    #[new]
    #[pyo3(signature = (out_dir, *, vocab_size, document_separator, tokenizer, shard_tokens, overwrite, resume=false, deduplicate=false, splits=None, seed=0))]
    #[allow(clippy::too_many_arguments)] // one keyword each
    fn new(
        py: Python<'_>,
        out_dir: PathBuf,
        vocab_size: u64,
        document_separator: u64,
        tokenizer: &str,
        shard_tokens: u64,
        overwrite: bool,
        resume: bool,
        deduplicate: bool,
        splits: Option<Vec<(String, f64)>>,
        seed: u64,
    ) -> PyResult<Self> {
        detached(py, || {
            let vocabulary = Vocabulary::new(vocab_size, document_separator, tokenizer)?;
            let splits = splits.map(|parts| Splits::new(parts, seed)).transpose()?;
            let settings = Settings { shard_tokens, overwrite, resume, deduplicate, splits };
            let writer = DatasetWriter::begin(&out_dir, vocabulary, settings)?;
            Ok(Self(Some(Box::new(writer))))
        })
    }

    #[getter]
    fn resumed(&mut self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.open(py)?.resumed())
    }

    #[pyo3(signature = (batch, num_threads=None))]
    fn admit(
        &mut self,
        py: Python<'_>,
        batch: &TextBatch,
        num_threads: Option<i64>,
    ) -> PyResult<Admission> {
        let threads = threads::count(py, num_threads)?;
        let writer = self.open(py)?;
        detached(py, || Ok(Admission(writer.admit(batch.0.clone(), threads)?)))
    }

    fn append(
        &mut self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u32>,
        offsets: PyReadonlyArray1<'_, i64>,
        num_bytes: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<()> {
        let (ids, offsets, num_bytes) =
            (ids.as_slice()?, offsets.as_slice()?, num_bytes.as_slice()?);
        let writer = self.open(py)?;
        detached(py, || writer.append(ids, offsets, num_bytes))
    }

    fn append_admitted(
        &mut self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u32>,
        offsets: PyReadonlyArray1<'_, i64>,
        admission: &Admission,
    ) -> PyResult<()> {
        let (ids, offsets) = (ids.as_slice()?, offsets.as_slice()?);
        let writer = self.open(py)?;
        detached(py, || writer.append_admitted(ids, offsets, &admission.0))
    }

    fn finish(&mut self, py: Python<'_>, num_skipped: u64) -> PyResult<()> {
        let writer = self.0.take().ok_or_else(|| to_python(py, closed()))?;
        detached(py, || writer.finish(num_skipped))
    }

    fn abort(&mut self, py: Python<'_>) -> PyResult<()> {
        let writer = self.0.take();
        detached(py, || {
            drop(writer);
            Ok(())
        })
    }
}

fn closed() -> Error {
    Error::argument("writer", "closed", "finish or abort was called; make a new one")
}
