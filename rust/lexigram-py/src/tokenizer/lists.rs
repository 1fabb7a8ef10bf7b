//! Lists of integers, both ways, by the C interface: most of the time of a call that takes or gives
//! a list goes into its items.
#![allow(unsafe_code)]

use lexigram_core::prefetch;
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

/// How many places ahead integers are asked for.
const AHEAD: usize = 16;

/// The list of `integers[id]` for each id; `None` if an id has no integer.
pub fn pick<'py>(
    py: Python<'py>,
    ids: &[u32],
    integers: &[Py<PyInt>],
) -> PyResult<Option<Bound<'py, PyList>>> {
    let length = ffi::Py_ssize_t::try_from(ids.len()).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: a new list of so many empty places, or an error.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(length))? };
    // Integers lie anywhere, and taking one writes to it: they are asked for ahead.
    let mut ahead = ids.iter().skip(AHEAD);
    for (place, &id) in (0..length).zip(ids) {
        if let Some(integer) = ahead.next().and_then(|&id| integers.get(id as usize)) {
            // SAFETY: the integer is alive, and only asked for.
            prefetch(unsafe { &*integer.as_ptr() });
        }
        let Some(integer) = integers.get(id as usize) else { return Ok(None) };
        // SAFETY: the place is in the list and empty; the reference that it takes is a new one. A
        // list that is given up half-filled is freed as it is.
        unsafe {
            ffi::Py_INCREF(integer.as_ptr());
            ffi::PyList_SetItem(list.as_ptr(), place, integer.as_ptr());
        }
    }
    Ok(Some(list.cast_into()?))
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
