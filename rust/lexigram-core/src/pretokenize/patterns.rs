//! The published patterns as regular expressions, in the spellings that files hold.

/// The pattern of GPT-2.
pub const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The pattern of cl100k_base.
pub const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The pattern of o200k_base.
pub const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Other spellings of GPT-2's expression that match the same.
const GPT2_SPELLINGS: &[&str] = &[
    GPT2,
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
];

/// The part of cl100k's expression before and after the digits; Llama 3 and Qwen differ there.
const CL100K_PARTS: (&str, &str) = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// [`CL100K_TIKTOKEN`] without possessive quantifiers and `$`, which other engines read otherwise.
pub const CL100K_JOINED_END: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+|\s+(?!\S)|\s+";

/// tiktoken's newer expression for cl100k; see the note of [`super`].
pub const CL100K_TIKTOKEN: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

/// An expression for which there is a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// GPT-2.
    Gpt2,
    /// cl100k with at most so many digits in a piece.
    Cl100k {
        /// 3 in cl100k itself and Llama 3, 1 in Qwen.
        digits: usize,
        /// Whether the expression has the branch `\s+\z`.
        joins_end: bool,
    },
    /// o200k.
    O200k,
}

/// The expression that a short name stands for.
pub fn by_name(name: &str) -> Option<&'static str> {
    match name {
        "gpt2" => Some(GPT2),
        "cl100k" => Some(CL100K),
        "o200k" => Some(O200K),
        _ => None,
    }
}

/// The short name of an expression.
pub fn name_of(regex: &str) -> Option<&'static str> {
    match regex {
        GPT2 => Some("gpt2"),
        CL100K => Some("cl100k"),
        O200K => Some("o200k"),
        _ => None,
    }
}

/// One spelling for all that mean a published pattern; other expressions stay as they are.
pub fn canonical(regex: &str) -> &str {
    match recognize(regex) {
        Some(Known::Gpt2) => GPT2,
        Some(Known::O200k) => O200K,
        Some(Known::Cl100k { digits: 3, joins_end: false }) => CL100K,
        Some(Known::Cl100k { digits: 3, joins_end: true }) => CL100K_JOINED_END,
        _ => regex,
    }
}

/// The scanner for an expression, if there is one.
pub fn recognize(regex: &str) -> Option<Known> {
    if GPT2_SPELLINGS.contains(&regex) {
        return Some(Known::Gpt2);
    }
    if regex == O200K {
        return Some(Known::O200k);
    }
    if regex == CL100K_TIKTOKEN || regex == CL100K_JOINED_END {
        return Some(Known::Cl100k { digits: 3, joins_end: true });
    }
    let (head, tail) = CL100K_PARTS;
    match regex.strip_prefix(head)?.strip_suffix(tail)? {
        "{1,3}" => Some(Known::Cl100k { digits: 3, joins_end: false }),
        "" => Some(Known::Cl100k { digits: 1, joins_end: false }),
        _ => None,
    }
}
