//! Vocabulary files of tiktoken (`.tiktoken`) and GPT-2 (`encoder.json`, `vocab.bpe`).
//!
//! A `.tiktoken` file has one token a line: its bytes in base64, a space, its rank, which is also
//! its id. Special tokens and the pattern are not in it. `encoder.json` maps tokens, written in
//! the byte alphabet, to ids; `vocab.bpe` lists merges in the order of their ranks.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::added::AddedToken;
use super::alphabet;
use super::batch::{default_threads, in_order};
use super::compiled::{Compiled, Digest};
use super::merges::{Merge, Merges};
use super::tables::Tables;
use super::token_index::Filling;
use super::tokenizer::{Parts, Tokenizer};
use crate::{Error, Result};

const TIKTOKEN: &str = ".tiktoken";

/// A thread reads about as many bytes, if there are so many.
const PART: usize = 1 << 18;

/// Reads a `.tiktoken` file.
pub fn read_tiktoken(
    path: &Path,
    pattern: Option<&str>,
    special: Vec<AddedToken>,
) -> Result<Tokenizer> {
    read_tiktoken_with(path, pattern, special, None, 0)
}

/// As [`read_tiktoken`]. In the folder `compiled`, if one is given, the tables are kept, or found if
/// they were kept before. Otherwise they are built on at most so many `threads`; 0 means one a core.
pub fn read_tiktoken_with(
    path: &Path,
    pattern: Option<&str>,
    special: Vec<AddedToken>,
    compiled: Option<&Path>,
    threads: usize,
) -> Result<Tokenizer> {
    let threads = if threads == 0 { default_threads() } else { threads };
    let io = |e| Error::io("read", path, e);
    let place = |folder, content| Compiled::new(folder, TIKTOKEN, content, &special);
    let kept = match compiled {
        Some(folder) => place(folder, Digest::of_file(path).map_err(io)?).read(&special),
        None => None,
    };
    let tables = match kept {
        Some(tables) => Ok(tables),
        None => {
            let bytes = std::fs::read(path).map_err(io)?;
            let tables = tables_of_ranks(&bytes, path, &special, threads);
            if let (Ok(tables), Some(folder)) = (&tables, compiled) {
                place(folder, Digest::of(&bytes)).write(tables);
            }
            tables
        }
    };
    let pattern = pattern.map(str::to_owned);
    let parts = Parts { added: special, pattern, whole_pieces: true, ..Parts::default() };
    let tokenizer = tables.and_then(|tables| Tokenizer::with_tables(parts, tables));
    tokenizer.map_err(|error| in_file(path, TIKTOKEN, error))
}

/// The tables of a `.tiktoken` file of this content.
pub(super) fn tables_of_ranks(
    bytes: &[u8],
    path: &Path,
    special: &[AddedToken],
    threads: usize,
) -> Result<Tables> {
    let bad = |number: usize, what: &str| Error::Parse {
        path: path.to_path_buf(),
        format: TIKTOKEN,
        what: format!("line {}: {what}; a line is \"<base64> <rank>\"", number + 1),
    };
    let parts = threads.min(bytes.len().div_ceil(PART));
    // Where a part begins: after the end of a line.
    let start_of = |part: usize| {
        let near = if part < parts { bytes.len() / parts * part } else { bytes.len() };
        let ends = |&at: &usize| at == 0 || bytes[at - 1] == b'\n';
        (near..bytes.len()).find(ends).unwrap_or(bytes.len())
    };
    let parsed = in_order(parts, threads, |part| {
        let start = start_of(part);
        let lines = &bytes[start..start_of(part + 1)];
        Ranks::parse(lines).map_err(|(number, what)| {
            let before = bytes[..start].iter().filter(|&&byte| byte == b'\n').count();
            bad(before + number, what)
        })
    })?;
    if parsed.iter().all(|ranks| ranks.ends.is_empty()) {
        return Err(bad(0, "the file is empty"));
    }
    Tables::new(parsed.iter().flat_map(Ranks::tokens), &[], special, None, threads)
}

/// Some lines of a `.tiktoken` file.
struct Ranks {
    /// All tokens one after the other.
    joined: Vec<u8>,
    /// Of each token its rank and where it ends.
    ends: Vec<(u32, usize)>,
}

impl Ranks {
    /// The lines, or the number of the first that is none, from 0, and why.
    fn parse(lines: &[u8]) -> std::result::Result<Self, (usize, &'static str)> {
        let mut joined = Vec::with_capacity(lines.len() / 2);
        let mut ends = Vec::with_capacity(lines.len() / 16);
        for (number, line) in lines.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            // The rank is the shorter part.
            let space = line.iter().rposition(u8::is_ascii_whitespace);
            let space = space.ok_or((number, "there is no space"))?;
            from_base64(line[..space].trim_ascii_end(), &mut joined)
                .ok_or((number, "the token is not base64"))?;
            let rank = std::str::from_utf8(&line[space + 1..]).ok();
            let rank = rank.and_then(|rank| rank.parse().ok());
            ends.push((rank.ok_or((number, "the rank is not a number"))?, joined.len()));
        }
        Ok(Self { joined, ends })
    }

    /// The tokens with their ranks.
    fn tokens(&self) -> impl Iterator<Item = (u32, &[u8])> + Clone {
        self.ends.iter().scan(0, |start, &(rank, end)| {
            let token = &self.joined[*start..end];
            *start = end;
            Some((rank, token))
        })
    }
}

/// The `.tiktoken` file of a tokenizer, or an error if one could not say the same.
pub fn write_tiktoken(tokenizer: &Tokenizer) -> Result<Vec<u8>> {
    let refuse = |what: &str| {
        let limit = "a .tiktoken file cannot express that; use save() for a tokenizer.json";
        Err(Error::argument("tokenizer", what, limit))
    };
    if !tokenizer.keeps_text() {
        return refuse("it normalizes text, or removes from it or adds to it");
    }
    if tokenizer.steps().is_some() {
        return refuse("it cuts text by several steps, not by one pattern");
    }
    if tokenizer.added().iter().any(|token| !token.special) {
        return refuse("it has added tokens that are not special");
    }
    let vocabulary = tokenizer.vocabulary();
    let ordinary = || vocabulary.iter().filter(|(id, token)| vocabulary.id(token) == Some(*id));
    let filling = Filling::new(vocabulary);
    let implied = Merges::from_ranks(vocabulary, tokenizer.byte_ids(), &filling, 1)?;
    if implied != *tokenizer.merges() {
        return refuse("its merges do not follow from the order of its ids");
    }
    if !tokenizer.whole_pieces() && tokenizer.merges().as_slice().len() + 256 != ordinary().count()
    {
        return refuse("it has tokens that no merge makes");
    }
    let mut out = Vec::new();
    for (id, token) in ordinary() {
        to_base64(token, &mut out);
        out.extend_from_slice(format!(" {id}\n").as_bytes());
    }
    Ok(out)
}

/// Reads GPT-2's pair of files. Tokens that are neither bytes nor made by a merge are special.
pub fn read_gpt2(encoder_json: &Path, vocab_bpe: &Path) -> Result<Tokenizer> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e));
    let bad =
        |path: &Path, format, what: String| Error::Parse { path: path.to_path_buf(), format, what };
    let vocab: HashMap<String, u32> = serde_json::from_str(&read(encoder_json)?).map_err(|e| {
        bad(encoder_json, "encoder.json", format!("{e}; it must map tokens to ids"))
    })?;
    let mut merges = Vec::new();
    let text = read(vocab_bpe)?;
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        let fail = |what: &str| bad(vocab_bpe, "vocab.bpe", format!("line {}: {what}", number + 1));
        let (left, right) = line.split_once(' ').ok_or_else(|| fail("there is no space"))?;
        let id = |token: &str| {
            let id = vocab.get(token).copied();
            id.ok_or_else(|| fail(&format!("{token:?} is not in {}", encoder_json.display())))
        };
        merges.push(Merge {
            left: id(left)?,
            right: id(right)?,
            token: id(&format!("{left}{right}"))?,
        });
    }
    let mut parts = Parts { pattern: Some("gpt2".into()), ..Parts::default() };
    let products: HashSet<u32> = merges.iter().map(|merge| merge.token).collect();
    for (text, id) in vocab {
        match alphabet::to_bytes(&text) {
            Some(token) if token.len() == 1 || products.contains(&id) => {
                parts.tokens.push((id, token))
            }
            _ => parts.added.push(AddedToken::special(text, id)),
        }
    }
    parts.merges = Some(merges);
    Tokenizer::new(parts).map_err(|error| in_file(encoder_json, "encoder.json", error))
}

/// Names the file in an error about its content.
pub(super) fn in_file(path: &Path, format: &'static str, error: Error) -> Error {
    match error {
        Error::Argument { .. } => {
            Error::Parse { path: path.to_path_buf(), format, what: error.to_string() }
        }
        other => other,
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let sextet = (word >> (18 - 6 * i)) as usize & 63;
            out.push(if i <= chunk.len() { BASE64[sextet] } else { b'=' });
        }
    }
}

/// Appends what base64 stands for; `None` if it is none.
fn from_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const VALUES: [u8; 256] = {
        let mut values = [64; 256];
        let mut i = 0;
        while i < 64 {
            values[BASE64[i] as usize] = i as u8;
            i += 1;
        }
        values
    };
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let digits = &text[..text.len() - padding];
    let (whole, rest) = digits.as_chunks::<4>();
    let value = |digit: &u8| u32::from(VALUES[*digit as usize]);
    for four in whole {
        let [a, b, c, d] = four;
        let (a, b, c, d) = (value(a), value(b), value(c), value(d));
        if (a | b | c | d) > 63 {
            return None;
        }
        let word = a << 18 | b << 12 | c << 6 | d;
        out.extend_from_slice(&word.to_be_bytes()[1..]);
    }
    match rest {
        [] => {}
        [_] => return None,
        rest => {
            let digits = rest.iter().map(value);
            if digits.clone().any(|digit| digit > 63) {
                return None;
            }
            let word = digits.fold(0, |word, digit| word << 6 | digit) << (6 * (4 - rest.len()));
            out.extend_from_slice(&word.to_be_bytes()[1..rest.len()]);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (bytes, text) in
            [("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("\u{ff}\u{fe}", "w7/Dvg==")]
        {
            let mut out = Vec::new();
            to_base64(bytes.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
            let mut back = Vec::new();
            from_base64(text.as_bytes(), &mut back).unwrap();
            assert_eq!(back, bytes.as_bytes());
        }
        for bad in ["", "YQ", "Y===", "YQ=a", "Y\u{e9}==", "===="] {
            assert_eq!(from_base64(bad.as_bytes(), &mut Vec::new()), None, "{bad}");
        }
    }
}
