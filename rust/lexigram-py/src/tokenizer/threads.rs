//! How many threads a batch gets.
//!
//! A process that has been forked, or that `multiprocessing` started (a worker of a torch
//! DataLoader is one), has siblings that share the cores, so it gets one thread unless it asks for
//! more.

use std::env;
use std::process;
use std::sync::OnceLock;

use lexigram_core::Error;
use pyo3::prelude::*;

use crate::error::to_python;

const VARIABLE: &str = "LEXIGRAM_NUM_THREADS";

/// The process that imported the module.
static IMPORTED_BY: OnceLock<u32> = OnceLock::new();

pub fn remember_process() {
    IMPORTED_BY.get_or_init(process::id);
}

/// The number of threads; 0 for one a core.
pub fn resolve(py: Python<'_>, num_threads: Option<i64>) -> PyResult<usize> {
    let checked = |name, text: String, value: Option<i64>| match value.map(usize::try_from) {
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(to_python(py, Error::argument(name, text, "it must be a number of at least 1"))),
    };
    if num_threads.is_some() {
        let shown = num_threads.unwrap_or_default().to_string();
        return checked("num_threads", shown, num_threads);
    }
    if let Ok(value) = env::var(VARIABLE) {
        let number = value.trim().parse().ok();
        return checked(VARIABLE, value, number);
    }
    if IMPORTED_BY.get().is_some_and(|&id| id != process::id()) || is_worker(py)? {
        return Ok(1);
    }
    // Of a list, the outer level. What cannot be read is OpenMP's to complain about.
    let openmp = env::var("OMP_NUM_THREADS").unwrap_or_default();
    Ok(openmp.split(',').next().and_then(|number| number.trim().parse().ok()).unwrap_or(0))
}

/// The number of threads of a call that names none.
#[pyfunction]
pub fn default_threads(py: Python<'_>) -> PyResult<usize> {
    count(py, None)
}

/// As [`resolve`], with the cores counted.
pub fn count(py: Python<'_>, num_threads: Option<i64>) -> PyResult<usize> {
    match resolve(py, num_threads)? {
        0 => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        number => Ok(number),
    }
}

/// Whether `multiprocessing` started this process.
fn is_worker(py: Python<'_>) -> PyResult<bool> {
    let modules = py.import("sys")?.getattr("modules")?;
    match modules.get_item("multiprocessing.process") {
        Ok(module) => Ok(!module.call_method0("parent_process")?.is_none()),
        Err(_) => Ok(false),
    }
}
