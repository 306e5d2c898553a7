//! One value of a record into its element of a tensor.

use crate::tensor::Data;
use crate::violation::Kind;
use crate::wire::bundle::FeatureType;
use crate::wire::oip::unit_text;
use crate::wire::scan::{NotAnInteger, Number, Scan, Scanner};

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    Null,
    /// The element holds what stands for a missing one.
    Refused(Kind),
}

/// What stands for a missing number or truth value in a CSV file, beside nothing at all.
const ABSENT: [&[u8]; 8] = [b"", b"NaN", b"nan", b"NA", b"N/A", b"null", b"NULL", b"None"];

const INFINITE: [&[u8]; 4] = [b"inf", b"-inf", b"Infinity", b"-Infinity"];

/// Lengthens `data` to `length` elements; the new ones stand for missing ones.
pub(super) fn grow(data: &mut Data, length: usize) {
    match data {
        Data::Bool(v) => v.resize(length, false),
        Data::Uint8(v) => v.resize(length, 0),
        Data::Uint16(v) => v.resize(length, 0),
        Data::Uint32(v) => v.resize(length, 0),
        Data::Uint64(v) => v.resize(length, 0),
        Data::Int8(v) => v.resize(length, 0),
        Data::Int16(v) => v.resize(length, 0),
        Data::Int32(v) => v.resize(length, 0),
        Data::Int64(v) => v.resize(length, 0),
        Data::Fp32(v) => v.resize(length, f32::NAN),
        Data::Fp64(v) => v.resize(length, f64::NAN),
        Data::Bytes(v) => v.resize(length, Box::default()),
    }
}

/// Reads the value that is next into element `index`; one of another kind than the feature's is read over.
pub(super) fn read(scanner: &mut Scanner<'_>, kind: FeatureType, data: &mut Data, index: usize) -> Scan<Outcome> {
    if scanner.infinity() {
        return Ok(Outcome::Refused(Kind::NotFinite));
    }
    let stored = match (kind, scanner.peek()) {
        (FeatureType::Float, b'-' | b'0'..=b'9') => float(data, index, &scanner.number()?),
        (FeatureType::Integer, b'-' | b'0'..=b'9') => integer(data, index, &scanner.number()?),
        (FeatureType::Boolean, b't' | b'f') => boolean(data, index, scanner.boolean()?),
        (FeatureType::String, b'"') => string(data, index, scanner.string()?.as_bytes()),
        (_, b'n' | b'N') if scanner.null()? => return Ok(Outcome::Null),
        _ => {
            scanner.skip_value()?;
            Err(Kind::WrongType)
        }
    };
    Ok(match stored {
        Ok(()) => Outcome::Stored,
        Err(kind) => Outcome::Refused(kind),
    })
}

/// Reads the text of a cell into element `index`. Text is taken as it is; a cell with nothing in it is null.
pub(super) fn cell(text: &[u8], kind: FeatureType, data: &mut Data, index: usize) -> Outcome {
    let trimmed = text.trim_ascii();
    if text.is_empty() || (kind != FeatureType::String && ABSENT.contains(&trimmed)) {
        return Outcome::Null;
    }
    let stored = match kind {
        FeatureType::String => string(data, index, text),
        FeatureType::Boolean => match trimmed {
            b"True" | b"true" | b"TRUE" => boolean(data, index, true),
            b"False" | b"false" | b"FALSE" => boolean(data, index, false),
            _ => Err(Kind::WrongType),
        },
        FeatureType::Float | FeatureType::Integer => match Number::whole(trimmed) {
            Some(number) if kind == FeatureType::Float => float(data, index, &number),
            Some(number) => integer(data, index, &number),
            None if INFINITE.contains(&trimmed) => Err(Kind::NotFinite),
            None => Err(Kind::WrongType),
        },
    };
    stored.map_or_else(Outcome::Refused, |()| Outcome::Stored)
}

/// The unit that is next; one that is neither text nor an integer is read over.
pub(super) fn unit(scanner: &mut Scanner<'_>) -> Scan<Result<Option<Box<str>>, Kind>> {
    let mut attempt = scanner.clone();
    if matches!(attempt.peek(), b'"' | b'-' | b'0'..=b'9' | b'n')
        && let Ok(unit) = unit_text(&mut attempt)
    {
        *scanner = attempt;
        return Ok(Ok(unit));
    }
    scanner.skip_value()?;
    Ok(Err(Kind::WrongType))
}

type Stored = Result<(), Kind>;

fn put<T>(values: &mut [T], index: usize, value: T) -> Stored {
    *values.get_mut(index).ok_or(Kind::WrongType)? = value;
    Ok(())
}

fn float(data: &mut Data, index: usize, number: &Number<'_>) -> Stored {
    match data {
        Data::Fp32(v) => {
            let value = number.to_f32();
            if value.is_finite() { put(v, index, value) } else { Err(Kind::NotFinite) }
        }
        Data::Fp64(v) => {
            let value = number.to_f64();
            if value.is_finite() { put(v, index, value) } else { Err(Kind::NotFinite) }
        }
        _ => integer(data, index, number),
    }
}

fn integer(data: &mut Data, index: usize, number: &Number<'_>) -> Stored {
    let value = number.to_integer();
    if let Data::Fp32(_) | Data::Fp64(_) = data {
        return if value == Err(NotAnInteger::Fraction) { Err(Kind::WrongType) } else { float(data, index, number) };
    }
    whole(data, index, value.map_err(|_| Kind::WrongType)?)
}

/// An integer, if the tensor's type can hold it.
fn whole(data: &mut Data, index: usize, value: i128) -> Stored {
    fn fit<T: TryFrom<i128>>(values: &mut [T], index: usize, value: i128) -> Stored {
        T::try_from(value).map_err(|_| Kind::WrongType).and_then(|value| put(values, index, value))
    }
    match data {
        Data::Bool(v) => match value {
            0 | 1 => put(v, index, value == 1),
            _ => Err(Kind::WrongType),
        },
        Data::Uint8(v) => fit(v, index, value),
        Data::Uint16(v) => fit(v, index, value),
        Data::Uint32(v) => fit(v, index, value),
        Data::Uint64(v) => fit(v, index, value),
        Data::Int8(v) => fit(v, index, value),
        Data::Int16(v) => fit(v, index, value),
        Data::Int32(v) => fit(v, index, value),
        Data::Int64(v) => fit(v, index, value),
        Data::Fp32(v) => put(v, index, value as f32),
        Data::Fp64(v) => put(v, index, value as f64),
        Data::Bytes(_) => Err(Kind::WrongType),
    }
}

fn boolean(data: &mut Data, index: usize, value: bool) -> Stored {
    whole(data, index, i128::from(value))
}

fn string(data: &mut Data, index: usize, value: &[u8]) -> Stored {
    match data {
        Data::Bytes(v) => put(v, index, value.into()),
        _ => Err(Kind::WrongType),
    }
}
