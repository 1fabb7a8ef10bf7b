//! The working directory beside a target: who may write there, and how it becomes the target.
//!
//! What is being made of `NAME` lies in `NAME.partial`: `lock`, `journal`, and the directory `set`,
//! which is renamed to `NAME` in one step when it is finished. Invariants:
//!
//! * Only the process that holds the lock touches anything in `NAME.partial`. The system gives a
//!   lock back when its process ends, however it ends, so nothing is left to be removed by hand.
//! * The lock is on the file that `NAME.partial/lock` is now: whoever locks one that was removed
//!   meanwhile sees that and tries again.
//! * At every moment `NAME` is what it was before, or the finished new one. (Where a system cannot
//!   exchange two directories there is a moment without either when one is replaced; what was there
//!   then lies in `NAME.partial/old`, and the next writer puts it back.)

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::manifest::MANIFEST;
use crate::format::fault;
use crate::{Error, Result};

pub const PREFIX: &str = "shard-";
pub const SUFFIX: &str = ".tokens";
const LOCK: &str = "lock";
const SET: &str = "set";
const OLD: &str = "old";

/// The right to write a target; dropping it removes what was made, unless it is to be kept and the
/// journal names a finished shard.
#[derive(Debug)]
pub struct Claim {
    target: PathBuf,
    dir: PathBuf,
    /// Keeps the lock.
    _lock: File,
    /// Whether finished shards stay when this is dropped.
    pub keep: bool,
}

impl Claim {
    /// Claims the target, whose parent directory is made if it is not there.
    pub fn new(target: &Path) -> Result<Self> {
        let target = fs::canonicalize(target)
            .or_else(|_| std::path::absolute(target))
            .map_err(|e| Error::io("create", target, e))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            let limit = "cannot be made; name a new directory";
            return Err(Error::argument("out_dir", target.display(), limit));
        };
        fs::create_dir_all(parent).map_err(|e| Error::io("create", parent, e))?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let dir = parent.join(partial);
        let lock = lock(&dir, &target)?;
        let claim = Self { target, dir, _lock: lock, keep: false };
        claim.recover()?;
        Ok(claim)
    }

    /// What is written.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is made.
    pub fn set(&self) -> PathBuf {
        self.dir.join(SET)
    }

    /// Where its journal is.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// Removes what an earlier run left.
    pub fn clean(&self) -> Result<()> {
        let journal = self.journal();
        remove(&journal).map_err(|e| Error::io("remove", &journal, e))?;
        remove(&self.set()).map_err(|e| Error::io("remove", &self.set(), e))
    }

    /// Puts back what a run that was ended in the wrong moment had put aside.
    fn recover(&self) -> Result<()> {
        let old = self.dir.join(OLD);
        if old.exists() && !self.target.exists() {
            fs::rename(&old, &self.target).map_err(|e| Error::io("write", &self.target, e))?;
        }
        remove(&old).map_err(|e| Error::io("remove", &old, e))
    }

    /// Puts the finished set in its place, and what was there away.
    pub fn place(&self, overwrite: bool) -> Result<()> {
        check_free(&self.target, overwrite)?;
        let set = self.set();
        // An empty directory gives way. One that has been filled since the check does not: without
        // `overwrite`, the rename below is then refused.
        let _ = fs::remove_dir(&self.target);
        let placed = if overwrite && self.target.exists() {
            exchange(&set, &self.target).or_else(|_| self.replace())
        } else {
            fault::point(&set).and_then(|()| fs::rename(&set, &self.target))
        };
        if let Err(e) = placed {
            check_free(&self.target, false)?;
            return Err(Error::io("write", &self.target, e));
        }
        if let Some(Ok(parent)) = self.target.parent().map(File::open) {
            let _ = parent.sync_all(); // the rename lives there; not every system can flush one
        }
        Ok(())
    }

    fn replace(&self) -> std::io::Result<()> {
        let (old, set) = (self.dir.join(OLD), self.set());
        fault::point(&old).and_then(|()| fs::rename(&self.target, &old))?;
        fault::point(&set)
            .and_then(|()| fs::rename(&set, &self.target))
            .inspect_err(|_| drop(fs::rename(&old, &self.target)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The first line of a journal is its heading.
        let lines = |journal: Vec<u8>| journal.split(|&b| b == b'\n').count();
        let finished = fs::read(self.journal()).map_or(0, lines) > 2;
        if !(self.keep && finished) {
            let _ = self.clean();
            let _ = remove(&self.dir.join(OLD));
            let _ = fs::remove_file(self.dir.join(LOCK));
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// Removes a file or a directory, if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    removed.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// Makes the directory `dir` and locks its lock file, in which it writes the process's number.
fn lock(dir: &Path, target: &Path) -> Result<File> {
    let failed = |e| Error::io("create", dir, e);
    loop {
        match fault::point(dir).and_then(|()| fs::create_dir(dir)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => (),
        }
        let path = dir.join(LOCK);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = match opened {
            // Its last owner has removed the directory since.
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            opened => opened.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let owner = match owner.trim() {
                    "" => "another process".to_owned(),
                    id => format!("process {id}"),
                };
                let limit = format!("{owner} is writing it; wait for it or name another directory");
                return Err(Error::argument("out_dir", target.display(), limit));
            }
            // A file system without locks: what follows is still safe against crashes.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => (),
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
        }
        if !is_still(&file, &path) {
            continue;
        }
        let written = fault::point(&path)
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        return match written {
            Ok(()) => Ok(file),
            Err(e) => {
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir(dir); // stays if an earlier run left shards
                Err(Error::io("write", &path, e))
            }
        };
    }
}

/// Whether an open file is the one that has this name now.
fn is_still(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |found: std::io::Result<fs::Metadata>| found.map(|m| (m.dev(), m.ino())).ok();
        id(file.metadata()).is_some_and(|open| id(fs::metadata(path)) == Some(open))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists() // an open file cannot be removed there
    }
}

/// Exchanges two directories in one step.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn exchange(one: &Path, other: &Path) -> std::io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    fault::point(one)?;
    let one = CString::new(one.as_os_str().as_bytes())?;
    let other = CString::new(other.as_os_str().as_bytes())?;
    // SAFETY: both are strings that end in NUL and live until the call returns; it keeps nothing.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Fails unless `target` may be written: absent, an empty directory, or with `overwrite` a
/// directory that holds a dataset, or datasets in directories, and nothing else.
pub fn check_free(target: &Path, overwrite: bool) -> Result<()> {
    let taken = |limit: String| Err(Error::argument("out_dir", target.display(), limit));
    match contents(target, true)? {
        Contents::Foreign(name) => {
            taken(format!("holds {name:?}, which is no part of a dataset; name another directory"))
        }
        Contents::Dataset if !overwrite => taken(
            "already holds a dataset; pass overwrite=True (--overwrite) to replace it".to_owned(),
        ),
        _ => Ok(()),
    }
}

enum Contents {
    /// Nothing, or shards that no manifest names.
    Unfinished,
    Dataset,
    Foreign(String),
}

fn contents(dir: &Path, splits: bool) -> Result<Contents> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Contents::Unfinished),
        Err(e) => return Err(Error::io("write to", dir, e)),
        Ok(entries) => entries,
    };
    let mut found = Contents::Unfinished;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read", dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == MANIFEST {
            found = Contents::Dataset;
        } else if splits && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            match contents(&entry.path(), false)? {
                Contents::Dataset => found = Contents::Dataset,
                _ => return Ok(Contents::Foreign(name)),
            }
        } else if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            return Ok(Contents::Foreign(name));
        }
    }
    Ok(found)
}
