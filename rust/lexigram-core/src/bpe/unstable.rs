//! What a text's last tokens may still become: `encode_with_unstable` of tiktoken, whose results
//! these are.
//!
//! Definition. The last piece of a text is unstable, and if it begins with a blank token, so are
//! the blank tokens before it, because `\s*[\r\n]+` may join them. The tokens before are the stable
//! ones. A completion is the shortest start of the ids of some continuation that covers the
//! unstable bytes. Continuations considered:
//!
//! * a token that begins with all the unstable bytes;
//! * for each place in them, a token that begins with the bytes from there on: what stands before,
//!   and then that token, encoded anew;
//! * if they end in white space, that character as a piece of its own, which it becomes where
//!   `\s+(?!\S)` gives it up.
//!
//! Each place tries every token that fits, so time grows with the square of the last piece.

use std::collections::BTreeSet;

use super::encode::Scratch;
use super::memory::made;
use super::naive;
use super::text::{Allowed, Text};
use super::tokenizer::Tokenizer;
use super::vocabulary::NO_TOKEN;
use crate::{Error, Result};

impl Tokenizer {
    /// The stable ids of `text`, and the completions in order.
    pub fn encode_with_unstable(
        &self,
        text: &str,
        allowed: &Allowed,
    ) -> Result<(Vec<u32>, BTreeSet<Vec<u32>>)> {
        if !self.keeps_text() {
            let limit = "it normalizes text, or removes from it or adds to it, so what follows may \
                         change any token; use encode()";
            return Err(Error::argument("tokenizer", "encode_with_unstable", limit));
        }
        let finder = self.finder(allowed)?;
        let mut ids = Vec::new();
        let mut last =
            self.workspaces.with(|work| self.encode_str(text, &finder, work, &mut ids))?;
        let blank = |id: u32| self.is_blank(id);
        if last < ids.len() && blank(ids[last]) {
            last -= ids[..last].iter().rev().take_while(|&&id| blank(id)).count();
        }
        let open: Vec<u8> =
            ids.drain(last..).flat_map(|id| self.vocabulary().token(id)).copied().collect();
        let mut completions = BTreeSet::new();
        if open.is_empty() {
            return Ok((ids, completions));
        }
        completions.extend(self.tokens_from(&open).map(|id| vec![id]));
        for at in 1..open.len() {
            for id in self.tokens_from(&open[at..]) {
                let text = [&open[..at], self.vocabulary().token(id)].concat();
                let mut tokens = match std::str::from_utf8(&text) {
                    Ok(text) => {
                        let mut tokens = Vec::new();
                        self.encode(Text::Str(text), &Allowed::None, &mut tokens)?;
                        tokens
                    }
                    Err(_) => self.merged(&text),
                };
                let mut covered = 0;
                let needed = tokens.iter().position(|&id| {
                    covered += self.vocabulary().token(id).len();
                    covered >= open.len()
                });
                tokens.truncate(needed.map_or(tokens.len(), |at| at + 1));
                completions.insert(tokens);
            }
        }
        if let Some(blank) = last_blank(&open).filter(|&at| at > 0) {
            let (before, blank) = open.split_at(blank);
            completions.insert([self.merged(before), self.merged(blank)].concat());
        }
        Ok((ids, completions))
    }

    /// The ids of bytes that are one piece, whatever the pattern says.
    pub fn encode_piece(&self, piece: &[u8]) -> Result<Vec<u32>> {
        let missing = |byte: &&u8| self.pieces.byte_ids[**byte as usize] == NO_TOKEN;
        if let Some(byte) = piece.iter().find(missing) {
            let limit = "the vocabulary has no token for this byte; encode other bytes";
            return Err(Error::argument("byte", format!("{byte:#04x}"), limit));
        }
        let mut ids = Vec::new();
        self.pieces.encode(piece, &mut Scratch::default(), &mut ids);
        Ok(ids)
    }

    /// A piece by merges alone, also if it is a token that no merge makes.
    fn merged(&self, piece: &[u8]) -> Vec<u32> {
        if self.whole_pieces() && self.vocabulary().id(piece).is_some() {
            return naive::encode(piece, &self.pieces.byte_ids, &self.pieces.merges);
        }
        let mut ids = Vec::new();
        self.pieces.encode(piece, &mut Scratch::default(), &mut ids);
        ids
    }

    /// Whether an ordinary token is made of blanks.
    fn is_blank(&self, id: u32) -> bool {
        let token = self.vocabulary().token(id);
        token.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\t'))
            && self.vocabulary().id(token) == Some(id)
    }

    /// The ordinary tokens that begin with `start`.
    fn tokens_from<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let vocabulary = self.vocabulary();
        let sorted = made(&self.sorted, || {
            let ordinary =
                vocabulary.iter().filter(|&(id, token)| vocabulary.id(token) == Some(id));
            let mut ids: Vec<u32> = ordinary.map(|(id, _)| id).collect();
            ids.sort_unstable_by_key(|&id| vocabulary.token(id));
            ids
        });
        let first = sorted.partition_point(|&id| vocabulary.token(id) < start);
        let fits = move |id: &u32| vocabulary.token(*id).starts_with(start);
        sorted[first..].iter().copied().take_while(fits)
    }
}

/// Where the last character begins, if it is white space.
fn last_blank(bytes: &[u8]) -> Option<usize> {
    let tails = (1..=bytes.len().min(4)).map(|length| bytes.len() - length);
    let is_blank = |at: &usize| {
        std::str::from_utf8(&bytes[*at..]).is_ok_and(|text| {
            let mut characters = text.chars();
            characters.next().is_some_and(char::is_whitespace) && characters.next().is_none()
        })
    };
    tails.into_iter().find(is_blank)
}
