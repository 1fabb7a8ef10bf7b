//! Any sections as an n-gram model file: an error, or a model that answers whatever it is asked and
//! ends; one that `verify` finds sound has log-probabilities, and is the same when it is saved again.
#![no_main]

use lexigram_core::ngram::{Model, Options, Smoothing};
use lexigram_core::progress::Silent;
use lexigram_fuzz::{Kind, clear, inputs_of, path, seed, write};
use libfuzzer_sys::fuzz_target;

const KIND: Kind = Kind {
    kind: *b"NGRM",
    version: 2,
    tags: &[
        "header",
        "words",
        "samples",
        "lines",
        "long",
        "rare",
        "weights",
        "logprobs",
        "codebook",
        "tokenizer",
        "vocabulary",
    ],
    header_sum: true,
};

fn seeds() {
    let tokens: Vec<u32> = (0..300u32).map(|i| i * i % 23 % 11).collect();
    let file = path("seed.ngram");
    let put = |name: &str, model: &Model, bits: Option<u32>| {
        model.save(&file, bits).expect("a temporary file");
        let [image, sections] = inputs_of(&file, &KIND);
        seed(&format!("{name}.image"), &image);
        seed(&format!("{name}.sections"), &sections);
    };
    let train = |options: &Options| Model::train(&tokens, options, &Silent).expect("a model");
    let smoothings = [
        Smoothing::ModifiedKneserNey,
        Smoothing::StupidBackoff,
        Smoothing::Additive { pseudocount: 0.5 },
        Smoothing::NormalizedStupidBackoff,
    ];
    for (i, smoothing) in smoothings.into_iter().enumerate() {
        let document_separator = (i % 2 == 0).then_some(3);
        let options = Options { smoothing, document_separator, ..Options::new(i + 1, 11) };
        put(&format!("smoothing-{i}"), &train(&options), None);
    }
    put("quantized", &train(&Options::new(3, 11)), Some(3));
    put("wide", &train(&Options::new(3, 70_000)), None);
    let text = path("seed.arpa");
    let arpa = "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-.3\n-.5\t</s>\n\
                -.4\ta\t-.2\n\n\\2-grams:\n-.1\t<s> a\n-.2\ta </s>\n\n\\end\\\n";
    std::fs::write(&text, arpa).expect("a temporary file");
    put("words", &Model::from_arpa(&text, &Silent).expect("a model").0, None);
}

fn scores(model: &Model, ids: &[u32]) -> Vec<f64> {
    let mut scores = vec![0.0f64; ids.len()];
    model.score(ids, &mut scores).expect("ids of the vocabulary");
    scores
}

fn check(model: &Model, data: &[u8]) {
    let size = model.vocab_size() as u32;
    // Ids from both ends of the vocabulary.
    let ids: Vec<u32> = data
        .iter()
        .rev()
        .take(300)
        .map(|&byte| match byte % 8 {
            0 => size - 1 - u32::from(byte) % size,
            _ => u32::from(byte) % 13 % size,
        })
        .collect();
    let ids = [&ids[..], &[0; 70]].concat();
    let scored = scores(model, &ids);
    let cuts = [0, 3, 3, ids.len()];
    model.order_used(&ids, &cuts, Some(1), &mut vec![0; ids.len()]).expect("ids");
    let mut rows = vec![0.0f32; 3 * model.vocab_size()];
    model.next_logprobs_batch(&ids, &cuts, Some(1), &mut rows).expect("ids");
    let words = model.words().inspect_err(clear).map(|words| words.cloned());
    if let Ok(Some(words)) = &words {
        let text: Vec<u8> = words.iter().take(20).flat_map(|w| [w, b" x\n"].concat()).collect();
        let _ = model.score_words(&text).inspect_err(clear);
    }
    let _ = (model.discounts(), model.counts_of_counts(), model.num_ngrams(), model.num_tokens());
    let sound = model.verify().inspect_err(clear).is_ok();
    let arpa = model.to_arpa(&path("m.arpa"), None, &Silent).inspect_err(clear);
    for made in [model.prune(1e-3), model.normalized()] {
        if let Ok(made) = made.inspect_err(clear) {
            made.verify().expect("made from sound levels");
            scores(&made, &ids);
        }
    }
    let _ = model.save(&path("q.ngram"), Some(2)).inspect_err(clear).map(|()| {
        scores(&Model::load(&path("q.ngram")).expect("its own file"), &ids);
    });
    if sound {
        assert!(scored.iter().all(|score| !score.is_nan()), "{scored:?}");
        model.save(&path("s.ngram"), None).expect("a sound model");
        let again = Model::load(&path("s.ngram")).expect("its own file");
        again.verify().expect("its own file");
        assert_eq!(scores(&again, &ids), scored);
        if arpa.is_ok() {
            let read = Model::from_arpa(&path("m.arpa"), &Silent);
            let _ = read.inspect_err(clear).map(|(model, _)| model.verify().expect("sound"));
        }
    }
}

fuzz_target!(init: seeds(), |data: &[u8]| {
    let file = path("m.ngram");
    write(&file, &KIND, data);
    for model in [Model::load(&file), Model::load_into_memory(&file)] {
        match model {
            Ok(model) => check(&model, data),
            Err(error) => clear(&error),
        }
    }
});
