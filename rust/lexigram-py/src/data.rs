//! Bindings of `lexigram_core::data`.

use std::path::PathBuf;
use std::sync::Arc;

use lexigram_core::data::Dataset;
use lexigram_core::data::dataset::OwnedIds;
use lexigram_core::data::shard::{Dtype, Verification};
use numpy::IntoPyArray;
use pyo3::prelude::*;

use crate::error::{Callback, detached, to_python};

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ShardReader>()
}

#[pyclass(module = "lexigram._core", frozen)]
pub struct ShardReader(pub Arc<Dataset>);

#[pymethods]
impl ShardReader {
    #[new]
    #[pyo3(signature = (directory, *, verify_on_read=true))]
    fn new(py: Python<'_>, directory: PathBuf, verify_on_read: bool) -> PyResult<Self> {
        let verification = if verify_on_read { Verification::OnRead } else { Verification::Off };
        detached(py, || Ok(Self(Arc::new(Dataset::open_with(&directory, verification)?))))
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
    fn num_bytes(&self) -> u64 {
        self.0.manifest().counts.num_bytes
    }

    #[getter]
    fn num_skipped(&self) -> u64 {
        self.0.manifest().num_skipped
    }

    #[getter]
    fn num_duplicates(&self) -> Option<u64> {
        self.0.manifest().num_duplicates
    }

    #[getter]
    fn num_shards(&self) -> usize {
        self.0.manifest().shards.len()
    }

    #[getter]
    fn vocab_size(&self) -> u64 {
        self.0.manifest().vocabulary.vocab_size
    }

    #[getter]
    fn document_separator(&self) -> u32 {
        self.0.manifest().vocabulary.document_separator
    }

    #[getter]
    fn tokenizer(&self) -> &str {
        &self.0.manifest().vocabulary.tokenizer
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        match self.0.manifest().vocabulary.dtype {
            Dtype::Uint16 => "uint16",
            Dtype::Uint32 => "uint32",
        }
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    fn read<'py>(&self, py: Python<'py>, start: u64, stop: u64) -> PyResult<Bound<'py, PyAny>> {
        let ids = detached(py, || self.0.read(start..stop))?;
        Ok(match ids {
            OwnedIds::U16(ids) => ids.into_pyarray(py).into_any(),
            OwnedIds::U32(ids) => ids.into_pyarray(py).into_any(),
        })
    }

    fn document_range(&self, py: Python<'_>, index: u64) -> PyResult<(u64, u64)> {
        let range = self.0.document(index).map_err(|e| to_python(py, e))?;
        Ok((range.start, range.end))
    }

    #[pyo3(signature = (progress=None))]
    fn verify(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let progress = Callback::new(progress);
        detached(py, move || self.0.verify(&progress))
    }
}
