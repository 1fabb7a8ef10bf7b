//! What the targets share: files with right checksums made of any bytes, errors that are clear, and
//! seeds.
//!
//! A container file guards itself with checksums, which no mutation gets right. So an input says
//! what a file holds, and the target writes the checksums ([`write`]). Inputs are of two kinds, by
//! their first byte:
//!
//! * even: the rest is the image of a file; its lengths and checksums are set right in place. So
//!   the container's own header and the table of its sections are tried;
//! * odd: sections, each as the number of its tag (u8), its length (u32), the number of bytes that
//!   are given (u16) and these bytes. What is not given repeats the last 64 bytes that are: a file
//!   of a large vocabulary is a short input.

use std::path::{Path, PathBuf};

use lexigram_core::Error;
use lexigram_core::format::{FileWriter, MappedFile};
use xxhash_rust::xxh3::xxh3_64;

/// The longest section of an input of the second kind.
const MOST: usize = 1 << 20;
/// What is not given repeats so many bytes.
const PERIOD: usize = 64;

/// A kind of container file.
pub struct Kind {
    pub kind: [u8; 4],
    pub version: u32,
    pub tags: &'static [&'static str],
    /// Whether the last field of the section `header` is the checksum of those before it.
    pub header_sum: bool,
}

/// A path for the file of one run after the other.
pub fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lexigram-fuzz-{}-{name}", std::process::id()))
}

/// Writes the file that an input describes.
pub fn write(path: &Path, kind: &Kind, input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return std::fs::write(path, input).expect("a temporary file");
    };
    if first % 2 == 1 {
        return write_sections(path, kind, rest);
    }
    let mut image = rest.to_vec();
    seal(&mut image, kind);
    std::fs::write(path, image).expect("a temporary file");
}

fn write_sections(path: &Path, kind: &Kind, mut input: &[u8]) {
    let mut sections: Vec<(&str, Vec<u8>)> = Vec::new();
    while let Some((head, rest)) = input.split_first_chunk::<7>() {
        let tag = kind.tags[usize::from(head[0]) % kind.tags.len()];
        let length = u32::from_le_bytes(head[1..5].try_into().expect("4 bytes")) as usize;
        let given = usize::from(u16::from_le_bytes([head[5], head[6]])).min(rest.len());
        let (given, rest) = rest.split_at(given);
        input = rest;
        let mut bytes = given.to_vec();
        bytes.resize(bytes.len().max(PERIOD), 0);
        while bytes.len() < length.min(MOST) {
            bytes.extend_from_within(bytes.len() - PERIOD..);
        }
        bytes.truncate(length.min(MOST));
        if kind.header_sum && tag == "header" {
            sign(&mut bytes);
        }
        sections.push((tag, bytes));
        if sections.len() == 40 {
            break;
        }
    }
    let file = FileWriter::create(path, kind.kind, kind.version, sections.len());
    let mut file = file.expect("a temporary file").for_cache();
    for (tag, bytes) in sections {
        file.section(tag).expect("a temporary file");
        file.write(&bytes).expect("a temporary file");
    }
    file.finish().expect("a temporary file");
}

/// Puts the checksum of a header's fields into the last of them.
fn sign(header: &mut [u8]) {
    if let Some((fields, sum)) = header.split_last_chunk_mut::<8>() {
        *sum = xxh3_64(fields).to_le_bytes();
    }
}

/// Sets lengths and checksums right where they stand; an image too short for them stays as it is.
fn seal(image: &mut [u8], kind: &Kind) {
    let length = image.len();
    let Some(sections) = image.get(16..20) else { return };
    let sections = u32::from_le_bytes(sections.try_into().expect("4 bytes")) as usize;
    let header = 40 + 32 * sections.min(64);
    let start = (header + 8).next_multiple_of(64);
    // One block of data and its checksum, then that of the checksum.
    let Some(end) = length.checked_sub(16).filter(|&end| end > start) else { return };
    image[24..32].copy_from_slice(&(end as u64).to_le_bytes());
    image[32..40].copy_from_slice(&(length as u64).to_le_bytes());
    if kind.header_sum {
        for entry in (40..header).step_by(32).filter(|&entry| entry + 32 <= length) {
            let field = |at: usize| {
                u64::from_le_bytes(image[entry + at..entry + at + 8].try_into().expect("8 bytes"))
            };
            let (from, bytes) = (field(16) as usize, field(24) as usize);
            let is_header = image[entry..entry + 16].starts_with(b"header\0");
            if let Some(fields) =
                image.get_mut(from..from.saturating_add(bytes)).filter(|_| is_header)
            {
                sign(fields);
                break;
            }
        }
    }
    let sum = xxh3_64(&image[..header]).to_le_bytes();
    image[header..header + 8].copy_from_slice(&sum);
    let block = xxh3_64(&image[start..end]).to_le_bytes();
    image[end..end + 8].copy_from_slice(&block);
    image[end + 8..].copy_from_slice(&xxh3_64(&block).to_le_bytes());
}

/// Both inputs that describe a file.
pub fn inputs_of(path: &Path, kind: &Kind) -> [Vec<u8>; 2] {
    let image = [&[0][..], &std::fs::read(path).expect("a file")].concat();
    let file = MappedFile::open(path, kind.kind, kind.version).expect("a sound file");
    let mut sections = vec![1];
    for (number, tag) in (0u8..).zip(kind.tags) {
        let Ok(bytes) = file.section(tag) else { continue };
        let repeats = |&at: &usize| bytes[at] == bytes[at - PERIOD];
        let end = (PERIOD..bytes.len()).rev().take_while(repeats).last();
        let given = &bytes[..end.unwrap_or(bytes.len())];
        sections.push(number);
        sections.extend((bytes.len() as u32).to_le_bytes());
        sections.extend((given.len() as u16).to_le_bytes());
        sections.extend(given);
    }
    [image, sections]
}

/// Puts an input into the corpus that `run.sh` names, if it is short enough.
pub fn seed(name: &str, input: &[u8]) {
    if let Some(corpus) = std::env::var_os("SEEDS").filter(|_| input.len() <= 6000) {
        std::fs::write(Path::new(&corpus).join(name), input).expect("the corpus");
    }
}

/// An error of one line that is none of ours.
pub fn clear(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 600, "{text}");
    assert!(!matches!(error, Error::Internal(_)), "{text}");
}
