//! Lines by hand, and against serde_json.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn texts(block: &[u8]) -> (Vec<String>, Vec<usize>) {
    let rows = read(block, "text", 1);
    let doubtful = rows.doubtful.iter().map(|d| d.line).collect();
    (rows.texts.iter().map(str::to_owned).collect(), doubtful)
}

fn one(line: &str) -> Option<String> {
    let (mut texts, doubtful) = texts(line.as_bytes());
    assert_eq!(texts.len() + doubtful.len(), 1, "{line}");
    texts.pop()
}

#[test]
fn by_hand() {
    let good = [
        (r#"{"text": "a"}"#, "a"),
        (" \t{ \"text\" :\r\"a\" } \r\n", "a"),
        (r#"{"text":"a","text":"b"}"#, "b"),
        (r#"{"text":1,"text":"b"}"#, "b"),
        (r#"{"a":{"text":"x"},"text":"","n":[1,-0.5e+3,null,true,NaN,-Infinity]}"#, ""),
        (r#"{"text":"\ud83d\ude00\u00e9\n\/\"\\\b\f\r\t\u0000"}"#, "😀é\n/\"\\\u{8}\u{c}\r\t\0"),
        (r#"{"x":"\ud800","text":"ü"}"#, "ü"),
    ];
    for (line, text) in good {
        assert_eq!(one(line).as_deref(), Some(text), "{line}");
    }
    let depth = |n| format!("{{\"a\":{}{},\"text\":\"x\"}}", "[".repeat(n), "]".repeat(n));
    assert!(one(&depth(MAX_DEPTH)).is_some());
    let digits = format!("{{\"n\":{},\"text\":\"x\"}}", "1".repeat(MAX_DIGITS + 1));
    let doubtful = [
        r#"{"text":"b","text":1}"#,
        r#"{"te\u0078t":"a","text":"b"}"#,
        r#"{"text":"\ud800"}"#,
        r#"{"text":"\ud800\u0041"}"#,
        r#"{"text":"\udc00"}"#,
        "{}",
        "[]",
        "x",
        r#"{"text":"a"}}"#,
        r#"{"text":"a",}"#,
        r#"{"n":01,"text":"a"}"#,
        r#"{"n":1.,"text":"a"}"#,
        r#"{"n":-,"text":"a"}"#,
        r#"{"text":"a"} x"#,
        "{\"text\":\"a\tb\"}",
        r#"{"text":"\x"}"#,
        r#"{"text":"\u12g4"}"#,
        r#"{"text":"\u+123"}"#,
        r#"{text:"a"}"#,
        r#"{"text":"a"#,
        "\u{feff}{\"text\":\"a\"}",
        r#"{"text" "a"}"#,
        r#"{"a":tru,"text":"a"}"#,
        &depth(MAX_DEPTH + 1),
        &digits,
    ];
    for line in doubtful {
        assert_eq!(one(line), None, "{line}");
    }
}

#[test]
fn lines_and_their_places() {
    let block = b"{\"text\":\"a\"}\n \x0b\n\xff\n{\"text\":\"b\"}\nx";
    let rows = read(block, "text", 2);
    assert_eq!(rows.texts.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rows.num_lines, 5);
    let expected = [(1, 2, 16..18), (2, 4, 31..32)];
    let expected = expected.map(|(before, line, place)| Doubtful { before, line, place });
    assert_eq!(rows.doubtful, expected);
    assert_eq!(read(b"", "text", 2).num_lines, 0);
}

proptest! {
    #[test]
    fn special_is_the_first(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1eu8..0x24, 0x5bu8..0x5e], 0..40)) {
        let naive = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
        prop_assert_eq!(special(&bytes, 0), naive);
    }

    /// Against serde_json: what is plain is right, and what a writer of JSON writes is plain.
    #[test]
    fn as_serde_json(texts_in in prop::collection::vec(".*", 0..8), noise in ".*", n: f64, threads in 1usize..4) {
        let mut block = String::new();
        for text in &texts_in {
            let row = json!({"id": n, "noise": {"text": noise, "list": [noise]}, "text": text});
            block += &format!("{row}\n");
        }
        let rows = read(block.as_bytes(), "text", threads);
        prop_assert!(rows.doubtful.is_empty());
        prop_assert_eq!(rows.texts.iter().collect::<Vec<_>>(), texts_in);
    }

    /// A line with a byte changed is doubtful, or serde_json finds the same.
    #[test]
    fn changed_bytes(text in ".{0,9}", at in 0usize..60, byte: u8) {
        let mut line = json!({"a": [1.5, "\u{1}"], "text": text, "b": null}).to_string().into_bytes();
        let at = at % line.len();
        line[at] = byte;
        line.retain(|&b| b != b'\n');
        for text in read(&line, "text", 1).texts.iter() {
            if let Ok(row) = serde_json::from_slice::<Value>(&line) {
                prop_assert_eq!(row["text"].as_str(), Some(text));
            } else {
                // Only numbers that Python reads and serde_json does not.
                let shown = String::from_utf8_lossy(&line).into_owned();
                prop_assert!(shown.contains('E') || shown.contains('e'), "{}", shown);
            }
        }
    }
}
