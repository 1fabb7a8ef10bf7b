//! Any bytes as an ARPA file: an error of one line, or a model that scores, and that is written
//! and read again with the same n-grams; saved, it loads.
#![no_main]

use lexigram_core::ngram::{Model, Options};
use lexigram_core::progress::Silent;
use lexigram_fuzz::{path, seed};
use libfuzzer_sys::fuzz_target;

fn seeds() {
    let file = path("seed.arpa");
    let tokens: Vec<u32> = (0..90u32).map(|i| i * i % 23 % 11).collect();
    for (order, document_separator) in [(1, Some(3)), (2, None), (3, Some(3)), (5, Some(0))] {
        let options = Options { document_separator, ..Options::new(order, 11) };
        let model = Model::train(&tokens[..90 / order], &options, &Silent).expect("a model");
        model.to_arpa(&file, None, &Silent).expect("a temporary file");
        seed(&format!("order-{order}"), &std::fs::read(&file).expect("a temporary file"));
    }
    let words =
        b"\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-.3\n-.5\t</s>\n\
                  -.4\ta\t-.2\n\n\\2-grams:\n-.1\t<s> a\n-.2\ta </s>\n\n\\end\\\n";
    seed("words", words);
}

fuzz_target!(init: seeds(), |data: &[u8]| {
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
