//! Lists of integers, both ways, by the C interface: most of the time of a call that takes or gives
//! a list goes into its items.
#![allow(unsafe_code)]

use lexigram_core::prefetch;
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// How many integers are asked for before the first of them is taken.
const BLOCK: usize = 32;

/// The list of `integers[id]` for each id; `None` if an id has no integer.
pub fn pick<'py>(
    py: Python<'py>,
    ids: &[u32],
    integers: &[Py<PyInt>],
) -> PyResult<Option<Bound<'py, PyList>>> {
    if ids.iter().max().is_some_and(|&id| id as usize >= integers.len()) {
        return Ok(None);
    }
    let length = ffi::Py_ssize_t::try_from(ids.len()).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: a new list of so many empty places, or an error.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(length))? };
    let mut place = 0;
    for ids in ids.chunks(BLOCK) {
        // Integers lie anywhere, and taking one writes to it: a block is asked for at once.
        let mut block = [std::ptr::null_mut(); BLOCK];
        for (object, &id) in block.iter_mut().zip(ids) {
            *object = integers[id as usize].as_ptr();
            // SAFETY: the integer is alive, and only asked for.
            prefetch(unsafe { &**object });
        }
        for &object in &block[..ids.len()] {
            // SAFETY: the place is in the list and empty; the reference that it takes is a new one.
            unsafe {
                take(object);
                ffi::PyList_SetItem(list.as_ptr(), place, object);
            }
            place += 1;
        }
    }
    Ok(Some(list.cast_into()?))
}

/// Takes a new reference.
///
/// What `Py_INCREF` is in the headers of Python 3.10 and 3.11, and so in the stable interface that
/// this is built for: later versions keep the count where it was. A call of a function for each
/// item would be a good part of a list's time.
///
/// # Safety
/// The object is alive and the interpreter is attached.
#[inline(always)]
unsafe fn take(object: *mut ffi::PyObject) {
    // SAFETY: as above.
    unsafe { (*object).ob_refcnt += 1 };
}

/// The numbers in a list of `int`; `None` if an item is anything else or not a `u32`.
pub fn numbers(list: &Bound<'_, PyList>) -> Option<Vec<u32>> {
    let length = list.len();
    let mut numbers = Vec::with_capacity(length);
    for place in 0..length {
        // SAFETY: the item is borrowed from the list, and no Python code can run that would take it
        // out: an exact `int` is converted by the interpreter alone.
        let number = unsafe {
            let item = ffi::PyList_GetItem(list.as_ptr(), place as ffi::Py_ssize_t);
            if item.is_null() || ffi::PyLong_CheckExact(item) == 0 {
                None
            } else {
                Some(ffi::PyLong_AsLongLong(item))
            }
        };
        match number.map(u32::try_from) {
            Some(Ok(number)) => numbers.push(number),
            _ => {
                drop(PyErr::take(list.py()));
                return None;
            }
        }
    }
    Some(numbers)
}
