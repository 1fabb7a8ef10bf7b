//! The scanners against the published expressions, the class tables against the Unicode data.

use std::fmt::Write as _;
use std::sync::LazyLock;

use fancy_regex::Regex;
use proptest::prelude::*;

use super::class::{self, CASELESS, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER};
use super::{Ends, Pretokenizer, compile, fill_by_regex, patterns, window};

const PATTERNS: [&str; 6] = [
    patterns::GPT2,
    patterns::CL100K,
    patterns::O200K,
    patterns::CL100K_JOINED_END,
    patterns::CL100K_TIKTOKEN,
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The flags of all scalar values, from the tables of the regex crates.
fn flags_from_unicode_data() -> Vec<u8> {
    let mut flags = vec![0u8; 0x11_0000];
    let classes = [
        (r"[\p{Lu}\p{Lt}]", UPPER),
        (r"\p{Ll}", LOWER),
        (r"[\p{Lm}\p{Lo}]", CASELESS),
        (r"\p{M}", MARK),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", NEWLINE),
    ];
    for (class, flag) in classes {
        let hir = regex_syntax::parse(class).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(ranges)) =
            hir.kind()
        else {
            panic!("{class} is a Unicode class");
        };
        for range in ranges.ranges() {
            for c in range.start()..=range.end() {
                flags[c as usize] |= flag;
            }
        }
    }
    flags
}

#[test]
fn class_tables_match_the_unicode_data() {
    for (c, &flags) in flags_from_unicode_data().iter().enumerate() {
        assert_eq!(class::of(c as u32), flags, "U+{c:04X}");
    }
    assert_eq!(class::of(0x11_0000), 0);
}

#[test]
fn letters_and_numbers_are_what_the_expressions_mean() {
    let whole = |class: &str| compile(&format!("^{class}$")).unwrap();
    let (letter, number, space) = (whole(r"\p{L}"), whole(r"\p{N}"), whole(r"\s"));
    for c in ('\0'..=char::MAX).step_by(7) {
        let flags = class::of(c.into());
        let text = c.to_string();
        assert_eq!(flags & class::LETTER != 0, letter.is_match(&text).unwrap(), "{c:?}");
        assert_eq!(flags & NUMBER != 0, number.is_match(&text).unwrap(), "{c:?}");
        assert_eq!(flags & SPACE != 0, space.is_match(&text).unwrap(), "{c:?}");
    }
}

/// Rewrites `class_tables.rs`: `cargo test -p lexigram-core write_class_tables -- --ignored`,
/// then `cargo fmt`.
#[test]
#[ignore = "writes a source file"]
fn write_class_tables() {
    let flags = flags_from_unicode_data();
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut index = Vec::new();
    for block in flags.chunks(64) {
        let known = blocks.iter().position(|b| *b == block);
        index.push(known.unwrap_or_else(|| {
            blocks.push(block);
            blocks.len() - 1
        }));
    }
    let mut out = String::from(
        "//! Generated from the Unicode data of regex-syntax by `pretokenize::tests::write_class_tables`.\n\n",
    );
    let numbers = |values: &mut dyn Iterator<Item = usize>| {
        let mut text = String::new();
        let mut column = 0;
        for value in values {
            let item = format!("{value},");
            if column + item.len() > 98 {
                text.push('\n');
                column = 0;
            }
            column += item.len();
            text.push_str(&item);
        }
        text
    };
    writeln!(out, "/// Block of each 64 scalar values.\n#[rustfmt::skip]").unwrap();
    let body = numbers(&mut index.iter().copied());
    writeln!(out, "pub static INDEX: [u16; {}] = [\n{body}\n];\n", index.len()).unwrap();
    writeln!(out, "/// Flags of the values of a block.\n#[rustfmt::skip]").unwrap();
    writeln!(out, "pub static BLOCKS: [[u8; 64]; {}] = [", blocks.len()).unwrap();
    for block in blocks {
        let body = numbers(&mut block.iter().map(|&b| b as usize));
        writeln!(out, "[{body}],").unwrap();
    }
    out.push_str("];\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pretokenize/class_tables.rs");
    std::fs::write(path, out).unwrap();
}

fn by_regex(regex: &Regex, text: &str) -> Vec<String> {
    let (mut pieces, mut ends, mut at) = (Vec::new(), Ends::default(), 0);
    while at < text.len() {
        ends.count = 0;
        fill_by_regex(regex, text, at, &mut ends).unwrap();
        for &end in ends.as_slice() {
            pieces.push(text[at..end].to_owned());
            at = end;
        }
    }
    pieces
}

fn by_scanner(pattern: &str, text: &str) -> Vec<String> {
    let pretokenizer = Pretokenizer::new(Some(pattern)).unwrap();
    assert!(!matches!(pretokenizer.kind, super::Kind::Custom(_)), "{pattern} has a scanner");
    let pieces = pretokenizer.split(text).unwrap();
    pieces.into_iter().map(|piece| text[piece].to_owned()).collect()
}

/// A character drawn from the classes that the patterns tell apart, with weight on the hard ones.
fn character() -> impl Strategy<Value = char> {
    let hard = "'sStTdDmMlLvVrReE\u{17f}\u{212a}/\u{2019}".chars().collect::<Vec<_>>();
    let blank = "  \n\r\t\u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{2029}\u{3000}\u{1c}\u{200b}\u{180e}";
    let blank = blank.chars().collect::<Vec<_>>();
    // Lt, Lm, Lo, M, N, So, beyond the basic plane, unassigned
    let wide = "ǅʰªあ中á\u{301}\u{200d}\u{20dd}٣Ⅷ½²𝟘𝐀𝐚😀🏽🇩\u{1f1ea}߀؀\u{378}\u{ffff}\u{e000}";
    let wide = wide.chars().collect::<Vec<_>>();
    prop_oneof![
        6 => prop::sample::select(hard),
        5 => prop::sample::select(blank),
        4 => prop::sample::select(wide),
        3 => prop::char::range('a', 'z'),
        2 => prop::char::range('A', 'Z'),
        2 => prop::char::range('0', '9'),
        2 => prop::char::range('!', '/'),
        1 => any::<char>(),
        1 => prop::char::range('\u{80}', '\u{7ff}'),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..40).prop_map(|chars| chars.into_iter().collect())
}

/// Several windows of mostly ASCII text: words, code, runs of every class.
fn long_text() -> impl Strategy<Value = String> {
    let units = [
        "a",
        "word",
        "Word",
        "WORD",
        "camelCase",
        "HTMLParser",
        " ",
        " ",
        " ",
        "  ",
        "     ",
        "\n",
        "\n\n",
        "\n  ",
        "  \n",
        "\r\n",
        "\t",
        "\t\t",
        "1",
        "12",
        "123",
        "1234",
        "1234567",
        "!",
        ".",
        "//",
        "/",
        "/\n",
        "\n/",
        "'",
        "''",
        "'s",
        "'t",
        "'ll",
        "'LL",
        "'re",
        "'l",
        "'x",
        "don't",
        "(",
        "):",
        "_x",
        "=",
        "e\u{301}",
        "é",
        "中",
        "。",
        "\u{a0}",
        "\u{3000}",
        "'ſ",
        "😀",
        "½",
    ];
    let unit = prop_oneof![
        8 => prop::sample::select(units[..45].to_vec()),
        1 => prop::sample::select(units.to_vec()),
    ];
    let run = (unit, prop_oneof![6 => 1..2usize, 2 => 2..6usize, 1 => 20..90usize]);
    prop::collection::vec(run, 0..60)
        .prop_map(|runs| runs.into_iter().map(|(unit, times)| unit.repeat(times)).collect())
}

/// Several windows of text of which most is beyond ASCII: words of many scripts, with and without
/// case, marks, symbols of several bytes.
fn wide_text() -> impl Strategy<Value = String> {
    let units = [
        "слово",
        "Слово",
        "СЛОВО",
        "é",
        "Éa",
        "e\u{301}",
        "नमस्ते",
        "ไทย",
        "مرحبا",
        "שלום",
        "中",
        "文字",
        "かな",
        "カナ",
        "한국어",
        "ǅ",
        "ʰ",
        "ª",
        "ß",
        "𝐀",
        "𝐚",
        " ",
        " ",
        " ",
        "  ",
        "\n",
        "\n ",
        "\t",
        "a",
        "Word",
        "B",
        "1",
        "123",
        ".",
        ",",
        "'",
        "'s",
        "'ſ",
        "'S",
        "’",
        "«",
        "»",
        "。",
        "、",
        "—",
        "…",
        "😀",
        "❤\u{fe0f}",
        "👩\u{200d}🔬",
        "\u{301}",
        "!\u{301}",
        "\u{200d}",
        "٣",
        "½",
        "\u{a0}",
        "\u{3000}",
        "/",
        "\n/",
        "!!",
        "\r\n",
    ];
    let unit = prop::sample::select(units.to_vec());
    let run = (unit, prop_oneof![8 => 1..2usize, 2 => 2..5usize, 1 => 10..40usize]);
    prop::collection::vec(run, 0..60)
        .prop_map(|runs| runs.into_iter().map(|(unit, times)| unit.repeat(times)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn scanners_match_the_expressions(text in text()) {
        static REGEXES: LazyLock<Vec<Regex>> =
            LazyLock::new(|| PATTERNS.iter().map(|pattern| compile(pattern).unwrap()).collect());
        for (pattern, regex) in PATTERNS.iter().zip(REGEXES.iter()) {
            prop_assert_eq!(by_scanner(pattern, &text), by_regex(regex, &text), "{}", pattern);
        }
    }

    #[test]
    fn windows_match_the_expressions(text in prop_oneof![long_text(), wide_text()]) {
        static REGEXES: LazyLock<Vec<Regex>> =
            LazyLock::new(|| PATTERNS.iter().map(|pattern| compile(pattern).unwrap()).collect());
        for (pattern, regex) in PATTERNS.iter().zip(REGEXES.iter()) {
            prop_assert_eq!(by_scanner(pattern, &text), by_regex(regex, &text), "{}", pattern);
        }
    }

    #[test]
    fn masks_are_the_same_on_every_machine(text in prop_oneof![text(), long_text(), wide_text()]) {
        let bytes: Vec<u8> = text.bytes().chain([b'x'; 64]).collect();
        window::check_masks(bytes.first_chunk().unwrap());
    }

    #[test]
    fn a_cut_changes_no_piece(chunk in text(), rest in text(), limit in 0..80usize) {
        let whole = format!("{chunk}{rest}");
        for pattern in PATTERNS {
            let cut = Pretokenizer::new(Some(pattern)).unwrap().cut_before(&chunk, limit);
            prop_assert!(cut <= limit);
            let mut pieces = by_scanner(pattern, &whole[..cut]);
            pieces.extend(by_scanner(pattern, &whole[cut..]));
            prop_assert_eq!(pieces, by_scanner(pattern, &whole), "{}", pattern);
        }
    }

    #[test]
    fn custom_expressions_lose_no_text(text in text()) {
        static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
            [r"\p{L}+", r"x*", r"(?=\n)", r"\s+(?!\S)|a"].map(|p| compile(p).unwrap()).into()
        });
        for regex in REGEXES.iter() {
            let pieces = by_regex(regex, &text);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            prop_assert_eq!(pieces.concat(), text.as_str());
        }
    }
}

#[test]
fn every_short_string_over_a_hard_alphabet() {
    // All strings of up to 5 characters over one of each class.
    let alphabet = ['a', 'A', 'あ', '\u{301}', '1', ' ', '\n', '\u{3000}', '!', '\'', 's'];
    let regexes = PATTERNS.map(|pattern| compile(pattern).unwrap());
    let scanners = PATTERNS.map(|pattern| Pretokenizer::new(Some(pattern)).unwrap());
    let mut ends = Ends::default();
    for length in 1..=5u32 {
        for code in 0..alphabet.len().pow(length) {
            let char_at = |i: u32| alphabet[code / alphabet.len().pow(i) % alphabet.len()];
            let text: String = (0..length).map(char_at).collect();
            for (regex, scanner) in regexes.iter().zip(&scanners) {
                // The first piece is enough: later ones begin a shorter string.
                ends.count = 0;
                fill_by_regex(regex, &text, 0, &mut ends).unwrap();
                let first = ends.as_slice()[0];
                scanner.fill(&text, 0, &mut ends).unwrap();
                assert_eq!(ends.as_slice()[0], first, "{text:?} {:?}", scanner.name());
            }
        }
    }
}

#[test]
fn long_runs_take_linear_time() {
    // Quadratic work on 2 MB would be 10^12 steps.
    for unit in ["a", "A", "あA", " ", "\n ", "1", "!", "\u{301}", "'s", "\u{3000}"] {
        let text = unit.repeat((2 << 20) / unit.len());
        for pattern in PATTERNS {
            let pieces = Pretokenizer::new(Some(pattern)).unwrap().split(&text).unwrap();
            assert_eq!(pieces.last().unwrap().end, text.len());
        }
    }
}

#[test]
fn cuts_lie_where_words_end() {
    let cut = |text: &str, limit| Pretokenizer::new(Some("o200k")).unwrap().cut_before(text, limit);
    assert_eq!(cut("ab cd ef", 8), 5);
    assert_eq!(cut("ab cd ef", 5), 5);
    assert_eq!(cut("ab cd ef", 4), 2);
    assert_eq!(cut("a b", 9), 1);
    assert_eq!(cut("中文。中文", 99), 6);
    assert_eq!(cut("don't", 9), 0, "a contraction is never split");
    assert_eq!(cut("", 9), 0);
    assert_eq!(Pretokenizer::new(Some("a|b")).unwrap().cut_before("a b", 3), 0);
}

#[test]
fn names_and_errors() {
    for name in ["gpt2", "cl100k", "o200k"] {
        assert_eq!(Pretokenizer::new(Some(name)).unwrap().name(), Some(name));
    }
    assert_eq!(Pretokenizer::new(None).unwrap().split("a b").unwrap(), vec![0..3]);
    assert!(Pretokenizer::new(None).unwrap().split("").unwrap().is_empty());
    let error = Pretokenizer::new(Some("(")).unwrap_err().to_string();
    assert!(error.starts_with("pattern = \"(\"") && !error.contains('\n'), "{error}");
}
