//! A corpus as training sees it: distinct pieces as words of tokens, each with its count.
//!
//! All words lie one after the other in one vector of 16-bit units: the count, the tokens, and at
//! least one end mark. Tokens take one unit each; of a vocabulary that is too large for that, those
//! of the lower ids do, and the others take two: a leading unit that says so, and the rest of the
//! id. So a merge never takes more room than what it replaces. A word is known by the place where
//! it begins. It only ever gets shorter; end marks fill the room behind it.

use super::piece_counts::too_much_text;
use crate::Result;

/// The end of a word: no token begins so, nor does a count.
const END_MARK: u16 = 0;

/// The first unit of a count that four more hold.
const LARGE_COUNT: u16 = u16::MAX;

/// The units of a token as one number, the first in the low bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

/// How tokens are written.
#[derive(Debug, Clone, Copy)]
pub struct Codes {
    /// Units from this one on are the first of two; those below are an id and one.
    first_lead: u32,
}

impl Codes {
    /// Codes for ids below `num_ids`.
    pub fn new(num_ids: usize) -> Self {
        let units = 1 << u16::BITS;
        let leads = if num_ids < units { 0 } else { num_ids.div_ceil(units) };
        Self { first_lead: units.saturating_sub(leads).max(1) as u32 }
    }

    /// Whether there are tokens of two units: the `VARY` of the functions that are to know it when
    /// they are compiled.
    pub fn vary(self) -> bool {
        self.first_lead <= u32::from(u16::MAX)
    }

    /// The code of an id.
    #[inline]
    pub fn code(self, id: u32) -> Code {
        if id + 1 < self.first_lead {
            Code(id + 1)
        } else {
            Code((self.first_lead + (id >> u16::BITS)) | id << u16::BITS)
        }
    }

    /// The id that a code stands for.
    #[inline(always)]
    fn id<const VARY: bool>(self, code: Code) -> u32 {
        let lead = code.0 & u32::from(u16::MAX);
        if !VARY || lead < self.first_lead {
            lead.wrapping_sub(1)
        } else {
            (lead - self.first_lead) << u16::BITS | code.0 >> u16::BITS
        }
    }

    /// The code at a place that has a unit after it, and where the next one is. Whether tokens
    /// `VARY` in length is known to the compiler, so that most vocabularies do not pay for it.
    #[inline(always)]
    fn read<const VARY: bool>(self, units: &[u16], at: usize) -> (Code, usize) {
        let lead = u32::from(units[at]);
        if VARY && lead >= self.first_lead {
            (Code(lead | u32::from(units[at + 1]) << u16::BITS), at + 2)
        } else {
            (Code(lead), at + 1)
        }
    }

    /// Writes a code at a place; returns where the next is to be.
    #[inline(always)]
    fn write<const VARY: bool>(self, code: Code, units: &mut [u16], at: usize) -> usize {
        units[at] = code.0 as u16;
        if VARY && code.0 & u32::from(u16::MAX) >= self.first_lead {
            units[at + 1] = (code.0 >> u16::BITS) as u16;
            return at + 2;
        }
        at + 1
    }
}

/// No token: the end of a word.
const END: Code = Code(0);

/// Words and their counts.
#[derive(Debug)]
pub struct Words {
    /// One more end mark is behind the last word, so that every unit of a word has one after it.
    units: Vec<u16>,
    codes: Codes,
}

impl Words {
    /// No words.
    pub fn new(codes: Codes) -> Self {
        Self { units: vec![END_MARK], codes }
    }

    /// Adds a word, which occurs at least once; words of fewer than two tokens have no pair and are
    /// left out.
    pub fn push(&mut self, tokens: impl ExactSizeIterator<Item = u32>, count: u64) -> Result<()> {
        let num_tokens = tokens.len();
        if num_tokens < 2 || count == 0 {
            return Ok(());
        }
        self.units.pop();
        if count < u64::from(LARGE_COUNT) {
            self.units.push(count as u16);
        } else {
            let parts = [0, 16, 32, 48].map(|shift| (count >> shift) as u16);
            self.units.push(LARGE_COUNT);
            self.units.extend(parts);
        }
        if self.codes.vary() {
            for token in tokens {
                let end = self.units.len();
                self.units.extend([END_MARK; 2]);
                let end = self.codes.write::<true>(self.codes.code(token), &mut self.units, end);
                self.units.truncate(end);
            }
        } else {
            self.units.extend(tokens.map(|token| self.codes.code(token).0 as u16));
        }
        self.units.extend([END_MARK; 2]);
        if u32::try_from(self.units.len()).is_err() { Err(too_much_text()) } else { Ok(()) }
    }

    /// Gives memory back that is not needed if no word is added any more.
    pub fn shrink(&mut self) {
        self.units.shrink_to_fit();
    }

    /// How tokens are written.
    pub fn codes(&self) -> Codes {
        self.codes
    }

    /// How often a word occurs, and where its tokens begin.
    #[inline]
    fn count(&self, word: usize) -> (u64, usize) {
        match self.units[word] {
            LARGE_COUNT => self.large_count(word + 1),
            count => (count.into(), word + 1),
        }
    }

    #[cold]
    fn large_count(&self, at: usize) -> (u64, usize) {
        let units = self.units[at..at + 4].iter().rev();
        (units.fold(0, |count, &unit| count << u16::BITS | u64::from(unit)), at + 4)
    }

    /// The first unit of a word, to be loaded early.
    #[inline]
    pub fn head(&self, word: u32) -> &u16 {
        &self.units[word as usize]
    }

    /// Calls `take` with each word, its count, and each of its pairs.
    #[inline(always)]
    pub fn for_each_pair<const VARY: bool>(&self, mut take: impl FnMut(u32, u64, (u32, u32))) {
        let mut at = 0;
        while at < self.units.len() {
            if self.units[at] == END_MARK {
                at += 1;
                continue;
            }
            let word = at as u32;
            let (count, tokens) = self.count(at);
            at = tokens;
            if !VARY {
                for pair in self.units[tokens..].windows(2) {
                    at += 1;
                    if pair[1] == END_MARK {
                        break;
                    }
                    take(word, count, (u32::from(pair[0]) - 1, u32::from(pair[1]) - 1));
                }
                continue;
            }
            let mut before = None;
            loop {
                let (code, next) = self.codes.read::<VARY>(&self.units, at);
                if code == END {
                    break;
                }
                at = next;
                let id = self.codes.id::<VARY>(code);
                if let Some(before) = before.replace(id) {
                    take(word, count, (before, id));
                }
            }
        }
    }

    /// Replaces a pair by `token` in a word, from left to right. `left` and `right` are called with
    /// the neighbour of each place on that side and the count of the word.
    #[inline(always)]
    pub fn merge<const VARY: bool>(
        &mut self,
        word: u32,
        pair: (Code, Code),
        token: Code,
        mut left: impl FnMut(u32, u64),
        mut right: impl FnMut(u32, u64),
    ) {
        let (count, mut read) = self.count(word as usize);
        let (codes, units) = (self.codes, &mut self.units[..]);
        let (mut before, (mut here, mut next)) = (END, codes.read::<VARY>(units, read));
        // Up to the first place nothing changes.
        let mut write = loop {
            if here == END {
                return;
            }
            let after = codes.read::<VARY>(units, next);
            if here == pair.0 && after.0 == pair.1 {
                break read;
            }
            (before, read) = (here, next);
            (here, next) = after;
        };
        while here != END {
            // `next` is where `after` begins, and all before it has been read.
            let mut after = codes.read::<VARY>(units, next);
            if here == pair.0 && after.0 == pair.1 {
                if before != END {
                    left(codes.id::<VARY>(before), count);
                }
                here = token;
                next = after.1;
                after = codes.read::<VARY>(units, next);
                if after.0 != END {
                    right(codes.id::<VARY>(after.0), count);
                }
            }
            // A token is no longer than what it replaces.
            write = codes.write::<VARY>(here, units, write);
            (before, read) = (here, next);
            (here, next) = after;
        }
        units[write] = END_MARK;
        if read > write + 1 {
            fill_gap(&mut units[write + 1..read]);
        }
    }

    /// Closes the gaps between words, which then begin elsewhere, and drops words of one token.
    #[inline(never)]
    pub fn compact<const VARY: bool>(&mut self) {
        let (mut read, mut write) = (0, 0);
        while read < self.units.len() {
            if self.units[read] == END_MARK {
                read += 1;
                continue;
            }
            let (start, mut num_tokens) = (read, 0);
            (_, read) = self.count(read);
            loop {
                let (code, next) = self.codes.read::<VARY>(&self.units, read);
                read = next;
                if code == END {
                    break;
                }
                num_tokens += 1;
            }
            if num_tokens > 1 {
                if write < start {
                    self.units.copy_within(start..read, write);
                }
                write += read - start;
            }
        }
        self.units.truncate(write);
        self.units.push(END_MARK);
        self.units.shrink_to_fit();
    }
}

/// Writes end marks, out of line: most merges leave a gap of one unit.
#[cold]
#[inline(never)]
fn fill_gap(units: &mut [u16]) {
    units.fill(END_MARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs<const VARY: bool>(words: &Words) -> Vec<(u64, (u32, u32))> {
        let mut found = Vec::new();
        words.for_each_pair::<VARY>(|_, count, pair| found.push((count, pair)));
        found
    }

    fn check(num_ids: usize, ids: [u32; 4]) {
        let codes = Codes::new(num_ids);
        assert_eq!(codes.vary(), num_ids >= 1 << 16);
        if codes.vary() {
            check_of::<true>(codes, num_ids, ids)
        } else {
            check_of::<false>(codes, num_ids, ids)
        }
    }

    fn check_of<const VARY: bool>(codes: Codes, num_ids: usize, [a, b, c, new]: [u32; 4]) {
        for id in (0..num_ids as u32).step_by(1009).chain([a, b, c, new]) {
            assert_eq!(codes.id::<VARY>(codes.code(id)), id);
        }
        let mut words = Words::new(codes);
        let max = u64::from(u32::MAX);
        let counts =
            [1, 254, 255, 256, 65_534, 65_535, 65_536, max - 1, max, max + 1, 1 << 60, u64::MAX];
        for &count in &counts {
            words.push([a, b, c].into_iter(), count).unwrap();
            words.push([a].into_iter(), count).unwrap();
            words.push([0; 0].into_iter(), count).unwrap();
            words.push([b, c].into_iter(), count).unwrap();
        }
        let expected: Vec<_> =
            counts.iter().flat_map(|&n| [(n, (a, b)), (n, (b, c)), (n, (b, c))]).collect();
        assert_eq!(pairs::<VARY>(&words), expected);
        let mut starts = Vec::new();
        words.for_each_pair::<VARY>(|word, _, _| starts.push(word));
        starts.dedup();
        let (pair, token) = ((words.codes.code(b), words.codes.code(c)), words.codes.code(new));
        let mut neighbours = Vec::new();
        for word in starts {
            words.merge::<VARY>(
                word,
                pair,
                token,
                |id, n| neighbours.push((n, id)),
                |_, _| panic!(),
            );
        }
        assert_eq!(neighbours, counts.map(|n| (n, a)));
        let expected = counts.map(|n| (n, (a, new)));
        assert_eq!(pairs::<VARY>(&words), expected);
        words.compact::<VARY>();
        assert_eq!(pairs::<VARY>(&words), expected);
        words.compact::<VARY>();
        assert_eq!(pairs::<VARY>(&words), expected);
    }

    #[test]
    fn words_are_kept_whatever_their_units_and_counts() {
        for ids in [[7, 8, 9, 299], [0, 255, 256, 257], [298, 299, 7, 0]] {
            for num_ids in [300, 65_535, 65_536, 65_537, 200_000, 1 << 28] {
                check(num_ids, ids);
                check(num_ids, ids.map(|id| num_ids as u32 - 1 - id));
                check(num_ids, [ids[0], num_ids as u32 - 1, ids[2], num_ids as u32 - 2]);
            }
        }
    }

    #[test]
    fn places_are_merged_from_left_to_right() {
        let mut words = Words::new(Codes::new(300));
        words.push([7, 7, 7, 7, 7].into_iter(), 3).unwrap();
        let seven = words.codes.code(7);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let token = words.codes.code(299);
        words.merge::<false>(
            0,
            (seven, seven),
            token,
            |id, _| left.push(id),
            |id, _| right.push(id),
        );
        assert_eq!((left, right), (vec![299], vec![7, 7]));
        assert_eq!(pairs::<false>(&words), [(3, (299, 299)), (3, (299, 7))]);
    }
}
