//! Checks tensors against the signature, and does what the endpoint wants with what it finds.

use std::fmt::Write as _;

use crate::error::{Code, Detail, Error, Result};
use crate::model::{Feature, Fill, Model, set};
use crate::tensor::{Data, Tensor};
use crate::violation::{Field, Kind, Violation};
use crate::wire::snapshot::Validation;

/// Most violations named in one error answer; all are counted.
const NAMED: usize = 100;

/// Brings `inputs` into the form the model takes, adding to `violations` what breaks the signature.
///
/// Missing elements get what the signature says stands for them. Under `impute` invalid values are replaced.
/// Raw-tensor models (no features) may not have missing elements.
pub fn check(model: &Model, inputs: &mut [Tensor], violations: &mut Vec<Violation>, mode: Validation) -> Result<()> {
    let parsed = violations.len();
    for (index, tensor) in inputs.iter_mut().enumerate() {
        if !model.zero_bytes {
            refuse_zero_bytes(&model.signature.inputs[index].name, &tensor.data)?;
        }
        let columns = &model.columns[index];
        if columns.is_empty() {
            if let Some(element) = tensor.missing.first() {
                let name = &model.signature.inputs[index].name;
                let message = format!("input {name}: element {element} is null, and the model takes none");
                return Err(Error::new(Code::MalformedRequest, message));
            }
            continue;
        }
        fill_missing(model, columns, tensor, violations, parsed);
        check_values(model, columns, tensor, violations);
    }
    if mode == Validation::Impute {
        impute(model, inputs, violations)?;
    }
    Ok(())
}

/// Text with a zero byte cannot be handed to an engine whose strings end with one.
fn refuse_zero_bytes(input: &str, data: &Data) -> Result<()> {
    let Data::Bytes(elements) = data else { return Ok(()) };
    let Some(element) = elements.iter().position(|text| text.contains(&0)) else { return Ok(()) };
    let message = format!("input {input}: element {element} has a zero byte, which the model cannot take");
    Err(Error::new(Code::ValueOutOfRange, message))
}

fn fill_missing(model: &Model, columns: &[u16], tensor: &mut Tensor, found: &mut Vec<Violation>, parsed: usize) {
    let width = columns.len();
    for &element in &tensor.missing {
        let (row, column) = (element as usize / width, element as usize % width);
        let index = columns[column];
        let feature = &model.features[index as usize];
        set(&mut tensor.data, element as usize, &feature.missing);
        let known = |v: &Violation| v.row as usize == row && v.field == Field::Feature(index);
        if !feature.nullable && !found[..parsed].iter().any(known) {
            found.push(Violation {
                row: row as u32,
                field: Field::Feature(index),
                kind: Kind::Missing,
                got: "null".into(),
            });
        }
    }
}

fn check_values(model: &Model, columns: &[u16], tensor: &Tensor, found: &mut Vec<Violation>) {
    let bounded = |index: &u16| {
        let feature = &model.features[*index as usize];
        feature.minimum > f64::NEG_INFINITY || feature.maximum < f64::INFINITY || feature.categories.is_some()
    };
    if !columns.iter().any(bounded) {
        return;
    }
    let width = columns.len();
    let missing = |element: usize| tensor.missing.binary_search(&(element as u32)).is_ok();
    for row in 0..tensor.rows() {
        for (column, &index) in columns.iter().enumerate() {
            let feature = &model.features[index as usize];
            let element = row * width + column;
            if let Some((kind, got)) = broken(feature, &tensor.data, element)
                && !missing(element)
            {
                found.push(Violation { row: row as u32, field: Field::Feature(index), kind, got });
            }
        }
    }
}

/// What is wrong with one element, if anything.
#[inline]
fn broken(feature: &Feature, data: &Data, element: usize) -> Option<(Kind, Box<str>)> {
    let value = match data {
        Data::Fp32(v) => f64::from(v[element]),
        Data::Fp64(v) => v[element],
        Data::Int64(v) => v[element] as f64,
        Data::Int32(v) => f64::from(v[element]),
        Data::Uint8(v) => f64::from(v[element]),
        Data::Uint16(v) => f64::from(v[element]),
        Data::Uint32(v) => f64::from(v[element]),
        Data::Uint64(v) => v[element] as f64,
        Data::Int8(v) => f64::from(v[element]),
        Data::Int16(v) => f64::from(v[element]),
        Data::Bool(_) => return None,
        Data::Bytes(v) => return unknown_category(feature, &v[element]),
    };
    if value < feature.minimum {
        return Some((Kind::BelowMinimum, value.to_string().into()));
    }
    if value > feature.maximum {
        return Some((Kind::AboveMaximum, value.to_string().into()));
    }
    None
}

fn unknown_category(feature: &Feature, value: &[u8]) -> Option<(Kind, Box<str>)> {
    let known = feature.categories.as_ref().is_none_or(|categories| categories.contains(value));
    if known {
        return None;
    }
    let text: String = String::from_utf8_lossy(value).chars().take(40).collect();
    Some((Kind::UnknownCategory, text.into()))
}

fn impute(model: &Model, inputs: &mut [Tensor], violations: &[Violation]) -> Result<()> {
    for violation in violations {
        let Field::Feature(index) = violation.field else { continue };
        let feature = &model.features[index as usize];
        let value: Option<&Fill> = feature.impute.as_ref().or_else(|| feature.nullable.then_some(&feature.missing));
        let Some(value) = value else {
            return Err(rejection(model, violations));
        };
        let tensor = &mut inputs[feature.tensor];
        let element = violation.row as usize * tensor.width() + feature.column;
        set(&mut tensor.data, element, value);
    }
    Ok(())
}

/// The name of the field that a violation is about.
pub fn field_name<'a>(model: &'a Model, violation: &'a Violation) -> &'a str {
    match &violation.field {
        Field::Feature(index) => &model.features[*index as usize].name,
        Field::Unknown(name) => name,
    }
}

/// The 422 answer that names every field.
pub fn rejection(model: &Model, violations: &[Violation]) -> Error {
    let detail = |violation: &Violation| -> Detail {
        let expected = match &violation.field {
            Field::Feature(index) => model.features[*index as usize].expected.to_string(),
            Field::Unknown(_) => "no such field".to_owned(),
        };
        violation.detail(field_name(model, violation), expected)
    };
    let details: Vec<Detail> = violations.iter().take(NAMED).map(detail).collect();
    let noun = if violations.len() == 1 { "value breaks" } else { "values break" };
    let mut message = format!("{} {noun} the signature", violations.len());
    for (index, d) in details.iter().take(3).enumerate() {
        let separator = if index == 0 { ": " } else { "; " };
        let _ = write!(message, "{separator}row {}, field {}: expected {}, got {}", d.row, d.field, d.expected, d.got);
    }
    if violations.len() > 3 {
        message.push_str("; ...");
    }
    Error::new(Code::ValidationFailed, message).with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bundle::Signature;

    fn model() -> Model {
        let signature: Signature = serde_json::from_value(serde_json::json!({
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}, {"name": "country", "datatype": "BYTES", "shape": [-1, 1]}],
            "features": [
                {"name": "amount", "type": "float", "tensor": "x", "column": 0, "nullable": false, "minimum": 0.0, "maximum": null, "categories": null, "missing": null, "impute": 7.5},
                {"name": "age", "type": "float", "tensor": "x", "column": 1, "nullable": true, "minimum": null, "maximum": 99.0, "categories": null, "missing": null, "impute": null},
                {"name": "country", "type": "string", "tensor": "country", "column": 0, "nullable": false, "minimum": null, "maximum": null, "categories": ["SE", "NO"], "missing": null, "impute": "SE"}],
            "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 2]}], "decision": null}))
        .expect("signature");
        Model::new(signature).expect("model")
    }

    fn inputs(amount: f32, age: Option<f32>, country: &str) -> Vec<Tensor> {
        let missing = if age.is_none() { vec![1] } else { vec![] };
        vec![
            Tensor { dims: vec![1, 2], data: Data::Fp32(vec![amount, age.unwrap_or(f32::NAN)]), missing },
            Tensor { dims: vec![1, 1], data: Data::Bytes(vec![country.as_bytes().into()]), missing: vec![] },
        ]
    }

    #[test]
    fn good_rows_pass_and_nullable_missing_is_no_violation() {
        let mut found = Vec::new();
        check(&model(), &mut inputs(1.0, None, "SE"), &mut found, Validation::Reject).expect("ok");
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_broken_field_is_named() {
        let mut found = Vec::new();
        check(&model(), &mut inputs(-1.0, Some(120.0), "DK"), &mut found, Validation::Reject).expect("collects");
        let kinds: Vec<Kind> = found.iter().map(|v| v.kind).collect();
        assert_eq!(kinds, [Kind::BelowMinimum, Kind::AboveMaximum, Kind::UnknownCategory]);
        let error = rejection(&model(), &found);
        assert_eq!(error.details.len(), 3);
        assert!(error.message.contains("field amount: expected a number >= 0, got -1"), "{}", error.message);
    }

    #[test]
    fn impute_replaces_or_refuses() {
        let (model, mut found) = (model(), Vec::new());
        let mut rows = inputs(-1.0, Some(120.0), "DK");
        check(&model, &mut rows, &mut found, Validation::Impute).expect("imputed");
        assert!(matches!(&rows[0].data, Data::Fp32(v) if v[0].to_bits() == 7.5_f32.to_bits() && v[1].is_nan()));
        assert!(matches!(&rows[1].data, Data::Bytes(v) if &*v[0] == b"SE"));
        assert_eq!(found.len(), 3);
    }
}
