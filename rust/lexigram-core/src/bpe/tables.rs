//! What ids depend on: the tokens, the merges and the tables by which they are found.
//!
//! Building them is nearly all of the work of loading a vocabulary, so they can be kept in a file
//! of their own ([`super::compiled`]).

use std::collections::HashMap;

use rustc_hash::FxHashSet;

use super::added::AddedToken;
use super::merges::{Merge, Merges};
use super::token_index::Filling;
use super::vocabulary::{Tokens, Vocabulary};
use crate::{Error, Result};

/// A vocabulary with its merges.
#[derive(Debug)]
pub struct Tables {
    /// All tokens, the added ones included.
    pub vocabulary: Vocabulary,
    /// The tokens of the 256 single bytes.
    pub byte_ids: [u32; 256],
    /// The merges between ordinary tokens.
    pub merges: Merges,
}

impl Tables {
    /// From ordinary tokens with their ids, tokens that text never gives, added tokens, and merges in
    /// the order of their ranks (`None`: ids are ranks and imply the merges, which are sought on at
    /// most so many `threads`).
    pub fn new<'a, I>(
        tokens: I,
        inert: &[(u32, String)],
        added: &[AddedToken],
        merges: Option<Vec<Merge>>,
        threads: usize,
    ) -> Result<Self>
    where
        I: IntoIterator<Item = (u32, &'a [u8]), IntoIter: Clone>,
    {
        let tokens = tokens.into_iter();
        let ids: FxHashSet<u32> = added.iter().map(|token| token.id).collect();
        let listed = tokens.clone().filter(|(id, _)| ids.contains(id));
        let by_id: HashMap<u32, &[u8]> = listed.collect();
        let ordinary = tokens.map(|(id, token)| (id, token, true));
        // An added token may also be an ordinary one; then it is entered once.
        let entered = |token: &&AddedToken| by_id.get(&token.id) != Some(&token.text.as_bytes());
        let found = added.iter().filter(entered).map(|t| (t.id, t.text.as_bytes(), false));
        let inert = inert.iter().map(|(id, text)| (*id, text.as_bytes(), false));
        let tokens = Tokens::new(ordinary.chain(found).chain(inert))?;
        let filling = Filling::new(&tokens);
        let byte_ids = tokens.byte_ids();
        let merges = byte_ids.and_then(|byte_ids| {
            let merges = match merges {
                Some(merges) => {
                    check_merges(&merges, &tokens)?;
                    Merges::new(merges, &byte_ids)?
                }
                None => Merges::from_ranks(&tokens, &byte_ids, &filling, threads)?,
            };
            Ok((byte_ids, merges))
        });
        // That two tokens are equal comes first: it can be why there are no merges.
        let index = filling.finish()?;
        let (byte_ids, merges) = merges?;
        Ok(Self { vocabulary: Vocabulary::new(tokens, index), byte_ids, merges })
    }
}

/// A merge's token must be its parts joined.
fn check_merges(merges: &[Merge], tokens: &Tokens) -> Result<()> {
    let mut joined = Vec::new();
    for (rank, merge) in merges.iter().enumerate() {
        joined.clear();
        joined.extend_from_slice(tokens.token(merge.left));
        joined.extend_from_slice(tokens.token(merge.right));
        let known = [merge.left, merge.right].iter().all(|&id| !tokens.token(id).is_empty());
        if !known || tokens.token(merge.token) != joined {
            let value =
                format!("number {rank} ({} + {} -> {})", merge.left, merge.right, merge.token);
            let limit = "both parts must be tokens and their joined bytes the third";
            return Err(Error::argument("merges", value, limit));
        }
    }
    Ok(())
}
