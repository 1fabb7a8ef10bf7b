//! The JSON file that names the parts of a directory, written last: a dataset's `manifest.json`, a
//! suffix index's `index.json`.
//!
//! The last field is `checksum`: xxh3-64, as 16 hexadecimal digits, of all bytes before the line on
//! which it stands. It guards against accidents only; what it seals is checked besides.

use std::path::{Component, Path};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// What a reader expects of a manifest.
pub struct Expected {
    /// What it is called in an error: "a manifest".
    pub name: &'static str,
    /// The field `format`.
    pub format: &'static str,
    /// The field `version`.
    pub version: u32,
    /// The oldest version that is read.
    pub oldest: u32,
}

/// The fields that every manifest has, and what is wrong with the others.
pub trait Manifest: Serialize + DeserializeOwned {
    /// What `format` and `version` must be.
    const EXPECTED: Expected;

    /// Its own `format` and `version`.
    fn kind(&self) -> (&str, u32);

    /// How its fields contradict each other, if they do.
    fn contradiction(&self) -> Option<&'static str>;
}

/// A checksum as a manifest writes it.
pub fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// The file's bytes: indented JSON whose last line but one is the checksum.
pub fn to_bytes(manifest: &impl Manifest) -> Result<Vec<u8>> {
    let mut json =
        serde_json::to_string_pretty(manifest).map_err(|e| Error::Internal(e.to_string()))?;
    json.truncate(json.trim_end_matches('}').trim_end().len());
    json.push_str(",\n");
    let last = last_line(json.as_bytes());
    json.push_str(&last);
    Ok(json.into_bytes())
}

/// Reads the bytes of the file `path`; returns the manifest and its checksum.
pub fn from_bytes<M: Manifest>(bytes: &[u8], path: &Path) -> Result<(M, String)> {
    let Expected { name, format, version, oldest } = M::EXPECTED;
    let parse = |what: String| Error::Parse { path: path.to_path_buf(), format: name, what };
    let length = last_line(b"").len();
    let (before, last) = bytes
        .split_at_checked(bytes.len().wrapping_sub(length))
        .ok_or_else(|| parse(format!("it ends after {} bytes", bytes.len())))?;
    if last != last_line(before).as_bytes() {
        return Err(Error::Corrupt {
            path: path.to_path_buf(),
            offset: 0,
            what: "its content does not match the checksum in its last line".to_owned(),
        });
    }
    let manifest: M = serde_json::from_slice(bytes).map_err(|e| parse(e.to_string()))?;
    let (found_format, found) = manifest.kind();
    if found_format != format {
        return Err(Error::WrongKind {
            path: path.to_path_buf(),
            expected: format.to_owned(),
            found: format!("its format is {found_format:?}"),
        });
    }
    if !(oldest..=version).contains(&found) {
        return Err(Error::Version { path: path.to_path_buf(), found, supported: version });
    }
    match manifest.contradiction() {
        Some(what) => Err(parse(what.to_owned())),
        None => Ok((manifest, hex(xxh3_64(before)))),
    }
}

/// Whether a name is that of a file in the directory: one with a separator in it could lead out.
pub fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// The end of the file whose earlier bytes are `before`.
fn last_line(before: &[u8]) -> String {
    format!("  \"checksum\": \"{}\"\n}}\n", hex(xxh3_64(before)))
}
