//! Write errors on demand, for tests: outside of them a point does nothing.
//!
//! A test names a directory and a number; the point of that number, counted among those that write
//! below the directory, fails as on a full disk.

use std::io;
use std::path::Path;

/// A place where something is about to be written to `path`.
#[cfg(not(test))]
#[inline(always)]
pub fn point(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub use self::on_demand::{failing, point};

#[cfg(test)]
mod on_demand {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;

    static FAULTS: Mutex<Vec<(PathBuf, u64)>> = Mutex::new(Vec::new());

    pub fn point(path: &Path) -> io::Result<()> {
        let mut faults = FAULTS.lock().unwrap();
        let Some((_, left)) = faults.iter_mut().find(|(dir, _)| path.starts_with(dir)) else {
            return Ok(());
        };
        *left = left.wrapping_sub(1);
        if *left == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Runs `work`, in which the point of that number (from 1) below `dir` fails. Returns what it
    /// returned, and whether the point was reached.
    pub fn failing<T>(dir: &Path, number: u64, work: impl FnOnce() -> T) -> (T, bool) {
        FAULTS.lock().unwrap().push((dir.to_path_buf(), number));
        let result = work();
        let mut faults = FAULTS.lock().unwrap();
        let place = faults.iter().position(|(path, _)| path == dir).unwrap();
        let (_, left) = faults.swap_remove(place);
        // It went down by one at each point, and past zero if there were more.
        (result, left == 0 || left > number)
    }
}
