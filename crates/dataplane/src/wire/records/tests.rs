//! Records into tensors: every rule, and that the order of fields says nothing.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::bundle::{Decision, FeatureSpec, Scalar, Task, TensorSpec};

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
}

fn feature(name: &str, kind: FeatureType, tensor: &str, column: usize) -> FeatureSpec {
    FeatureSpec {
        name: name.to_owned(),
        kind,
        tensor: tensor.to_owned(),
        column,
        nullable: true,
        minimum: None,
        maximum: None,
        categories: None,
        missing: None,
        impute: None,
    }
}

/// Three features in one FP32 tensor, a string, and an INT8.
pub(super) fn signature() -> Signature {
    Signature {
        inputs: vec![
            spec("numbers", Datatype::Fp32, &[-1, 3]),
            spec("country", Datatype::Bytes, &[-1, 1]),
            spec("age", Datatype::Int8, &[-1]),
        ],
        features: vec![
            feature("amount", FeatureType::Float, "numbers", 2),
            feature("count", FeatureType::Integer, "numbers", 0),
            feature("foreign", FeatureType::Boolean, "numbers", 1),
            feature("country", FeatureType::String, "country", 0),
            feature("age", FeatureType::Integer, "age", 0),
        ],
        outputs: vec![spec("probabilities", Datatype::Fp32, &[-1, 2])],
        decision: None,
    }
}

fn parse(body: &str) -> Result<RecordsRequest> {
    parse_records(body.as_bytes(), &RecordPlan::new(&signature(), Some("card")), 4)
}

fn numbers(request: &RecordsRequest) -> &[f32] {
    match &request.inputs[0].data {
        Data::Fp32(values) => values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_become_tensors() {
    let request = parse(
        r#"{"records":[{"amount":12.5,"count":3,"foreign":true,"country":"SE","age":40,"card":"c1"},
            {"age":1e1,"card":17,"country":"D\u00c4","foreign":false,"count":4.0,"amount":-1}],"id":"r","timeout_ms":1.5}"#,
    )
    .expect("valid");
    assert_eq!(numbers(&request), [3.0, 1.0, 12.5, 4.0, 0.0, -1.0]);
    assert_eq!(request.inputs[0].dims, [2, 3]);
    assert_eq!(request.inputs[1].dims, [2, 1]);
    assert_eq!(request.inputs[1].data, Data::Bytes(vec![b"SE".to_vec().into(), "DÄ".as_bytes().into()]));
    assert_eq!((&request.inputs[2].dims[..], &request.inputs[2].data), (&[2][..], &Data::Int8(vec![40, 10])));
    assert_eq!(request.units, [Some("c1".into()), Some("17".into())]);
    assert_eq!((request.rows, request.request_id.as_deref(), request.timeout_us), (2, Some("r"), Some(1_500)));
    assert!(request.violations.is_empty() && request.inputs.iter().all(|tensor| tensor.missing.is_empty()));
}

#[test]
fn absent_and_null_values_are_marked_and_no_violation() {
    let request = parse(r#"{"records":[{"amount":1,"age":null},{"country":null,"count":2},{}]}"#).expect("valid");
    assert_eq!(request.violations, []);
    assert_eq!(request.inputs[0].missing, [0, 1, 4, 5, 6, 7, 8]);
    assert_eq!((&request.inputs[1].missing[..], &request.inputs[2].missing[..]), (&[0, 1, 2][..], &[0, 1, 2][..]));
    let bits: Vec<bool> = numbers(&request).iter().map(|value| value.is_nan()).collect();
    assert_eq!(bits, [true, true, false, false, true, true, true, true, true]);
    assert_eq!(request.inputs[2].data, Data::Int8(vec![0, 0, 0]));
    assert_eq!(request.units, [None, None, None]);
}

#[test]
fn wrong_values_are_violations_and_marked() {
    for (index, name, value, kind) in [
        (0, "amount", "\"12.5\"", Kind::WrongType),
        (0, "amount", "true", Kind::WrongType),
        (0, "amount", "[1, {\"a\":2}]", Kind::WrongType),
        (0, "amount", "1e39", Kind::NotFinite),
        (1, "count", "1.5", Kind::WrongType),
        (1, "count", "1e99", Kind::NotFinite),
        (2, "foreign", "1", Kind::WrongType),
        (2, "foreign", "\"true\"", Kind::WrongType),
        (3, "country", "7", Kind::WrongType),
        (4, "age", "300", Kind::WrongType),
        (4, "age", "-1e99", Kind::WrongType),
    ] {
        let request =
            parse(&format!(r#"{{"records":[{{}},{{"{name}": {value} }}]}}"#)).expect("a violation is no error");
        let violation = Violation { row: 1, field: Field::Feature(index), kind, got: value.into() };
        assert_eq!(request.violations, [violation], "{name}: {value}");
        assert_eq!(request.inputs[0].missing, [0, 1, 2, 3, 4, 5], "{name}: {value}");
        assert!(numbers(&request).iter().all(|value| value.is_nan()));
        assert_eq!((request.inputs[1].missing.len(), request.inputs[2].missing.len()), (2, 2));
    }
}

#[test]
fn unknown_fields_are_violations_with_a_short_excerpt() {
    let long = "ä".repeat(100);
    let request = parse(&format!(r#"{{"records":[{{"{long}":"{long}","amount":1,"x":[1,2]}}]}}"#)).expect("valid");
    let quoted: String = format!("\"{long}").chars().take(40).collect();
    let unknown = |name: &str, got: &str| Violation {
        row: 0,
        field: Field::Unknown(name.into()),
        kind: Kind::UnknownField,
        got: got.into(),
    };
    assert_eq!(request.violations, [unknown(&"ä".repeat(40), &quoted), unknown("x", "[1,2]")]);
}

#[test]
fn the_unit_is_the_rows_own_or_the_requests() {
    let request = parse(r#"{"unit":"all","records":[{"card":"own"},{},{"card":null},{"card":1.5}]}"#).expect("valid");
    let all = || Some("all".into());
    assert_eq!(request.units, [Some("own".into()), all(), all(), all()]);
    let wrong = Violation { row: 3, field: Field::Unknown("card".into()), kind: Kind::WrongType, got: "1.5".into() };
    assert_eq!(request.violations, [wrong]);

    let without_key = RecordPlan::new(&signature(), None);
    let units = |body: &str| parse_records(body.as_bytes(), &without_key, 4).expect("valid").units;
    assert_eq!(units(r#"{"records":[{},{}],"unit":5}"#), [Some("5".into()), Some("5".into())]);
    assert_eq!(units(r#"{"records":[{},{}]}"#), []);
}

#[test]
fn a_unit_key_that_is_a_feature_is_both() {
    let by_country = RecordPlan::new(&signature(), Some("country"));
    let by_age = RecordPlan::new(&signature(), Some("age"));
    let body = br#"{"records":[{"country":"SE","age":40},{"country":9,"age":"x"}]}"#;
    let request = parse_records(body, &by_country, 4).expect("valid");
    assert_eq!(request.units, [Some("SE".into()), Some("9".into())]);
    assert_eq!(request.inputs[1].data, Data::Bytes(vec![b"SE".to_vec().into(), Box::default()]));
    let request = parse_records(body, &by_age, 4).expect("valid");
    assert_eq!(request.units, [Some("40".into()), Some("x".into())]);
    assert_eq!((&request.inputs[2].data, request.violations.len()), (&Data::Int8(vec![40, 0]), 2));
}

#[test]
fn what_leaves_no_records_is_an_error() {
    for (body, code, message) in [
        (r#"{"records":[]}"#, Code::WrongShape, "`records` is empty: at least one row"),
        (r#"{"id":"1"}"#, Code::MalformedRequest, "at byte 10: the request has no `records`"),
        (
            r#"{"record":[{}]}"#,
            Code::MalformedRequest,
            "at byte 10: unknown member `record`; known are `records`, `id`, `unit`, `timeout_ms`",
        ),
        (r#"{"records":[{},{},{},{},{}]}"#, Code::TooManyRows, "more than 4 records, the most in one request"),
        (r#"{"records":[{"age":1,"age":2}]}"#, Code::MalformedRequest, "at byte 27: member `age` is there twice"),
        (r#"{"records":[{"card":1,"card":2}]}"#, Code::MalformedRequest, "at byte 29: member `card` is there twice"),
        (r#"{"records":[{}],"records":[{}]}"#, Code::MalformedRequest, "at byte 26: member `records` is there twice"),
        (r#"{"records":{}}"#, Code::MalformedRequest, "at byte 11: expected an array, found `{`"),
        (r#"{"records":[1]}"#, Code::MalformedRequest, "at byte 12: expected an object, found `1`"),
        (r#"{"records":[{"age":NaN}]}"#, Code::MalformedRequest, "at byte 19: expected a value, found `NaN`"),
        (r#"{"records":[{"x":tru}]}"#, Code::MalformedRequest, "at byte 17: expected `true`, found `tru`"),
        (
            r#"{"records":[{}],"timeout_ms":-1}"#,
            Code::MalformedRequest,
            "at byte 29: expected a time that is not negative, found `-1`",
        ),
        (r#"{"records":[{}],"unit":{}}"#, Code::MalformedRequest, "at byte 23: expected a string, found `{`"),
        (r#"{"records":[{}]} x"#, Code::MalformedRequest, "at byte 17: expected the end of the document, found `x`"),
    ] {
        let error = parse(body).expect_err(body);
        assert_eq!((error.code, &*error.message), (code, message), "{body}");
    }
}

#[test]
fn a_signature_that_carries_no_records_says_so() {
    let refused = |change: fn(&mut Signature)| {
        let mut signature = signature();
        change(&mut signature);
        parse_records(br#"{"records":[{}]}"#, &RecordPlan::new(&signature, None), 4).expect_err("unusable").code
    };
    assert_eq!(refused(|signature| signature.features.clear()), Code::Unsupported);
    assert_eq!(refused(|signature| signature.features[0].column = 3), Code::ModelInvalid);
    assert_eq!(refused(|signature| signature.features[0].tensor = "none".into()), Code::ModelInvalid);
    assert_eq!(refused(|signature| signature.inputs[0].shape = vec![-1, -1]), Code::ModelInvalid);
    assert_eq!(refused(|signature| signature.inputs[0].shape = vec![-1, 4]), Code::ModelInvalid);
    assert_eq!(refused(|signature| signature.features[0].column = 1), Code::ModelInvalid);
    assert_eq!(refused(|signature| signature.features[0].name = "age".into()), Code::ModelInvalid);
}

#[test]
fn endless_violations_are_refused() {
    let fields = vec![r#""":0"#; MAX_VIOLATIONS + 1].join(",");
    let error = parse(&format!(r#"{{"records":[{{{fields}}}]}}"#)).expect_err("too many");
    assert!(error.message.ends_with("more than 262144 values break the signature"), "{}", error.message);
}

/// The answer to a batch of three rows, of which this request has the last two.
fn answer(decision: Option<&Decision>, violations: &[Violation], start: usize) -> String {
    let specs = [spec("probabilities", Datatype::Fp32, &[-1, 2]), spec("label", Datatype::Int64, &[-1])];
    let outputs = [
        Tensor { dims: vec![3, 2], data: Data::Fp32(vec![9.0, 9.0, 0.07, 0.93, 0.5, f32::NAN]), missing: vec![] },
        Tensor { dims: vec![3], data: Data::Int64(vec![9, 1, 0]), missing: vec![] },
    ];
    let names: Vec<Box<str>> = signature().features.iter().map(|feature| feature.name.as_str().into()).collect();
    let answer = PredictionsAnswer {
        endpoint: "fraud",
        version: "1",
        variant: "champion",
        bundle: "ab",
        first_id: 0xFF,
        decision,
        specs: &specs,
        outputs: &outputs,
        start,
        rows: 2,
        scores: &[Some(0.930_000_007_152_557_4), None],
        decisions: &[Some(1), None],
        violations,
        feature_names: &names,
    };
    let mut out = Vec::new();
    write_predictions(&mut out, &answer);
    String::from_utf8(out).expect("UTF-8")
}

fn decision(task: Task, labels: Vec<Scalar>) -> Decision {
    Decision { task, score_output: "probabilities".into(), score_column: 1, threshold: Some(0.5), labels }
}

const HEAD: &str = r#"{"endpoint":"fraud","version":"1","variant":"champion","bundle":"ab","predictions":["#;
const FIRST: &str = r#"{"prediction_id":"00000000-0000-0000-0000-0000000000ff""#;
const SECOND: &str = r#"{"prediction_id":"00000000-0000-0000-0000-000000000100""#;

#[test]
fn a_prediction_has_decision_and_score() {
    let binary = decision(Task::Binary, vec![Scalar::Int(0), Scalar::Text("fr\"aud".into())]);
    let text = answer(Some(&binary), &[], 1);
    assert_eq!(
        text,
        format!(r#"{HEAD}{FIRST},"decision":"fr\"aud","score":0.93}},{SECOND},"decision":null,"score":null}}]}}"#)
    );
    let regression = decision(Task::Regression, vec![]);
    let text = answer(Some(&regression), &[], 1);
    assert_eq!(text, format!(r#"{HEAD}{FIRST},"score":0.93}},{SECOND},"score":null}}]}}"#));
}

#[test]
fn without_a_decision_a_prediction_has_its_outputs() {
    assert_eq!(
        answer(None, &[], 1),
        format!(
            r#"{HEAD}{FIRST},"outputs":{{"probabilities":[0.07,0.93],"label":1}}}},{SECOND},"outputs":{{"probabilities":[0.5,null],"label":0}}}}]}}"#
        )
    );
    let beyond: Value = serde_json::from_str(&answer(None, &[], 7)).expect("json");
    assert_eq!(beyond["predictions"][0]["outputs"], json!({"probabilities": [], "label": null}));
}

#[test]
fn violations_stand_at_their_rows_whatever_their_order() {
    let violations = [
        Violation { row: 1, field: Field::Feature(3), kind: Kind::UnknownCategory, got: "\"XX\"".into() },
        Violation { row: 0, field: Field::Unknown("x".into()), kind: Kind::UnknownField, got: "1".into() },
        Violation { row: 1, field: Field::Feature(0), kind: Kind::Missing, got: "null".into() },
    ];
    let text = answer(None, &violations, 1);
    let answer: Value = serde_json::from_str(&text).expect("json");
    assert_eq!(answer["predictions"][0]["violations"], json!([{"field": "x", "kind": "unknown_field", "got": "1"}]));
    assert_eq!(
        answer["predictions"][1]["violations"],
        json!([
            {"field": "country", "kind": "unknown_category", "got": "\"XX\""},
            {"field": "amount", "kind": "missing", "got": "null"},
        ])
    );
}

fn field() -> impl Strategy<Value = (String, Value)> {
    let name = prop::sample::select(vec!["amount", "count", "foreign", "country", "age", "card", "other", "ä\""]);
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!([1, {"a": []}])),
    ];
    (name, value).prop_map(|(name, value)| (name.to_owned(), value))
}

/// Records as lists of distinct fields, and the same records with their fields in another order.
fn shuffled() -> impl Strategy<Value = (String, String)> {
    let record =
        prop::collection::btree_map(field().prop_map(|(name, _)| name), field().prop_map(|(_, value)| value), 0..8)
            .prop_map(|fields| {
                fields.into_iter().map(|(name, value)| format!("{}: {value}", json!(name))).collect::<Vec<_>>()
            })
            .prop_flat_map(|fields| (Just(fields.clone()), Just(fields).prop_shuffle()));
    prop::collection::vec(record, 1..5).prop_map(|records| {
        let body = |records: Vec<Vec<String>>| {
            let records: Vec<String> = records.iter().map(|fields| format!("{{{}}}", fields.join(","))).collect();
            format!("{{\"records\":[{}]}}", records.join(","))
        };
        let (plain, mixed) = records.into_iter().unzip();
        (body(plain), body(mixed))
    })
}

proptest! {
    #[test]
    fn the_order_of_fields_says_nothing((plain, mixed) in shuffled()) {
        let (plain, mut mixed) = (parse(&plain).expect("valid"), parse(&mixed).expect("valid"));
        let key = |violation: &Violation| (violation.row, format!("{:?}", violation.field));
        mixed.violations.sort_by_key(key);
        let mut expected = plain.violations.clone();
        expected.sort_by_key(key);
        prop_assert_eq!(&mixed.violations, &expected);
        prop_assert_eq!(format!("{:?}", mixed.inputs), format!("{:?}", plain.inputs));
        prop_assert_eq!((mixed.rows, mixed.units), (plain.rows, plain.units));
    }

    #[test]
    fn values_are_what_serde_json_reads((body, _) in shuffled()) {
        let request = parse(&body).expect("valid");
        let tree: Value = serde_json::from_str(&body).expect("json");
        for (row, record) in tree["records"].as_array().expect("records").iter().enumerate() {
            let amount = record["amount"].as_f64().map(|value| value as f32).filter(|value| value.is_finite());
            let got = numbers(&request)[row * 3 + 2];
            prop_assert_eq!(got.is_nan(), amount.is_none());
            prop_assert!(amount.is_none_or(|amount| (amount - got).abs() <= amount.abs() * 1e-6));
            prop_assert_eq!(request.inputs[0].missing.contains(&(row as u32 * 3 + 2)), amount.is_none());
            let Data::Bytes(countries) = &request.inputs[1].data else { panic!("BYTES") };
            prop_assert_eq!(&*countries[row], record["country"].as_str().unwrap_or_default().as_bytes());
            let unknown = record.as_object().expect("object").keys().filter(|key| ["other", "ä\""].contains(&key.as_str())).count();
            let found = request.violations.iter().filter(|v| v.row as usize == row && v.kind == Kind::UnknownField).count();
            prop_assert_eq!(found, unknown);
        }
    }

    #[test]
    fn records_cut_short_are_refused((body, _) in shuffled()) {
        for end in 0..body.len() {
            prop_assert!(parse_records(&body.as_bytes()[..end], &RecordPlan::new(&signature(), Some("card")), 4).is_err());
        }
    }

    #[test]
    fn damaged_records_never_panic((body, _) in shuffled(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut body = body.into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Ok(request) = parse_records(&body, &RecordPlan::new(&signature(), Some("age")), 4) {
            for tensor in &request.inputs {
                prop_assert_eq!(tensor.rows(), request.rows);
                prop_assert_eq!(tensor.dims.iter().product::<usize>(), tensor.data.len());
            }
            prop_assert_eq!(request.units.len(), request.rows);
        }
    }
}
