//! The scanner against `serde_json` and `std`, and its own rules one by one.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Reads any value into a tree, as a client of the scanner would.
fn tree(scanner: &mut Scanner<'_>) -> Scan<Value> {
    Ok(match scanner.peek() {
        b'{' => {
            let mut members = Map::new();
            scanner.object()?;
            while let Some(key) = scanner.key()? {
                members.insert(key.into_owned(), tree(scanner)?);
            }
            Value::Object(members)
        }
        b'[' => {
            let mut elements = Vec::new();
            scanner.array()?;
            while scanner.element()? {
                elements.push(tree(scanner)?);
            }
            Value::Array(elements)
        }
        b'"' => Value::String(scanner.string()?.into_owned()),
        b't' | b'f' => Value::Bool(scanner.boolean()?),
        b'n' => scanner.null().map(|_| Value::Null)?,
        _ => {
            let number = scanner.number()?;
            let text = std::str::from_utf8(number.text()).expect("digits");
            let value: f64 = text.parse().expect("std reads what JSON allows");
            assert_eq!(number.to_f64().to_bits(), value.to_bits(), "{text}");
            assert_eq!(number.to_f32().to_bits(), text.parse::<f32>().expect("same").to_bits(), "{text}");
            Value::from(value)
        }
    })
}

fn document(text: &[u8]) -> Result<Value, String> {
    let mut scanner = Scanner::new(text);
    let value = tree(&mut scanner).and_then(|value| scanner.end().map(|()| value));
    let mut again = Scanner::new(text);
    let skipped = again.skip_value().and_then(|()| again.end());
    assert_eq!(value.is_ok(), skipped.is_ok(), "reading and skipping agree on {:?}", String::from_utf8_lossy(text));
    value.map_err(|fault| Error::from(fault).message)
}

/// All numbers as doubles, to compare trees.
fn with_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(elements) => elements.into_iter().map(with_doubles).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, with_doubles(value))).collect(),
        other => other,
    }
}

/// `serde_json` without its feature `float_roundtrip` may be one unit in the last place off.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= a.abs() * 1e-15 || (a - b).abs() <= f64::MIN_POSITIVE
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| alike(value, other)))
        }
        (a, b) => a == b,
    }
}

fn agrees_with_serde_json(text: &[u8]) {
    let ours = document(text);
    match (serde_json::from_slice::<Value>(text), ours) {
        (Ok(theirs), Ok(ours)) => assert!(alike(&with_doubles(theirs), &ours), "{:?}", String::from_utf8_lossy(text)),
        // A number like 1e999 is JSON; that no type can hold it is said by whoever wants a type.
        (Err(error), _) if error.to_string().contains("out of range") => {}
        (theirs, ours) => {
            assert_eq!(theirs.is_ok(), ours.is_ok(), "{:?}: {theirs:?}, {ours:?}", String::from_utf8_lossy(text));
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\"\\\\/\u{0}-\u{1f}a-c\u{80}-\u{ffff}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_reads_as_serde_json_reads_it(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        agrees_with_serde_json(&text.expect("json"));
    }

    #[test]
    fn a_damaged_document_is_judged_as_serde_json_judges_it(
        value in any_json(),
        place: prop::sample::Index,
        damage in prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b'0'), Just(b'}'), Just(b']'), Just(b'u'), any::<u8>()],
        insert: bool,
    ) {
        let mut text = serde_json::to_vec(&value).expect("json");
        let place = place.index(text.len());
        if insert { text.insert(place, damage) } else { text[place] = damage }
        agrees_with_serde_json(&text);
    }

    #[test]
    fn text_of_json_characters_is_judged_as_serde_json_judges_it(text in "[\\[\\]{}\",:0-9eE+.tfnul\\\\ a-]{0,24}") {
        agrees_with_serde_json(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>) {
        agrees_with_serde_json(&bytes);
    }

    #[test]
    fn a_document_cut_short_is_refused(value in any_json()) {
        let text = serde_json::to_vec(&serde_json::json!([value])).expect("json");
        for end in 0..text.len() {
            prop_assert!(document(&text[..end]).is_err(), "{:?}", String::from_utf8_lossy(&text[..end]));
        }
    }

    #[test]
    fn numbers_round_as_std_does(text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
        let number = Scanner::new(text.as_bytes()).number().expect("a number");
        prop_assert_eq!(number.text(), text.as_bytes());
        prop_assert_eq!(number.to_f64().to_bits(), text.parse::<f64>().expect("std").to_bits());
        prop_assert_eq!(number.to_f32().to_bits(), text.parse::<f32>().expect("std").to_bits());
    }

    #[test]
    fn singles_round_right_beside_the_midpoint_of_two(bits in 0_u32..0x7F7F_FFFF, digits in 14_usize..22, last in 0_u8..10) {
        let middle = f64::midpoint(f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
        for text in [format!("{middle}"), format!("{middle:.digits$}"), format!("{middle:.digits$}{last}"), format!("{middle:e}")] {
            let number = Scanner::new(text.as_bytes()).number().expect("a number");
            prop_assert_eq!(number.to_f32().to_bits(), text.parse::<f32>().expect("std").to_bits(), "{}", text);
        }
    }

    #[test]
    fn integers_are_exact_however_they_are_written(value: i64, zeros in 0_usize..12, places in 0_usize..22) {
        let check = |text: String| {
            let number = Scanner::new(text.as_bytes()).number().expect("a number");
            prop_assert_eq!(number.to_integer(), Ok(i128::from(value)), "{}", text);
            Ok(())
        };
        check(format!("{value}"))?;
        check(format!("{value}.{:0<1$}", 0, zeros + 1))?;
        check(format!("{value}{:0<zeros$}e-{zeros}", ""))?;
        let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs().to_string());
        let digits = format!("{digits:0>22}");
        let (whole, fraction) = digits.split_at(22 - places);
        let whole = match whole.trim_start_matches('0') { "" => "0", whole => whole };
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        check(format!("{sign}{whole}.{fraction}E+{places}"))?;
    }
}

#[test]
fn integers_span_i64_and_u64_and_know_why_they_are_none() {
    let integer = |text: &str| Scanner::new(text.as_bytes()).number().expect("a number").to_integer();
    assert_eq!(integer("18446744073709551615"), Ok(i128::from(u64::MAX)));
    assert_eq!(integer("-9223372036854775808"), Ok(i128::from(i64::MIN)));
    assert_eq!(integer("1e3"), Ok(1_000));
    assert_eq!(integer("1.0"), Ok(1));
    assert_eq!(integer("0e999999999999999999999"), Ok(0));
    assert_eq!(integer("-0"), Ok(0));
    assert_eq!(integer("1.00000000000000000000000001"), Err(NotAnInteger::Fraction));
    assert_eq!(integer("1e-1"), Err(NotAnInteger::Fraction));
    assert_eq!(integer("1e-99999999999999999999"), Err(NotAnInteger::Fraction));
    assert_eq!(integer("1e99999999999999999999"), Err(NotAnInteger::TooLarge));
    assert_eq!(integer(&"9".repeat(200)), Err(NotAnInteger::TooLarge));
}

#[test]
fn floats_beyond_a_type_are_infinite() {
    let number = Scanner::new(b"-1e39").number().expect("a number");
    assert_eq!((number.to_f32(), number.to_f64()), (f32::NEG_INFINITY, -1e39));
    assert!(Scanner::new(b"1e400").number().expect("a number").to_f64().is_infinite());
    assert!(Scanner::new(b"-0").number().expect("a number").to_f32().is_sign_negative());
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (text, message) in [
        ("[1,tru]", "at byte 3: expected `true`, found `tru`"),
        ("[1,]", "at byte 3: expected a number, found `]`"),
        ("[,1]", "at byte 1: expected a number, found `,`"),
        ("[1 2]", "at byte 3: expected `,` or `]`, found `2`"),
        ("[01]", "at byte 1: expected a number without leading zeros, found `01`"),
        ("[-01]", "at byte 1: expected a number without leading zeros, found `-01`"),
        ("[+1]", "at byte 1: expected a number, found `+1`"),
        ("[NaN]", "at byte 1: expected a number, found `NaN`"),
        ("[-Infinity]", "at byte 2: expected a digit, found `Infinity`"),
        ("[1.]", "at byte 3: expected a digit, found `]`"),
        ("[.5]", "at byte 1: expected a number, found `.5`"),
        ("[1e]", "at byte 3: expected a digit, found `]`"),
        ("{\"a\":1,}", "at byte 7: expected a member name, found `}`"),
        ("{\"a\" 1}", "at byte 5: expected `:`, found `1`"),
        ("{a:1}", "at byte 1: expected a member name, found `a`"),
        ("[1] 2", "at byte 4: expected the end of the document, found `2`"),
        ("[1", "at byte 2: expected `,` or `]`, found the end of the input"),
        ("", "at byte 0: expected a number, found the end of the input"),
        ("// x\n1", "at byte 0: expected a number, found `//`"),
        ("\"a", "at byte 2: expected the end of the string, found the end of the input"),
        ("\"\t\"", "at byte 1: a control character in a string; write it as an escape"),
        ("\"\\x\"", "at byte 1: expected an escape of JSON, found `\\x`"),
        ("\"\\u12\"", "at byte 1: expected four hexadecimal digits after `\\u`, found `\\u12`"),
        ("\"\\ud800\"", "at byte 1: half of a surrogate pair"),
        ("\"\\udc00\\ud800\"", "at byte 1: half of a surrogate pair"),
        ("\"\\ud800\\u0041\"", "at byte 1: half of a surrogate pair"),
    ] {
        assert_eq!(document(text.as_bytes()), Err(message.to_owned()), "{text}");
    }
    assert_eq!(document(b"\"ab\xff\""), Err("at byte 3: a string that is not UTF-8".to_owned()));
    assert_eq!(document(b"\"\\n\xc3\""), Err("at byte 3: a string that is not UTF-8".to_owned()));
}

#[test]
fn strings_are_borrowed_unless_they_have_escapes() {
    assert!(matches!(Scanner::new("\"grün\"".as_bytes()).string().expect("valid"), Cow::Borrowed("grün")));
    let escaped = Scanner::new(br#""\u00e4\ud83d\ude00\"\\\/\b\f\n\r\t.""#).string().expect("valid");
    assert_eq!(escaped, "ä😀\"\\/\u{8}\u{c}\n\r\t.");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(document(&nested(64)).is_ok());
    assert_eq!(document(&nested(65)), Err("at byte 64: nested deeper than 64 levels".to_owned()));
    assert!(document(&vec![b'['; 1_000_000]).is_err());
    let siblings = format!("[{}]", vec!["[]"; 1_000].join(","));
    assert!(document(siblings.as_bytes()).is_ok(), "depth is given back");
}

#[test]
fn a_guessed_key_is_taken_only_if_it_is_the_whole_name() {
    let mut scanner = Scanner::new(br#"{ "amount" : 1, "amounts": 2, "amount": 3}"#);
    scanner.object().expect("an object");
    let mut next = |quoted: &[u8]| {
        let key = scanner.key_like(quoted).expect("a key");
        if key != Key::End {
            scanner.skip_value().expect("a value");
        }
        key
    };
    assert_eq!(next(b"\"amount\""), Key::Guessed);
    assert_eq!(next(b"\"amount\""), Key::Other("amounts".into()));
    assert_eq!(next(b""), Key::Other("amount".into()));
    assert_eq!(next(b"\"amount\""), Key::End);
}

#[test]
fn excerpts_end_at_a_character() {
    assert_eq!(excerpt("äöüß".as_bytes(), 3), "äöü");
    assert_eq!(excerpt(b"a\xff", 16), "a\u{fffd}");
}
