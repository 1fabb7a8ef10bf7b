//! Bindings of `lexigram_core::data::{Loader, Ahead}`: NumPy arrays over memory of the core's, and
//! memory of the caller's that threads fill.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use lexigram_core::Error;
use lexigram_core::data::ahead::Memory;
use lexigram_core::data::block::{Block, Pool};
use lexigram_core::data::{Ahead, Loader, LoaderConfig, Packing, Width};
use numpy::ndarray::ArrayView3;
use numpy::{Element, PyArray3, PyArrayMethods};
use pyo3::prelude::*;

use crate::data::ShardReader;
use crate::error::{detached, to_python};

/// How long a wait for a thread goes on before it looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);
/// Batches whose memory is kept for the next ones.
const KEPT: usize = 8;

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<BatchReader>()?;
    m.add_class::<BatchThreads>()
}

/// The owner of an array's memory; goes back to the pool with the last view of the array.
#[pyclass(frozen)]
struct Owner {
    block: std::sync::Mutex<Option<Block>>,
    pool: Arc<Pool>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(block) = self.block.get_mut().ok().and_then(Option::take) {
            self.pool.give(block);
        }
    }
}

#[pyclass(module = "lexigram._core", frozen)]
struct BatchReader {
    loader: Arc<Loader>,
    pool: Arc<Pool>,
}

#[pymethods]
impl BatchReader {
    #[new]
    #[pyo3(signature = (readers, weights, *, batch_size, seq_len, seed, rank, world_size, best_fit, shuffle, drop_last, dtype, documents))]
    #[allow(clippy::too_many_arguments)] // one keyword each
    fn new(
        py: Python<'_>,
        readers: Vec<PyRef<'_, ShardReader>>,
        weights: Option<Vec<u64>>,
        batch_size: u64,
        seq_len: u32,
        seed: u64,
        rank: u64,
        world_size: u64,
        best_fit: bool,
        shuffle: bool,
        drop_last: bool,
        dtype: &str,
        documents: bool,
    ) -> PyResult<Self> {
        let packing = if best_fit { Packing::BestFit } else { Packing::Contiguous };
        let width = match dtype {
            "int64" => Ok(Width::I64),
            "int32" => Ok(Width::I32),
            "uint16" => Ok(Width::U16),
            other => Err(Error::argument("dtype", other, "must be int64, int32 or uint16")),
        };
        let width = width.map_err(|e| to_python(py, e))?;
        let config = LoaderConfig {
            batch_size,
            seq_len,
            seed,
            rank,
            world_size,
            packing,
            shuffle,
            drop_last,
            width,
            documents,
        };
        let mut datasets: Vec<_> = readers.iter().map(|reader| Arc::clone(&reader.0)).collect();
        let loader = detached(py, || match weights {
            Some(weights) => Loader::mixture(datasets.into_iter().zip(weights).collect(), config),
            None => match datasets.pop() {
                Some(dataset) => Loader::new(dataset, config),
                None => Err(Error::argument("readers", "[]", "name a dataset")),
            },
        })?;
        Ok(Self { loader: Arc::new(loader), pool: Arc::new(Pool::new(KEPT)) })
    }

    #[getter]
    fn num_rows(&self) -> u64 {
        self.loader.num_rows()
    }

    #[getter]
    fn num_batches(&self) -> u64 {
        self.loader.num_batches()
    }

    #[getter]
    fn source_rows(&self) -> Vec<u64> {
        self.loader.source_rows()
    }

    fn rows_before(&self, step: u64) -> Vec<u64> {
        self.loader.rows_before(step)
    }

    fn rows_at(&self, step: u64) -> usize {
        self.loader.rows_at(step)
    }

    fn read<'py>(&self, py: Python<'py>, step: u64) -> PyResult<Bound<'py, PyAny>> {
        let mut block = self.block(py, step)?;
        detached(py, || self.loader.fill(step, block.bytes()))?;
        self.array(py, step, block)
    }

    fn fill(&self, py: Python<'_>, step: u64, out: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut lent = self.lend(out)?;
        detached(py, move || self.loader.fill(step, lent.bytes()))
    }
}

impl BatchReader {
    /// The block as an array (arrays, rows, seq_len) that gives it back to the pool at its end.
    fn array<'py>(&self, py: Python<'py>, step: u64, block: Block) -> PyResult<Bound<'py, PyAny>> {
        match self.loader.config().width {
            Width::I64 => self.array_of::<i64>(py, step, block),
            Width::I32 => self.array_of::<i32>(py, step, block),
            Width::U16 => self.array_of::<u16>(py, step, block),
        }
    }

    fn array_of<'py, T: Element>(
        &self,
        py: Python<'py>,
        step: u64,
        mut block: Block,
    ) -> PyResult<Bound<'py, PyAny>> {
        let shape = (self.loader.num_arrays(), self.loader.rows_at(step), self.loader.seq_len());
        assert_eq!(block.bytes().len(), shape.0 * shape.1 * shape.2 * size_of::<T>());
        let data = block.bytes().as_mut_ptr().cast::<T>();
        let block = std::sync::Mutex::new(Some(block));
        let owner = Bound::new(py, Owner { block, pool: Arc::clone(&self.pool) })?;
        // SAFETY: `data` points to as many T as the shape says, in heap memory that is aligned to
        // 64 bytes and does not move; the array holds `owner`, which holds that memory, touches
        // it no more, and is neither reachable nor droppable from elsewhere.
        let array = unsafe {
            let view = ArrayView3::from_shape_ptr(shape, data.cast_const());
            PyArray3::borrow_from_array(&view, owner.into_any())
        };
        Ok(array.into_any())
    }

    /// Memory for the batch at `step`. The pool is asked with the GIL held, so that no fork finds its
    /// lock taken; fresh memory, which the system clears, is made without.
    fn block(&self, py: Python<'_>, step: u64) -> PyResult<Block> {
        let num_bytes = self.loader.num_bytes(step);
        match self.pool.take(num_bytes) {
            Some(block) => Ok(block),
            None => detached(py, || Block::new(num_bytes)),
        }
    }

    fn lend(&self, out: &Bound<'_, PyAny>) -> PyResult<Lent> {
        match self.loader.config().width {
            Width::I64 => Lent::new::<i64>(out),
            Width::I32 => Lent::new::<i32>(out),
            Width::U16 => Lent::new::<u16>(out),
        }
    }
}

/// The memory of an array of the caller's.
struct Lent {
    data: *mut u8,
    num_bytes: usize,
    array: Py<PyAny>,
}

// SAFETY: the array is alive as long as `array` is; the caller, `lexigram.data.loader`, leaves it
// alone from handing it in until it is given back.
unsafe impl Send for Lent {}

impl Lent {
    fn new<T: Element>(out: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut guard = out.cast::<PyArray3<T>>()?.try_readwrite()?;
        let slice = guard.as_slice_mut()?;
        let (data, num_bytes) = (slice.as_mut_ptr().cast(), size_of_val(slice));
        Ok(Self { data, num_bytes, array: out.clone().unbind() })
    }
}

impl Memory for Lent {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `new` took place and size from a writable, contiguous array of plain numbers.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.num_bytes) }
    }
}

/// Memory of ours or of the caller's.
enum Job {
    Block(Block),
    Lent(Lent),
}

impl Memory for Job {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Block(block) => block.bytes(),
            Self::Lent(lent) => lent.bytes(),
        }
    }
}

#[pyclass(module = "lexigram._core", frozen)]
struct BatchThreads {
    reader: Py<BatchReader>,
    ahead: Ahead<Job>,
}

#[pymethods]
impl BatchThreads {
    #[new]
    fn new(py: Python<'_>, reader: Py<BatchReader>, num_threads: usize) -> PyResult<Self> {
        let loader = Arc::clone(&reader.get().loader);
        let ahead = detached(py, || Ahead::new(loader, num_threads))?;
        Ok(Self { reader, ahead })
    }

    #[pyo3(signature = (step, out=None))]
    fn submit(&self, py: Python<'_>, step: u64, out: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let reader = self.reader.get();
        let job = match out {
            Some(out) => Job::Lent(reader.lend(out)?),
            None => Job::Block(reader.block(py, step)?),
        };
        self.ahead.submit(step, job);
        Ok(())
    }

    fn take<'py>(&self, py: Python<'py>, step: u64) -> PyResult<Bound<'py, PyAny>> {
        let (job, outcome) = loop {
            if let Some(done) = detached(py, || Ok(self.ahead.take(step, PATIENCE)))? {
                break done;
            }
            py.check_signals()?;
        };
        outcome.map_err(|e| to_python(py, e))?;
        match job {
            Job::Block(block) => self.reader.get().array(py, step, block),
            Job::Lent(lent) => Ok(lent.array.into_bound(py)),
        }
    }

    fn cancel(&self) {
        self.ahead.cancel();
    }
}
