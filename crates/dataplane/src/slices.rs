//! Slices: the units of an arm by the value of a column, so that harm to a few of them is not lost in the many.
//!
//! Which values have a slice of their own is decided once for each rollout, and alike for all of its arms: else the
//! units of one value would be compared with those of another. Everything here is bounded, and a row that falls into
//! slices which are there already is placed and counted without a lock and without memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::model::{Feature, Model, number};
use crate::tensor::{Data, Tensor};
use crate::wire::bundle::{FeatureType, Scalar};
use crate::wire::snapshot::MOST_SLICE_COLUMNS;

/// Values of a column that have a slice of their own; the rest share one.
pub const MOST_VALUES: usize = 32;
/// Bytes of the longest text that may have one.
const LONGEST: usize = 100;
const OTHER: u8 = MOST_VALUES as u8;
const MISSING: u8 = OTHER + 1;
const SLICES: usize = MOST_VALUES + 2;

/// The slice that a row falls into, of each column; places beyond the columns mean nothing.
pub type Place = [u8; MOST_SLICE_COLUMNS];

/// Of an endpoint without slices.
pub const NOWHERE: Place = [MISSING; MOST_SLICE_COLUMNS];

/// One column, and the values that have a slice.
#[derive(Debug)]
struct Column {
    name: Box<str>,
    kind: FeatureType,
    /// Where its values stand: the input tensor, and the place in a row of it.
    tensor: usize,
    at: usize,
    /// In the order in which they came; those of a closed column are all there from the beginning.
    values: [OnceLock<Scalar>; MOST_VALUES],
    closed: bool,
}

/// A value as it stands in a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Given<'a> {
    Text(&'a str),
    Whole(i64),
    Truth(bool),
}

impl Given<'_> {
    fn is(self, value: &Scalar) -> bool {
        match (self, value) {
            (Self::Text(a), Scalar::Text(b)) => a == b,
            (Self::Whole(a), Scalar::Int(b)) => a == *b,
            (Self::Truth(a), Scalar::Bool(b)) => a == *b,
            _ => false,
        }
    }

    fn kept(self) -> Scalar {
        match self {
            Self::Text(text) => Scalar::Text(text.to_owned()),
            Self::Whole(whole) => Scalar::Int(whole),
            Self::Truth(truth) => Scalar::Bool(truth),
        }
    }
}

impl Column {
    /// A column of text has a slice for each category, where the signature names them, and one of truth for each
    /// truth; others for the values that come first.
    fn new(feature: &Feature, categories: Option<&[String]>) -> Self {
        let known: Option<Vec<Scalar>> = match (feature.kind, categories) {
            (FeatureType::Boolean, _) => Some(vec![Scalar::Bool(false), Scalar::Bool(true)]),
            (_, Some(categories)) => Some(categories.iter().cloned().map(Scalar::Text).collect()),
            (_, None) => None,
        };
        let closed = known.is_some();
        let mut known = known.unwrap_or_default().into_iter();
        let values = std::array::from_fn(|_| known.next().map_or_else(OnceLock::new, OnceLock::from));
        let Feature { kind, tensor, column: at, .. } = *feature;
        Self { name: feature.name.clone(), kind, tensor, at, values, closed }
    }

    fn slice(&self, inputs: &[Tensor], row: usize) -> u8 {
        let Some(tensor) = inputs.get(self.tensor) else { return MISSING };
        let element = row * tensor.width() + self.at;
        if tensor.missing.binary_search(&(element as u32)).is_ok() {
            return MISSING;
        }
        match &tensor.data {
            Data::Bytes(texts) => {
                let Some(text) = texts.get(element) else { return MISSING };
                match std::str::from_utf8(text) {
                    Ok(text) if text.len() <= LONGEST => self.slice_of(Given::Text(text)),
                    _ => OTHER,
                }
            }
            data => match number(data, element) {
                Some(x) if self.kind == FeatureType::Boolean && !x.is_nan() => self.slice_of(Given::Truth(x != 0.0)),
                Some(x) if x.is_finite() && x.fract() == 0.0 => self.slice_of(Given::Whole(x as i64)),
                Some(x) if !x.is_nan() => OTHER,
                _ => MISSING,
            },
        }
    }

    /// The slice of a value; one that is new takes the next that is free.
    fn slice_of(&self, given: Given<'_>) -> u8 {
        for (index, slot) in self.values.iter().enumerate() {
            let value = match slot.get() {
                Some(value) => value,
                None if self.closed => break,
                // Where two threads meet here, both see the value of the one that was first.
                None => slot.get_or_init(|| given.kept()),
            };
            if given.is(value) {
                return index as u8;
            }
        }
        OTHER
    }
}

/// The columns by which a rollout's units are counted.
#[derive(Debug, Default)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Compiles the columns of these names; what is wrong with the first that cannot be one.
    pub fn new(names: &[String], model: &Model) -> Result<Self, String> {
        let column = |name: &String| {
            let at = model.features.iter().position(|feature| *feature.name == **name);
            let at = at.ok_or_else(|| format!("routing.slices: {name:?} is no feature of the signature"))?;
            if model.features[at].kind == FeatureType::Float {
                return Err(format!(
                    "routing.slices: {name:?} is a float; slices are of strings, integers or booleans"
                ));
            }
            Ok(Column::new(&model.features[at], model.signature.features[at].categories.as_deref()))
        };
        names.iter().take(MOST_SLICE_COLUMNS).map(column).collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a row falls, by its values as they were given.
    pub fn place(&self, inputs: &[Tensor], row: usize) -> Place {
        let mut place = NOWHERE;
        for (slice, column) in place.iter_mut().zip(&self.0) {
            *slice = column.slice(inputs, row);
        }
        place
    }
}

/// What is counted in one slice of an arm.
#[derive(Debug)]
pub struct Cell {
    pub units: AtomicU64,
    pub unit_errors: AtomicU64,
    pub unit_violations: AtomicU64,
    pub decisions: Box<[AtomicU64]>,
}

/// One arm's counts by slice; a slice takes memory when its first unit comes.
#[derive(Debug)]
pub struct Slices {
    columns: Arc<Columns>,
    cells: Vec<[OnceLock<Cell>; SLICES]>,
    labels: usize,
}

impl Slices {
    pub fn new(columns: Arc<Columns>, labels: usize) -> Self {
        let cells = columns.0.iter().map(|_| [const { OnceLock::new() }; SLICES]).collect();
        Self { columns, cells, labels }
    }

    /// Counts one more of what `counter` picks, in each column.
    pub fn count(&self, place: Place, counter: impl Fn(&Cell) -> Option<&AtomicU64>) {
        for (cells, slice) in self.cells.iter().zip(place) {
            let Some(cell) = cells.get(usize::from(slice)) else { continue };
            let cell = cell.get_or_init(|| Cell {
                units: AtomicU64::new(0),
                unit_errors: AtomicU64::new(0),
                unit_violations: AtomicU64::new(0),
                decisions: (0..self.labels).map(|_| AtomicU64::new(0)).collect(),
            });
            if let Some(counter) = counter(cell) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Every slice that has had a unit: its column, its value (None: missing, or one of the others), whether it is
    /// that of the others, and what was counted.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Option<&Scalar>, bool, &Cell)> {
        self.columns.0.iter().zip(&self.cells).flat_map(|(column, cells)| {
            cells.iter().enumerate().filter_map(|(slice, cell)| {
                let value = column.values.get(slice).and_then(OnceLock::get);
                Some((&*column.name, value, slice == usize::from(OTHER), cell.get()?))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::bundle::Signature;
    use crate::wire::records::{RecordPlan, parse_records};

    fn model() -> Model {
        let feature = |name: &str, kind: &str, tensor: &str, column: usize, categories: serde_json::Value| {
            serde_json::json!({"name": name, "type": kind, "tensor": tensor, "column": column, "nullable": true,
                "minimum": null, "maximum": null, "categories": categories, "missing": null, "impute": null})
        };
        let none = serde_json::Value::Null;
        let signature = serde_json::json!({
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "s", "datatype": "BYTES", "shape": [-1, 2]}],
            "features": [
                feature("amount", "float", "x", 0, none.clone()),
                feature("age", "integer", "x", 1, none.clone()),
                feature("member", "boolean", "x", 2, none.clone()),
                feature("country", "string", "s", 0, none),
                feature("size", "string", "s", 1, serde_json::json!(["small", "large"]))],
            "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 2]}], "decision": null});
        Model::new(serde_json::from_value(signature).expect("a signature")).expect("a model")
    }

    fn columns(names: &[&str]) -> Result<Columns, String> {
        Columns::new(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), &model())
    }

    fn row(age: f32, member: f32, country: &str, size: &str, missing: &[u32]) -> Vec<Tensor> {
        let texts = [country, size].map(|text| Box::from(text.as_bytes())).to_vec();
        vec![
            Tensor { dims: vec![1, 3], data: Data::Fp32(vec![0.5, age, member]), missing: missing.to_vec() },
            Tensor { dims: vec![1, 2], data: Data::Bytes(texts), missing: Vec::new() },
        ]
    }

    #[test]
    fn a_column_is_a_feature_of_few_values() {
        assert!(columns(&["amount"]).is_err_and(|what| what.contains("amount")));
        assert!(columns(&["city"]).is_err_and(|what| what.contains("city")));
        assert!(columns(&[]).is_ok_and(|columns| columns.is_empty()));
    }

    #[test]
    fn a_row_falls_where_its_values_say() {
        let columns = columns(&["country", "age", "member", "size"]).expect("columns");
        let place = |row: &[Tensor]| columns.place(row, 0)[..4].to_vec();
        assert_eq!(place(&row(30.0, 1.0, "SE", "large", &[])), [0, 0, 1, 1]);
        assert_eq!(place(&row(31.0, 0.0, "NO", "small", &[])), [1, 1, 0, 0]);
        assert_eq!(place(&row(30.0, 1.0, "NO", "huge", &[1, 2])), [1, MISSING, MISSING, OTHER]);
        assert_eq!(place(&row(f32::NAN, f32::NAN, &"x".repeat(101), "", &[])), [OTHER, MISSING, MISSING, OTHER]);
        assert_eq!(columns.place(&row(30.0, 0.0, "SE", "large", &[]), 7)[..2], [MISSING, MISSING], "no such row");
    }

    #[test]
    fn threads_that_meet_agree_on_the_slice_of_a_value() {
        let columns = columns(&["age"]).expect("columns");
        let seen: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let place = || (0..40_u8).map(|age| columns.place(&row(f32::from(age), 0.0, "", "", &[]), 0)[0]).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(place)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(seen.iter().all(|places| places == &seen[0]), "{seen:?}");
        let others: Vec<_> = seen[0].iter().filter(|place| **place == OTHER).collect();
        assert_eq!(others.len(), 40 - MOST_VALUES);
    }

    /// The vectors are the control plane's too: it must know how many slices there can be.
    #[test]
    fn records_fall_where_the_vectors_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/vectors/slices.json");
        let text = std::fs::read_to_string(path).expect("the vectors");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let signature: Signature = serde_json::from_value(vectors["signature"].clone()).expect("a signature");
        let plan = RecordPlan::new(&signature, None);
        let names: Vec<String> = serde_json::from_value(vectors["columns"].clone()).expect("names");
        let columns = Columns::new(&names, &Model::new(signature).expect("a model")).expect("columns");
        for (name, column) in names.iter().zip(&columns.0) {
            let known = column.values.iter().filter(|value| value.get().is_some()).count();
            let others = usize::from(column.kind != FeatureType::Boolean);
            let size = if column.closed { known + others + 1 } else { SLICES };
            assert_eq!(vectors["sizes"][name], serde_json::json!(size), "{name}");
        }
        for row in vectors["rows"].as_array().expect("rows") {
            let body = serde_json::json!({"records": [row["record"]]}).to_string();
            let request = parse_records(body.as_bytes(), &plan, 1).expect("a record");
            let place = columns.place(&request.inputs, 0);
            let found: Vec<_> = place
                .iter()
                .zip(&columns.0)
                .map(|(slice, column)| {
                    let value = column.values.get(usize::from(*slice)).and_then(OnceLock::get);
                    serde_json::json!({"value": value, "other": *slice == OTHER})
                })
                .collect();
            assert_eq!(serde_json::json!(found), row["slices"], "{row}");
        }
    }

    proptest! {
        #[test]
        fn counts_add_up_and_values_stay_where_they_are(ages: Vec<u8>) {
            let slices = Slices::new(Arc::new(columns(&["age", "size"]).expect("columns")), 2);
            let mut first: std::collections::HashMap<u8, Place> = std::collections::HashMap::new();
            for &age in &ages {
                let place = slices.columns.place(&row(f32::from(age), 0.0, "", "small", &[]), 0);
                prop_assert_eq!(*first.entry(age).or_insert(place), place);
                slices.count(place, |cell| Some(&cell.units));
            }
            for column in ["age", "size"] {
                let own: Vec<_> = slices.counted().filter(|(of, ..)| *of == column).collect();
                let sum: u64 = own.iter().map(|(.., cell)| cell.units.load(Ordering::Relaxed)).sum();
                prop_assert_eq!(sum, ages.len() as u64);
                prop_assert!(own.len() <= SLICES);
                for (_, value, other, cell) in own {
                    if let (Some(Scalar::Int(age)), false) = (value, other) {
                        let wanted = ages.iter().filter(|own| i64::from(**own) == *age).count();
                        prop_assert_eq!(cell.units.load(Ordering::Relaxed), wanted as u64);
                    }
                }
            }
        }
    }
}
