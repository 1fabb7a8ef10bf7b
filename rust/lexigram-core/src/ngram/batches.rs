//! Text files of any size, read in batches of whole lines.
//!
//! Invariant: the batches of a file, put together, are the file, and each ends with a line feed
//! (the last one gets it if it lacks one). A file that begins like gzip is decompressed. A line is
//! in memory as a whole, so its length has a limit.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::progress::Progress;
use crate::{Error, Result};

/// About how much text is read at a time.
const BATCH: usize = 1 << 24;

/// About how much of it one thread works on at a time.
pub(super) const PIECE: usize = 1 << 18;

/// The longest line, in bytes without its line feed: a line is in memory as a whole.
const LONGEST_LINE: usize = 1 << 28;

/// Calls `work(path, batch)` for all batches of all files. Progress is in bytes of the files.
pub(super) fn read_batches(
    paths: &[PathBuf],
    progress: &dyn Progress,
    work: impl FnMut(&Path, &[u8]) -> Result<()>,
) -> Result<()> {
    read_within(paths, LONGEST_LINE, progress, work)
}

/// The same with lines of at most `longest` bytes, which are no fewer than a batch.
fn read_within(
    paths: &[PathBuf],
    longest: usize,
    progress: &dyn Progress,
    mut work: impl FnMut(&Path, &[u8]) -> Result<()>,
) -> Result<()> {
    let length = |path: &PathBuf| match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let source = std::io::ErrorKind::IsADirectory.into();
            Err(Error::io("read", path, source))
        }
        Ok(metadata) => Ok(metadata.len()),
        Err(e) => Err(Error::io("read", path, e)),
    };
    let lengths = paths.iter().map(length).collect::<Result<Vec<u64>>>()?;
    let (mut before, total) = (0, lengths.iter().sum());
    let mut buffer = Vec::new();
    for (path, length) in paths.iter().zip(lengths) {
        let failed = |e| Error::io("read", path, e);
        let mut file = File::open(path).map_err(failed)?;
        // A second handle shares the first one's place in the file.
        let mut place = file.try_clone().map_err(failed)?;
        let mut magic = [0; 2];
        let zipped = file.read(&mut magic).map_err(failed)? == 2 && magic == [0x1f, 0x8b];
        file.rewind().map_err(failed)?;
        let mut reader: Box<dyn Read> = match zipped {
            true => Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))),
            false => Box::new(file),
        };
        buffer.clear();
        let mut lines_before = 0;
        loop {
            // What is there already is the begin of a line.
            let had = buffer.len();
            let room = BATCH.saturating_sub(had).max(BATCH / 2) as u64;
            reader.by_ref().take(room).read_to_end(&mut buffer).map_err(failed)?;
            let ended = ((buffer.len() - had) as u64) < room;
            if ended && buffer.last().is_some_and(|&last| last != b'\n') {
                buffer.push(b'\n');
            }
            let new = &buffer[had..];
            let feed = |byte: &u8| *byte == b'\n';
            // Only the first line can be longer than what is read at a time.
            if had + new.iter().position(feed).unwrap_or(new.len()) > longest {
                return Err(line_too_long(path, lines_before + 1, longest));
            }
            if let Some(last) = new.iter().rposition(feed) {
                lines_before += new.iter().filter(|byte| feed(byte)).count();
                work(path, &buffer[..=had + last])?;
                buffer.drain(..=had + last);
            }
            let done = place.stream_position().map_err(failed)?.min(length);
            progress.report(before + done, total)?;
            if ended {
                break;
            }
        }
        before += length;
    }
    Ok(())
}

fn line_too_long(path: &Path, line: usize, longest: usize) -> Error {
    let what = format!(
        "line {line} has more than {longest} bytes, the limit; is it a text with line feeds?"
    );
    Error::Parse { path: path.to_path_buf(), format: "text", what }
}

/// Cuts whole lines into pieces of whole lines.
pub(super) fn cut(mut lines: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(lines.len() / PIECE + 1);
    while lines.len() > PIECE {
        let end = lines[PIECE..].iter().position(|&byte| byte == b'\n');
        let (piece, rest) = lines.split_at(end.map_or(lines.len(), |at| PIECE + at + 1));
        pieces.push(piece);
        lines = rest;
    }
    if !lines.is_empty() {
        pieces.push(lines);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::progress::Silent;

    fn read(path: &Path) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        read_batches(&[path.to_path_buf()], &Silent, |_, batch| {
            assert!(batch.ends_with(b"\n"));
            let pieces = cut(batch);
            assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
            all.extend(pieces.concat());
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn batches_are_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        let long: Vec<u8> =
            (0..3_000_000u32).flat_map(|i| format!("{i} {}\n", i % 7).into_bytes()).collect();
        let one_line = vec![b'x'; 40_000_000];
        for text in [&b""[..], b"\n", b"a", b"a\n\nb", &long, &one_line] {
            std::fs::write(&path, text).unwrap();
            let mut expected = text.to_vec();
            if expected.last().is_some_and(|&byte| byte != b'\n') {
                expected.push(b'\n');
            }
            assert!(read(&path).unwrap() == expected);
        }
        let half = long.len() / 2;
        let mut zipped = Vec::new();
        for part in [&long[..half], &long[half..]] {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(part).unwrap();
            zipped.extend(out.finish().unwrap());
        }
        std::fs::write(&path, &zipped).unwrap();
        assert!(read(&path).unwrap() == long);
        std::fs::write(&path, &zipped[..zipped.len() - 9]).unwrap();
        assert!(read(&path).is_err());
        assert!(read(dir.path()).is_err());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        let longest = 2 * BATCH + 5;
        for (length, more) in [(longest, &b"\nb\n"[..]), (longest, b""), (longest, b"\n")] {
            for over in [0, 1] {
                let text = [b"a\n\n", &vec![b'x'; length + over][..], more].concat();
                std::fs::write(&path, &text).unwrap();
                let mut seen = 0;
                let paths = [path.clone()];
                let result = read_within(&paths, longest, &Silent, |_, batch| {
                    seen += batch.len();
                    Ok(())
                });
                match over {
                    0 => {
                        result.unwrap();
                        assert!(seen >= text.len());
                    }
                    _ => {
                        let error = result.unwrap_err().to_string();
                        let expected = format!("line 3 has more than {longest} bytes");
                        assert!(error.contains(&expected), "{error}");
                    }
                }
            }
        }
    }
}
