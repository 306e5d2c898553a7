//! The answer to records: one prediction for each, in the words of the signature.

use crate::tensor::{Datatype, Tensor};
use crate::violation::{Field, Violation};
use crate::wire::bundle::{Decision, Scalar, TensorSpec};
use crate::wire::oip::{write_elements, write_f32, write_f64, write_integer, write_string, write_uuid};

/// One request's answer, cut out of a batch.
#[derive(Clone, Copy, Debug)]
pub struct PredictionsAnswer<'a> {
    pub endpoint: &'a str,
    pub version: &'a str,
    pub variant: &'a str,
    pub bundle: &'a str,
    /// The id of the first row; row `i` has `first_id + i`.
    pub first_id: u128,
    /// How outputs become decisions; `None`: the rows carry their outputs instead.
    pub decision: Option<&'a Decision>,
    pub specs: &'a [TensorSpec],
    /// The whole batch's outputs, in the order of `specs`.
    pub outputs: &'a [Tensor],
    /// First row of this request in the batch.
    pub start: usize,
    /// Rows of this request.
    pub rows: usize,
    /// Of this request's rows.
    pub scores: &'a [Option<f64>],
    /// Of this request's rows: indices into the decision's labels.
    pub decisions: &'a [Option<u16>],
    /// Of this request; `row` counts from its first row.
    pub violations: &'a [Violation],
    /// Names of the signature's features.
    pub feature_names: &'a [Box<str>],
}

/// Rows of a request that one variant answered.
#[derive(Debug)]
pub struct Part<'a> {
    pub answer: PredictionsAnswer<'a>,
    /// Which rows of the request they are, ascending; read over where there is one part, which has all of them.
    pub rows: &'a [usize],
}

/// What `/invocations` gives for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// As the model's own `predict`: the label of a classifier, the number of a regression, else the outputs.
    #[default]
    Decision,
    /// The score that is behind the decision.
    Score,
    /// The object that the records route gives.
    Full,
}

impl Wanted {
    /// From the word that a caller says.
    pub fn read(word: &str) -> Option<Self> {
        Some(match word {
            "decision" => Self::Decision,
            "score" => Self::Score,
            "full" => Self::Full,
            _ => return None,
        })
    }
}

/// Appends the JSON of `answer` to `out`.
///
/// Each row has its `prediction_id`; with a decision a `score` and, where there are labels, a `decision` (null where
/// there is none, as for a score that is not finite); without one its `outputs`; and its `violations`, if it has any.
pub fn write_predictions(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>) {
    out.reserve(256 + 128 * answer.rows);
    write_head(out, answer);
    out.extend_from_slice(b",\"predictions\":[");
    let mut rows = Rows::of(answer);
    for row in 0..answer.rows {
        out.extend_from_slice(if row == 0 { b"{" } else { b",{" });
        rows.write(out, row);
    }
    out.extend_from_slice(b"]}");
}

/// Appends the JSON of an answer that several variants gave, in the order of the request's rows. The head is the first
/// part's; a row of another part begins with the version, variant and bundle that answered it.
pub fn write_parts(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    let Some(first) = parts.first() else { return };
    write_head(out, &first.answer);
    out.extend_from_slice(b",\"predictions\":[");
    let mut writers: Vec<Rows<'_, '_>> = parts.iter().map(|part| Rows::of(&part.answer)).collect();
    in_order(parts, |row, part, own| {
        out.extend_from_slice(if row == 0 { b"{" } else { b",{" });
        if part > 0 {
            write_answerer(out, &parts[part].answer);
        }
        writers[part].write(out, own);
    });
    out.extend_from_slice(b"]}");
}

/// Appends the answer of `/invocations`: of each row, in the request's order, what is wanted of it.
pub fn write_invocation(out: &mut Vec<u8>, parts: &[Part<'_>], wanted: Wanted) {
    out.extend_from_slice(b"{\"predictions\":[");
    let mut writers: Vec<Rows<'_, '_>> = parts.iter().map(|part| Rows::of(&part.answer)).collect();
    in_order(parts, |row, part, own| {
        if row > 0 {
            out.push(b',');
        }
        if wanted == Wanted::Full {
            out.push(b'{');
            if parts.len() > 1 {
                write_answerer(out, &parts[part].answer);
            }
            writers[part].write(out, own);
        } else {
            writers[part].write_bare(out, own, wanted);
        }
    });
    out.extend_from_slice(b"]}");
}

/// Calls `write` with each row of a request, in its order: the row, the part that has it, and which of its rows it is.
fn in_order(parts: &[Part<'_>], mut write: impl FnMut(usize, usize, usize)) {
    if let [only] = parts {
        return (0..only.answer.rows).for_each(|row| write(row, 0, row));
    }
    let mut order: Vec<(usize, usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, of)| of.rows.iter().enumerate().map(move |(own, &row)| (row, part, own)))
        .collect();
    order.sort_unstable();
    for (row, part, own) in order {
        write(row, part, own);
    }
}

/// The members that say who answered a row, and the comma behind them.
fn write_answerer(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>) {
    write_members(out, &[("version", answer.version), ("variant", answer.variant), ("bundle", answer.bundle)]);
    out.push(b',');
}

fn write_head(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>) {
    out.push(b'{');
    let PredictionsAnswer { endpoint, version, variant, bundle, .. } = *answer;
    write_members(out, &[("endpoint", endpoint), ("version", version), ("variant", variant), ("bundle", bundle)]);
}

fn write_members(out: &mut Vec<u8>, members: &[(&str, &str)]) {
    for (index, (name, value)) in members.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write_string(out, value.as_bytes());
    }
}

/// Writes the rows of one answer, in ascending order.
struct Rows<'w, 'a> {
    answer: &'w PredictionsAnswer<'a>,
    single: bool,
    /// Not yet written.
    violations: std::iter::Peekable<std::vec::IntoIter<&'a Violation>>,
}

impl<'w, 'a> Rows<'w, 'a> {
    fn of(answer: &'w PredictionsAnswer<'a>) -> Self {
        let single = answer.decision.is_some_and(|decision| score_is_single(decision, answer));
        Self { answer, single, violations: by_row(answer.violations).into_iter().peekable() }
    }

    /// The members of a row and the brace that ends it.
    fn write(&mut self, out: &mut Vec<u8>, row: usize) {
        let answer = self.answer;
        out.extend_from_slice(b"\"prediction_id\":\"");
        write_uuid(out, answer.first_id.wrapping_add(row as u128));
        out.push(b'"');
        match answer.decision {
            Some(decision) => write_decision(out, answer, decision, row, self.single),
            None => write_row_outputs(out, answer, row),
        }
        let mut own = Vec::new();
        while let Some(violation) = self.violations.next_if(|violation| violation.row as usize == row) {
            own.push(violation);
        }
        write_violations(out, &own, answer.feature_names);
        out.push(b'}');
    }

    /// The value of a row, without a name.
    fn write_bare(&self, out: &mut Vec<u8>, row: usize, wanted: Wanted) {
        let answer = self.answer;
        match answer.decision {
            Some(decision) if wanted == Wanted::Decision && !decision.labels.is_empty() => {
                write_row_label(out, answer, decision, row);
            }
            Some(_) => write_score(out, answer, row, self.single),
            None => match answer.outputs {
                [only] => write_row(out, only, answer.start.saturating_add(row), has_one(&answer.specs[0])),
                _ => write_outputs(out, answer, row),
            },
        }
    }
}

/// The violations in the order of their rows. They come so from the parser, but checks made later may add to them.
fn by_row(violations: &[Violation]) -> Vec<&Violation> {
    let mut sorted: Vec<&Violation> = violations.iter().collect();
    sorted.sort_by_key(|violation| violation.row);
    sorted
}

/// True if the score was a single: it is then written as the shortest decimal of a single (0.93, not 0.9300000071).
fn score_is_single(decision: &Decision, answer: &PredictionsAnswer<'_>) -> bool {
    let index = answer.specs.iter().position(|spec| spec.name == decision.score_output);
    index.and_then(|index| answer.outputs.get(index)).is_some_and(|output| output.data.datatype() == Datatype::Fp32)
}

fn write_decision(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>, decision: &Decision, row: usize, single: bool) {
    if !decision.labels.is_empty() {
        out.extend_from_slice(b",\"decision\":");
        write_row_label(out, answer, decision, row);
    }
    out.extend_from_slice(b",\"score\":");
    write_score(out, answer, row, single);
}

fn write_row_label(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>, decision: &Decision, row: usize) {
    let label = answer.decisions.get(row).copied().flatten();
    write_label(out, label.and_then(|label| decision.labels.get(usize::from(label))));
}

fn write_score(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>, row: usize, single: bool) {
    match answer.scores.get(row).copied().flatten() {
        Some(score) if single => write_f32(out, score as f32),
        Some(score) => write_f64(out, score),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_label(out: &mut Vec<u8>, label: Option<&Scalar>) {
    match label {
        None => out.extend_from_slice(b"null"),
        Some(Scalar::Bool(value)) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Some(Scalar::Int(value)) => write_integer(out, *value),
        Some(Scalar::Float(value)) => write_f64(out, *value),
        Some(Scalar::Text(value)) => write_string(out, value.as_bytes()),
    }
}

fn write_row_outputs(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>, row: usize) {
    out.extend_from_slice(b",\"outputs\":");
    write_outputs(out, answer, row);
}

fn write_outputs(out: &mut Vec<u8>, answer: &PredictionsAnswer<'_>, row: usize) {
    out.push(b'{');
    for (index, (spec, tensor)) in answer.specs.iter().zip(answer.outputs).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, spec.name.as_bytes());
        out.push(b':');
        write_row(out, tensor, answer.start.saturating_add(row), has_one(spec));
    }
    out.push(b'}');
}

/// True if the output has one value for each row.
fn has_one(spec: &TensorSpec) -> bool {
    matches!(spec.shape[..], [_] | [_, 1])
}

/// One row of an output: a value if the output has `one` per row, else a flat list.
fn write_row(out: &mut Vec<u8>, tensor: &Tensor, row: usize, one: bool) {
    let width = tensor.width();
    let start = row.saturating_mul(width);
    let before = out.len();
    if !one {
        out.push(b'[');
    }
    write_elements(out, &tensor.data, start, start.saturating_add(width));
    if !one {
        out.push(b']');
    }
    if out.len() == before {
        out.extend_from_slice(b"null");
    }
}

fn write_violations(out: &mut Vec<u8>, violations: &[&Violation], feature_names: &[Box<str>]) {
    for (index, violation) in violations.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"violations\":[{\"field\":".as_slice() } else { b",{\"field\":" });
        let name = match &violation.field {
            Field::Feature(index) => feature_names.get(usize::from(*index)).map(|name| &**name).unwrap_or_default(),
            Field::Unknown(name) => name,
        };
        write_string(out, name.as_bytes());
        out.extend_from_slice(b",\"kind\":");
        write_string(out, violation.kind.name().as_bytes());
        out.extend_from_slice(b",\"got\":");
        write_string(out, violation.got.as_bytes());
        out.push(b'}');
    }
    if !violations.is_empty() {
        out.push(b']');
    }
}
