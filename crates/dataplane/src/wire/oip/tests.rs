//! Requests written by another JSON library come back equal; every rule has its error.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::tensor::{Data, Datatype};

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
}

/// `x`: FP32 of three columns, `y`: INT64 of one dimension; outputs `score` and `label`.
fn parse(body: &str) -> Result<InferRequest> {
    let inputs = [spec("x", Datatype::Fp32, &[-1, 3]), spec("y", Datatype::Int64, &[-1])];
    let outputs = [spec("score", Datatype::Fp32, &[-1, 1]), spec("label", Datatype::Int64, &[-1])];
    parse_infer(body.as_bytes(), &inputs, &outputs, 4)
}

const Y: &str = r#"{"name":"y","shape":[1],"datatype":"INT64","data":[7]}"#;
const X: &str = r#"{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}"#;

/// The error of a request in which `x` is as given.
fn refused_x(x: &str) -> (Code, String) {
    refused(&format!(r#"{{"inputs":[{x},{Y}]}}"#))
}

fn refused(body: &str) -> (Code, String) {
    let error = parse(body).expect_err(body);
    (error.code, error.message)
}

#[test]
fn a_plain_request_is_read_in_the_order_of_the_signature() {
    let body = format!(
        r#"{{"id":"r1","inputs":[{Y},{X}],"outputs":[{{"name":"label","parameters":{{"binary_data":false}}}}],
            "parameters":{{"unit":"c-1","timeout":1500,"other":[1]}},"extra":{{}}}}"#
    );
    let request = parse(&body).expect("valid");
    assert_eq!(request.inputs[0], Tensor { dims: vec![1, 3], data: Data::Fp32(vec![1.0, 2.0, 3.0]), missing: vec![] });
    assert_eq!(request.inputs[1], Tensor { dims: vec![1], data: Data::Int64(vec![7]), missing: vec![] });
    assert_eq!((request.rows, request.id.as_deref(), request.unit.as_deref()), (1, Some("r1"), Some("c-1")));
    assert_eq!((request.outputs, request.timeout_us), (Some(vec![1]), Some(1_500)));
}

#[test]
fn what_the_triton_client_sends_is_taken() {
    let inputs = r#""inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[0.10000000149011612,0.5,2.0]},{"name":"y","shape":[1],"datatype":"INT64","data":[1]}]"#;
    let outputs = r#""outputs":[{"name":"score","parameters":{"binary_data":false}}]"#;
    let request = parse(&format!(r#"{{"id":"1",{inputs},{outputs},"parameters":{{"timeout":1000,"unit":"c1"}}}}"#))
        .expect("valid");
    assert!(matches!(&request.inputs[0].data, Data::Fp32(v) if v[..] == [0.1, 0.5, 2.0]));
    assert_eq!(
        (request.outputs, request.timeout_us, request.unit.as_deref()),
        (Some(vec![0]), Some(1_000), Some("c1"))
    );
    // What it sends when no output is named. It reads a JSON answer as well.
    let request = parse(&format!(r#"{{{inputs},"parameters":{{"binary_data_output":true}}}}"#)).expect("valid");
    assert_eq!((request.outputs, request.timeout_us, request.unit), (None, None, None));
    let mut binary = br#"{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}],"parameters":{"binary_data_output":true}}"#.to_vec();
    binary.extend_from_slice(&[0xCD, 0xCC, 0xCC, 0x3D, 0, 0, 0, 0x3F, 0, 0, 0, 0x40]);
    let error = parse_infer(&binary, &[spec("x", Datatype::Fp32, &[-1, 3])], &[], 4).expect_err("binary");
    assert_eq!(error.code, Code::Unsupported);
}

#[test]
fn nulls_become_marks() {
    let x = r#"{"name":"x","shape":[2,3],"datatype":"FP32","data":[[1,null,3],[null,5,6]]}"#;
    let y = r#"{"name":"y","shape":[2],"datatype":"INT64","data":[null,1]}"#;
    let request = parse(&format!(r#"{{"inputs":[{x},{y}]}}"#)).expect("valid");
    assert_eq!((&request.inputs[0].missing[..], &request.inputs[1].missing[..]), (&[1, 3][..], &[0][..]));
    assert!(matches!(&request.inputs[0].data, Data::Fp32(v) if v[1].is_nan() && v[3].is_nan() && v[4..] == [5.0, 6.0]));
    assert!(matches!(&request.inputs[1].data, Data::Int64(v) if v[..] == [0, 1]));
}

#[test]
fn inputs_are_known_there_once_and_complete() {
    assert_eq!(
        refused_x(r#"{"name":"z","shape":[1,3],"datatype":"FP32","data":[1,2,3]}"#),
        (Code::UnknownInput, "no input `z`; the model takes `x`, `y`".into())
    );
    let (code, message) = refused(&format!(r#"{{"inputs":[{X},{Y},{X}]}}"#));
    assert_eq!(code, Code::MalformedRequest);
    assert!(message.ends_with("input `x` is there twice"), "{message}");
    assert_eq!(
        refused(&format!(r#"{{"inputs":[{X}]}}"#)),
        (Code::MissingInput, "input `y` is missing; the model takes `x`, `y`".into())
    );
    assert_eq!(refused(r#"{"id":"1"}"#), (Code::MalformedRequest, "at byte 10: the request has no `inputs`".into()));
    for member in ["name", "shape", "datatype", "data"] {
        let mut x: Value = serde_json::from_str(X).expect("json");
        x.as_object_mut().expect("an object").remove(member);
        let (code, message) = refused_x(&x.to_string());
        assert_eq!(code, Code::MalformedRequest, "{member}");
        assert!(message.contains(&format!("`{member}`")), "{message}");
    }
}

#[test]
fn a_known_member_is_there_once() {
    for body in [
        format!(r#"{{"id":"a","id":"b","inputs":[{X},{Y}]}}"#),
        format!(r#"{{"inputs":[{X},{Y}],"inputs":[]}}"#),
        format!(r#"{{"inputs":[{},{Y}]}}"#, X.replace(r#""data""#, r#""data":[1,2,3],"data""#)),
        format!(r#"{{"inputs":[{},{Y}]}}"#, X.replace(r#""shape""#, r#""shape":[1,3],"shape""#)),
        format!(r#"{{"inputs":[{},{Y}]}}"#, X.replace("[1,2,3]", r#"[1,2,3],"shape":[1,3]"#)),
        format!(r#"{{"inputs":[{X},{Y}],"parameters":{{"unit":"a","unit":"b"}}}}"#),
    ] {
        let (code, message) = refused(&body);
        assert_eq!(code, Code::MalformedRequest, "{body}");
        assert!(message.ends_with("is there twice"), "{message}");
    }
}

#[test]
fn datatype_and_shape_are_the_signatures() {
    let x = |shape: &str, data: &str| {
        refused_x(&format!(r#"{{"name":"x","shape":{shape},"datatype":"FP32","data":{data}}}"#))
    };
    assert_eq!(
        refused_x(r#"{"name":"x","shape":[1,3],"datatype":"FP16","data":[1,2,3]}"#),
        (Code::WrongDatatype, "input `x`: expected datatype FP32, got `FP16`".into())
    );
    for (shape, data, message) in [
        ("[1,4]", "[1,2,3,4]", "input `x`: expected shape [-1, 3], got [1, 4]"),
        ("[3]", "[1,2,3]", "input `x`: expected shape [-1, 3], got [3]"),
        ("[]", "[]", "input `x`: expected shape [-1, 3], got []"),
        ("[0,3]", "[]", "input `x`: at least one row, got shape [0, 3]"),
        ("[-1,3]", "[1,2,3]", "at byte 32: expected a dimension (an integer, not negative), found `-1`"),
        ("[1.5,3]", "[1,2,3]", "at byte 32: expected a dimension (an integer, not negative), found `1.5`"),
        ("[1,3]", "[1,2]", "input `x`: at byte 67: `data` has 2 elements, the shape says 3"),
        ("[1,3]", "[1,2,3,4,5]", "input `x`: at byte 73: `data` has 5 elements, shape [1, 3] says 3"),
        ("[1,3]", "[[1,2]]", "input `x`: at byte 68: `data` has 2 elements, the shape says 3"),
        ("[2,3]", "[[1,2,3]]", "input `x`: at byte 71: an array of `data` has 1 elements, the shape says 2"),
        (
            "[1,3]",
            "[[1,2,3],[4,5,6]]",
            "input `x`: at byte 71: an array of `data` has more than the shape's 1 elements",
        ),
        ("[1,3]", "[[[1,2,3]]]", "input `x`: at byte 64: the nesting of `data` does not agree with the shape"),
        ("[2,3]", "[[1,2,3],4,5,6]", "input `x`: at byte 71: the nesting of `data` does not agree with the shape"),
        ("[2,3]", "[1,2,3,[4,5,6]]", "input `x`: at byte 69: the nesting of `data` does not agree with the shape"),
    ] {
        assert_eq!(x(shape, data), (Code::WrongShape, message.into()), "{shape} {data}");
    }
}

#[test]
fn rows_agree_and_are_bounded_before_data_is_read() {
    let two = r#"{"name":"x","shape":[2,3],"datatype":"FP32","data":[1,2,3,4,5,6]}"#;
    assert_eq!(refused_x(two), (Code::WrongShape, "input `y`: 1 rows where input `x` has 2".into()));
    assert_eq!(
        refused_x(r#"{"name":"x","shape":[1000000,3],"datatype":"FP32","data":["#),
        (Code::TooManyRows, "1000000 rows in input `x`, at most 4 in one request".into())
    );
}

#[test]
fn shapes_whose_product_overflows_are_refused() {
    let inputs = [spec("x", Datatype::Fp32, &[-1, -1, -1])];
    for shape in [
        "[4,9223372036854775807,9223372036854775807]",
        "[4,65536,65536]",
        "[4,18446744073709551615,0]",
        "[4,0,18446744073709551615]",
    ] {
        let body = format!(r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"FP32","data":[1]}}]}}"#);
        let error = parse_infer(body.as_bytes(), &inputs, &[], 4).expect_err("too many");
        assert_eq!(error.code, Code::WrongShape);
        assert!(error.message.contains("too many elements"), "{}", error.message);
    }
}

#[test]
fn numbers_fit_their_datatype() {
    let parse = |datatype: Datatype, text: &str| {
        let body =
            format!(r#"{{"inputs":[{{"name":"v","shape":[1],"datatype":"{}","data":[{text}]}}]}}"#, datatype.name());
        let mut request = parse_infer(body.as_bytes(), &[spec("v", datatype, &[-1])], &[], 4)?;
        Ok(request.inputs.remove(0).data)
    };
    for (datatype, text, why) in [
        (Datatype::Fp32, "1e39", "1e39 is too large for FP32"),
        (Datatype::Fp64, "-1e400", "-1e400 is too large for FP64"),
        (Datatype::Uint8, "300", "300 does not fit UINT8"),
        (Datatype::Uint64, "-1", "-1 does not fit UINT64"),
        (Datatype::Int64, "9223372036854775808", "9223372036854775808 does not fit INT64"),
        (Datatype::Int16, "1e99", "1e99 does not fit INT16"),
        (Datatype::Int32, "1.5", "1.5 is not an integer"),
        (Datatype::Bool, "2", "2 does not fit BOOL (true, false, 1 or 0)"),
    ] {
        let error: Error = parse(datatype, text).expect_err(text);
        assert_eq!(error.code, Code::ValueOutOfRange);
        let at = 57 + datatype.name().len();
        assert_eq!(error.message, format!("input `v`: at byte {at}: {why}"));
    }
    assert_eq!(parse(Datatype::Int8, "-1.28e2").expect("fits"), Data::Int8(vec![-128]));
    assert_eq!(parse(Datatype::Uint64, "18446744073709551615").expect("fits"), Data::Uint64(vec![u64::MAX]));
    assert_eq!(parse(Datatype::Bool, "1").expect("fits"), Data::Bool(vec![true]));
    for (datatype, text) in [
        (Datatype::Fp32, "\"1\""),
        (Datatype::Fp64, "true"),
        (Datatype::Int32, "{}"),
        (Datatype::Bool, "\"true\""),
        (Datatype::Bytes, "1"),
        (Datatype::Fp32, "NaN"),
    ] {
        let error: Error = parse(datatype, text).expect_err(text);
        assert_eq!(error.code, Code::MalformedRequest, "{text}");
        assert!(error.message.starts_with("input `v`: at byte 6"), "{}", error.message);
    }
}

#[test]
fn outputs_are_known_and_binary_tensors_are_refused() {
    let outputs = |outputs: &str| parse(&format!(r#"{{"inputs":[{X},{Y}],"outputs":{outputs}}}"#));
    assert_eq!(outputs(r#"[{"name":"label"},{"name":"score"}]"#).expect("known").outputs, Some(vec![1, 0]));
    assert_eq!(outputs("[]").expect("all").outputs, None);
    let error = outputs(r#"[{"name":"nope"}]"#).expect_err("unknown");
    assert_eq!(
        (error.code, &*error.message),
        (Code::UnknownOutput, "no output `nope`; the model gives `score`, `label`")
    );
    let error = outputs(r#"[{"name":"score"},{"name":"score"}]"#).expect_err("twice");
    assert_eq!(error.code, Code::MalformedRequest);
    let error = outputs(r#"[{"name":"score","parameters":{"binary_data":true}}]"#).expect_err("binary");
    assert_eq!(error.code, Code::Unsupported);
    let (code, message) =
        refused_x(r#"{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}}"#);
    assert_eq!(code, Code::Unsupported);
    assert!(message.contains("binary tensor data extension"), "{message}");
}

#[test]
fn parameters_name_unit_and_timeout() {
    let parse = |parameters: &str| parse(&format!(r#"{{"parameters":{parameters},"inputs":[{X},{Y}]}}"#));
    let unit = |parameters: &str| parse(parameters).expect("valid").unit;
    assert_eq!(unit(r#"{"unit":42}"#).as_deref(), Some("42"));
    assert_eq!(unit(r#"{"unit":null}"#), None);
    let timeout = |text: &str| parse(&format!(r#"{{"timeout":{text}}}"#)).expect("valid").timeout_us;
    assert_eq!((timeout("1.5e3"), timeout("0.1"), timeout("1e400")), (Some(1_500), Some(1), Some(u64::MAX)));
    assert_eq!((timeout("0"), timeout("null")), (None, None), "no limit");
    for wrong in [r#"{"unit":1.5}"#, r#"{"unit":true}"#, r#"{"timeout":-1}"#, r#"{"timeout":"1"}"#] {
        assert_eq!(parse(wrong).expect_err(wrong).code, Code::MalformedRequest);
    }
}

#[test]
fn an_answer_is_the_protocols() {
    let specs = [spec("score", Datatype::Fp32, &[-1, 2]), spec("note", Datatype::Bytes, &[-1])];
    let score = Data::Fp32(vec![9.0, 9.0, 1.0, 0.1, f32::NAN, 1e-7]);
    let note = Data::Bytes(vec![Box::default(), b"a\"\n\\\x01".to_vec().into(), vec![0xFF, b'!'].into()]);
    let outputs = [
        Tensor { dims: vec![3, 2], data: score, missing: vec![] },
        Tensor { dims: vec![3], data: note, missing: vec![] },
    ];
    let answer = InferAnswer {
        model_name: "fraud",
        model_version: "1",
        id: Some("r\"1"),
        prediction_id: "p",
        variant: "champion",
        specs: &specs,
        selected: None,
        outputs: &outputs,
        start: 1,
        rows: 2,
    };
    let write = |answer: &InferAnswer<'_>| {
        let mut out = Vec::new();
        write_infer(&mut out, answer);
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(
        write(&answer),
        concat!(
            r#"{"id":"r\"1","model_name":"fraud","model_version":"1","parameters":{"prediction_id":"p","variant":"champion"},"#,
            r#""outputs":[{"name":"score","datatype":"FP32","shape":[2,2],"data":[1.0,0.1,null,1e-7]},"#,
            r#"{"name":"note","datatype":"BYTES","shape":[2],"data":["a\"\n\\\u0001","�!"]}]}"#
        )
    );
    let chosen: Value =
        serde_json::from_str(&write(&InferAnswer { selected: Some(&[1]), id: None, ..answer })).expect("json");
    assert_eq!(
        (chosen["outputs"][0]["name"].as_str(), chosen["outputs"].as_array().map(Vec::len)),
        (Some("note"), Some(1))
    );
    assert_eq!(chosen.get("id"), None);
    let beyond = write(&InferAnswer { start: usize::MAX, selected: Some(&[0, 9]), ..answer });
    assert!(serde_json::from_str::<Value>(&beyond).is_ok(), "{beyond}");
}

#[test]
fn a_uuid_has_its_form() {
    let mut out = Vec::new();
    write_uuid(&mut out, 0x0190_e5a0_1234_7abc_8def_0123_4567_89ab);
    assert_eq!(String::from_utf8(out).expect("ASCII"), "0190e5a0-1234-7abc-8def-0123456789ab");
}

/// A value of `datatype` made of 64 random bits, in JSON; `None` for null.
fn element(datatype: Datatype, bits: u64) -> Value {
    match datatype {
        Datatype::Bool => json!(bits & 1 == 1),
        Datatype::Uint8 => json!(bits as u8),
        Datatype::Uint16 => json!(bits as u16),
        Datatype::Uint32 => json!(bits as u32),
        Datatype::Uint64 => json!(bits),
        Datatype::Int8 => json!(bits.cast_signed() as i8),
        Datatype::Int16 => json!(bits.cast_signed() as i16),
        Datatype::Int32 => json!(bits.cast_signed() as i32),
        Datatype::Int64 => json!(bits.cast_signed()),
        Datatype::Fp32 => json!(f32::from_bits(bits as u32)),
        Datatype::Fp64 => json!(f64::from_bits(bits)),
        Datatype::Bytes => json!(format!("{}\"\\ü\n{bits}", char::from_u32(bits as u32 & 0xFFFF).unwrap_or('x'))),
    }
}

/// The same value as it must come out of the parser.
fn push(data: &mut Data, value: &Value) {
    match data {
        Data::Bool(v) => v.push(value.as_bool().unwrap_or_default()),
        Data::Uint8(v) => v.push(value.as_u64().unwrap_or_default() as u8),
        Data::Uint16(v) => v.push(value.as_u64().unwrap_or_default() as u16),
        Data::Uint32(v) => v.push(value.as_u64().unwrap_or_default() as u32),
        Data::Uint64(v) => v.push(value.as_u64().unwrap_or_default()),
        Data::Int8(v) => v.push(value.as_i64().unwrap_or_default() as i8),
        Data::Int16(v) => v.push(value.as_i64().unwrap_or_default() as i16),
        Data::Int32(v) => v.push(value.as_i64().unwrap_or_default() as i32),
        Data::Int64(v) => v.push(value.as_i64().unwrap_or_default()),
        Data::Fp32(v) => v.push(value.as_f64().map_or(f32::NAN, |value| value as f32)),
        Data::Fp64(v) => v.push(value.as_f64().unwrap_or(f64::NAN)),
        Data::Bytes(v) => v.push(value.as_str().unwrap_or_default().as_bytes().into()),
    }
}

fn nested(dims: &[usize], elements: &mut impl Iterator<Item = Value>) -> Value {
    match dims {
        [] => elements.next().unwrap_or_default(),
        [length, inner @ ..] => (0..*length).map(|_| nested(inner, elements)).collect(),
    }
}

/// One input: its signature, its tensor, and its members in some order.
#[derive(Clone, Debug)]
struct Case {
    spec: TensorSpec,
    tensor: Tensor,
    json: String,
}

fn datatypes() -> impl Strategy<Value = Datatype> {
    use Datatype::{Bool, Bytes, Fp32, Fp64, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
    prop::sample::select(vec![Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp32, Fp64, Bytes])
}

fn case(name: String, rows: usize) -> impl Strategy<Value = Case> {
    let inner = prop::collection::vec((1_usize..4, any::<bool>()), 0..3);
    let order = Just(vec!["name", "shape", "datatype", "data", "parameters"]).prop_shuffle();
    let shape = (datatypes(), inner).prop_flat_map(move |(datatype, inner)| {
        let count = rows * inner.iter().map(|(dim, _)| dim).product::<usize>();
        (Just(datatype), Just(inner), prop::collection::vec(prop::option::weighted(0.9, any::<u64>()), count))
    });
    (shape, order, any::<bool>(), any::<bool>()).prop_map(move |((datatype, inner, bits), order, flat, pretty)| {
        let dims: Vec<usize> = std::iter::once(rows).chain(inner.iter().map(|(dim, _)| *dim)).collect();
        let fixed = inner.iter().map(|&(dim, fixed)| if fixed { i64::try_from(dim).expect("small") } else { -1 });
        let values: Vec<Value> =
            bits.iter().map(|bits| bits.map_or(Value::Null, |bits| element(datatype, bits))).collect();
        let mut data = Data::with_capacity(datatype, values.len());
        for value in &values {
            push(&mut data, value);
        }
        let nulls = values.iter().enumerate().filter(|(_, value)| value.is_null());
        let missing = nulls.map(|(index, _)| index as u32).collect();
        let elements = if flat { json!(values) } else { nested(&dims, &mut values.clone().into_iter()) };
        let text = |value: Value| if pretty { format!("{value:#}") } else { value.to_string() };
        let members: Vec<String> = order
            .iter()
            .map(|&member| match member {
                "name" => format!("\"name\": {}", text(json!(name))),
                "shape" => format!("\"shape\":{}", text(json!(dims))),
                "datatype" => format!("\"datatype\" :{}", text(json!(datatype.name()))),
                "data" => format!("\"data\":{}", text(elements.clone())),
                _ => "\"parameters\":{\"x\":[{}]}".to_owned(),
            })
            .collect();
        Case {
            spec: TensorSpec { name: name.clone(), datatype, shape: std::iter::once(-1).chain(fixed).collect() },
            tensor: Tensor { dims, data, missing },
            json: format!("{{{}}}", members.join(",")),
        }
    })
}

fn cases() -> impl Strategy<Value = (Vec<Case>, Vec<String>)> {
    (1_usize..5, 1_usize..4).prop_flat_map(|(rows, inputs)| {
        let cases: Vec<_> = (0..inputs).map(|index| case(format!("in \"{index}\""), rows)).collect();
        cases.prop_flat_map(|cases| {
            let texts: Vec<String> = cases.iter().map(|case| case.json.clone()).collect();
            (Just(cases), Just(texts).prop_shuffle())
        })
    })
}

/// Two tensors are the same if they print the same: NaN is not equal to itself.
fn same(a: &Tensor, b: &Tensor) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    #[test]
    fn any_tensors_written_in_any_order_come_back_equal((cases, texts) in cases()) {
        let specs: Vec<TensorSpec> = cases.iter().map(|case| case.spec.clone()).collect();
        let body = format!("{{\"inputs\":[{}]}}", texts.join(", "));
        let request = parse_infer(body.as_bytes(), &specs, &[], 4).map_err(|error| TestCaseError::fail(format!("{error}: {body}")))?;
        prop_assert_eq!(request.inputs.len(), cases.len());
        for (got, case) in request.inputs.iter().zip(&cases) {
            prop_assert!(same(got, &case.tensor), "{:?} of {}", got, case.json);
        }
    }

    #[test]
    fn an_answer_reads_back_as_a_request((cases, _) in cases(), start in 0_usize..4) {
        let specs: Vec<TensorSpec> = cases.iter().map(|case| case.spec.clone()).collect();
        let outputs: Vec<Tensor> = cases.iter().map(|case| case.tensor.clone()).collect();
        let start = start.min(outputs[0].rows() - 1);
        let rows = outputs[0].rows() - start;
        let mut out = Vec::new();
        write_infer(&mut out, &InferAnswer {
            model_name: "m", model_version: "1", id: None, prediction_id: "p", variant: "v",
            specs: &specs, selected: None, outputs: &outputs, start, rows,
        });
        let body = String::from_utf8(out).expect("UTF-8").replacen("\"outputs\"", "\"inputs\"", 1);
        let request = parse_infer(body.as_bytes(), &specs, &[], 4).map_err(|error| TestCaseError::fail(format!("{error}: {body}")))?;
        for (got, whole) in request.inputs.iter().zip(&outputs) {
            let from = start * whole.width();
            let expected = crate::each_data!(&whole.data, v => format!("{:?}", &v[from..]));
            prop_assert_eq!(crate::each_data!(&got.data, v => format!("{v:?}")), expected);
            prop_assert_eq!(&got.dims[1..], &whole.dims[1..]);
        }
    }

    #[test]
    fn a_request_cut_short_is_refused((cases, texts) in cases()) {
        let specs: Vec<TensorSpec> = cases.iter().map(|case| case.spec.clone()).collect();
        let body = format!("{{\"inputs\":[{}]}}", texts.join(","));
        for end in 0..body.len() {
            prop_assert!(parse_infer(&body.as_bytes()[..end], &specs, &[], 4).is_err());
        }
    }

    #[test]
    fn damaged_requests_never_panic((cases, texts) in cases(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let specs: Vec<TensorSpec> = cases.iter().map(|case| case.spec.clone()).collect();
        let mut body = format!("{{\"inputs\":[{}]}}", texts.join(",")).into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Ok(request) = parse_infer(&body, &specs, &specs, 4) {
            for (tensor, spec) in request.inputs.iter().zip(&specs) {
                prop_assert_eq!(tensor.dims.iter().product::<usize>(), tensor.data.len());
                prop_assert_eq!(tensor.data.datatype(), spec.datatype);
                prop_assert_eq!(tensor.rows(), request.rows);
            }
        }
    }
}
