//! `lexigram._core.StreamEncoder`: ids of a text that arrives in parts.

use std::sync::{Arc, Mutex, PoisonError};

use lexigram_core::bpe::Text;
use lexigram_core::bpe::stream::{OnError, StreamEncoder};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::input::{Input, Special};
use super::{PyTokenizer, run};
use crate::error::to_python;

#[pyclass(name = "StreamEncoder", module = "lexigram._core", frozen)]
pub struct PyStreamEncoder {
    core: Mutex<StreamEncoder>,
}

impl PyStreamEncoder {
    /// Works on the encoder; a thread that waits for another's push does so without the GIL.
    fn with<'py>(
        &self,
        py: Python<'py>,
        bytes: &[u8],
        end: bool,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let ids = run(py, usize::MAX, || {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let mut ids = Vec::new();
            if end { core.finish(&mut ids) } else { core.push(bytes, &mut ids) }?;
            Ok(ids)
        })?;
        Ok(ids.into_pyarray(py))
    }
}

#[pymethods]
impl PyStreamEncoder {
    #[new]
    #[pyo3(signature = (tokenizer, /, *, allowed_special=None, disallowed_special=None, errors="strict", source_name="the input"))]
    fn new(
        tokenizer: &Bound<'_, PyTokenizer>,
        allowed_special: Option<&Bound<'_, PyAny>>,
        disallowed_special: Option<&Bound<'_, PyAny>>,
        errors: &str,
        source_name: &str,
    ) -> PyResult<Self> {
        let core = &tokenizer.get().core;
        let special = Special::new(core, allowed_special, disallowed_special)?;
        let encoder = OnError::parse(errors).and_then(|on_error| {
            let disallowed = special.disallowed(core);
            StreamEncoder::new(
                Arc::clone(core),
                &special.allowed,
                &disallowed,
                on_error,
                source_name,
            )
        });
        let core = encoder.map_err(|error| to_python(tokenizer.py(), error))?;
        Ok(Self { core: Mutex::new(core) })
    }

    /// Takes more of the text; the ids that became certain.
    fn push<'py>(
        &self,
        py: Python<'py>,
        chunk: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let input = Input::new(chunk)?;
        let bytes = match input.text()? {
            Text::Str(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        };
        self.with(py, bytes, false)
    }

    /// Ends the text; its last ids.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        self.with(py, &[], true)
    }

    /// Bytes of text that wait for more.
    #[getter]
    fn waiting_bytes(&self) -> usize {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).waiting()
    }
}
