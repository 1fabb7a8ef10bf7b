//! The border: how errors, panics, progress and Ctrl-C cross between Rust and Python.

use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use lexigram_core::progress::Progress;
use lexigram_core::{Error, Result};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Runs `work` without the GIL. An error becomes the matching exception of `lexigram.errors`; a
/// panic, which is a bug of ours, becomes `lexigram.InternalError` instead of ending Python.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    outcome(py, py.detach(|| catch_unwind(AssertUnwindSafe(work))))
}

/// As [`detached`], but keeps the GIL: for work that takes less time than giving it up and back.
pub fn attached<T>(py: Python<'_>, work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    outcome(py, catch_unwind(AssertUnwindSafe(work)))
}

fn outcome<T>(py: Python<'_>, outcome: std::thread::Result<Result<T>>) -> PyResult<T> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(to_python(py, error)),
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic".to_owned());
            Err(to_python(py, Error::Internal(what)))
        }
    }
}

/// The exception of `lexigram.errors` for an error of the core.
pub fn to_python(py: Python<'_>, error: Error) -> PyErr {
    // A signal handler or a progress callback has already raised; its exception wins.
    if matches!(error, Error::Interrupted) {
        return PyErr::take(py).unwrap_or_else(|| PyKeyboardInterrupt::new_err(()));
    }
    let name = match &error {
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => "MissingFileError",
            _ => "FileError",
        },
        Error::Corrupt { .. }
        | Error::WrongKind { .. }
        | Error::Version { .. }
        | Error::Parse { .. } => "FormatError",
        Error::UnknownToken { .. } | Error::NoSpecialToken { .. } => "UnknownTokenError",
        Error::TokenRange { .. } => "TokenRangeError",
        Error::TokenId { .. } => "TokenIdError",
        Error::Utf8 { .. } => "EncodingError",
        Error::Internal(_) => "InternalError",
        _ => "InvalidInputError",
    };
    let raise = || -> PyResult<PyErr> {
        let class = py.import("lexigram.errors")?.getattr(name)?.cast_into::<PyType>()?;
        Ok(PyErr::from_type(class, error.to_string()))
    };
    raise().unwrap_or_else(|failure| failure)
}

/// Calls a Python function `(done, total)` at most ten times a second, and looks for Ctrl-C.
pub struct Callback {
    function: Option<Py<PyAny>>,
    last: Cell<Option<Instant>>,
}

impl Callback {
    pub fn new(function: Option<Py<PyAny>>) -> Self {
        Self { function, last: Cell::new(None) }
    }
}

impl Progress for Callback {
    fn report(&self, done: u64, total: u64) -> Result<()> {
        let now = Instant::now();
        let recent = |last: Instant| now.duration_since(last) < Duration::from_millis(100);
        if self.last.get().is_some_and(recent) && (total == 0 || done < total) {
            return Ok(());
        }
        self.last.set(Some(now));
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(function) = &self.function {
                function.call1(py, (done, total))?;
            }
            Ok(())
        })
        .map_err(|raised: PyErr| {
            // Kept as the thread's current exception until `to_python` takes it.
            Python::attach(|py| raised.restore(py));
            Error::Interrupted
        })
    }
}
