//! Named records in, predictions out: the JSON that people write by hand.
//!
//! A value of the wrong type is not an error here but a violation: what becomes of it (refuse, flag, impute) is the
//! endpoint's choice, made later. An error is what leaves no records to speak of.

use rustc_hash::{FxHashMap, FxHashSet};

use super::bundle::{FeatureType, Signature, TensorSpec};
use super::oip::{once, optional_text, timeout, twice, unit_text};
use super::scan::{Fault, Key, Scan, Scanner, excerpt};
use crate::error::{Code, Error, Result};
use crate::tensor::{Data, Datatype, Tensor};
use crate::violation::{Field, Kind, Violation};

mod csv;
#[cfg(test)]
mod forms_tests;
mod invocation;
mod store;
#[cfg(test)]
mod tests;
mod write;

pub use csv::parse_csv;
pub use invocation::{InvocationRequest, parse_invocation};
use store::Outcome;
pub use write::{Part, PredictionsAnswer, Wanted, write_invocation, write_parts, write_predictions};

/// Characters of a value or a name that are kept of it.
const EXCERPT: usize = 40;

/// Violations kept of one request. A body of nothing but unknown fields would else take many times its own memory.
const MAX_VIOLATIONS: usize = 1 << 18;

/// A signature, prepared for reading records.
#[derive(Clone, Debug)]
pub struct RecordPlan {
    /// One for each feature, in the signature's order, and one more if the unit's key is not a feature.
    slots: Vec<Slot>,
    by_name: FxHashMap<Box<str>, usize>,
    tensors: Vec<Column>,
    /// Features by tensor and column: the order of elements in a row.
    in_order: Vec<usize>,
    unit: bool,
    /// Why no record can be read with this signature.
    unusable: Option<Error>,
}

/// What a known field of a record is.
#[derive(Clone, Debug)]
struct Slot {
    name: Box<str>,
    /// The name as JSON text, to be compared with what is next.
    quoted: Box<[u8]>,
    /// Where its value goes; `None` if it is the unit's key only.
    feature: Option<Target>,
    unit: bool,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    kind: FeatureType,
    tensor: usize,
    column: usize,
}

/// One input tensor that carries features.
#[derive(Clone, Debug)]
struct Column {
    datatype: Datatype,
    width: usize,
    rank: usize,
}

/// Records as tensors, and what is wrong with single values.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordsRequest {
    /// At least 1.
    pub rows: usize,
    /// In the order of the signature's inputs.
    pub inputs: Vec<Tensor>,
    /// One for each row; empty when the endpoint has no unit key and the request names no unit.
    pub units: Vec<Option<Box<str>>>,
    /// By row; each value concerned is marked as missing in its tensor.
    pub violations: Vec<Violation>,
    pub request_id: Option<Box<str>>,
    /// `timeout_ms` in microseconds; 0 on the wire means none.
    pub timeout_us: Option<u64>,
}

impl RecordPlan {
    /// A plan for records of `signature`, `unit_key` being the field that names the unit.
    ///
    /// A signature without features makes a plan that refuses every request with `unsupported`.
    pub fn new(signature: &Signature, unit_key: Option<&str>) -> Self {
        let column = |spec: &TensorSpec| Column { datatype: spec.datatype, width: width(spec), rank: spec.shape.len() };
        let tensors: Vec<Column> = signature.inputs.iter().map(column).collect();
        let mut plan = Self {
            slots: Vec::with_capacity(signature.features.len() + 1),
            by_name: FxHashMap::default(),
            tensors,
            in_order: (0..signature.features.len()).collect(),
            unit: unit_key.is_some(),
            unusable: unusable(signature),
        };
        for feature in &signature.features {
            let tensor = signature.inputs.iter().position(|spec| spec.name == feature.tensor).unwrap_or(0);
            let target = Target { kind: feature.kind, tensor, column: feature.column };
            plan.add(&feature.name, Some(target), unit_key == Some(&*feature.name));
        }
        if let Some(key) = unit_key.filter(|key| !plan.by_name.contains_key(*key)) {
            plan.add(key, None, true);
        }
        let slots = &plan.slots;
        plan.in_order.sort_by_key(|&index| slots[index].feature.map_or((0, 0), |to| (to.tensor, to.column)));
        plan
    }

    fn add(&mut self, name: &str, feature: Option<Target>, unit: bool) {
        let mut quoted = Vec::new();
        super::oip::write_string(&mut quoted, name.as_bytes());
        self.by_name.insert(name.into(), self.slots.len());
        self.slots.push(Slot { name: name.into(), quoted: quoted.into(), feature, unit });
    }
}

/// The reason why records cannot be read with `signature`, if there is one.
fn unusable(signature: &Signature) -> Option<Error> {
    if signature.features.is_empty() {
        let message = "this model takes raw tensors; use /v2/models/NAME/infer";
        return Some(Error::new(Code::Unsupported, message));
    }
    covers(signature).err().map(|what| Error::new(Code::ModelInvalid, what))
}

/// Checks that each column of each input is one feature, and that names are unique.
fn covers(signature: &Signature) -> std::result::Result<(), String> {
    let mut free: FxHashSet<(&str, usize)> = FxHashSet::default();
    for spec in &signature.inputs {
        let width = width(spec);
        if !(1..=usize::from(u16::MAX)).contains(&width) || spec.shape.len() > 2 {
            return Err(format!("input `{}` of shape {:?} cannot carry features", spec.name, spec.shape));
        }
        free.extend((0..width).map(|column| (&*spec.name, column)));
    }
    let mut names = FxHashSet::default();
    for feature in &signature.features {
        if !names.insert(&feature.name) {
            return Err(format!("feature `{}` is there twice", feature.name));
        }
        if !free.remove(&(&*feature.tensor, feature.column)) {
            return Err(format!(
                "feature `{}`: no free column {} in `{}`",
                feature.name, feature.column, feature.tensor
            ));
        }
    }
    if u16::try_from(names.len()).is_err() {
        return Err(format!("{} features, at most {} can be named", names.len(), u16::MAX));
    }
    free.iter()
        .next()
        .map_or(Ok(()), |(input, column)| Err(format!("column {column} of input `{input}` is no feature")))
}

/// Columns of an input that carries features; 0 if there is no fixed number of them.
fn width(spec: &TensorSpec) -> usize {
    spec.shape.get(1).map_or(1, |&width| usize::try_from(width).unwrap_or(0))
}

/// Reads `{"records": [{...}], "id"?, "unit"?, "timeout_ms"?}`.
///
/// Errors: `malformed_request` (not this JSON, a member twice, more than 2^18 violations), `wrong_shape` (no record),
/// `too_many_rows`, `unsupported` (the signature has no features). Wrong values and unknown fields are violations.
pub fn parse_records(body: &[u8], plan: &RecordPlan, max_rows: usize) -> Result<RecordsRequest> {
    if let Some(error) = &plan.unusable {
        return Err(error.clone());
    }
    Reader::new(plan, max_rows).request(&mut Scanner::new(body)).map_err(Error::from)
}

struct Reader<'p> {
    plan: &'p RecordPlan,
    max_rows: usize,
    rows: usize,
    tensors: Vec<Tensor>,
    units: Vec<Option<Box<str>>>,
    violations: Vec<Violation>,
    /// For each slot the mark of the last row that had it.
    marks: Vec<Mark>,
    /// The slots in the order in which the last rows had them: a guess for this one.
    order: Vec<usize>,
}

/// What a request says beside its rows.
#[derive(Default)]
struct Members {
    id: Option<Box<str>>,
    unit: Option<Box<str>>,
    timeout_us: Option<u64>,
}

/// Rows are counted from 1 here, so that 0 is none.
#[derive(Clone, Copy, Default)]
struct Mark {
    seen: usize,
    valued: usize,
}

impl<'p> Reader<'p> {
    fn new(plan: &'p RecordPlan, max_rows: usize) -> Self {
        let tensors = plan
            .tensors
            .iter()
            .map(|column| Tensor {
                dims: Vec::with_capacity(column.rank),
                data: Data::with_capacity(column.datatype, column.width),
                missing: Vec::new(),
            })
            .collect();
        // The marks of missing elements are 32 bits wide.
        let widest = plan.tensors.iter().map(|column| column.width).max().unwrap_or(1).max(1);
        Self {
            plan,
            max_rows: max_rows.min(u32::MAX as usize / widest),
            rows: 0,
            tensors,
            units: Vec::new(),
            violations: Vec::new(),
            marks: vec![Mark::default(); plan.slots.len()],
            order: Vec::with_capacity(plan.slots.len()),
        }
    }

    fn request(mut self, scanner: &mut Scanner<'_>) -> Scan<RecordsRequest> {
        let (mut id, mut unit, mut time, mut records) = (None, None, None, None);
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "records" => once(scanner, &mut records, &key, |s| self.records(s))?,
                "id" => once(scanner, &mut id, &key, optional_text)?,
                "unit" => once(scanner, &mut unit, &key, unit_text)?,
                "timeout_ms" => once(scanner, &mut time, &key, |s| timeout(s, 1_000.0))?,
                _ => return Err(unknown_member(scanner, &key)),
            }
        }
        scanner.end()?;
        if records.is_none() {
            return Err(scanner.fault("the request has no `records`"));
        }
        self.finish("records", Members { id: id.flatten(), unit: unit.flatten(), timeout_us: time.flatten() })
    }

    /// The request, once the rows that `what` holds were read.
    fn finish(mut self, what: &str, members: Members) -> Scan<RecordsRequest> {
        if self.rows == 0 {
            return Err(Fault::new(Code::WrongShape, format!("`{what}` is empty: at least one row")));
        }
        if let Some(unit) = members.unit {
            self.units.resize(self.rows, None);
            for own in self.units.iter_mut().filter(|own| own.is_none()) {
                *own = Some(unit.clone());
            }
        }
        for (tensor, column) in self.tensors.iter_mut().zip(&self.plan.tensors) {
            tensor.dims.push(self.rows);
            if column.rank > 1 {
                tensor.dims.push(column.width);
            }
        }
        Ok(RecordsRequest {
            rows: self.rows,
            inputs: self.tensors,
            units: self.units,
            violations: self.violations,
            request_id: members.id,
            timeout_us: members.timeout_us,
        })
    }

    fn records(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        self.rows_by(scanner, Self::record)
    }

    /// Reads an array of rows, each with `row`.
    fn rows_by<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        row: impl Fn(&mut Self, &mut Scanner<'a>) -> Scan<()>,
    ) -> Scan<()> {
        scanner.array()?;
        while scanner.element()? {
            let start = scanner.position();
            row(self, scanner)?;
            if self.rows == 1 {
                // The others are taken to be as long as the first; memory stays bounded by the body's length.
                let more = scanner.remaining() / (scanner.position() - start).max(1);
                self.reserve(more.min(self.max_rows));
            }
        }
        Ok(())
    }

    fn reserve(&mut self, rows: usize) {
        if rows > 1 {
            for (tensor, column) in self.tensors.iter_mut().zip(&self.plan.tensors) {
                crate::each_data!(&mut tensor.data, v => v.reserve(rows.saturating_mul(column.width)));
            }
        }
    }

    /// Makes room for one more row, whose values are missing until they are read, and returns its number.
    fn begin(&mut self) -> Scan<usize> {
        if self.rows == self.max_rows {
            let message = format!("more than {} records, the most in one request", self.max_rows);
            return Err(Fault::new(Code::TooManyRows, message));
        }
        let row = self.rows;
        self.rows += 1;
        for (tensor, column) in self.tensors.iter_mut().zip(&self.plan.tensors) {
            store::grow(&mut tensor.data, column.width * self.rows);
        }
        if self.plan.unit {
            self.units.push(None);
        }
        Ok(row)
    }

    fn record(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        let row = self.begin()?;
        let (mut place, mut valued) = (0, 0);
        scanner.object()?;
        loop {
            let guess = self.guess(place);
            let quoted = self.plan.slots.get(guess).map(|slot| &*slot.quoted).unwrap_or_default();
            let slot = match scanner.key_like(quoted)? {
                Key::End => break,
                Key::Guessed => guess,
                Key::Other(name) => {
                    let Some(&slot) = self.plan.by_name.get(&*name) else {
                        self.unknown(scanner, &name, row)?;
                        continue;
                    };
                    slot
                }
            };
            self.remember(place, slot);
            place += 1;
            valued += usize::from(self.known(scanner, slot, row)?);
        }
        self.end(row, valued);
        Ok(())
    }

    /// Marks what is missing of a row of which `valued` features have got a value.
    fn end(&mut self, row: usize, valued: usize) {
        if valued < self.plan.in_order.len() {
            self.mark_missing(row);
        }
    }

    /// The slot that comes at `place` if this row is like the last one, or like the signature.
    fn guess(&self, place: usize) -> usize {
        match self.order.get(place) {
            Some(&slot) => slot,
            None => place.checked_sub(1).and_then(|last| self.order.get(last)).map_or(place, |last| last + 1),
        }
    }

    fn remember(&mut self, place: usize, slot: usize) {
        match self.order.get_mut(place) {
            Some(known) => *known = slot,
            None => self.order.push(slot),
        }
    }

    /// Reads the value of a known field; true if a feature has got a value by it.
    fn known(&mut self, scanner: &mut Scanner<'_>, index: usize, row: usize) -> Scan<bool> {
        if std::mem::replace(&mut self.marks[index].seen, self.rows) == self.rows {
            return Err(twice(scanner, &self.plan.slots[index].name));
        }
        let stored = self.value(scanner, index, row)?;
        if stored {
            self.marks[index].valued = self.rows;
        }
        Ok(stored)
    }

    /// Reads the value that is next into the slot's element of a row; true if a feature has got a value by it.
    fn value(&mut self, scanner: &mut Scanner<'_>, index: usize, row: usize) -> Scan<bool> {
        let slot = &self.plan.slots[index];
        scanner.peek();
        let mut before = scanner.clone();
        let start = scanner.position();
        let mut outcome = Outcome::Null;
        if let Some(target) = slot.feature {
            let element = row * self.plan.tensors[target.tensor].width + target.column;
            outcome = store::read(scanner, target.kind, &mut self.tensors[target.tensor].data, element)?;
        }
        if slot.unit {
            let unit = store::unit(&mut before)?;
            match (unit, self.units.get_mut(row)) {
                (Ok(unit), Some(own)) => *own = unit,
                (Err(kind), _) if !matches!(outcome, Outcome::Refused(_)) => {
                    let field = Field::Unknown(excerpt(slot.name.as_bytes(), EXCERPT).into());
                    self.violation(&before, row, (field, kind), start)?;
                }
                _ => {}
            }
            *scanner = before;
        }
        if let Outcome::Refused(kind) = outcome {
            self.violation(scanner, row, (Field::Feature(index as u16), kind), start)?;
        }
        Ok(outcome == Outcome::Stored)
    }

    fn unknown(&mut self, scanner: &mut Scanner<'_>, name: &str, row: usize) -> Scan<()> {
        scanner.peek();
        let start = scanner.position();
        scanner.skip_value()?;
        let field = Field::Unknown(excerpt(name.as_bytes(), EXCERPT).into());
        self.violation(scanner, row, (field, Kind::UnknownField), start)
    }

    /// Keeps a violation by the value that was read from `start` to here.
    #[cold]
    fn violation(&mut self, scanner: &Scanner<'_>, row: usize, what: (Field, Kind), start: usize) -> Scan<()> {
        self.note(scanner.since(start), row, what).map_err(|what| scanner.fault(&what))
    }

    /// Keeps a violation by the value `got`; an error in words where there are too many.
    fn note(&mut self, got: &[u8], row: usize, (field, kind): (Field, Kind)) -> std::result::Result<(), String> {
        if self.violations.len() == MAX_VIOLATIONS {
            return Err(format!("more than {MAX_VIOLATIONS} values break the signature"));
        }
        let got = excerpt(got, EXCERPT).into();
        self.violations.push(Violation { row: row as u32, field, kind, got });
        Ok(())
    }

    /// Marks the elements of `row` that have got no value.
    fn mark_missing(&mut self, row: usize) {
        for &index in &self.plan.in_order {
            if let (Some(target), true) = (self.plan.slots[index].feature, self.marks[index].valued != self.rows) {
                let element = row * self.plan.tensors[target.tensor].width + target.column;
                self.tensors[target.tensor].missing.push(element as u32);
            }
        }
    }
}

#[cold]
fn unknown_member(scanner: &Scanner<'_>, key: &str) -> Fault {
    let key = excerpt(key.as_bytes(), EXCERPT);
    scanner.fault(&format!("unknown member `{key}`; known are `records`, `id`, `unit`, `timeout_ms`"))
}
