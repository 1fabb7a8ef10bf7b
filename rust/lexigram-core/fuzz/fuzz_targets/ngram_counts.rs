//! Any sections as a file of n-gram counts: an error, or counts that are listed, found, saved, merged
//! and made into sound models.
#![no_main]

use lexigram_core::ngram::{Counts, Model, Options, Smoothing};
use lexigram_core::progress::Silent;
use lexigram_fuzz::{Kind, clear, inputs_of, path, seed, write};
use libfuzzer_sys::fuzz_target;

const KIND: Kind = Kind {
    kind: *b"NGRC",
    version: 1,
    tags: &["header", "words", "counts", "children", "heads"],
    header_sum: false,
};

fn seeds() {
    let tokens: Vec<u32> = (0..90u32).map(|i| i * i % 23 % 11).collect();
    let file = path("seed.counts");
    for (order, vocab_size, document_separator) in
        [(1, 11, None), (3, 11, Some(3)), (4, 11, None), (8, 12, Some(0)), (2, 70_000, Some(3))]
    {
        let options = Options { document_separator, ..Options::new(order, vocab_size) };
        let short = &tokens[..if order > 3 { 25 } else { 90 }];
        Counts::count(short, &options, &Silent).expect("counts").save(&file).expect("a file");
        let [image, sections] = inputs_of(&file, &KIND);
        seed(&format!("order-{order}.image"), &image);
        seed(&format!("order-{order}.sections"), &sections);
    }
}

fn listed(counts: &Counts, order: usize) -> (Vec<u32>, Vec<u32>) {
    counts.ngrams(order).expect("an order of its own")
}

fn check(counts: &Counts) {
    let merged = Counts::merge(&[counts.clone(), counts.clone()], false, &Silent);
    let merged = merged.inspect_err(clear).ok();
    for order in 1..=counts.order() {
        let (ids, times) = listed(counts, order);
        assert_eq!(times.len() as u64, counts.num_ngrams()[order - 1]);
        for (ngram, &times) in ids.chunks(order).zip(&times).take(200) {
            assert_eq!(counts.get(ngram), times);
        }
        if let Some(merged) = &merged {
            let twice: Vec<u32> = times.iter().map(|times| 2 * times).collect();
            assert_eq!(listed(merged, order), (ids, twice));
        }
    }
    let smoothings = [
        Smoothing::ModifiedKneserNey,
        Smoothing::WittenBell,
        Smoothing::StupidBackoff,
        Smoothing::Additive { pseudocount: 1.0 },
        Smoothing::NormalizedStupidBackoff,
    ];
    for smoothing in smoothings {
        for prune in [vec![], vec![0, 1], vec![0, 0, 2]] {
            let prune = prune[..prune.len().min(counts.order())].to_vec();
            let options = Options { smoothing, prune, ..Options::new(1, 1) };
            let model = Model::from_counts(counts.clone(), &options, &Silent);
            let Ok(model) = model.inspect_err(clear) else { continue };
            model.verify().expect("made from sound counts");
            let ids: Vec<u32> = (0..90).map(|i| i * i % 11 % model.vocab_size() as u32).collect();
            let mut scores = vec![0.0f64; ids.len()];
            model.score(&ids, &mut scores).expect("ids of the vocabulary");
            assert!(scores.iter().all(|score| !score.is_nan()));
            let _ = model.prune(1e-3).inspect_err(clear);
        }
    }
}

fuzz_target!(init: seeds(), |data: &[u8]| {
    let file = path("c.counts");
    write(&file, &KIND, data);
    match Counts::load(&file) {
        Ok(counts) => {
            check(&counts);
            counts.save(&path("d.counts")).expect("a temporary file");
            let again = Counts::load(&path("d.counts")).expect("its own file");
            assert_eq!(again.num_ngrams(), counts.num_ngrams());
        }
        Err(error) => clear(&error),
    }
});
