//! The n-grams of one section of an ARPA file, as they are read: lines, and pieces of lines that
//! threads read side by side.

use super::super::MAX_ORDER;
use super::super::words::{SENTENCE_END, UNKNOWN, Words, split};
use super::trie::Grams;
use super::{BEGIN, END};

/// A line and what is wrong with it.
pub(super) type Fault = (u64, String);

/// The n-grams of one section and the lines they stand in.
pub(super) struct Section {
    pub grams: Grams,
    first_line: u64,
    /// The lines without n-gram: for each place that has some, how many n-grams come before it,
    /// and how many such lines there are up to it. So blank lines cost nothing each.
    gaps: Vec<(u32, u64)>,
    /// N-grams that no sentence can have.
    pub dropped: u64,
}

impl Section {
    pub fn new(order: usize, first_line: u64) -> Self {
        Self { grams: Grams::new(order), first_line, gaps: Vec::new(), dropped: 0 }
    }

    /// The line of the i-th n-gram read.
    pub fn line(&self, i: usize) -> u64 {
        let places = self.gaps.partition_point(|&(before, _)| before as usize <= i);
        let gaps = places.checked_sub(1).map_or(0, |last| self.gaps[last].1);
        self.first_line + i as u64 + gaps
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.grams.logprobs.push(entry.logprob);
        self.grams.backoffs.push(entry.backoff);
    }

    /// Notes so many lines without n-gram, after `before` n-grams.
    fn gap(&mut self, before: u32, lines: u64) {
        match self.gaps.last_mut() {
            Some((last, number)) if *last == before => *number += lines,
            last => {
                let number = last.map_or(0, |&mut (_, number)| number);
                self.gaps.push((before, number + lines));
            }
        }
    }

    pub fn append(&mut self, piece: Self) {
        let before = self.grams.len() as u32;
        self.grams.ids.extend(piece.grams.ids);
        self.grams.logprobs.extend(piece.grams.logprobs);
        self.grams.backoffs.extend(piece.grams.backoffs);
        let mut counted = 0;
        for (gap, number) in piece.gaps {
            self.gap(before + gap, number - counted);
            counted = number;
        }
        self.dropped += piece.dropped;
    }
}

/// A piece of a section of order 2 or more.
pub(super) struct Piece {
    pub section: Section,
    pub lines: u64,
    pub used: usize,
    /// Whether a section line ended it.
    pub ended: bool,
    /// Counted from the piece's first line.
    pub fault: Option<Fault>,
}

impl Piece {
    pub fn read(text: &[u8], order: usize, highest: usize, words: &Words) -> Self {
        let mut piece =
            Self { section: Section::new(order, 0), lines: 0, used: 0, ended: false, fault: None };
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if line[0] == b'\\' {
                piece.ended = true;
                break;
            }
            if let Err(what) = piece.line(line, order, highest, words) {
                piece.fault = Some((piece.lines, what));
                break;
            }
            piece.lines += 1;
            piece.used += line.len();
        }
        piece
    }

    pub fn line(
        &mut self,
        line: &[u8],
        order: usize,
        highest: usize,
        words: &Words,
    ) -> Result<(), String> {
        let Some(entry) = Entry::parse(line, order, highest)? else {
            self.section.gap(self.section.grams.len() as u32, 1);
            return Ok(());
        };
        entry.check_value()?;
        let ids = &mut self.section.grams.ids;
        let before = ids.len();
        let mut possible = true;
        for (i, &word) in entry.words[..order].iter().enumerate() {
            let id = match word {
                BEGIN => SENTENCE_END,
                b"<UNK>" => UNKNOWN,
                _ => words
                    .find(word)
                    .ok_or_else(|| format!("the word {} is not among the unigrams", shown(word)))?,
            };
            possible &= (word != BEGIN || i == 0) && (word != END || i == order - 1);
            ids.push(id);
        }
        if possible {
            self.section.push(&entry);
        } else {
            ids.truncate(before);
            self.section.gap(self.section.grams.len() as u32, 1);
            self.section.dropped += 1;
        }
        Ok(())
    }
}

/// One line: a value, an n-gram, and its weight as a context, 0 if it is not given.
pub(super) struct Entry<'l> {
    pub logprob: f32,
    pub words: [&'l [u8]; MAX_ORDER],
    pub backoff: f32,
}

impl<'l> Entry<'l> {
    /// `None` for a blank line.
    pub fn parse(line: &'l [u8], order: usize, highest: usize) -> Result<Option<Self>, String> {
        let mut fields = split(line);
        let Some(first) = fields.next() else { return Ok(None) };
        let logprob = number(first)?;
        let mut words = [&line[..0]; MAX_ORDER];
        for (i, word) in words[..order].iter_mut().enumerate() {
            *word = fields.next().ok_or_else(|| format!("{i} words where {order} are due"))?;
        }
        let backoff = fields.next().map_or(Ok(0.0), number)?;
        if let Some(more) = fields.next() {
            return Err(format!("{} stands after the n-gram of order {order}", shown(more)));
        }
        if order == highest && backoff != 0.0 {
            return Err(format!("a weight as a context, {backoff}, at the highest order"));
        }
        Ok(Some(Self { logprob, words, backoff }))
    }

    pub fn check_value(&self) -> Result<(), String> {
        match self.logprob > 0.0 {
            true => Err(format!("log10 p = {} is above 0", self.logprob)),
            false => Ok(()),
        }
    }
}

fn number(field: &[u8]) -> Result<f32, String> {
    let number = std::str::from_utf8(field).ok().and_then(|text| text.parse::<f32>().ok());
    match number {
        // No file has a logarithm beyond this, and no sum of such leaves the floats.
        Some(number) if number.abs() <= 1e9 => Ok(number),
        Some(number) if number.is_finite() => Err(format!("{number} is beyond ±1e9")),
        _ => Err(format!("{} is no finite number", shown(field))),
    }
}

/// A piece of the file for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_counted_and_blank_ones_cost_nothing(
            pieces in prop::collection::vec(prop::collection::vec(0u32..4, 0..20), 0..5)
        ) {
            let words = Words::of_tokens(&["a".into()]).unwrap();
            let mut section = Section::new(2, 7);
            let (mut expected, mut line) = (Vec::new(), 7);
            for piece in pieces {
                let mut text = String::new();
                for number in piece {
                    text += &"\n".repeat(number as usize * 50);
                    text += "-1 a a\n";
                    expected.push(line + u64::from(number) * 50);
                    line += u64::from(number) * 50 + 1;
                }
                text += "\n";
                line += 1;
                let piece = Piece::read(text.as_bytes(), 2, 2, &words);
                prop_assert!(piece.fault.is_none());
                section.append(piece.section);
            }
            prop_assert!(section.gaps.len() <= section.grams.len() + 1);
            for (i, line) in expected.into_iter().enumerate() {
                prop_assert_eq!(section.line(i), line);
            }
        }
    }
}
