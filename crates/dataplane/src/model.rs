//! A signature compiled for the hot path: names become indices, allowed values become bounds and sets.

use std::fmt::Write as _;

use rustc_hash::FxHashSet;

use crate::error::{Code, Error, Result};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::{FeatureSpec, FeatureType, Scalar, Signature, Task, TensorSpec};

/// A value that can stand in a tensor element.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    Number(f64),
    Integer(i64),
    Text(Box<str>),
}

/// One feature, with everything that checking it needs.
#[derive(Debug)]
pub struct Feature {
    pub name: Box<str>,
    pub kind: FeatureType,
    /// Index of its input tensor.
    pub tensor: usize,
    pub column: usize,
    pub nullable: bool,
    pub minimum: f64,
    pub maximum: f64,
    pub categories: Option<FxHashSet<Box<[u8]>>>,
    /// Stands where a nullable value is missing.
    pub missing: Fill,
    /// Replaces an invalid value where the endpoint imputes.
    pub impute: Option<Fill>,
    /// What the signature wants, in words for an error message.
    pub expected: Box<str>,
}

/// How outputs become a score and a decision.
#[derive(Debug)]
pub struct DecisionRule {
    pub task: Task,
    /// Index of the output tensor that holds the score(s).
    pub output: usize,
    pub column: usize,
    pub threshold: f64,
    pub labels: Vec<Box<str>>,
}

/// A compiled signature.
#[derive(Debug)]
pub struct Model {
    pub signature: Signature,
    pub features: Vec<Feature>,
    /// Names of the features, by index.
    pub feature_names: Vec<Box<str>>,
    /// `columns[tensor][column]` is the index of the feature there.
    pub columns: Vec<Vec<u16>>,
    pub decision: Option<DecisionRule>,
    /// Whether text may hold zero bytes; the engine says so.
    pub zero_bytes: bool,
}

impl Model {
    /// Compiles `signature`; `snapshot`-level consistency was checked by whoever wrote it, what would break the
    /// hot path is checked again here (`model_invalid`).
    pub fn new(signature: Signature) -> Result<Self> {
        let mut columns: Vec<Vec<u16>> = signature
            .inputs
            .iter()
            .map(|tensor| if signature.features.is_empty() { Vec::new() } else { vec![u16::MAX; width(tensor)] })
            .collect();
        let mut features = Vec::with_capacity(signature.features.len());
        for (index, spec) in signature.features.iter().enumerate() {
            let feature = compile_feature(spec, &signature.inputs)?;
            let slot = columns[feature.tensor]
                .get_mut(feature.column)
                .ok_or_else(|| invalid(format!("feature {}: no column {}", spec.name, spec.column)))?;
            *slot = index as u16;
            features.push(feature);
        }
        if columns.iter().flatten().any(|&slot| slot == u16::MAX) {
            return Err(invalid("a column of an input tensor has no feature".to_owned()));
        }
        let decision = signature.decision.as_ref().map(|_| compile_decision(&signature)).transpose()?;
        let feature_names = features.iter().map(|feature| feature.name.clone()).collect();
        Ok(Self { signature, features, feature_names, columns, decision, zero_bytes: true })
    }

    /// The score from which on the positive class is decided; none where no threshold decides.
    pub fn threshold(&self) -> Option<f64> {
        self.decision.as_ref().filter(|rule| rule.task == Task::Binary).map(|rule| rule.threshold)
    }

    /// Decides at another threshold than the bundle's; an error in words where no threshold decides.
    pub fn decide_at(&mut self, threshold: f64) -> std::result::Result<(), String> {
        match &mut self.decision {
            Some(rule) if rule.task == Task::Binary => {
                rule.threshold = threshold;
                Ok(())
            }
            _ => Err("threshold: the model makes no binary decision".to_owned()),
        }
    }

    /// A valid row of plausible values, `rows` times: what a model is warmed with.
    pub fn sample_inputs(&self, rows: usize) -> Vec<Tensor> {
        let make = |(index, spec): (usize, &TensorSpec)| {
            let mut dims: Vec<usize> = spec.shape.iter().map(|&d| if d < 0 { 1 } else { d as usize }).collect();
            dims[0] = rows;
            let width: usize = dims.iter().skip(1).product();
            let mut data = zeros(spec.datatype, rows * width);
            for (column, &feature) in self.columns[index].iter().enumerate() {
                let feature = &self.features[feature as usize];
                let fill = feature.impute.clone().unwrap_or_else(|| first_category(feature));
                for row in 0..rows {
                    set(&mut data, row * width + column, &fill);
                }
            }
            Tensor { dims, data, missing: Vec::new() }
        };
        self.signature.inputs.iter().enumerate().map(make).collect()
    }
}

fn first_category(feature: &Feature) -> Fill {
    match &feature.categories {
        Some(set) => set
            .iter()
            .min()
            .map_or(Fill::Text("".into()), |category| Fill::Text(String::from_utf8_lossy(category).into())),
        None => feature.missing.clone(),
    }
}

/// Elements in one row of a tensor whose trailing dimensions are fixed.
fn width(tensor: &TensorSpec) -> usize {
    tensor.shape.iter().skip(1).map(|&d| d.max(1) as usize).product()
}

fn zeros(datatype: Datatype, len: usize) -> Data {
    let mut data = Data::with_capacity(datatype, len);
    match &mut data {
        Data::Bytes(v) => v.resize(len, Box::default()),
        Data::Bool(v) => v.resize(len, false),
        Data::Uint8(v) => v.resize(len, 0),
        Data::Uint16(v) => v.resize(len, 0),
        Data::Uint32(v) => v.resize(len, 0),
        Data::Uint64(v) => v.resize(len, 0),
        Data::Int8(v) => v.resize(len, 0),
        Data::Int16(v) => v.resize(len, 0),
        Data::Int32(v) => v.resize(len, 0),
        Data::Int64(v) => v.resize(len, 0),
        Data::Fp32(v) => v.resize(len, 0.0),
        Data::Fp64(v) => v.resize(len, 0.0),
    }
    data
}

/// Writes `fill` at `index`; a fill that does not fit the type saturates (checked when the signature was made).
pub fn set(data: &mut Data, index: usize, fill: &Fill) {
    let number = match fill {
        Fill::Number(x) => *x,
        Fill::Integer(x) => *x as f64,
        Fill::Text(text) => {
            if let Data::Bytes(v) = data {
                v[index] = text.as_bytes().into();
            }
            return;
        }
    };
    match (data, fill) {
        (Data::Int64(v), Fill::Integer(x)) => v[index] = *x,
        (Data::Uint64(v), Fill::Integer(x)) => v[index] = u64::try_from(*x).unwrap_or(0),
        (Data::Bool(v), _) => v[index] = number != 0.0,
        (Data::Uint8(v), _) => v[index] = number as u8,
        (Data::Uint16(v), _) => v[index] = number as u16,
        (Data::Uint32(v), _) => v[index] = number as u32,
        (Data::Uint64(v), _) => v[index] = number as u64,
        (Data::Int8(v), _) => v[index] = number as i8,
        (Data::Int16(v), _) => v[index] = number as i16,
        (Data::Int32(v), _) => v[index] = number as i32,
        (Data::Int64(v), _) => v[index] = number as i64,
        (Data::Fp32(v), _) => v[index] = number as f32,
        (Data::Fp64(v), _) => v[index] = number,
        (Data::Bytes(_), _) => {}
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::ModelInvalid, message)
}

fn compile_feature(spec: &FeatureSpec, inputs: &[TensorSpec]) -> Result<Feature> {
    let tensor = inputs
        .iter()
        .position(|input| input.name == spec.tensor)
        .ok_or_else(|| invalid(format!("feature {}: no input tensor {}", spec.name, spec.tensor)))?;
    let floating = matches!(inputs[tensor].datatype, Datatype::Fp32 | Datatype::Fp64);
    let text = inputs[tensor].datatype == Datatype::Bytes;
    let missing = match &spec.missing {
        Some(value) => fill(value),
        None if text => Fill::Text("".into()),
        None => Fill::Number(if floating { f64::NAN } else { 0.0 }),
    };
    Ok(Feature {
        name: spec.name.as_str().into(),
        kind: spec.kind,
        tensor,
        column: spec.column,
        nullable: spec.nullable,
        minimum: spec.minimum.unwrap_or(f64::NEG_INFINITY),
        maximum: spec.maximum.unwrap_or(f64::INFINITY),
        categories: spec.categories.as_ref().map(|all| all.iter().map(|c| c.as_bytes().into()).collect()),
        missing,
        impute: spec.impute.as_ref().map(fill),
        expected: expected(spec).into(),
    })
}

fn fill(value: &Scalar) -> Fill {
    match value {
        Scalar::Bool(b) => Fill::Integer(i64::from(*b)),
        Scalar::Int(i) => Fill::Integer(*i),
        Scalar::Float(x) => Fill::Number(*x),
        Scalar::Text(text) => Fill::Text(text.as_str().into()),
    }
}

fn expected(spec: &FeatureSpec) -> String {
    let mut text = match spec.kind {
        FeatureType::Float => "a number",
        FeatureType::Integer => "an integer",
        FeatureType::Boolean => "true or false",
        FeatureType::String => "a string",
    }
    .to_owned();
    match (spec.minimum, spec.maximum) {
        (Some(low), Some(high)) => drop(write!(text, " from {low} to {high}")),
        (Some(low), None) => drop(write!(text, " >= {low}")),
        (None, Some(high)) => drop(write!(text, " <= {high}")),
        (None, None) => {}
    }
    if let Some(categories) = &spec.categories {
        let some: Vec<&str> = categories.iter().take(10).map(String::as_str).collect();
        let more = if categories.len() > some.len() { ", ..." } else { "" };
        text = format!("one of {}{more}", some.join(", "));
    }
    if spec.nullable {
        text.push_str(" or null");
    }
    text
}

fn compile_decision(signature: &Signature) -> Result<DecisionRule> {
    let Some(decision) = &signature.decision else { return Err(invalid("no decision".to_owned())) };
    let output = signature
        .outputs
        .iter()
        .position(|output| output.name == decision.score_output)
        .ok_or_else(|| invalid(format!("decision: no output {}", decision.score_output)))?;
    let width = width(&signature.outputs[output]);
    let needed = if decision.task == Task::Multiclass { decision.labels.len() } else { decision.score_column + 1 };
    if signature.outputs[output].shape.len() > 1 && width < needed {
        return Err(invalid(format!(
            "decision: output {} has {width} columns, {needed} are needed",
            decision.score_output
        )));
    }
    let text = |label: &Scalar| match label {
        Scalar::Text(text) => text.clone(),
        Scalar::Bool(b) => b.to_string(),
        Scalar::Int(i) => i.to_string(),
        Scalar::Float(x) => x.to_string(),
    };
    Ok(DecisionRule {
        task: decision.task,
        output,
        column: decision.score_column,
        threshold: decision.threshold.unwrap_or(0.5),
        labels: decision.labels.iter().map(|label| text(label).into()).collect(),
    })
}

/// Score and decision (index into the labels) of every row of a batch; empty without a rule.
pub fn decide(rule: Option<&DecisionRule>, outputs: &[Tensor]) -> (Vec<Option<f64>>, Vec<Option<u16>>) {
    let Some(rule) = rule else { return (Vec::new(), Vec::new()) };
    let tensor = &outputs[rule.output];
    let (rows, width) = (tensor.rows(), tensor.width());
    let mut scores = Vec::with_capacity(rows);
    let mut decisions = Vec::with_capacity(rows);
    for row in 0..rows {
        let at = |column: usize| number(&tensor.data, row * width + column).filter(|x| x.is_finite());
        let (score, decision) = match rule.task {
            Task::Regression => (at(rule.column), None),
            Task::Binary => {
                let score = at(rule.column);
                (score, score.map(|score| u16::from(score >= rule.threshold)))
            }
            Task::Multiclass => best(width.min(rule.labels.len()), at),
        };
        scores.push(score);
        decisions.push(decision);
    }
    (scores, decisions)
}

fn best(classes: usize, at: impl Fn(usize) -> Option<f64>) -> (Option<f64>, Option<u16>) {
    let mut best: Option<(f64, u16)> = None;
    for class in 0..classes {
        if let Some(score) = at(class)
            && best.is_none_or(|(top, _)| score > top)
        {
            best = Some((score, class as u16));
        }
    }
    (best.map(|b| b.0), best.map(|b| b.1))
}

/// A number of any type; None where there is none, or text.
pub fn number(data: &Data, index: usize) -> Option<f64> {
    match data {
        Data::Fp32(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Fp64(v) => v.get(index).copied(),
        Data::Int64(v) => v.get(index).map(|&x| x as f64),
        Data::Int32(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Bool(v) => v.get(index).map(|&x| f64::from(u8::from(x))),
        Data::Uint8(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Uint16(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Uint32(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Uint64(v) => v.get(index).map(|&x| x as f64),
        Data::Int8(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Int16(v) => v.get(index).map(|&x| f64::from(x)),
        Data::Bytes(_) => None,
    }
}
