//! The ids of tokens by their bytes.
//!
//! An open-addressing table with linear probing. A slot holds a part of the hash and the id; what it
//! stands for is compared with the token's own bytes ([`Tokens`]), which are held once. Tokens enter
//! in the order of their ids, so that a vocabulary has one table.
//!
//! What is built of a vocabulary hardly asks for ids, and filling the table takes a good part of the
//! time of loading one; so it can be filled bit by bit, beside other work ([`Filling`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::memory::Zeroed;
use super::vocabulary::{NO_TOKEN, Tokens};
use crate::{Error, Result, prefetch};

/// How many tokens are entered at a time.
const BLOCK: usize = 64;

/// The ordinary tokens of a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIndex {
    /// The upper half of the hash, and the id with its bits turned over, so that memory of zeros is
    /// free slots (`NO_TOKEN`). At most half are taken.
    slots: Zeroed<[u32; 2]>,
}

impl TokenIndex {
    /// From slots that another index had; `None` if some look-up in them could go astray. `size` is
    /// one more than the largest id.
    pub fn from_slots(slots: Zeroed<[u32; 2]>, size: usize) -> Option<Self> {
        // At least half of the slots are free, so that every search ends.
        let entries = slots.as_slice();
        let ids = entries.iter().map(|[_, id]| !id);
        let used: usize = ids.clone().map(|id| usize::from(id != NO_TOKEN)).sum();
        let roomy = entries.len().is_power_of_two() && used * 2 <= entries.len();
        let beyond = ids.map(|id| usize::from(id != NO_TOKEN && id as usize >= size));
        let known = beyond.sum::<usize>() == 0;
        (roomy && known).then_some(Self { slots })
    }

    /// What [`TokenIndex::from_slots`] takes.
    pub fn slots(&self) -> &[[u32; 2]] {
        self.slots.as_slice()
    }

    /// The id of an ordinary token.
    #[inline]
    pub fn id(&self, token: &[u8], tokens: &Tokens) -> Option<u32> {
        let id = !self.slots.as_slice()[self.slot(token, xxh3_64(token), tokens)][1];
        (id != NO_TOKEN).then_some(id)
    }

    /// Where a token of this hash is or would be.
    fn slot(&self, token: &[u8], hash: u64, tokens: &Tokens) -> usize {
        let slots = self.slots.as_slice();
        let mask = slots.len() - 1;
        let (mut slot, tag) = (hash as usize & mask, tag(hash));
        loop {
            let (other, id) = (slots[slot][0], !slots[slot][1]);
            if id == NO_TOKEN || (other == tag && tokens.token(id) == token) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// An index on its way, which threads may fill and ask in turn.
#[derive(Debug)]
pub struct Filling<'t> {
    tokens: &'t Tokens,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    index: TokenIndex,
    /// Ids below are entered.
    next: u32,
    /// Two tokens are equal: there will be no index.
    failed: Option<Error>,
}

impl<'t> Filling<'t> {
    /// An index that no token has entered.
    pub fn new(tokens: &'t Tokens) -> Self {
        let slots = (tokens.num_ordinary() * 2).next_power_of_two().max(2);
        let index = TokenIndex { slots: Zeroed::new(slots) };
        Self { tokens, state: Mutex::new(State { index, next: 0, failed: None }) }
    }

    /// Enters tokens until all are in, or until `stop`, which is asked now and then.
    pub fn fill(&self, stop: impl FnMut() -> bool) {
        self.lock().fill(self.tokens, stop);
    }

    /// As [`TokenIndex::id`], once all tokens are entered.
    pub fn id(&self, token: &[u8]) -> Option<u32> {
        let mut state = self.lock();
        if state.next < self.tokens.size() as u32 {
            state.fill(self.tokens, || false);
        }
        state.index.id(token, self.tokens)
    }

    /// The index of all tokens; fails if two are equal.
    pub fn finish(self) -> Result<TokenIndex> {
        self.fill(|| false);
        let State { index, failed, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(index), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fill(&mut self, tokens: &Tokens, mut stop: impl FnMut() -> bool) {
        let (mask, size) = (self.index.slots().len() - 1, tokens.size() as u32);
        let mut ordinary = tokens.ordinary_from(self.next);
        // Slots lie anywhere: those of a block of tokens are asked for before the first is needed.
        let mut block = Vec::with_capacity(BLOCK);
        while self.failed.is_none() && self.next < size && !stop() {
            block.extend(ordinary.by_ref().take(BLOCK).map(|(id, token)| {
                let hash = xxh3_64(token);
                prefetch(&self.index.slots()[hash as usize & mask]);
                (id, token, hash)
            }));
            self.next = block.last().map_or(size, |&(id, ..)| id + 1);
            let mut block = block.drain(..);
            let entered =
                block.try_for_each(|(id, token, hash)| self.enter(id, token, hash, tokens));
            self.failed = entered.err();
        }
    }

    fn enter(&mut self, id: u32, token: &[u8], hash: u64, tokens: &Tokens) -> Result<()> {
        let slot = self.index.slot(token, hash, tokens);
        let slot = &mut self.index.slots.as_mut_slice()[slot];
        let other = !slot[1];
        if other != NO_TOKEN {
            let limit = format!(
                "{:?} has the ids {other} and {id}; tokens must differ",
                String::from_utf8_lossy(token),
            );
            return Err(Error::argument("vocabulary", "token", limit));
        }
        *slot = [tag(hash), !id];
        Ok(())
    }
}
