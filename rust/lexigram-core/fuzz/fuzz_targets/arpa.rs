//! Any bytes as an ARPA file: an error of one line, or a model that scores, and that is written
//! and read again with the same n-grams; saved, it loads.
#![no_main]

use std::path::PathBuf;

use lexigram_core::ngram::Model;
use lexigram_core::progress::Silent;
use libfuzzer_sys::fuzz_target;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lexigram-fuzz-{}-{name}", std::process::id()))
}

fuzz_target!(|data: &[u8]| {
    let (arpa, again, saved) = (path("x.arpa"), path("y.arpa"), path("x.ngram"));
    std::fs::write(&arpa, data).expect("a temporary file");
    let (model, _) = match Model::from_arpa(&arpa, &Silent) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
    };
    let words: Vec<u8> = model
        .words()
        .expect("in memory")
        .expect("a word model")
        .iter()
        .flat_map(|word| [word, b" "].concat())
        .collect();
    let scores = model.score_words(&words).expect("its own words");
    assert!(scores.iter().all(|score| !score.is_nan()));
    model.to_arpa(&again, None, &Silent).expect("a back-off model");
    let (second, notes) = Model::from_arpa(&again, &Silent).expect("its own file");
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(second.num_ngrams()[1..], model.num_ngrams()[1..]);
    assert_eq!(second.vocab_size(), model.vocab_size());
    model.save(&saved, None).expect("a temporary file");
    let loaded = Model::load(&saved).expect("its own file");
    let same = |one: &f64, other: &f64| (one - other).abs() <= 1e-4 * one.abs().max(1.0);
    let read = loaded.score_words(&words).expect("its own words");
    assert!(scores.iter().zip(&read).all(|(one, other)| one == other || same(one, other)));
    let _ = model.prune(1e-3).map(|pruned| pruned.score_words(&words));
});
