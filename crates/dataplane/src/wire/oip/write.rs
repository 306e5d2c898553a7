//! Answers of the protocol, and the JSON scalars that all answers are made of.

use crate::tensor::{Data, Tensor};
use crate::wire::bundle::TensorSpec;
use crate::wire::scan::plain;

/// One request's answer, cut out of a batch.
#[derive(Clone, Copy, Debug)]
pub struct InferAnswer<'a> {
    pub model_name: &'a str,
    pub model_version: &'a str,
    /// The request's own id; not written if it had none.
    pub id: Option<&'a str>,
    /// The id of the first row's prediction.
    pub prediction_id: &'a str,
    pub variant: &'a str,
    pub specs: &'a [TensorSpec],
    /// Indices of the outputs to write, in this order; `None`: all.
    pub selected: Option<&'a [usize]>,
    /// The whole batch's outputs, in the order of `specs`.
    pub outputs: &'a [Tensor],
    /// First row of this request in the batch.
    pub start: usize,
    /// Rows of this request.
    pub rows: usize,
}

/// Appends the JSON of `answer` to `out`. Floats are the shortest that read back equal; those that are not finite are
/// null, as JSON has no other word for them. Rows that the batch does not have are left out.
pub fn write_infer(out: &mut Vec<u8>, answer: &InferAnswer<'_>) {
    out.reserve(answer.prediction_id.len() + answer.model_name.len() + 256);
    out.push(b'{');
    if let Some(id) = answer.id {
        out.extend_from_slice(b"\"id\":");
        write_string(out, id.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"model_name\":");
    write_string(out, answer.model_name.as_bytes());
    out.extend_from_slice(b",\"model_version\":");
    write_string(out, answer.model_version.as_bytes());
    out.extend_from_slice(b",\"parameters\":{\"prediction_id\":");
    write_string(out, answer.prediction_id.as_bytes());
    out.extend_from_slice(b",\"variant\":");
    write_string(out, answer.variant.as_bytes());
    out.extend_from_slice(b"},\"outputs\":[");
    let all = answer.specs.iter().zip(answer.outputs);
    if let Some(selected) = answer.selected {
        let chosen = selected.iter().filter_map(|&index| answer.specs.get(index).zip(answer.outputs.get(index)));
        write_outputs(out, answer, chosen);
    } else {
        write_outputs(out, answer, all);
    }
    out.extend_from_slice(b"]}");
}

fn write_outputs<'a>(
    out: &mut Vec<u8>,
    answer: &InferAnswer<'_>,
    outputs: impl Iterator<Item = (&'a TensorSpec, &'a Tensor)>,
) {
    for (index, (spec, tensor)) in outputs.enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
        write_string(out, spec.name.as_bytes());
        out.extend_from_slice(b",\"datatype\":\"");
        out.extend_from_slice(tensor.data.datatype().name().as_bytes());
        out.extend_from_slice(b"\",\"shape\":[");
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(answer.rows).as_bytes());
        for &dim in tensor.dims.iter().skip(1) {
            out.push(b',');
            out.extend_from_slice(digits.format(dim).as_bytes());
        }
        out.extend_from_slice(b"],\"data\":[");
        let width = tensor.width();
        let start = answer.start.saturating_mul(width);
        write_elements(out, &tensor.data, start, start.saturating_add(answer.rows.saturating_mul(width)));
        out.extend_from_slice(b"]}");
    }
}

/// Appends the elements from `start` to `end`, with commas between them.
pub(in crate::wire) fn write_elements(out: &mut Vec<u8>, data: &Data, start: usize, end: usize) {
    match data {
        Data::Bool(v) => write_all(out, v, start, end, |out, &x| {
            out.extend_from_slice(if x { b"true" } else { b"false" });
        }),
        Data::Uint8(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Uint16(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Uint32(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Uint64(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Int8(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Int16(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Int32(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Int64(v) => write_all(out, v, start, end, |out, &x| write_integer(out, x)),
        Data::Fp32(v) => write_all(out, v, start, end, |out, &x| write_f32(out, x)),
        Data::Fp64(v) => write_all(out, v, start, end, |out, &x| write_f64(out, x)),
        Data::Bytes(v) => write_all(out, v, start, end, |out, x| write_string(out, x)),
    }
}

fn write_all<T>(out: &mut Vec<u8>, all: &[T], start: usize, end: usize, write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, value) in all.get(start..end).unwrap_or_default().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, value);
    }
}

pub(in crate::wire) fn write_integer<T: itoa::Integer>(out: &mut Vec<u8>, value: T) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest decimal that reads back as the same single, `1.0` for integral values; null if it is not finite.
pub(in crate::wire) fn write_f32(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// As `write_f32`, for a double.
pub(in crate::wire) fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A JSON string of `text`; what is not UTF-8 in it is replaced by U+FFFD.
pub(in crate::wire) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => write_utf8(out, text.as_bytes()),
        Err(_) => write_utf8(out, String::from_utf8_lossy(text).as_bytes()),
    }
}

fn write_utf8(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut start = 0;
    loop {
        let stop = plain(text, start);
        out.extend_from_slice(&text[start..stop]);
        let Some(&byte) = text.get(stop) else { break };
        escape(out, byte);
        start = stop + 1;
    }
    out.push(b'"');
}

/// The escape of a quotation mark, a backslash or a control character.
fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        _ => {
            let [high, low] = hex(byte);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(short);
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Appends `id` as a UUID: lower-case hexadecimal in groups of 8, 4, 4, 4 and 12 digits.
pub fn write_uuid(out: &mut Vec<u8>, id: u128) {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in id.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at..at + 2].copy_from_slice(&hex(byte));
        at += 2;
    }
    out.extend_from_slice(&text);
}
