//! The Python module `lexigram._core`. A binding function does four things and nothing else: it
//! extracts its arguments, releases the GIL, calls the core and maps the error. What it offers is
//! documented in `python/lexigram/_core.pyi`, which stubtest holds to this module.
#![allow(missing_docs)]

mod data;
mod data_loader;
mod data_writer;
mod error;
mod ngram;
mod ngram_counts;
mod suffix;
mod tokenizer;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    data::register(m)?;
    data_loader::register(m)?;
    data_writer::register(m)?;
    ngram::register(m)?;
    ngram_counts::register(m)?;
    suffix::register(m)?;
    tokenizer::register(m)?;
    Ok(())
}
