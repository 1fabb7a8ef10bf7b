//! Any manifest and any shards as a suffix index: an error, or an index that answers whatever it is
//! asked and ends; the answers of one that `verify` finds sound agree with each other.
#![no_main]

use std::path::Path;

use lexigram_core::progress::Silent;
use lexigram_core::suffix::{Builder, Index, Options, Scored};
use lexigram_fuzz::{Kind, clear, inputs_of, path, seed, write};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

const KIND: Kind = Kind {
    kind: *b"SUFX",
    version: 1,
    tags: &[
        "header",
        "tokens",
        "documents",
        "suffixes",
        "starts",
        "expanded1",
        "ranks1",
        "offsets1",
        "words1",
        "begins1",
        "expanded2",
        "ranks2",
        "offsets2",
        "words2",
        "begins2",
        "expanded3",
        "ranks3",
        "offsets3",
        "words3",
        "begins3",
    ],
    header_sum: false,
};

/// An input is parts, each after its length in 32 bits: the manifest, then up to three shards.
fn parts(mut input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at((u32::from_le_bytes(*length) as usize).min(rest.len()));
        parts.push(part);
        input = rest;
        if parts.len() == 4 {
            break;
        }
    }
    parts
}

fn shard(number: usize) -> String {
    format!("shard-{number:05}.suffix")
}

fn seeds() {
    let few: Vec<u32> = (0..50u32).map(|i| i * i % 23 % 5).collect();
    let ones = [vec![0; 300], vec![1; 20], vec![0; 30], vec![2, 0, 1, 2]].concat();
    let dir = path("seed.index");
    for (name, ids, vocab_size, separator, cut) in [
        ("plain", &few, 5, None, None),
        ("documents", &few, 5, Some(4), None),
        ("lists", &ones, 3, Some(2), None),
        ("shards", &few, 5, Some(4), Some(20)),
        ("parts", &few, 6, Some(5), Some(20)),
        ("wide", &few, 70_000, Some(4), None),
    ] {
        let mut options = Options::new(vocab_size, separator);
        (options.shard_tokens, options.overlap) = (cut, 6);
        let mut builder = Builder::create(&dir, options).expect("a temporary directory");
        builder.append(ids, &Silent).expect("ids of the vocabulary");
        builder.finish(&Silent).expect("a temporary directory");
        let manifest = std::fs::read(dir.join("index.json")).expect("a manifest");
        for form in 0..2 {
            let mut parts = vec![manifest.clone()];
            for number in (0..3).take_while(|&number| dir.join(shard(number)).exists()) {
                parts.push(inputs_of(&dir.join(shard(number)), &KIND)[form].clone());
            }
            let input = |part: &Vec<u8>| [&(part.len() as u32).to_le_bytes()[..], part].concat();
            let input: Vec<u8> = parts.iter().flat_map(input).collect();
            seed(&format!("{name}-{form}"), &input);
        }
        std::fs::remove_dir_all(&dir).expect("a temporary directory");
    }
}

/// Writes the manifest, with the checksums of the shards in it and its own at the end.
fn write_manifest(dir: &Path, bytes: &[u8], shards: usize) {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let mut from = 0;
    for number in 0..shards {
        let bytes = std::fs::read(dir.join(shard(number))).expect("a temporary file");
        let Some(digest) = bytes.last_chunk::<8>() else { continue };
        let digest = format!("{:016x}", u64::from_le_bytes(*digest));
        let Some(at) = text[from..].find("\"xxh3\": \"") else { break };
        from += at + 9;
        if text.get(from..from + 16).is_some() {
            text.replace_range(from..from + 16, &digest);
        }
    }
    text.truncate(text.rfind("  \"checksum\"").unwrap_or(text.len()));
    let sum = xxh3_64(text.as_bytes());
    text.push_str(&format!("  \"checksum\": \"{sum:016x}\"\n}}\n"));
    std::fs::write(dir.join("index.json"), text).expect("a temporary file");
}

fn check(index: &Index, data: &[u8]) {
    let size = index.vocab_size() as u32;
    let separator = index.document_separator();
    let ids: Vec<u32> = data
        .iter()
        .rev()
        .skip(16)
        .take(200)
        .map(|&byte| match byte % 16 {
            0 => size - 1,
            1 => separator.unwrap_or(0),
            _ => u32::from(byte) % 5 % size,
        })
        .collect();
    let ids = [&ids[..], &[0; 40]].concat();
    let sound = index.verify(&Silent).inspect_err(clear).is_ok();
    let runs: Vec<&[u32]> = (0..8).map(|i| &ids[i * 5..i * 5 + i]).chain([&ids[200..]]).collect();
    let offsets: Vec<usize> = runs
        .iter()
        .scan(0, |sum, run| {
            *sum += run.len();
            Some(*sum)
        })
        .collect();
    let offsets = [&[0][..], &offsets].concat();
    let mut counts = vec![0; runs.len()];
    let batch = index.count_batch(&runs.concat(), &offsets, &mut counts);
    let batch = batch.inspect_err(clear).is_ok();
    for (run, batched) in runs.into_iter().zip(counts) {
        let Ok(count) = index.count(run).inspect_err(clear) else { continue };
        let next = index.next_counts(run).expect("a run that was counted");
        let places = if run.is_empty() { vec![] } else { index.find(run, 50).expect("a run") };
        let window = index.window(run, 1).expect("ids of the vocabulary");
        index.distribution(&window, &mut vec![0.0; index.vocab_size()]);
        index.probability(run, 0, 2).expect("ids of the vocabulary");
        index.read(&window, &ids[..20], 1).expect("ids of the vocabulary");
        if !sound {
            continue;
        }
        assert!(!batch || count == batched, "{run:?}");
        assert!(next.iter().map(|(_, count)| count).sum::<u64>() <= count + 1, "{run:?}");
        assert!(run.is_empty() || places.len() as u64 == count.min(50), "{run:?}");
        for place in places {
            let begins = usize::from(Some(run[0]) == separator && place.position < 0);
            let from = place.position.max(0) as u64;
            let there = index.document(place.document, from, from + (run.len() - begins) as u64);
            let mut inner = &run[begins..];
            if let Some((last, rest)) = inner.split_last()
                && Some(*last) == separator
            {
                inner = rest;
            }
            assert_eq!(there.expect("a document of its own"), inner, "{place:?} of {run:?}");
        }
    }
    let mut scored = vec![Scored::default(); ids.len()];
    index.score(&ids, 2, true, &mut scored).expect("ids of the vocabulary");
    assert!(!sound || scored.iter().all(|scored| scored.logprob <= 0.0), "{scored:?}");
    for span in index.trace(&ids, 2, 3).expect("ids of the vocabulary") {
        let run = &ids[span.start..span.end];
        assert!(!sound || index.count(run).is_ok_and(|count| count == span.count), "{span:?}");
    }
    for document in 0..index.num_documents().min(20) {
        index.document(document, 1, 9).expect("a document of its own");
    }
    let _ = (index.num_bytes(), index.num_shards(), index.fingerprint());
    let _ = index.tokenizer().inspect_err(clear);
}

fuzz_target!(init: seeds(), |data: &[u8]| {
    let dir = path("x.index");
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    let parts = parts(data);
    let Some((manifest, shards)) = parts.split_first() else { return };
    for (number, input) in shards.iter().enumerate() {
        write(&dir.join(shard(number)), &KIND, input);
    }
    write_manifest(&dir, manifest, shards.len());
    match Index::open(&dir) {
        Ok(index) => check(&index, data),
        Err(error) => clear(&error),
    }
    let _ = std::fs::remove_dir_all(&dir);
});
