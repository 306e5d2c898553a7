//! The Open Inference Protocol (V2) in JSON: requests straight into typed tensors, answers straight into bytes.
//!
//! A request is read once, from its first byte to its last; only where `data` stands before what describes it, it is
//! read over first and decoded at the end of its input.

use std::borrow::Cow;

use super::bundle::TensorSpec;
use super::scan::{Fault, Scan, Scanner, excerpt};
use crate::error::{Code, Error, Result};
use crate::tensor::Tensor;

mod decode;
#[cfg(test)]
mod tests;
mod write;

pub use write::{InferAnswer, write_infer, write_uuid};
pub(super) use write::{write_elements, write_f32, write_f64, write_integer, write_string};

/// Names that an error lists at most.
const LISTED: usize = 32;

/// Characters of a caller's name that an error repeats at most.
const NAMED: usize = 64;

/// A request that fits its signature: every input is there, once, with its datatype and shape, all with equal rows.
#[derive(Clone, Debug, PartialEq)]
pub struct InferRequest {
    pub id: Option<Box<str>>,
    /// At least 1.
    pub rows: usize,
    /// In the order of the signature's inputs.
    pub inputs: Vec<Tensor>,
    /// Indices of the outputs that were asked for, in the asked order; `None`: all of them.
    pub outputs: Option<Vec<usize>>,
    /// `parameters.unit`.
    pub unit: Option<Box<str>>,
    /// `parameters.timeout`, microseconds; 0 on the wire means none.
    pub timeout_us: Option<u64>,
}

/// Reads the body of an infer request and checks it against `inputs` and `outputs` of the signature.
///
/// Errors name the input, what was expected and what came: `malformed_request` (with the byte), `unknown_input`,
/// `missing_input`, `unknown_output`, `wrong_datatype`, `wrong_shape`, `too_many_rows` (before any data is decoded),
/// `value_out_of_range`, `unsupported` (binary tensors). `null` elements become marks in `Tensor::missing`.
pub fn parse_infer(
    body: &[u8],
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
    max_rows: usize,
) -> Result<InferRequest> {
    let mut reader = Reader { specs: inputs, outputs, max_rows, rows: None, tensors: vec![None; inputs.len()] };
    reader.request(&mut Scanner::new(body)).map_err(Error::from)
}

struct Reader<'s> {
    specs: &'s [TensorSpec],
    outputs: &'s [TensorSpec],
    max_rows: usize,
    /// Of the first input that was read, with its index: all others must have as many.
    rows: Option<(usize, usize)>,
    tensors: Vec<Option<Tensor>>,
}

/// Members of one input as far as they were read.
#[derive(Default)]
struct Head<'a> {
    /// Index into the signature's inputs.
    index: Option<usize>,
    shape: Option<Vec<usize>>,
    datatype: Option<Cow<'a, str>>,
    /// Where `data` begins, if it came before the others.
    data: Option<Scanner<'a>>,
    tensor: Option<Tensor>,
}

#[derive(Default)]
struct Parameters {
    unit: Option<Box<str>>,
    timeout_us: Option<u64>,
}

impl Reader<'_> {
    fn request(&mut self, scanner: &mut Scanner<'_>) -> Scan<InferRequest> {
        let mut id: Option<Option<Box<str>>> = None;
        let mut parameters: Option<Parameters> = None;
        let mut outputs: Option<Option<Vec<usize>>> = None;
        let mut inputs: Option<()> = None;
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "id" => once(scanner, &mut id, &key, optional_text)?,
                "parameters" => once(scanner, &mut parameters, &key, request_parameters)?,
                "inputs" => once(scanner, &mut inputs, &key, |s| self.inputs(s))?,
                "outputs" => once(scanner, &mut outputs, &key, |s| self.asked(s))?,
                _ => scanner.skip_value()?,
            }
        }
        scanner.end()?;
        if inputs.is_none() {
            return Err(scanner.fault("the request has no `inputs`"));
        }
        let Parameters { unit, timeout_us } = parameters.unwrap_or_default();
        let outputs = outputs.flatten();
        let rows = self.rows.map_or(0, |(_, rows)| rows);
        Ok(InferRequest { id: id.flatten(), rows, inputs: self.complete()?, outputs, unit, timeout_us })
    }

    /// All tensors in the signature's order, or `missing_input`.
    fn complete(&mut self) -> Scan<Vec<Tensor>> {
        if let Some(absent) = self.tensors.iter().position(Option::is_none) {
            let message =
                format!("input `{}` is missing; the model takes {}", self.specs[absent].name, list(self.specs));
            return Err(Fault::new(Code::MissingInput, message));
        }
        Ok(std::mem::take(&mut self.tensors).into_iter().flatten().collect())
    }

    fn inputs(&mut self, scanner: &mut Scanner<'_>) -> Scan<()> {
        scanner.array()?;
        let mut position = 0;
        while scanner.element()? {
            self.input(scanner, position)?;
            position += 1;
        }
        Ok(())
    }

    /// One input, `position` being its place in the request (most often its place in the signature too).
    fn input(&mut self, scanner: &mut Scanner<'_>, position: usize) -> Scan<()> {
        let mut head = Head::default();
        let mut parameters = None;
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "name" => once(scanner, &mut head.index, &key, |s| self.known(s, position))?,
                "shape" => once(scanner, &mut head.shape, &key, |s| shape(s))?,
                "datatype" => once(scanner, &mut head.datatype, &key, Scanner::string)?,
                "parameters" => once(scanner, &mut parameters, &key, |s| binary(s, "binary_data_size"))?,
                "data" if head.data.is_some() || head.tensor.is_some() => return Err(twice(scanner, &key)),
                "data" => self.data(scanner, &mut head)?,
                _ => scanner.skip_value()?,
            }
        }
        self.finish(scanner, head)
    }

    /// Decodes `data` at once if all that describes it is known, else remembers where it is.
    fn data<'a>(&mut self, scanner: &mut Scanner<'a>, head: &mut Head<'a>) -> Scan<()> {
        if head.index.is_some() && head.shape.is_some() && head.datatype.is_some() {
            head.tensor = Some(self.tensor(scanner, head)?);
            return Ok(());
        }
        scanner.peek();
        head.data = Some(scanner.clone());
        scanner.skip_value()
    }

    /// Puts the input where it belongs, once its object was read to the end.
    fn finish(&mut self, scanner: &Scanner<'_>, mut head: Head<'_>) -> Scan<()> {
        let Some(index) = head.index else {
            return Err(scanner.fault("an input without `name`"));
        };
        let lacking = match (&head.shape, &head.datatype, head.tensor.is_some() || head.data.is_some()) {
            (None, ..) if head.tensor.is_none() => Some("shape"),
            (_, None, _) => Some("datatype"),
            (.., false) => Some("data"),
            _ => None,
        };
        if let Some(member) = lacking {
            return Err(scanner.fault(&format!("input `{}` has no `{member}`", self.specs[index].name)));
        }
        let tensor = match (head.tensor.take(), head.data.take()) {
            (Some(tensor), _) => tensor,
            (None, Some(mut data)) => self.tensor(&mut data, &mut head)?,
            (None, None) => return Err(scanner.fault("an input without `data`")),
        };
        self.tensors[index] = Some(tensor);
        Ok(())
    }

    /// The tensor whose data is next, after all checks that need no data.
    fn tensor(&mut self, scanner: &mut Scanner<'_>, head: &mut Head<'_>) -> Scan<Tensor> {
        let (Some(index), Some(datatype)) = (head.index, &head.datatype) else {
            return Err(scanner.fault("an input that is not described"));
        };
        let spec = &self.specs[index];
        if **datatype != *spec.datatype.name() {
            let got = excerpt(datatype.as_bytes(), NAMED);
            let message = format!("input `{}`: expected datatype {}, got `{got}`", spec.name, spec.datatype.name());
            return Err(Fault::new(Code::WrongDatatype, message));
        }
        // `shape` stays occupied, so that a second one is still noticed.
        let dims = head.shape.as_mut().map(std::mem::take).unwrap_or_default();
        let count = self.check_shape(index, &dims)?;
        decode::tensor(scanner, spec.datatype, dims, count)
            .map_err(|fault| fault.about(&format!("input `{}`", spec.name)))
    }

    /// The number of elements of `dims`, if they are what the signature and the other inputs want.
    fn check_shape(&mut self, index: usize, dims: &[usize]) -> Scan<usize> {
        let spec = &self.specs[index];
        let fits = dims.len() == spec.shape.len()
            && spec.shape.iter().zip(dims).skip(1).all(|(&want, &got)| want < 0 || usize::try_from(want) == Ok(got));
        if !fits {
            return Err(wrong_shape(spec, &format!("expected shape {:?}, got {dims:?}", spec.shape)));
        }
        let rows = dims.first().copied().unwrap_or(0);
        if rows == 0 {
            return Err(wrong_shape(spec, &format!("at least one row, got shape {dims:?}")));
        }
        if rows > self.max_rows {
            let message = format!("{rows} rows in input `{}`, at most {} in one request", spec.name, self.max_rows);
            return Err(Fault::new(Code::TooManyRows, message));
        }
        let (first, others) = *self.rows.get_or_insert((index, rows));
        if others != rows {
            let first = &self.specs[first].name;
            return Err(wrong_shape(spec, &format!("{rows} rows where input `{first}` has {others}")));
        }
        // The marks of missing elements are 32 bits wide. A zero must not hide an overflow of the others.
        let bound = dims.iter().try_fold(1_usize, |bound, &dim| bound.checked_mul(dim.max(1)));
        match bound {
            Some(bound) if u32::try_from(bound).is_ok() => Ok(if dims.contains(&0) { 0 } else { bound }),
            _ => Err(wrong_shape(spec, &format!("shape {dims:?} has too many elements"))),
        }
    }

    /// The index of the input whose name is next.
    fn known(&self, scanner: &mut Scanner<'_>, position: usize) -> Scan<usize> {
        let name = scanner.string()?;
        let guess = self.specs.get(position).is_some_and(|spec| spec.name == *name);
        let index = if guess { Some(position) } else { self.specs.iter().position(|spec| spec.name == *name) };
        let Some(index) = index else {
            let name = excerpt(name.as_bytes(), NAMED);
            let message = format!("no input `{name}`; the model takes {}", list(self.specs));
            return Err(Fault::new(Code::UnknownInput, message));
        };
        if self.tensors[index].is_some() {
            return Err(scanner.fault(&format!("input `{name}` is there twice")));
        }
        Ok(index)
    }

    /// The outputs that are asked for; `None` for an empty list, which asks for all.
    fn asked(&self, scanner: &mut Scanner<'_>) -> Scan<Option<Vec<usize>>> {
        if scanner.null()? {
            return Ok(None);
        }
        let mut asked = Vec::new();
        scanner.array()?;
        while scanner.element()? {
            let index = self.asked_output(scanner)?;
            if asked.contains(&index) {
                return Err(scanner.fault(&format!("output `{}` is asked for twice", self.outputs[index].name)));
            }
            asked.push(index);
        }
        Ok((!asked.is_empty()).then_some(asked))
    }

    fn asked_output(&self, scanner: &mut Scanner<'_>) -> Scan<usize> {
        let (mut name, mut parameters) = (None, None);
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "name" => once(scanner, &mut name, &key, Scanner::string)?,
                "parameters" => once(scanner, &mut parameters, &key, |s| binary(s, "binary_data"))?,
                _ => scanner.skip_value()?,
            }
        }
        let Some(name) = name else {
            return Err(scanner.fault("an output without `name`"));
        };
        self.outputs.iter().position(|spec| spec.name == *name).ok_or_else(|| {
            let name = excerpt(name.as_bytes(), NAMED);
            let message = format!("no output `{name}`; the model gives {}", list(self.outputs));
            Fault::new(Code::UnknownOutput, message)
        })
    }
}

/// Reads a member that may be there once.
#[inline]
pub(super) fn once<'a, T>(
    scanner: &mut Scanner<'a>,
    slot: &mut Option<T>,
    key: &str,
    read: impl FnOnce(&mut Scanner<'a>) -> Scan<T>,
) -> Scan<()> {
    if slot.is_some() {
        return Err(twice(scanner, key));
    }
    *slot = Some(read(scanner)?);
    Ok(())
}

/// The error for a member that is there a second time.
#[cold]
pub(super) fn twice(scanner: &Scanner<'_>, key: &str) -> Fault {
    scanner.fault(&format!("member `{}` is there twice", excerpt(key.as_bytes(), NAMED)))
}

/// A string, or `None` for null.
pub(super) fn optional_text(scanner: &mut Scanner<'_>) -> Scan<Option<Box<str>>> {
    if scanner.null()? { Ok(None) } else { Ok(Some(scanner.string()?.into())) }
}

/// The name of a unit: a string, or an integer as it is written; `None` for null.
pub(super) fn unit_text(scanner: &mut Scanner<'_>) -> Scan<Option<Box<str>>> {
    if !matches!(scanner.peek(), b'-' | b'0'..=b'9') {
        return optional_text(scanner);
    }
    let before = scanner.clone();
    let text = scanner.number()?.text();
    if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return Err(before.expected("a string or an integer"));
    }
    Ok(Some(String::from_utf8_lossy(text).into()))
}

/// A time in units of `scale` microseconds; `None` for null and 0, which mean no limit.
pub(super) fn timeout(scanner: &mut Scanner<'_>, scale: f64) -> Scan<Option<u64>> {
    if scanner.null()? {
        return Ok(None);
    }
    let before = scanner.clone();
    let value = scanner.number()?.to_f64() * scale;
    if value < 0.0 {
        return Err(before.expected("a time that is not negative"));
    }
    // Saturates at the ends; a fraction of a microsecond counts as one.
    Ok(Some(value.ceil() as u64).filter(|&micros| micros > 0))
}

fn request_parameters(scanner: &mut Scanner<'_>) -> Scan<Parameters> {
    let (mut unit, mut time) = (None, None);
    if !scanner.null()? {
        scanner.object()?;
        while let Some(key) = scanner.key()? {
            match &*key {
                "unit" => once(scanner, &mut unit, &key, unit_text)?,
                "timeout" => once(scanner, &mut time, &key, |s| timeout(s, 1.0))?,
                _ => scanner.skip_value()?,
            }
        }
    }
    Ok(Parameters { unit: unit.flatten(), timeout_us: time.flatten() })
}

/// Reads parameters of which only `refused` matters: it announces binary tensors, unless it is false or null.
fn binary(scanner: &mut Scanner<'_>, refused: &str) -> Scan<()> {
    if scanner.null()? {
        return Ok(());
    }
    scanner.object()?;
    while let Some(key) = scanner.key()? {
        let harmless = key != refused || matches!(scanner.peek(), b'f' | b'n');
        if !harmless {
            let message = format!(
                "`{refused}`: this server does not have the binary tensor data extension; send and ask for JSON `data`"
            );
            return Err(Fault::new(Code::Unsupported, message));
        }
        scanner.skip_value()?;
    }
    Ok(())
}

fn shape(scanner: &mut Scanner<'_>) -> Scan<Vec<usize>> {
    let mut dims = Vec::with_capacity(4);
    scanner.array()?;
    while scanner.element()? {
        let before = scanner.clone();
        let number = scanner.number()?;
        let dim = number.to_integer().ok().and_then(|dim| usize::try_from(dim).ok());
        let wrong = || before.expected("a dimension (an integer, not negative)").with_code(Code::WrongShape);
        dims.push(dim.ok_or_else(wrong)?);
    }
    Ok(dims)
}

#[cold]
fn wrong_shape(spec: &TensorSpec, what: &str) -> Fault {
    Fault::new(Code::WrongShape, format!("input `{}`: {what}", spec.name))
}

/// The names of `specs` for an error.
fn list(specs: &[TensorSpec]) -> String {
    let names: Vec<String> = specs.iter().take(LISTED).map(|spec| format!("`{}`", spec.name)).collect();
    let more = specs.len().saturating_sub(LISTED);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}
