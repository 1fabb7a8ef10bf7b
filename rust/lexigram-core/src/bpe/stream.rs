//! Text larger than memory: files read in chunks, checked as UTF-8, cut where the caller allows; and
//! ids of a text that arrives in parts.

mod encoder;
mod normalize;
mod split;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use self::encoder::StreamEncoder;
use crate::{Error, Result};

/// What to do with bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Fail.
    Strict,
    /// Put U+FFFD for each longest invalid sequence, as Python does.
    Replace,
    /// Leave them out.
    Skip,
}

impl OnError {
    /// By its name in the interface.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "strict" => Ok(Self::Strict),
            "replace" => Ok(Self::Replace),
            "skip" => Ok(Self::Skip),
            _ => {
                let limit = "it must be \"strict\", \"replace\" or \"skip\"";
                Err(Error::argument("errors", format!("{name:?}"), limit))
            }
        }
    }

    /// Bytes as text; `source_name` is named in the error.
    pub fn decode(self, bytes: &[u8], source_name: &str) -> Result<String> {
        let mut text = String::with_capacity(bytes.len());
        let rest = self.decode_part(bytes, &mut text, source_name, 0)?;
        self.finish(&bytes[rest..], &mut text, source_name, rest as u64)?;
        Ok(text)
    }

    /// Appends what is complete of `bytes` to `text`; returns where an unfinished character begins.
    fn decode_part(self, bytes: &[u8], text: &mut String, name: &str, base: u64) -> Result<usize> {
        let mut at = 0;
        loop {
            let error = match std::str::from_utf8(&bytes[at..]) {
                Ok(valid) => {
                    text.push_str(valid);
                    return Ok(bytes.len());
                }
                Err(error) => error,
            };
            let end = at + error.valid_up_to();
            text.push_str(std::str::from_utf8(&bytes[at..end]).unwrap_or_default());
            let Some(length) = error.error_len() else { return Ok(end) };
            self.invalid(text, name, base + end as u64)?;
            at = end + length;
        }
    }

    /// An unfinished character at the end of the source.
    fn finish(self, rest: &[u8], text: &mut String, name: &str, base: u64) -> Result<()> {
        if rest.is_empty() { Ok(()) } else { self.invalid(text, name, base) }
    }

    fn invalid(self, text: &mut String, name: &str, offset: u64) -> Result<()> {
        match self {
            Self::Strict => return Err(Error::Utf8 { source_name: name.to_owned(), offset }),
            Self::Replace => text.push(char::REPLACEMENT_CHARACTER),
            Self::Skip => {}
        }
        Ok(())
    }
}

/// Reads a file in chunks.
pub struct TextReader {
    file: File,
    path: PathBuf,
    on_error: OnError,
    chunk: usize,
    raw: Vec<u8>,
    text: String,
    offset: u64,
    size: u64,
    ended: bool,
}

impl TextReader {
    /// Opens a file that is read in chunks of about `chunk` bytes.
    pub fn open(path: &Path, on_error: OnError, chunk: usize) -> Result<Self> {
        let fail = |e| Error::io("read", path, e);
        let file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        Ok(Self {
            file,
            path: path.to_path_buf(),
            on_error,
            chunk: chunk.max(1),
            raw: Vec::new(),
            text: String::new(),
            offset: 0,
            size,
            ended: false,
        })
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.offset + self.raw.len() as u64
    }

    /// The file's size when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next part of the text, which ends where `cut` says (0: nowhere yet) or at the end of the
    /// file. `None` at the end. While there is no place to cut, the part grows.
    pub fn next(&mut self, cut: impl Fn(&str) -> Result<usize>) -> Result<Option<String>> {
        while !self.ended {
            self.read()?;
            let at = if self.ended { 0 } else { cut(&self.text)? };
            if at > 0 {
                let rest = self.text.split_off(at);
                return Ok(Some(std::mem::replace(&mut self.text, rest)));
            }
        }
        Ok(if self.text.is_empty() { None } else { Some(std::mem::take(&mut self.text)) })
    }

    fn read(&mut self) -> Result<()> {
        // As much again as waits already, so that looking for a cut stays linear.
        let wanted = self.chunk.max(self.text.len()) as u64;
        let read = (&mut self.file).take(wanted).read_to_end(&mut self.raw);
        let read = read.map_err(|e| Error::io("read", &self.path, e))?;
        let name = self.path.display().to_string();
        let done = self.on_error.decode_part(&self.raw, &mut self.text, &name, self.offset)?;
        self.raw.drain(..done);
        self.offset += done as u64;
        if (read as u64) < wanted {
            self.ended = true;
            self.on_error.finish(&self.raw, &mut self.text, &name, self.offset)?;
        }
        Ok(())
    }
}
