//! Text files of any size, read in batches of whole lines.
//!
//! Invariant: the batches of a file, put together, are the file, and each ends with a line feed
//! (the last one gets it if it lacks one). A file that begins like gzip is decompressed.

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

/// Calls `work(path, batch)` for all batches of all files. Progress is in bytes of the files.
pub(super) fn read_batches(
    paths: &[PathBuf],
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
        loop {
            let had = buffer.len();
            let room = BATCH.saturating_sub(had).max(BATCH / 2) as u64;
            reader.by_ref().take(room).read_to_end(&mut buffer).map_err(failed)?;
            let ended = ((buffer.len() - had) as u64) < room;
            if ended && buffer.last().is_some_and(|&last| last != b'\n') {
                buffer.push(b'\n');
            }
            let end = buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            if end > 0 {
                work(path, &buffer[..end])?;
                buffer.drain(..end);
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
}
