//! From an ARPA file to a model.
//!
//! Read in batches of whole lines. What stands between section lines is parsed in parallel: a
//! piece ends early where a section line begins, and what was parsed beyond it is thrown away.
//! Nothing is reserved on the word of the header; its counts are compared when a section ends.
//! Every refusal names the line.

use std::path::Path;

use rayon::prelude::*;

use super::super::batches::{cut, read_batches};
use super::super::model::{Description, Model};
use super::super::words::{SENTENCE_END, UNKNOWN, Words};
use super::super::{MAX_ORDER, MAX_VOCAB_SIZE, Smoothing};
use super::section::{Entry, Fault, Piece, Section, shown};
use super::trie::{self, Grams};
use super::{BEGIN, END, NOTHING};
use crate::progress::Progress;
use crate::{Error, Result};

impl Model {
    /// Reads an ARPA file, plain or gzip: a word model, and notes on what was not as expected.
    /// Progress is in bytes of the file.
    pub fn from_arpa(path: &Path, progress: &dyn Progress) -> Result<(Self, Vec<String>)> {
        let mut file = ArpaFile::new();
        let refuse = |(line, what): Fault| {
            let what = format!("line {line}: {what}");
            Error::Parse { path: path.to_path_buf(), format: "an ARPA file", what }
        };
        read_batches(&[path.to_path_buf()], progress, |_, text| file.read(text).map_err(refuse))?;
        file.model().map_err(refuse)
    }
}

enum State {
    Preamble,
    Header,
    /// Inside the n-grams of this order.
    Section(usize),
    End,
}

/// What was read of a file.
struct ArpaFile {
    state: State,
    /// The number of the next line.
    line: u64,
    /// What the header says: the number of n-grams of each order, and where it says so.
    declared: Vec<(u64, u64)>,
    words: Words,
    /// The section of order 1 has the ids in place of the n-grams' order.
    sections: Vec<Section>,
    has_begin: bool,
    has_end: bool,
    has_unknown: bool,
}

impl ArpaFile {
    fn new() -> Self {
        Self {
            state: State::Preamble,
            line: 1,
            declared: Vec::new(),
            words: Words::of_model(),
            sections: Vec::new(),
            has_begin: false,
            has_end: false,
            has_unknown: false,
        }
    }

    fn read(&mut self, mut text: &[u8]) -> Result<(), Fault> {
        while !text.is_empty() {
            if let State::Section(order) = self.state
                && text[0] != b'\\'
            {
                let used = match order {
                    1 => self.unigrams(text)?,
                    _ => self.ngrams(order, text)?,
                };
                text = &text[used..];
                continue;
            }
            let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
            self.structure(text[..end].trim_ascii()).map_err(|what| (self.line, what))?;
            self.line += 1;
            text = &text[end..];
        }
        Ok(())
    }

    /// A line that is no n-gram.
    fn structure(&mut self, line: &[u8]) -> Result<(), String> {
        match self.state {
            State::Preamble if line == b"\\data\\" => self.state = State::Header,
            State::Preamble => {}
            State::End if !line.is_empty() => {
                return Err("text after \\end\\; take it out".into());
            }
            _ if line.is_empty() => {}
            State::End => {}
            State::Header if line[0] != b'\\' => return self.count(line),
            State::Header => self.next_section(0, line)?,
            State::Section(order) => {
                self.end_section(order)?;
                self.next_section(order, line)?;
            }
        }
        Ok(())
    }

    /// `ngram K=NUMBER`.
    fn count(&mut self, line: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(line);
        let sides = text.strip_prefix("ngram").and_then(|rest| rest.split_once('='));
        let numbers = sides.and_then(|(order, number)| {
            Some((order.trim().parse::<u64>().ok()?, number.trim().parse::<u64>().ok()?))
        });
        let Some((order, number)) = numbers else {
            return Err(format!("{} is no \"ngram ORDER=NUMBER\"", shown(line)));
        };
        let next = self.declared.len() as u64 + 1;
        if order != next {
            return Err(format!("the header counts order {order} where order {next} is due"));
        }
        if order > MAX_ORDER as u64 {
            return Err(format!("order {order} is above {MAX_ORDER}, the highest a model has"));
        }
        self.declared.push((number, self.line));
        Ok(())
    }

    fn next_section(&mut self, order: usize, line: &[u8]) -> Result<(), String> {
        let highest = self.declared.len();
        if highest == 0 {
            return Err("the header counts no n-grams".into());
        }
        let next = order + 1;
        if line == b"\\end\\" && order == highest {
            self.state = State::End;
        } else if next <= highest && line == format!("\\{next}-grams:").as_bytes() {
            self.sections.push(Section::new(next, self.line + 1));
            self.state = State::Section(next);
            if next == 1 {
                let grams = &mut self.sections[0].grams;
                grams.logprobs = vec![NOTHING; 2];
                grams.backoffs = vec![0.0; 2];
            }
        } else {
            let due = match order == highest {
                true => "\\end\\".into(),
                false => format!("\\{next}-grams:"),
            };
            return Err(format!("{} stands where {due} is due", shown(line)));
        }
        Ok(())
    }

    fn end_section(&self, order: usize) -> Result<(), String> {
        let section = &self.sections[order - 1];
        let found = match order {
            1 => {
                (self.words.len() - 2) as u64
                    + [self.has_begin, self.has_end, self.has_unknown]
                        .map(u64::from)
                        .iter()
                        .sum::<u64>()
            }
            _ => section.grams.len() as u64 + section.dropped,
        };
        let (number, line) = self.declared[order - 1];
        match found == number {
            true => Ok(()),
            false => Err(format!(
                "the section of order {order} ends after {found} n-grams, line {line} says \
                 {number}; the file is damaged or truncated"
            )),
        }
    }

    /// Reads unigrams up to the next section line; returns the bytes used.
    fn unigrams(&mut self, text: &[u8]) -> Result<usize, Fault> {
        let mut used = 0;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if line[0] == b'\\' {
                break;
            }
            self.unigram(line).map_err(|what| (self.line, what))?;
            self.line += 1;
            used += line.len();
        }
        Ok(used)
    }

    fn unigram(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(entry) = Entry::parse(line, 1, self.declared.len())? else { return Ok(()) };
        let word = entry.words[0];
        let grams = &mut self.sections[0].grams;
        let twice = match word {
            BEGIN => std::mem::replace(&mut self.has_begin, true),
            END => std::mem::replace(&mut self.has_end, true),
            b"<unk>" | b"<UNK>" => std::mem::replace(&mut self.has_unknown, true),
            _ => self.words.find(word).is_some(),
        };
        if twice {
            return Err(format!("the word {} stands there twice", shown(word)));
        }
        match word {
            // Its value is that of </s>: no sentence has <s> as a word.
            BEGIN => grams.backoffs[SENTENCE_END as usize] = entry.backoff,
            END => {
                entry.check_value()?;
                grams.logprobs[SENTENCE_END as usize] = entry.logprob;
            }
            b"<unk>" | b"<UNK>" => {
                entry.check_value()?;
                grams.logprobs[UNKNOWN as usize] = entry.logprob;
                grams.backoffs[UNKNOWN as usize] = entry.backoff;
            }
            _ => {
                entry.check_value()?;
                self.words.insert(word);
                self.sections[0].push(&entry);
                if self.words.len() > MAX_VOCAB_SIZE {
                    return Err(format!("it has more than {MAX_VOCAB_SIZE} words"));
                }
            }
        }
        Ok(())
    }

    /// Reads n-grams of an order up to the next section line; returns the bytes used.
    fn ngrams(&mut self, order: usize, text: &[u8]) -> Result<usize, Fault> {
        let (words, highest) = (&self.words, self.declared.len());
        let pieces: Vec<Piece> = cut(text)
            .into_par_iter()
            .map(|text| Piece::read(text, order, highest, words))
            .collect();
        let mut used = 0;
        let section = &mut self.sections[order - 1];
        for piece in pieces {
            if let Some((line, what)) = piece.fault {
                return Err((self.line + line, what));
            }
            section.append(piece.section);
            self.line += piece.lines;
            used += piece.used;
            if section.grams.len() >= u32::MAX as usize {
                return Err((self.line, format!("order {order} has 2³² n-grams or more")));
            }
            if piece.ended {
                break;
            }
        }
        Ok(used)
    }

    fn model(mut self) -> Result<(Model, Vec<String>), Fault> {
        match self.state {
            State::End => {}
            State::Preamble => return Err((self.line, "no \\data\\; is it an ARPA file?".into())),
            _ => return Err((self.line, "no \\end\\; the file is truncated".into())),
        }
        let vocab_size = self.words.len();
        for section in &mut self.sections[1..] {
            if let Err(places) = section.grams.sort(vocab_size) {
                let [first, second] = places.map(|place| section.line(place));
                return Err((second, format!("it repeats the n-gram of line {first}")));
            }
        }
        let mut notes = self.notes();
        let unigrams = self.sections.remove(0).grams;
        let mut grams: Vec<Grams> = self.sections.into_iter().map(|s| s.grams).collect();
        let (levels, added) = trie::levels(&unigrams, &mut grams);
        if added > 0 {
            notes.push(format!(
                "{added} n-grams were added that are the context or the suffix of others, with \
                 the probabilities that they had without"
            ));
        }
        let order = levels.len();
        let mut num_ngrams: Vec<u64> =
            levels.iter().map(|level| level.words.len() as u64).collect();
        num_ngrams[0] = (vocab_size - 2) as u64 + u64::from(self.has_end);
        let description = Description {
            order,
            vocab_size,
            document_separator: Some(SENTENCE_END),
            smoothing: Smoothing::Arpa,
            num_tokens: 0,
            num_ngrams,
            counts_of_counts: vec![[0; 4]; order],
        };
        let mut model = Model::new(description, levels);
        model.set_words(self.words);
        Ok((model, notes))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.has_unknown {
            notes.push(format!(
                "<unk> is not among the unigrams: it gets log10 p = {NOTHING}, as in KenLM"
            ));
        }
        if !self.has_begin {
            notes.push("<s> is not among the unigrams: its weight as a context is 1".into());
        }
        if !self.has_end {
            notes.push(format!("</s> is not among the unigrams: it gets log10 p = {NOTHING}"));
        }
        let dropped: u64 = self.sections.iter().map(|section| section.dropped).sum();
        if dropped > 0 {
            notes.push(format!(
                "{dropped} n-grams were left out that have <s> or </s> inside, as no sentence has"
            ));
        }
        notes
    }
}
