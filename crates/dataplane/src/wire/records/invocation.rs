//! The body of `/invocations`: the JSON that `MLflow`'s scoring server takes, into the same rows as named records.
//!
//! Rows come in four forms. Where values have no names they stand in the signature's order. `NaN` and the infinite
//! numbers are read as Python writes them, since `MLflow`'s own client does.

use super::{EXCERPT, Members, Reader, RecordPlan, RecordsRequest, Wanted};
use crate::error::{Code, Error, Result};
use crate::wire::oip::{once, optional_text, timeout, twice, unit_text};
use crate::wire::scan::{Fault, Scan, Scanner, excerpt};

/// The members that hold rows; a body has one of them.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// Rows, and what is wanted of each, if the body says so.
#[derive(Clone, Debug, PartialEq)]
pub struct InvocationRequest {
    pub records: RecordsRequest,
    pub wanted: Option<Wanted>,
}

/// Where the values of a column go.
pub(super) enum Place {
    Slot(usize),
    /// No feature of this name: its values are violations.
    Unknown(Box<str>),
    /// Read over.
    Index,
}

#[derive(Default)]
struct Params {
    members: Members,
    wanted: Option<Wanted>,
}

/// Reads `{FORM: rows, "params"?: {"predictions"?, "unit"?, "timeout_ms"?, "id"?}}`; other members are read over, as `MLflow` does.
///
/// Forms: `dataframe_split` (`columns`?, `data`, `index`?), `dataframe_records`, `instances` (records, or rows of values),
/// `inputs` (the same, or an object of columns).
///
/// Errors: those of `parse_records`, and `malformed_request` unless there is one form, for a column named twice and for
/// rows or columns of unequal length.
pub fn parse_invocation(body: &[u8], plan: &RecordPlan, max_rows: usize) -> Result<InvocationRequest> {
    if let Some(error) = &plan.unusable {
        return Err(error.clone());
    }
    Reader::new(plan, max_rows).invocation(&mut Scanner::of_python(body)).map_err(Error::from)
}

impl Reader<'_> {
    fn invocation(mut self, scanner: &mut Scanner<'_>) -> Scan<InvocationRequest> {
        let mut found: Option<&str> = None;
        let mut said: Option<Params> = None;
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            if let Some(form) = FORMS.into_iter().find(|form| *form == key) {
                match found.replace(form) {
                    Some(same) if same == form => return Err(twice(scanner, &key)),
                    Some(other) => return Err(scanner.fault(&format!("`{other}` and `{form}`: {}", exactly_one()))),
                    None => self.form(scanner, form)?,
                }
            } else if key == "params" {
                once(scanner, &mut said, &key, params)?;
            } else {
                scanner.skip_value()?;
            }
        }
        scanner.end()?;
        let form = found.ok_or_else(|| scanner.fault(&format!("no rows: {}", exactly_one())))?;
        let Params { members, wanted } = said.unwrap_or_default();
        Ok(InvocationRequest { records: self.finish(form, members)?, wanted })
    }

    fn form(&mut self, scanner: &mut Scanner<'_>, form: &str) -> Scan<()> {
        match (form, scanner.peek()) {
            ("dataframe_split", _) => self.split(scanner),
            ("dataframe_records", _) => self.records(scanner),
            ("inputs", b'{') => self.columnar(scanner),
            _ => self.rows_of_any_kind(scanner),
        }
    }

    /// Records, rows of values in the signature's order, or values of the only feature.
    fn rows_of_any_kind(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        let places = self.signature_order();
        self.rows_by(scanner, |reader, scanner| match (scanner.peek(), &places[..]) {
            (b'{', _) => reader.record(scanner),
            (b'[', _) | (_, [] | [_, _, ..]) => reader.positional(scanner, &places),
            (_, [_]) => {
                let row = reader.begin()?;
                let valued = usize::from(reader.known(scanner, 0, row)?);
                reader.end(row, valued);
                Ok(())
            }
        })
    }

    fn signature_order(&self) -> Vec<Place> {
        (0..self.plan.in_order.len()).map(Place::Slot).collect()
    }

    /// `{"columns"?, "data", "index"?}`, in any order: data that comes before its columns is read over first.
    fn split(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        let mut columns: Option<Option<Vec<Place>>> = None;
        let mut index = None;
        let (mut later, mut done) = (None, false);
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "columns" => once(scanner, &mut columns, &key, |s| self.columns(s))?,
                "index" => once(scanner, &mut index, &key, Scanner::skip_value)?,
                "data" if done || later.is_some() => return Err(twice(scanner, &key)),
                "data" => {
                    if let Some(Some(columns)) = &columns {
                        self.rows_by(scanner, |reader, scanner| reader.positional(scanner, columns))?;
                        done = true;
                    } else {
                        scanner.peek();
                        later = Some(scanner.clone());
                        scanner.skip_value()?;
                    }
                }
                _ => {
                    let key = excerpt(key.as_bytes(), EXCERPT);
                    return Err(
                        scanner.fault(&format!("`dataframe_split` has `columns`, `data` and `index`, got `{key}`"))
                    );
                }
            }
        }
        match later {
            _ if done => Ok(()),
            None => Err(scanner.fault("`dataframe_split` has no `data`")),
            Some(mut data) => {
                let columns = columns.flatten().unwrap_or_else(|| self.signature_order());
                self.rows_by(&mut data, |reader, scanner| reader.positional(scanner, &columns))
            }
        }
    }

    /// Where the columns of these names go; `None` for null, which leaves them in the signature's order.
    fn columns(&self, scanner: &mut Scanner<'_>) -> Scan<Option<Vec<Place>>> {
        if scanner.null()? {
            return Ok(None);
        }
        let mut places = Vec::with_capacity(self.plan.slots.len());
        scanner.array()?;
        while scanner.element()? {
            let name = match scanner.peek() {
                b'-' | b'0'..=b'9' => String::from_utf8_lossy(scanner.number()?.text()).into_owned().into(),
                _ => scanner.string()?,
            };
            places.push(self.place(&name, &places).map_err(|what| scanner.fault(&what))?);
        }
        Ok(Some(places))
    }

    /// Where the column `name` goes, `others` being those before it; an error in words for a second one of a name.
    pub(super) fn place(&self, name: &str, others: &[Place]) -> std::result::Result<Place, String> {
        let Some(&slot) = self.plan.by_name.get(name) else { return Ok(Place::Unknown(name.into())) };
        if others.iter().any(|other| matches!(other, Place::Slot(taken) if *taken == slot)) {
            return Err(format!("column `{}` is there twice", excerpt(name.as_bytes(), EXCERPT)));
        }
        Ok(Place::Slot(slot))
    }

    /// One row: an array with a value for each of `places`.
    fn positional(&mut self, scanner: &mut Scanner<'_>, places: &[Place]) -> Scan<()> {
        let row = self.begin()?;
        let (mut at, mut valued) = (0, 0);
        scanner.array()?;
        while scanner.element()? {
            match places.get(at) {
                Some(Place::Slot(slot)) => valued += usize::from(self.known(scanner, *slot, row)?),
                Some(Place::Unknown(name)) => self.unknown(scanner, name, row)?,
                Some(Place::Index) | None => scanner.skip_value()?,
            }
            at += 1;
        }
        if at != places.len() {
            return Err(unequal(&format!("row {row} has {at} values, expected {}", places.len())));
        }
        self.end(row, valued);
        Ok(())
    }

    /// `{name: [value, ...], ...}`, each column with a value for every row.
    fn columnar(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        let mut first: Option<Box<str>> = None;
        scanner.object()?;
        while let Some(name) = scanner.key()? {
            let slot = self.plan.by_name.get(&*name).copied();
            if let Some(slot) = slot
                && std::mem::replace(&mut self.marks[slot].seen, 1) == 1
            {
                return Err(twice(scanner, &name));
            }
            let mut row = 0;
            scanner.array()?;
            while scanner.element()? {
                // The first column says how many rows there are; a row too many is read before it is refused.
                if first.is_none() {
                    self.begin()?;
                } else if row == self.rows {
                    row += 1;
                    break;
                }
                match slot {
                    Some(slot) => self.column_value(scanner, slot, row)?,
                    None => self.unknown(scanner, &name, row)?,
                }
                row += 1;
            }
            if row != self.rows {
                let (name, first) = (excerpt(name.as_bytes(), EXCERPT), first.as_deref().unwrap_or_default());
                let more = if row > self.rows { " or more" } else { "" };
                return Err(unequal(&format!(
                    "column `{name}` has {row}{more} values where `{first}` has {}",
                    self.rows
                )));
            }
            first.get_or_insert_with(|| excerpt(name.as_bytes(), EXCERPT).into());
        }
        self.mark_absent_columns();
        Ok(())
    }

    fn column_value(&mut self, scanner: &mut Scanner<'_>, slot: usize, row: usize) -> Scan<()> {
        let stored = self.value(scanner, slot, row)?;
        if let (Some(target), false) = (self.plan.slots[slot].feature, stored) {
            let element = row * self.plan.tensors[target.tensor].width + target.column;
            self.tensors[target.tensor].missing.push(element as u32);
        }
        Ok(())
    }

    /// Marks the features that had no column as missing in every row; the marks ascend then.
    fn mark_absent_columns(&mut self) {
        for (slot, mark) in self.plan.slots.iter().zip(&self.marks) {
            if let (Some(target), 0) = (slot.feature, mark.seen) {
                let width = self.plan.tensors[target.tensor].width;
                let elements = (0..self.rows).map(|row| (row * width + target.column) as u32);
                self.tensors[target.tensor].missing.extend(elements);
            }
        }
        self.tensors.iter_mut().for_each(|tensor| tensor.missing.sort_unstable());
    }
}

fn params(scanner: &mut Scanner<'_>) -> Scan<Params> {
    let (mut wanted, mut id, mut unit, mut time) = (None, None, None, None);
    if !scanner.null()? {
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "predictions" => once(scanner, &mut wanted, &key, wish)?,
                "id" => once(scanner, &mut id, &key, optional_text)?,
                "unit" => once(scanner, &mut unit, &key, unit_text)?,
                "timeout_ms" => once(scanner, &mut time, &key, |s| timeout(s, 1_000.0))?,
                _ => {
                    let key = excerpt(key.as_bytes(), EXCERPT);
                    return Err(scanner.fault(&format!(
                        "unknown param `{key}`; known are `predictions`, `id`, `unit`, `timeout_ms`"
                    )));
                }
            }
        }
    }
    let members = Members { id: id.flatten(), unit: unit.flatten(), timeout_us: time.flatten() };
    Ok(Params { members, wanted })
}

fn wish(scanner: &mut Scanner<'_>) -> Scan<Wanted> {
    let before = scanner.clone();
    let word = scanner.string()?;
    Wanted::read(&word).ok_or_else(|| before.expected("`decision`, `score` or `full`"))
}

#[cold]
fn exactly_one() -> String {
    format!("exactly one of {} is needed", FORMS.map(|form| format!("`{form}`")).join(", "))
}

#[cold]
fn unequal(what: &str) -> Fault {
    Fault::new(Code::WrongShape, what)
}
