//! ARPA files: the text format of back-off models that KenLM, SRILM and others exchange.
//!
//! ```text
//! \data\
//! ngram 1=6
//! ngram 2=7
//!
//! \1-grams:
//! -0.6146491 a -0.30103         log₁₀ p, the n-gram, log₁₀ of its weight as a context
//! …
//! \end\
//! ```
//!
//! p(w|h) = the value of hw if hw is listed, else the weight of h (1 if it is not listed) times
//! p(w|h′). A file tells `<s>`, which starts n-grams, from `</s>`, which ends them; a model here
//! has one separator for both. So writing splits it: at the start of an n-gram it is `<s>`, at
//! the end `</s>`; among the unigrams the value is that of `</s>` and the weight that of `<s>`.
//! Reading joins them. `write` and `read` have the two directions, `trie` makes a model of what
//! was read.

mod read;
mod section;
#[cfg(test)]
mod tests;
mod trie;
mod write;

/// log₁₀ p of what a file does not give at all, as KenLM has it for `<unk>`.
const NOTHING: f32 = -100.0;

const BEGIN: &[u8] = b"<s>";
const END: &[u8] = b"</s>";
