//! Opening shards: whether each goes on where the one before it ends.

use std::path::Path;

use super::manifest::{MANIFEST, Manifest};
use super::shard::{Shard, TokenId};
use crate::format::manifest::hex;
use crate::{Error, Result};

/// Opens the shards that the manifest of `dir` names.
pub fn open_shards<T: TokenId>(dir: &Path, manifest: &Manifest) -> Result<Vec<Shard<T>>> {
    let mut shards = Vec::with_capacity(manifest.shards.len());
    for entry in &manifest.shards {
        let shard = Shard::<T>::open(&dir.join(&entry.file))?;
        let part = shard.part();
        if hex(shard.file().digest()) != entry.xxh3
            || shard.num_tokens() != entry.num_tokens
            || part.vocab_size as u64 != manifest.vocab_size
            || part.separator != manifest.document_separator
        {
            return Err(shard.corrupt(format!("it is not the shard that {MANIFEST} names")));
        }
        shards.push(shard);
    }
    check_chain(dir, manifest, &shards)?;
    Ok(shards)
}

/// Whether the shards number their documents one after the other, and are cut where they say.
fn check_chain<T: TokenId>(dir: &Path, manifest: &Manifest, shards: &[Shard<T>]) -> Result<()> {
    // The documents so far, and how many ids of the last one.
    let (mut documents, mut length) = (0u64, 0u64);
    let goes_on = |i: usize| {
        let part = shards.get(i).map(Shard::part);
        i > 0 && part.is_some_and(|part| !part.front)
    };
    for (i, shard) in shards.iter().enumerate() {
        let part = shard.part();
        let first = if goes_on(i) { (documents.saturating_sub(1), length) } else { (documents, 0) };
        let overlap = if goes_on(i + 1) { manifest.max_match } else { Some(0) };
        let begins = i > 0 || part.front == part.separator.is_some();
        if (part.first_document, part.offset) != first || !begins {
            return Err(shard.corrupt("it does not begin where the shard before it ends"));
        }
        if overlap != Some(shard.overlap() as u64) {
            return Err(shard.corrupt("its text goes on by more or fewer ids than it should"));
        }
        let starts = shard.documents();
        let last = starts.last().copied().unwrap_or(0).min(part.num_suffixes);
        let earlier = if starts.len() == 1 { part.offset } else { 0 };
        documents = part.first_document + starts.len() as u64;
        length = u64::from(part.num_suffixes - last) + earlier;
    }
    let is_cut = (0..shards.len()).any(goes_on);
    if documents == manifest.num_documents && is_cut == manifest.max_match.is_some() {
        return Ok(());
    }
    Err(Error::Parse {
        path: dir.join(MANIFEST),
        format: "an index",
        what: "its documents are not those of its shards".to_owned(),
    })
}

/// Whether each text that goes on does so as the next shard begins.
pub fn check_overlaps<T: TokenId>(shards: &[Shard<T>]) -> Result<()> {
    for pair in shards.windows(2) {
        let (one, next) = (pair[0].view(), pair[1].view());
        if !next.text.starts_with(&one.text[one.len as usize..]) {
            return Err(pair[0].corrupt("its text does not go on as the next shard begins"));
        }
    }
    Ok(())
}
