//! A text as a stream of word ids, as lmplz reads it.
//!
//! A line is a sentence, an empty one too; words are what white space separates; each sentence
//! ends with the separator. Words are numbered by first appearance: each thread numbers what is
//! new in its piece of the text, and the pieces' new words are entered one piece after the other,
//! so that the number of threads changes nothing.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::batches::{cut, read_batches};
use super::words::{SENTENCE_END, UNKNOWN, Words, split};
use super::work::Threads;
use super::{MAX_VOCAB_SIZE, Model, Options, Smoothing};
use crate::progress::Progress;
use crate::{Error, Result};

/// Marks an id as that of a word that is new in its piece.
const NEW: u32 = 1 << 31;

/// How a text is read.
#[derive(Clone, Debug, Default)]
pub struct TextOptions {
    /// Reads `<s>`, `</s>`, `<unk>` and `<UNK>` in the text as white space; else they are errors.
    pub skip_symbols: bool,
    /// A word that occurs less often is `<unk>`.
    pub min_count: u32,
}

/// What one piece of the text holds.
struct Piece {
    ids: Vec<u32>,
    new: Words,
    lines: usize,
    /// The first marker that stands in it as a word, and its line.
    marker: Option<(usize, String)>,
}

fn read_piece(text: &[u8], known: &Words, options: &TextOptions) -> Piece {
    let mut piece = Piece {
        ids: Vec::with_capacity(text.len() / 4),
        new: Words::default(),
        lines: 0,
        marker: None,
    };
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        for word in split(line) {
            let id = known.find(word).unwrap_or_else(|| match word {
                b"<s>" => SENTENCE_END,
                // Readers of ARPA files take it for <unk>, ours too.
                b"<UNK>" => UNKNOWN,
                _ => piece.new.insert(word) | NEW,
            });
            if id > SENTENCE_END {
                piece.ids.push(id);
            } else if !options.skip_symbols && piece.marker.is_none() {
                let word = String::from_utf8_lossy(word).into_owned();
                piece.marker = Some((piece.lines, word));
            }
        }
        piece.ids.push(SENTENCE_END);
        piece.lines += 1;
    }
    piece
}

/// Reads files one after the other; returns their words and ids.
fn read_corpus(
    paths: &[PathBuf],
    options: &TextOptions,
    threads: &Threads,
    progress: &dyn Progress,
) -> Result<(Words, Vec<u32>)> {
    let mut words = Words::of_model();
    let mut tokens = Vec::new();
    let mut place: (PathBuf, usize) = Default::default();
    read_batches(paths, progress, |path, batch| {
        if place.0 != path {
            place = (path.to_path_buf(), 1);
        }
        let read = || cut(batch).into_par_iter().map(|text| read_piece(text, &words, options));
        let pieces: Vec<Piece> = threads.run(|| read().collect());
        for piece in pieces {
            if let Some((line, marker)) = piece.marker {
                return Err(marker_in_text(path, place.1 + line, &marker));
            }
            place.1 += piece.lines;
            let new: Vec<u32> = piece.new.iter().map(|word| words.insert(word)).collect();
            let known = |id: u32| if id & NEW == 0 { id } else { new[(id - NEW) as usize] };
            tokens.extend(piece.ids.into_iter().map(known));
        }
        if words.len() > MAX_VOCAB_SIZE && options.min_count <= 1 {
            return Err(too_many_words(words.len()));
        }
        Ok(())
    })?;
    if tokens.is_empty() {
        let what = "the training text".to_owned();
        return Err(Error::Empty { what, remedy: "give a file with at least one line" });
    }
    if options.min_count > 1 {
        words = drop_rare(&words, &mut tokens, options.min_count);
    }
    if words.len() > MAX_VOCAB_SIZE {
        return Err(too_many_words(words.len()));
    }
    Ok((words, tokens))
}

fn marker_in_text(path: &Path, line: usize, marker: &str) -> Error {
    let what = format!(
        "line {line} has the word {marker}, which a word model keeps for itself; take it out, or \
         pass skip_symbols=True to read it as white space"
    );
    Error::Parse { path: path.to_path_buf(), format: "training text", what }
}

fn too_many_words(number: usize) -> Error {
    let limit = format!("a model has at most {MAX_VOCAB_SIZE}; raise min_count");
    Error::argument("number of different words", number, limit)
}

/// Makes words that occur less than `least` times `<unk>`; the others close up.
fn drop_rare(words: &Words, tokens: &mut [u32], least: u32) -> Words {
    let mut counts = vec![0u32; words.len()];
    for &id in tokens.iter() {
        counts[id as usize] = counts[id as usize].saturating_add(1);
    }
    let mut kept = Words::of_model();
    let numbered = (0..).zip(words.iter()).zip(counts);
    let new: Vec<u32> = numbered
        .map(|((id, word), count)| match id <= SENTENCE_END || count >= least {
            true => kept.insert(word),
            false => UNKNOWN,
        })
        .collect();
    for id in tokens.iter_mut() {
        *id = new[*id as usize];
    }
    kept
}

/// The last n-gram in suffix order: that with the highest last id, among those the one with the
/// highest id before it, and so on; shorter than `order` where it begins with the separator.
fn last_in_suffix_order(tokens: &[u32], order: usize) -> Vec<u32> {
    let left = |place: usize| match place {
        0 => SENTENCE_END,
        _ => tokens[place - 1],
    };
    let highest = tokens.iter().copied().max().unwrap_or(SENTENCE_END);
    let mut places: Vec<usize> = (0..tokens.len()).filter(|&i| tokens[i] == highest).collect();
    let mut ngram = vec![highest];
    while ngram.len() < order && (ngram.len() == 1 || ngram[ngram.len() - 1] != SENTENCE_END) {
        let back = ngram.len() - 1;
        let Some(next) = places.iter().map(|&place| left(place - back)).max() else { break };
        places.retain(|&place| left(place - back) == next);
        ngram.push(next);
    }
    ngram.reverse();
    ngram
}

impl Model {
    /// Trains a word model on text files. `options` is read but for its vocabulary, separator and
    /// `raw_suffixes`, which the text gives; `kenlm_compatible` counts as lmplz does (see
    /// [`Options::raw_suffixes`]). Progress is first in bytes read, then as [`Model::train`].
    pub fn train_words(
        paths: &[PathBuf],
        text: &TextOptions,
        kenlm_compatible: bool,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut options = options.clone();
        options.vocab_size = 2;
        options.document_separator = Some(SENTENCE_END);
        options.check()?;
        let threads = Threads::new(options.num_threads)?;
        let (words, tokens) = read_corpus(paths, text, &threads, progress)?;
        options.vocab_size = words.len();
        if kenlm_compatible && options.smoothing == Smoothing::ModifiedKneserNey {
            options.raw_suffixes = last_in_suffix_order(&tokens, options.order);
        }
        let mut model = Self::train(&tokens, &options, progress)?;
        model.set_words(words);
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;

    fn read(text: &[u8], options: &TextOptions, threads: usize) -> Result<(Vec<String>, Vec<u32>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, text).unwrap();
        let threads = Threads::new(Some(threads))?;
        let (words, tokens) = read_corpus(&[path], options, &threads, &Silent)?;
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        Ok((words.iter().map(text).collect(), tokens))
    }

    #[test]
    fn lines_are_sentences() {
        let (words, tokens) = read(b"b  a\r\n\n\0b\tc", &TextOptions::default(), 1).unwrap();
        assert_eq!(words, ["<unk>", "</s>", "b", "a", "c"]);
        assert_eq!(tokens, [2, 3, 1, 1, 2, 4, 1]);
        let rare = TextOptions { min_count: 2, ..TextOptions::default() };
        let (words, tokens) = read(b"a b a\nb c\n", &rare, 1).unwrap();
        assert_eq!(words, ["<unk>", "</s>", "a", "b"]);
        assert_eq!(tokens, [2, 3, 2, 1, 3, 0, 1]);
    }

    #[test]
    fn markers_are_named_or_skipped() {
        for marker in ["<s>", "</s>", "<unk>", "<UNK>"] {
            let text = format!("a\nb\n{marker} c\n");
            let error = read(text.as_bytes(), &TextOptions::default(), 1).unwrap_err().to_string();
            assert!(error.contains(&format!("line 3 has the word {marker}")), "{error}");
            let skip = TextOptions { skip_symbols: true, ..TextOptions::default() };
            assert_eq!(read(text.as_bytes(), &skip, 1).unwrap().1, [2, 1, 3, 1, 4, 1]);
        }
        assert!(read(b"", &TextOptions::default(), 1).is_err());
    }

    #[test]
    fn threads_and_pieces_change_nothing() {
        let mut state = 1u64;
        let mut text = Vec::new();
        for i in 0..400_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
            let word = (state >> 33) % (1 + i / 10);
            let end = if state.is_multiple_of(11) { '\n' } else { ' ' };
            text.extend(format!("w{word}{end}").into_bytes());
        }
        let mut naive = vec!["<unk>".to_owned(), "</s>".to_owned()];
        let mut ids = std::collections::HashMap::new();
        let mut expected = Vec::new();
        for line in String::from_utf8(text.clone()).unwrap().lines() {
            for word in line.split(' ').filter(|word| !word.is_empty()) {
                expected.push(*ids.entry(word.to_owned()).or_insert_with(|| {
                    naive.push(word.to_owned());
                    naive.len() as u32 - 1
                }));
            }
            expected.push(1);
        }
        for threads in [1, 3] {
            let (words, tokens) = read(&text, &TextOptions::default(), threads).unwrap();
            assert!(words == naive && tokens == expected);
        }
    }

    proptest! {
        #[test]
        fn the_last_ngram_is_the_greatest(
            mut tokens in prop::collection::vec(1u32..5, 0..40), order in 1usize..5
        ) {
            tokens.push(SENTENCE_END);
            let padded = [&vec![SENTENCE_END; order][..], &tokens].concat();
            let windows = (order..padded.len()).map(|last| {
                let window = &padded[last + 1 - order..=last];
                // What stands before the last separator of the context is another sentence.
                let begin = window[..order - 1].iter().rposition(|&id| id == SENTENCE_END);
                let mut key: Vec<u32> = window[begin.unwrap_or(0)..].to_vec();
                key.reverse();
                key
            });
            let mut greatest = windows.max().unwrap();
            greatest.reverse();
            prop_assert_eq!(last_in_suffix_order(&tokens, order), greatest);
        }
    }
}
