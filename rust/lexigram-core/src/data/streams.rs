//! The thread that hashes and writes shards: one open shard for each side.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::admission::Chain;
use super::claim::{PREFIX, SUFFIX};
use super::journal::{Finished, Journal};
use super::manifest::{ShardEntry, hex};
use super::shard::{KIND, VERSION, Vocabulary};
use super::shard_writer::{Encoded, ShardWriter};
use crate::format::{MappedFile, fault};
use crate::{Error, Result};

/// Documents on their way to a side.
#[derive(Default)]
pub struct Batch {
    pub documents: Encoded,
    pub digests: Vec<u128>,
}

/// Takes over the shards that the journal names and that are sound. Returns the length of the
/// journal that speaks of them.
pub fn take_finished(streams: &mut [Stream], finished: Vec<(Finished, u64)>, begin: u64) -> u64 {
    let mut length = begin;
    for (Finished { side, shard, chain }, end) in finished {
        let Some(stream) = streams.get_mut(side) else { break };
        let path = stream.dir.join(&shard.file);
        let sound = shard.file == stream.next_file()
            && MappedFile::open(&path, KIND, VERSION)
                .is_ok_and(|file| hex(file.digest()) == shard.xxh3 && file.verify().is_ok());
        if !sound {
            break;
        }
        stream.documents += shard.counts.num_documents;
        stream.chain = Chain(chain);
        stream.shards.push(shard);
        length = end;
    }
    length
}

/// One dataset that is being written.
pub struct Stream {
    pub dir: PathBuf,
    open: Option<(String, ShardWriter)>,
    pub shards: Vec<ShardEntry>,
    pub documents: u64,
    chain: Chain,
}

impl Stream {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, open: None, shards: Vec::new(), documents: 0, chain: Chain::default() }
    }

    pub fn state(&self) -> (u64, Chain) {
        (self.documents, self.chain)
    }

    fn next_file(&self) -> String {
        format!("{PREFIX}{:05}{SUFFIX}", self.shards.len())
    }

    /// Makes the directory, or removes from it what is no finished shard.
    pub fn prepare(&self) -> Result<()> {
        let made = fault::point(&self.dir).and_then(|()| fs::create_dir_all(&self.dir));
        made.map_err(|e| Error::io("create", &self.dir, e))?;
        let entries = fs::read_dir(&self.dir).map_err(|e| Error::io("read", &self.dir, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read", &self.dir, e))?;
            if !self.shards.iter().any(|shard| *shard.file == *entry.file_name()) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Ends the open shard.
    fn close(&mut self) -> Result<Option<&ShardEntry>> {
        let Some((file, shard)) = self.open.take() else { return Ok(None) };
        let counts = shard.finish()?;
        let digest = MappedFile::open(&self.dir.join(&file), KIND, VERSION)?.digest();
        self.shards.push(ShardEntry { file, counts, xxh3: hex(digest) });
        Ok(self.shards.last())
    }
}

/// What the thread does.
pub struct Work {
    pub streams: Vec<Stream>,
    pub journal: Journal,
    pub vocabulary: Vocabulary,
    pub shard_tokens: u64,
}

impl Work {
    pub fn run(mut self, receiver: &Receiver<Vec<Batch>>) -> Result<Vec<Stream>> {
        while let Ok(batches) = receiver.recv() {
            for (side, batch) in batches.into_iter().enumerate() {
                self.write(side, &batch)?;
            }
        }
        // The last shards are not full, and not in the journal: a source that has grown meanwhile
        // fills them.
        for stream in &mut self.streams {
            stream.close()?;
        }
        Ok(self.streams)
    }

    fn write(&mut self, side: usize, batch: &Batch) -> Result<()> {
        let Encoded { ids, lengths, sizes } = &batch.documents;
        let stream = &mut self.streams[side];
        let width = ids.len() / (lengths.iter().sum::<u64>() as usize).max(1);
        let (mut first, mut at) = (0, 0);
        while first < lengths.len() {
            let (_, shard) = match &mut stream.open {
                Some(open) => open,
                None => {
                    let file = stream.next_file();
                    let shard = ShardWriter::create(&stream.dir.join(&file), &self.vocabulary)?;
                    stream.open.insert((file, shard))
                }
            };
            // As many documents as the shard takes.
            let mut tokens = shard.num_tokens();
            let before = tokens;
            let mut last = first;
            while last < lengths.len() && tokens < self.shard_tokens {
                tokens += lengths[last];
                stream.chain.add(batch.digests[last]);
                last += 1;
            }
            let end = at + (tokens - before) as usize * width;
            shard.documents(&ids[at..end], &lengths[first..last], &sizes[first..last])?;
            stream.documents += (last - first) as u64;
            (first, at) = (last, end);
            if tokens >= self.shard_tokens {
                let chain = stream.chain.0;
                if let Some(shard) = stream.close()?.cloned() {
                    self.journal.add(&Finished { side, shard, chain })?;
                }
            }
        }
        Ok(())
    }
}
