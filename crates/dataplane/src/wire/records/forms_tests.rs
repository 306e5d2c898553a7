//! The forms of `MLflow`'s scoring protocol: the same rows, whatever form they come in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::signature;
use super::*;
use crate::wire::bundle::FeatureSpec;

fn plan() -> RecordPlan {
    RecordPlan::new(&signature(), Some("card"))
}

fn invoke(body: &str) -> Result<InvocationRequest> {
    parse_invocation(body.as_bytes(), &plan(), 4)
}

fn rows(body: &str) -> RecordsRequest {
    invoke(body).expect(body).records
}

/// NaN is not equal to itself; missing elements hold it.
fn shown(request: &RecordsRequest) -> String {
    format!("{request:?}")
}

const RECORDS: &str = r#"{"records":[{"amount":1.5,"count":2,"foreign":true,"country":"SE","age":40,"card":"a"},
    {"amount":null,"count":-1,"foreign":false,"country":null,"age":7,"card":"b"}]}"#;

#[test]
fn every_form_gives_the_same_rows() {
    let expected = shown(&parse_records(RECORDS.as_bytes(), &plan(), 4).expect("valid"));
    let names = r#"["amount","count","foreign","country","age","card"]"#;
    let data = r#"[[1.5,2,true,"SE",40,"a"],[NaN,-1.0,false,null,7,"b"]]"#;
    let list = RECORDS.strip_prefix(r#"{"records":"#).and_then(|rest| rest.strip_suffix('}')).expect("records");
    for body in [
        format!(r#"{{"dataframe_split":{{"columns":{names},"index":[7,9],"data":{data}}}}}"#),
        format!(r#"{{"dataframe_split":{{"data":{data},"columns":{names}}},"client_request_id":"x"}}"#),
        format!(r#"{{"dataframe_records":{list}}}"#),
        format!(r#"{{"instances":{list}}}"#),
        format!(r#"{{"inputs":{list}}}"#),
        r#"{"inputs":{"card":["a","b"],"age":[40,7],"country":["SE",null],"amount":[1.5,NaN],"count":[2,-1],
            "foreign":[true,false]}}"#
            .to_owned(),
    ] {
        assert_eq!(shown(&rows(&body)), expected, "{body}");
    }
    let csv = "\u{feff},amount,count,foreign,country,age,card\r\n0,1.5,2,True,SE,40,a\r\n\r\n1,NaN,-1.0,false,\"\",7,b";
    assert_eq!(shown(&parse_csv(csv.as_bytes(), &plan(), 4).expect("valid")), expected);
}

#[test]
fn values_without_names_stand_in_the_signatures_order() {
    let named = rows(r#"{"inputs":[{"amount":1,"count":2,"foreign":false,"country":"NO","age":3}]}"#);
    for body in [
        r#"{"inputs":[[1,2,false,"NO",3]]}"#,
        r#"{"instances":[[1,2,false,"NO",3]]}"#,
        r#"{"dataframe_split":{"data":[[1,2,false,"NO",3]]}}"#,
        r#"{"dataframe_split":{"columns":null,"data":[[1,2,false,"NO",3]]}}"#,
    ] {
        assert_eq!(shown(&rows(body)), shown(&named), "{body}");
    }
    let mut one = signature();
    one.inputs.truncate(1);
    one.inputs[0].shape = vec![-1];
    one.features = vec![FeatureSpec { column: 0, ..one.features[0].clone() }];
    let request = parse_invocation(br#"{"instances":[1.5,null,3]}"#, &RecordPlan::new(&one, None), 4).expect("valid");
    assert_eq!((request.records.rows, &request.records.inputs[0].missing[..]), (3, &[1][..]));
}

#[test]
fn what_is_absent_is_missing_and_what_is_wrong_is_a_violation() {
    let request = rows(r#"{"inputs":{"age":[1,300],"colour":["red",null]}}"#);
    assert_eq!(request.inputs[0].missing, [0, 1, 2, 3, 4, 5]);
    assert_eq!((&request.inputs[1].missing[..], &request.inputs[2].missing[..]), (&[0, 1][..], &[1][..]));
    let found: Vec<_> = request.violations.iter().map(|v| (v.row, v.kind)).collect();
    assert_eq!(found, [(1, Kind::WrongType), (0, Kind::UnknownField), (1, Kind::UnknownField)]);

    let request =
        rows(r#"{"dataframe_records":[{"amount":Infinity},{"amount":-Infinity},{"amount":"x","foreign":NaN}]}"#);
    let found: Vec<_> = request.violations.iter().map(|v| (v.row, v.kind, &*v.got)).collect();
    let wanted = [(0, Kind::NotFinite, "Infinity"), (1, Kind::NotFinite, "-Infinity"), (2, Kind::WrongType, "\"x\"")];
    assert_eq!(found, wanted);

    let csv = "amount,foreign,country,colour\ninf,maybe,NA,red\n+1,1e3,\"a \"\"b\"\", c\",\n";
    let request = parse_csv(csv.as_bytes(), &plan(), 4).expect("valid");
    let found: Vec<_> = request.violations.iter().map(|v| (v.row, v.kind, &*v.got)).collect();
    let kinds = [
        (0, Kind::NotFinite, "inf"),
        (0, Kind::WrongType, "maybe"),
        (0, Kind::UnknownField, "red"),
        (1, Kind::WrongType, "+1"),
        (1, Kind::WrongType, "1e3"),
        (1, Kind::UnknownField, ""),
    ];
    assert_eq!(found, kinds);
    assert_eq!(request.inputs[1].data, Data::Bytes(vec![b"NA".to_vec().into(), b"a \"b\", c".to_vec().into()]));
}

#[test]
fn params_say_what_is_wanted() {
    let request = invoke(
        r#"{"params":{"predictions":"score","unit":7,"timeout_ms":2,"id":"r"},"instances":[{"age":1},{"card":"own"}]}"#,
    )
    .expect("valid");
    assert_eq!(request.wanted, Some(Wanted::Score));
    assert_eq!(request.records.units, [Some("7".into()), Some("own".into())]);
    assert_eq!((request.records.request_id.as_deref(), request.records.timeout_us), (Some("r"), Some(2_000)));
    assert_eq!(invoke(r#"{"params":null,"instances":[{}]}"#).expect("valid").wanted, None);
}

#[test]
fn what_leaves_no_rows_is_an_error() {
    for (body, code, message) in [
        ("{}", Code::MalformedRequest, "exactly one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`"),
        (r#"{"columns":["age"],"data":[[1]]}"#, Code::MalformedRequest, "no rows: exactly one of"),
        (r#"{"inputs":[{}],"instances":[{}]}"#, Code::MalformedRequest, "`inputs` and `instances`: exactly one"),
        (r#"{"inputs":[{}],"inputs":[{}]}"#, Code::MalformedRequest, "member `inputs` is there twice"),
        (r#"{"inputs":[]}"#, Code::WrongShape, "`inputs` is empty"),
        (r#"{"inputs":{}}"#, Code::WrongShape, "`inputs` is empty"),
        (r#"{"inputs":{"age":[]}}"#, Code::WrongShape, "`inputs` is empty"),
        (r#"{"inputs":{"age":1}}"#, Code::MalformedRequest, "expected an array"),
        (r#"{"inputs":3}"#, Code::MalformedRequest, "expected an array"),
        (r#"{"inputs":[3]}"#, Code::MalformedRequest, "expected an array"),
        (r#"{"inputs":{"age":[1,2],"count":[1]}}"#, Code::WrongShape, "column `count` has 1 values where `age` has 2"),
        (
            r#"{"inputs":{"age":[1],"x":[1,2,3]}}"#,
            Code::WrongShape,
            "column `x` has 2 or more values where `age` has 1",
        ),
        (r#"{"inputs":{"age":[1],"age":[1]}}"#, Code::MalformedRequest, "member `age` is there twice"),
        (r#"{"inputs":{"age":[1,2,3,4,5]}}"#, Code::TooManyRows, "more than 4 records"),
        (r#"{"instances":[{},{},{},{},{}]}"#, Code::TooManyRows, "more than 4 records"),
        (r#"{"instances":[[1,2]]}"#, Code::WrongShape, "row 0 has 2 values, expected 5"),
        (r#"{"instances":[[1,2,3,4,5,6,7]]}"#, Code::WrongShape, "row 0 has 7 values, expected 5"),
        (r#"{"dataframe_split":{"columns":["age"]}}"#, Code::MalformedRequest, "has no `data`"),
        (r#"{"dataframe_split":{"columns":["age"],"rows":[]}}"#, Code::MalformedRequest, "got `rows`"),
        (
            r#"{"dataframe_split":{"columns":["age","age"],"data":[]}}"#,
            Code::MalformedRequest,
            "column `age` is there twice",
        ),
        (r#"{"dataframe_split":{"columns":["age"],"data":[[1],[1,2]]}}"#, Code::WrongShape, "row 1 has 2 values"),
        (r#"{"dataframe_split":{"data":[],"data":[]}}"#, Code::MalformedRequest, "member `data` is there twice"),
        (r#"{"dataframe_split":[]}"#, Code::MalformedRequest, "expected an object"),
        (r#"{"inputs":[{}],"params":{"temperature":1}}"#, Code::MalformedRequest, "unknown param `temperature`"),
        (
            r#"{"inputs":[{}],"params":{"predictions":"proba"}}"#,
            Code::MalformedRequest,
            "expected `decision`, `score` or `full`",
        ),
        (r#"{"inputs":[{}]} x"#, Code::MalformedRequest, "expected the end"),
    ] {
        let error = invoke(body).expect_err(body);
        assert_eq!(error.code, code, "{body}: {}", error.message);
        assert!(error.message.contains(message), "{body}: {}", error.message);
    }
    for (body, code, message) in [
        ("", Code::MalformedRequest, "no header"),
        ("age\n", Code::WrongShape, "`the CSV` is empty"),
        ("age,count\n1,2\n3\n", Code::WrongShape, "line 3: 1 cells, the header has 2"),
        ("age,age\n1,2\n", Code::MalformedRequest, "column `age` is there twice"),
        ("age\n\"1\n", Code::MalformedRequest, "line 2: a quotation mark that does not end"),
        ("age\n\"1\"2\n", Code::MalformedRequest, "line 2: text behind a quotation mark"),
        ("age\n1\n2\n3\n4\n5\n", Code::TooManyRows, "more than 4 records"),
    ] {
        let error = parse_csv(body.as_bytes(), &plan(), 4).expect_err(body);
        assert_eq!(error.code, code, "{body}: {}", error.message);
        assert!(error.message.contains(message), "{body}: {}", error.message);
    }
    let error = parse_csv(b"age\n\xff\n", &plan(), 4).expect_err("no UTF-8");
    assert_eq!((error.code, &*error.message), (Code::MalformedRequest, "at byte 4: text that is not UTF-8"));
}

#[test]
fn nan_is_read_here_only() {
    assert!(parse_records(br#"{"records":[{"amount":NaN}]}"#, &plan(), 4).is_err());
    assert!(parse_records(br#"{"records":[{"amount":Infinity}]}"#, &plan(), 4).is_err());
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!([1, {"a": []}])),
    ]
}

proptest! {
    #[test]
    fn forms_agree_about_any_values(table in prop::collection::vec(prop::collection::vec(cell(), 6), 1..5)) {
        let names = ["amount", "count", "foreign", "country", "age", "other"];
        let records: Vec<Value> = table
            .iter()
            .map(|row| names.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
            .collect();
        let columns: serde_json::Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(index, name)| ((*name).to_owned(), table.iter().map(|row| row[index].clone()).collect()))
            .collect();
        let sorted = |mut request: RecordsRequest| {
            request.violations.sort_by_key(|violation| (violation.row, format!("{:?}", violation.field)));
            shown(&request)
        };
        let expected = sorted(parse_records(json!({"records": records}).to_string().as_bytes(), &plan(), 4).expect("valid"));
        for body in [
            json!({"dataframe_records": records}),
            json!({"instances": records}),
            json!({"inputs": columns}),
            json!({"dataframe_split": {"columns": names, "data": table}}),
        ] {
            prop_assert_eq!(sorted(rows(&body.to_string())), expected.clone(), "{}", body);
        }
    }

    #[test]
    fn damaged_bodies_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let bodies: [&[u8]; 3] = [
            br#"{"dataframe_split":{"data":[[1,NaN],[2,-Infinity]],"columns":["age","amount"]},"params":{"unit":"a"}}"#,
            br#"{"inputs":{"age":[1,2],"amount":[1.5,null],"colour":["a","b"]}}"#,
            b"age,amount,country\n1,2.5,\"a\"\"b\"\n3,,x\n",
        ];
        for body in bodies {
            let mut body = body.to_vec();
            for (place, byte) in &damage {
                let place = place.index(body.len());
                body[place] = *byte;
            }
            let json = parse_invocation(&body, &plan(), 4).map(|request| request.records);
            for request in [json, parse_csv(&body, &plan(), 4)].into_iter().flatten() {
                for tensor in &request.inputs {
                    prop_assert_eq!(tensor.rows(), request.rows);
                    prop_assert_eq!(tensor.dims.iter().product::<usize>(), tensor.data.len());
                    prop_assert!(tensor.missing.is_sorted());
                }
                prop_assert_eq!(request.units.len(), request.rows);
            }
        }
    }
}
