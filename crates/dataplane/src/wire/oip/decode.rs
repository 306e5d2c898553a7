//! `data` of one input, flat or nested, into a typed vector.

use crate::error::Code;
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::scan::{Fault, NotAnInteger, Scan, Scanner, excerpt};

/// Characters of a number that an error repeats at most.
const QUOTED: usize = 40;

/// The tensor whose `data` is next: `count` elements, the product of `dims`.
pub(super) fn tensor(scanner: &mut Scanner<'_>, datatype: Datatype, dims: Vec<usize>, count: usize) -> Scan<Tensor> {
    let shape = Shape { dims: &dims, count };
    let (data, missing) = match datatype {
        Datatype::Bool => shape.read(scanner, false, boolean).map(|(v, m)| (Data::Bool(v), m)),
        Datatype::Uint8 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Uint8(v), m)),
        Datatype::Uint16 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Uint16(v), m)),
        Datatype::Uint32 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Uint32(v), m)),
        Datatype::Uint64 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Uint64(v), m)),
        Datatype::Int8 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Int8(v), m)),
        Datatype::Int16 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Int16(v), m)),
        Datatype::Int32 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Int32(v), m)),
        Datatype::Int64 => shape.read(scanner, 0, |s| integer(s, datatype)).map(|(v, m)| (Data::Int64(v), m)),
        Datatype::Fp32 => shape.read(scanner, f32::NAN, single).map(|(v, m)| (Data::Fp32(v), m)),
        Datatype::Fp64 => shape.read(scanner, f64::NAN, double).map(|(v, m)| (Data::Fp64(v), m)),
        Datatype::Bytes => shape.read(scanner, Box::default(), bytes).map(|(v, m)| (Data::Bytes(v), m)),
    }?;
    Ok(Tensor { dims, data, missing })
}

struct Shape<'d> {
    dims: &'d [usize],
    count: usize,
}

/// Elements read so far.
struct Elements<T> {
    values: Vec<T>,
    missing: Vec<u32>,
    /// What stands for a missing one.
    hole: T,
}

impl Shape<'_> {
    /// Elements and the indices of missing ones. The shape is not trusted: memory is bounded by what was sent.
    fn read<T, F>(&self, scanner: &mut Scanner<'_>, hole: T, read: F) -> Scan<(Vec<T>, Vec<u32>)>
    where
        T: Clone,
        F: Fn(&mut Scanner<'_>) -> Scan<T>,
    {
        // An element takes at least one byte, and a comma or a bracket follows it.
        let capacity = self.count.min(scanner.remaining() / 2);
        let mut elements = Elements { values: Vec::with_capacity(capacity), missing: Vec::new(), hole };
        scanner.array()?;
        if self.dims.len() > 1 && scanner.peek() == b'[' {
            elements.nested(scanner, self.dims, &read)?;
        } else {
            elements.row(scanner, self.count, self.dims, &read)?;
        }
        Ok((elements.values, elements.missing))
    }
}

impl<T: Clone> Elements<T> {
    /// The rest of an open array of `dims.len()` levels.
    fn nested<F>(&mut self, scanner: &mut Scanner<'_>, dims: &[usize], read: &F) -> Scan<()>
    where
        F: Fn(&mut Scanner<'_>) -> Scan<T>,
    {
        let (&length, inner) = match dims {
            [] => return Err(wrong_shape(scanner, "`data` is nested deeper than the shape")),
            [length] => return self.row(scanner, *length, dims, read),
            [length, inner @ ..] => (length, inner),
        };
        let mut count = 0;
        while scanner.element()? {
            if count == length {
                return Err(wrong_shape(
                    scanner,
                    &format!("an array of `data` has more than the shape's {length} elements"),
                ));
            }
            if scanner.peek() != b'[' {
                return Err(wrong_shape(scanner, "the nesting of `data` does not agree with the shape"));
            }
            scanner.array()?;
            self.nested(scanner, inner, read)?;
            count += 1;
        }
        if count != length {
            return Err(wrong_shape(
                scanner,
                &format!("an array of `data` has {count} elements, the shape says {length}"),
            ));
        }
        Ok(())
    }

    /// The rest of an open array of `length` plain elements.
    #[inline]
    fn row<F>(&mut self, scanner: &mut Scanner<'_>, length: usize, dims: &[usize], read: &F) -> Scan<()>
    where
        F: Fn(&mut Scanner<'_>) -> Scan<T>,
    {
        let end = self.values.len() + length;
        while scanner.element()? {
            if self.values.len() == end {
                return Err(too_many(scanner, length, dims));
            }
            if scanner.null()? {
                self.missing.push(self.values.len() as u32);
                self.values.push(self.hole.clone());
                continue;
            }
            match read(scanner) {
                Ok(value) => self.values.push(value),
                Err(error) => return Err(unreadable(scanner, error)),
            }
        }
        if self.values.len() != end {
            let count = length - (end - self.values.len());
            return Err(wrong_shape(scanner, &format!("`data` has {count} elements, the shape says {length}")));
        }
        Ok(())
    }
}

/// The error for one element too many, which is next; it counts the others, if they are well-formed.
#[cold]
fn too_many(scanner: &mut Scanner<'_>, length: usize, dims: &[usize]) -> Fault {
    let mut count = length;
    loop {
        count += 1;
        let next = scanner.skip_value().and_then(|()| scanner.element());
        match next {
            Ok(true) => {}
            Ok(false) => {
                return wrong_shape(scanner, &format!("`data` has {count} elements, shape {dims:?} says {length}"));
            }
            Err(error) => return error,
        }
    }
}

/// `error`, unless the element is an array: then it is the nesting that is wrong.
#[cold]
fn unreadable(scanner: &mut Scanner<'_>, error: Fault) -> Fault {
    if scanner.peek() == b'[' {
        wrong_shape(scanner, "the nesting of `data` does not agree with the shape")
    } else {
        error
    }
}

#[cold]
fn wrong_shape(scanner: &Scanner<'_>, what: &str) -> Fault {
    scanner.fault(what).with_code(Code::WrongShape)
}

/// The error for a number, just read, that `datatype` cannot hold.
#[cold]
fn out_of_range(scanner: &Scanner<'_>, text: &[u8], why: &str) -> Fault {
    let at = scanner.position() - text.len();
    let message = format!("at byte {at}: {} {why}", excerpt(text, QUOTED));
    Fault::new(Code::ValueOutOfRange, message)
}

#[inline]
fn single(scanner: &mut Scanner<'_>) -> Scan<f32> {
    let number = scanner.number()?;
    let value = number.to_f32();
    if value.is_finite() { Ok(value) } else { Err(out_of_range(scanner, number.text(), "is too large for FP32")) }
}

#[inline]
fn double(scanner: &mut Scanner<'_>) -> Scan<f64> {
    let number = scanner.number()?;
    let value = number.to_f64();
    if value.is_finite() { Ok(value) } else { Err(out_of_range(scanner, number.text(), "is too large for FP64")) }
}

#[inline]
fn integer<T: TryFrom<i128>>(scanner: &mut Scanner<'_>, datatype: Datatype) -> Scan<T> {
    let number = scanner.number()?;
    let why = match number.to_integer().map(T::try_from) {
        Ok(Ok(value)) => return Ok(value),
        Err(NotAnInteger::Fraction) => "is not an integer".to_owned(),
        Ok(Err(_)) | Err(NotAnInteger::TooLarge) => format!("does not fit {}", datatype.name()),
    };
    Err(out_of_range(scanner, number.text(), &why))
}

/// `true` and `false`, and 1 and 0 for them.
fn boolean(scanner: &mut Scanner<'_>) -> Scan<bool> {
    if !matches!(scanner.peek(), b'-' | b'0'..=b'9') {
        return scanner.boolean();
    }
    let number = scanner.number()?;
    match number.to_integer() {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        _ => Err(out_of_range(scanner, number.text(), "does not fit BOOL (true, false, 1 or 0)")),
    }
}

fn bytes(scanner: &mut Scanner<'_>) -> Scan<Box<[u8]>> {
    let text = scanner.string()?;
    Ok(text.as_bytes().into())
}
