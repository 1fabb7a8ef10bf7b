//! Every answer against the definitions, read off the stream.

use std::path::Path;

use proptest::prelude::*;

use super::naive::Naive;
use super::search::{COMPARED, SEARCHES};
use super::{Builder, Index, Options, Scored, tree};
use crate::progress::Silent;

pub(super) fn build(dir: &Path, stream: &[u32], options: Options) -> Index {
    let mut builder = Builder::create(dir, options).unwrap();
    builder.append(stream, &Silent).unwrap();
    builder.finish(&Silent).unwrap();
    Index::open(dir).unwrap()
}

/// A stream of ids below `vocab_size`, of which the last may be the separator: random, repeated,
/// of one id, with separators at the ends and next to each other.
fn streams() -> impl Strategy<Value = (Vec<u32>, usize, Option<u32>)> {
    let ids = |vocab: u32| {
        prop_oneof![
            prop::collection::vec(0..vocab, 1..60),
            (prop::collection::vec(0..vocab, 1..6), 1usize..20).prop_map(|(v, n)| v.repeat(n)),
            (
                prop::collection::vec(0..vocab, 1..20),
                prop::collection::vec(0..vocab, 1..4),
                1usize..12
            )
                .prop_map(|(a, b, n)| [a.clone(), b.repeat(n), a].concat()),
        ]
    };
    (1u32..6, any::<bool>(), any::<bool>()).prop_flat_map(move |(vocab, separated, wide)| {
        let vocab_size = if wide { 70_000 } else { vocab as usize };
        ids(vocab).prop_map(move |v| (v, vocab_size, separated.then_some(vocab - 1)))
    })
}

fn check(stream: &[u32], vocab_size: usize, separator: Option<u32>, options: Options, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let index = build(&dir.path().join("index"), stream, options);
    index.verify(&Silent).unwrap();
    let naive = Naive::new(stream, separator, vocab_size.min(6));
    assert_eq!(index.num_tokens(), stream.len() as u64);
    assert_eq!(index.num_documents(), naive.documents.len() as u64);
    let most = index.max_match().unwrap_or(usize::MAX);

    for (d, document) in naive.documents.iter().enumerate() {
        let mut inner = &document[usize::from(separator.is_some())..];
        if separator.is_some() && inner.last().copied() == separator {
            inner = &inner[..inner.len() - 1];
        }
        assert_eq!(index.document(d as u64, 0, u64::MAX).unwrap(), inner);
        let (start, stop) = (inner.len() / 3, inner.len() / 2);
        let part = index.document(d as u64, start as u64, stop as u64).unwrap();
        assert_eq!(part, inner[start..stop]);
    }

    // Runs of the stream, and the same with one id changed.
    let mut runs: Vec<Vec<u32>> = vec![vec![]];
    for length in [1usize, 2, 3, 4, 5, 7, 12] {
        for step in 0..6 {
            let from = (seed as usize + step * 7) % stream.len();
            let mut run = stream[from..].iter().copied().take(length.min(most)).collect::<Vec<_>>();
            runs.push(run.clone());
            if let Some(s) = separator
                && run.len() < most
            {
                runs.push([&[s], &run[..]].concat());
            }
            let at = step % run.len();
            run[at] = (run[at] + 1) % vocab_size.min(6) as u32;
            runs.push(run);
        }
    }
    let flat = runs.concat();
    let mut offsets = vec![0];
    offsets.extend(runs.iter().scan(0, |sum, run| {
        *sum += run.len();
        Some(*sum)
    }));
    let mut batch = vec![0; runs.len()];
    index.count_batch(&flat, &offsets, &mut batch).unwrap();
    for (run, batched) in runs.iter().zip(batch) {
        assert_eq!(index.count(run).unwrap(), naive.count(run), "{run:?}");
        assert_eq!(batched, naive.count(run), "{run:?}");
        let next = index.next_counts(run).unwrap();
        let expected: Vec<(u32, u64)> =
            (0..).zip(naive.next_counts(run)).filter(|(_, count)| *count > 0).collect();
        assert_eq!(next, expected, "{run:?}");
        if !run.is_empty() {
            let places = index.find(run, usize::MAX).unwrap();
            let places: Vec<_> = places.iter().map(|p| (p.document, p.position)).collect();
            assert_eq!(places, naive.places(run), "{run:?}");
            assert_eq!(index.find(run, 1).unwrap().len(), places.len().min(1));
        }
        if index.max_match().is_none() {
            check_infinigram(&index, &naive, run);
        }
    }
    if index.max_match().is_none() {
        check_text(&index, &naive, &flat);
    }
}

fn check_infinigram(index: &Index, naive: &Naive, context: &[u32]) {
    for support in [1, 2, 5] {
        let (length, counts) = naive.infinigram(context, support);
        let window = index.window(context, support).unwrap();
        assert_eq!(window.len(), length, "{context:?}");
        let mut logprobs = vec![0.0; index.vocab_size()];
        let sparse = index.distribution(&window, &mut logprobs);
        let total: u64 = counts.iter().sum();
        for (id, count) in counts.iter().enumerate() {
            let p = *count as f64 / total as f64;
            assert_eq!(logprobs[id], p.ln());
            let found = index.probability(context, id as u32, support).unwrap();
            assert_eq!(found, (p, length as u32 + 1));
        }
        assert_eq!(sparse, length > 0 && counts.iter().filter(|&&count| count > 0).count() == 1);
    }
}

/// A text read id by id, in one call and in two.
fn check_text(index: &Index, naive: &Naive, text: &[u32]) {
    let text = &text[..text.len().min(80)];
    let mut scored = vec![Scored::default(); text.len()];
    index.score(text, 2, true, &mut scored).unwrap();
    let cut = text.len() / 3;
    let mut window = index.window(&[], 2).unwrap();
    for (i, &id) in text.iter().enumerate() {
        let (length, counts) = naive.infinigram(&text[..i], 2);
        let total: u64 = counts.iter().sum();
        let expected = Scored {
            logprob: (counts[id as usize] as f64 / total as f64).ln(),
            order: length as u32 + 1,
            sparse: length > 0 && counts.iter().filter(|&&count| count > 0).count() == 1,
        };
        assert_eq!(scored[i], expected, "{i} of {text:?}");
        assert_eq!(window.len(), length);
        window = index.read(&window, &[id], 2).unwrap();
        if i == cut {
            let at_once = index.read(&index.window(&[], 2).unwrap(), &text[..=i], 2).unwrap();
            assert_eq!(at_once.run(), window.run());
        }
    }
    for min_length in [1, 2, 4] {
        let spans = index.trace(text, min_length, 3).unwrap();
        let found: Vec<_> = spans.iter().map(|s| (s.start, s.end, s.count)).collect();
        assert_eq!(found, naive.trace(text, min_length));
        for span in spans {
            assert!((1..=3).contains(&span.documents.len()) && span.documents.is_sorted());
            let places = naive.places(&text[span.start..span.end]);
            assert!(span.documents.iter().all(|d| places.iter().any(|(at, _)| at == d)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn answers_are_those_of_the_definitions(
        (stream, vocab_size, separator) in streams(), seed in any::<u64>(),
    ) {
        check(&stream, vocab_size, separator, Options::new(vocab_size, separator), seed >> 32);
    }

    /// Small shards, of which some cut a document.
    #[test]
    fn shards_do_not_matter(
        (stream, vocab_size, separator) in streams(), seed in any::<u64>(),
        shard in 1usize..30, overlap in 1usize..14,
    ) {
        let mut options = Options::new(vocab_size, separator);
        (options.shard_tokens, options.overlap) = (Some(shard), overlap);
        check(&stream, vocab_size, separator, options, seed >> 32);
    }

    /// Texts that repeat themselves more than the corpus does, with an id changed here and there.
    #[test]
    fn repetition_has_the_same_windows(
        word in prop::collection::vec(0u32..3, 1..4), times in 4usize..25, front in 0u32..4,
        changes in prop::collection::vec((0usize..80, 0u32..3), 0..3),
        separator in prop::option::of(Just(3u32)), overlap in prop::option::of(9usize..20),
    ) {
        let stream = [&[front][..], &word.repeat(times), &[front]].concat();
        let mut text = word.repeat(80 / word.len());
        for (at, id) in changes {
            let at = at % text.len();
            text[at] = id;
        }
        let mut options = Options::new(4, separator);
        if let Some(overlap) = overlap {
            (options.shard_tokens, options.overlap) = (Some(overlap + 2), overlap);
        }
        let dir = tempfile::tempdir().unwrap();
        let index = build(&dir.path().join("index"), &stream, options);
        if index.max_match().is_none() {
            check_text(&index, &Naive::new(&stream, separator, 4), &text);
        }
        let mut scored = vec![Scored::default(); text.len()];
        index.score(&text, 1, false, &mut scored).unwrap();
        for (i, scored) in scored.iter().enumerate() {
            let window = index.window(&text[..i], 1).unwrap();
            prop_assert_eq!(scored.order as usize, window.len() + 1, "{} of {:?}", i, text);
            let (p, _) = index.probability(&text[..i], text[i], 1).unwrap();
            prop_assert_eq!(scored.logprob, p.ln());
        }
    }

    /// Trees of low thresholds against the sorted suffixes.
    #[test]
    fn lists_are_what_follows((stream, vocab_size, _) in streams(), threshold in 1u32..5) {
        let mut suffixes: Vec<u32> = (0..stream.len() as u32).collect();
        suffixes.sort_by_key(|&i| &stream[i as usize..]);
        let tree = tree::build(&stream, &suffixes, vocab_size, None, threshold);
        // The nodes of a level in order, as runs and where they begin and end.
        let mut nodes: Vec<(Vec<u32>, u32, u32)> = (0..vocab_size as u32)
            .map(|id| (vec![id], tree.starts[id as usize], tree.starts[id as usize + 1]))
            .collect();
        for level in &tree.levels {
            let lists = level.view();
            let mut below = Vec::new();
            for (number, (run, start, end)) in nodes.iter().enumerate() {
                let Some((from, to)) = lists.of(number as u32) else {
                    prop_assert!(end - start < threshold);
                    continue;
                };
                prop_assert!(end - start >= threshold);
                let mut sum = 0;
                for i in from..to {
                    let child = [&run[..], &[lists.words[i as usize]]].concat();
                    let places = stream.windows(child.len()).filter(|w| **w == child[..]).count();
                    let child_start = lists.starts[i as usize];
                    sum += places;
                    below.push((child, child_start, child_start + places as u32));
                }
                let ends = usize::from(stream.ends_with(run));
                prop_assert_eq!(sum + ends, (end - start) as usize);
            }
            prop_assert_eq!(below.len(), lists.words.len());
            nodes = below;
        }
    }

    /// A file whose bytes were changed and whose checksums were not: nothing panics.
    #[test]
    fn lies_lead_nowhere(
        (stream, vocab_size, separator) in streams(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let stream = stream.repeat(8);
        drop(build(&path, &stream, Options::new(vocab_size, separator)));
        let file = path.join("shard-00000.suffix");
        let mut bytes = std::fs::read(&file).unwrap();
        let end = u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
        // The header section and behind; the container's own header has its checksum.
        let begin = u64::from_le_bytes(bytes[56..64].try_into().unwrap()) as usize;
        for (at, value) in changes {
            bytes[begin + at.index(end - begin)] = value;
        }
        std::fs::write(&file, &bytes).unwrap();
        let Ok(index) = Index::open(&path) else { return Ok(()) };
        let text: Vec<u32> = stream.iter().copied().take(30).collect();
        let _ = index.verify(&Silent);
        for length in 1..6 {
            let run = &text[..length.min(text.len())];
            index.count(run).unwrap();
            index.next_counts(run).unwrap();
            index.find(run, 10).unwrap();
            let window = index.window(run, 1).unwrap();
            index.distribution(&window, &mut vec![0.0; vocab_size]);
        }
        index.score(&text, 1, true, &mut vec![Scored::default(); text.len()]).unwrap();
        index.trace(&text, 1, 3).unwrap();
        for document in 0..index.num_documents() {
            index.document(document, 1, 9).unwrap();
        }
    }
}

/// Nodes with lists, which small streams do not have: a long stream of few ids.
#[test]
fn long_streams() {
    let mut state = 1u64;
    let mut ids = |n: usize, vocab: u64| -> Vec<u32> {
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 33) * (state >> 33) % (vocab * vocab)).isqrt() as u32
            })
            .collect()
    };
    for (n, vocab, separator) in [(6000, 5, Some(4)), (6000, 3, None), (3000, 6, Some(0))] {
        let stream = ids(n, vocab);
        let options = Options::new(vocab as usize, separator);
        check(&stream, vocab as usize, separator, options.clone(), 17);
        let mut options = options;
        options.shard_tokens = Some(2000);
        options.overlap = 40;
        check(&stream, vocab as usize, separator, options, 5);
    }
}

#[test]
fn repetition_takes_one_search_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let length = 300;
    let index = build(&dir.path().join("index"), &vec![0; length], Options::new(2, None));
    let mut scored = vec![Scored::default(); 4 * length];
    let before = SEARCHES.get();
    index.score(&vec![0; 4 * length], 1, false, &mut scored).unwrap();
    let searches = SEARCHES.get() - before;
    // The longest run that goes on is one shorter than the corpus.
    for (i, scored) in scored.iter().enumerate() {
        assert_eq!((scored.logprob, scored.order), (0.0, i.min(length - 1) as u32 + 1), "{i}");
    }
    assert!(searches <= 4 * length + 2, "{searches} searches");
}

/// Each id costs a search of the tables, and no longer one for each id of the window.
#[test]
fn repetition_takes_few_comparisons() {
    let dir = tempfile::tempdir().unwrap();
    let cost = |name: &str, word: &[u32], corpus: usize, length: usize| {
        let times = |n: usize| word.repeat(n.div_ceil(word.len()))[..n].to_vec();
        let index = build(&dir.path().join(name), &times(corpus), Options::new(8, None));
        let (text, mut scored) = (times(length), vec![Scored::default(); length]);
        let before = COMPARED.get();
        index.score(&text, 1, false, &mut scored).unwrap();
        let scores = COMPARED.get() - before;
        for (i, scored) in scored.iter().enumerate().step_by(97) {
            let window = index.window(&text[..i], 1).unwrap();
            assert_eq!(scored.order as usize, window.len() + 1, "{i}");
        }
        let before = COMPARED.get();
        let spans = index.trace(&text, 1, 1).unwrap();
        assert!(!spans.is_empty());
        (scores, COMPARED.get() - before)
    };
    for (name, word) in [("1", &[5][..]), ("2", &[1, 2]), ("7", &[1, 2, 1, 3, 1, 1, 4])] {
        let (scores, traced) = cost(name, word, 500, 4000);
        assert!(scores < 60 * 4000, "{scores} comparisons to score, period {name}");
        assert!(traced < 60 * 4000, "{traced} comparisons to trace, period {name}");
    }
}
