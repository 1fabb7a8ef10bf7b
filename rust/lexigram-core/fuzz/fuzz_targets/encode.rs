//! Any bytes are encoded without a panic, decode to themselves, and text has the ids that the
//! definition gives, by each pattern and by small vocabularies made from the input's first bytes.
#![no_main]

use lexigram_core::bpe::{Allowed, Merge, Parts, Text, Tokenizer, naive};
use libfuzzer_sys::fuzz_target;

/// A vocabulary whose merges are chosen by bytes: `ranks` with ids as ranks, or with merges in an
/// order of their own.
fn tokenizer(choices: &[u8], pattern: Option<&str>, ranks: bool) -> Option<Tokenizer> {
    let mut tokens: Vec<Vec<u8>> = (0..=255u8).map(|byte| vec![byte]).collect();
    // The parts of merges come from what texts often hold, and from earlier merges.
    let mut parts: Vec<usize> = b"a e't1\n\xe4\xb8\xad".iter().map(|&byte| byte.into()).collect();
    let mut merges = Vec::new();
    for pair in choices.chunks_exact(2) {
        let part = |byte: u8| parts[usize::from(byte) % parts.len()];
        let (left, right) = (part(pair[0]), part(pair[1]));
        let joined = [&tokens[left][..], &tokens[right][..]].concat();
        if joined.len() > 24 || tokens.contains(&joined) {
            continue;
        }
        merges.push(Merge { left: left as u32, right: right as u32, token: tokens.len() as u32 });
        parts.push(tokens.len());
        tokens.push(joined);
    }
    if choices.first().is_some_and(|&byte| byte & 1 == 1) {
        merges.reverse();
    }
    let tokens = tokens.into_iter().enumerate().map(|(id, token)| (id as u32, token)).collect();
    let pattern = pattern.map(Into::into);
    let merges = (!ranks).then_some(merges);
    Tokenizer::new(Parts { tokens, merges, pattern, whole_pieces: ranks, ..Parts::default() }).ok()
}

fn check(tokenizer: &Tokenizer, data: &[u8]) {
    let mut ids = Vec::new();
    tokenizer.encode(Text::Bytes(data), &Allowed::None, &mut ids).expect("every byte has a token");
    assert_eq!(tokenizer.decode(&ids).expect("its own ids"), data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut slow = Vec::new();
    for piece in tokenizer.pretokenizer().split(text).expect("a published pattern") {
        let piece = &data[piece];
        let whole = tokenizer.vocabulary().id(piece).filter(|_| tokenizer.whole_pieces());
        match whole {
            Some(id) => slow.push(id),
            None => slow.extend(naive::encode(piece, tokenizer.byte_ids(), tokenizer.merges())),
        }
    }
    assert_eq!(ids, slow);
}

fuzz_target!(|data: &[u8]| {
    let choices = data.first().map_or(0, |&byte| usize::from(byte % 48)).min(data.len());
    let (choices, text) = data.split_at(choices);
    // Cut off where the slow side would take too long.
    let text = &text[..text.len().min(400)];
    let way = data.get(1).map_or(0, |&byte| usize::from(byte));
    let pattern = [Some("o200k"), Some("cl100k"), Some("gpt2"), None][way % 4];
    if let Some(tokenizer) = tokenizer(choices, pattern, way & 4 == 0) {
        check(&tokenizer, text);
        check(&tokenizer, String::from_utf8_lossy(text).as_bytes());
    }
});
