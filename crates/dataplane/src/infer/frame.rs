//! The frames between the data plane and a Python worker.
//!
//! `u32 LE header length, u32 LE body length, header (JSON), body`. The body holds the tensors in the header's order, raw
//! and little-endian; a BYTES element is a `u32 LE` length and its bytes. A request is `{"id", "inputs": [part]}`, its
//! answer `{"id", "outputs": [part]}` or `{"id", "error"}`, a part `{"name", "datatype", "shape", "bytes"}`. Before the
//! first request the worker says `{"ready": true}` or `{"error", "code"}`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde::{Deserialize, Serialize, Serializer};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::raw::{byte_length, put_data, take_data};
use crate::error::{Code, Error, Result};
use crate::tensor::{Datatype, Tensor};
use crate::wire::bundle::TensorSpec;

/// Longest header that is taken for one; what is longer is not a frame.
pub const MAX_HEADER: usize = 1 << 20;
/// Longest body unless the caller asks for less.
pub const MAX_BODY: usize = 1 << 30;
/// What a body buffer starts with, whatever length a frame announces.
const FIRST_RESERVE: usize = 1 << 20;
/// Longest text of a worker that goes into an error.
const MAX_TEXT: usize = 1_000;

/// Why there is no answer, and with it what can be done with the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This batch failed; the stream is in step and can be used again.
    Batch(String),
    /// The answer is larger than allowed, and was not read: the stream is out of step.
    TooLarge(String),
    /// What came is not the frame that had to come: the stream is out of step.
    Garbage(String),
    /// The other side is gone.
    Closed(String),
}

impl Fault {
    /// What happened, in words.
    pub fn message(&self) -> &str {
        match self {
            Self::Batch(text) | Self::TooLarge(text) | Self::Garbage(text) | Self::Closed(text) => text,
        }
    }
}

/// One frame as it was read; both buffers are used again for the next.
#[derive(Debug, Default)]
pub struct Frame {
    pub header: Vec<u8>,
    pub body: Vec<u8>,
}

impl Frame {
    /// Reads the next frame. Memory grows with what arrives, not with what is announced.
    ///
    /// # Errors
    /// `Closed` at the end of the stream, also in the middle of a frame; `Garbage` for a header that is too long;
    /// `TooLarge`, naming the largest tensor, for a body above `max_body`.
    pub async fn read<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        max_body: usize,
    ) -> std::result::Result<(), Fault> {
        self.header.clear();
        self.body.clear();
        let mut prefix = [0_u8; 8];
        reader.read_exact(&mut prefix).await.map_err(|error| closed(&error))?;
        let [h0, h1, h2, h3, b0, b1, b2, b3] = prefix;
        let header = u32::from_le_bytes([h0, h1, h2, h3]) as usize;
        let body = u32::from_le_bytes([b0, b1, b2, b3]) as usize;
        if header > MAX_HEADER {
            return Err(Fault::Garbage(format!("wrote something that is not a frame: `{}`", prefix.escape_ascii())));
        }
        self.header.resize(header, 0);
        reader.read_exact(&mut self.header).await.map_err(|error| closed(&error))?;
        if body > max_body {
            return Err(Fault::TooLarge(self.oversized(body, max_body)));
        }
        self.body.reserve(body.min(FIRST_RESERVE));
        let read = reader.take(body as u64).read_to_end(&mut self.body).await.map_err(|error| closed(&error))?;
        if read < body {
            return Err(Fault::Closed("closed its output in the middle of an answer".to_owned()));
        }
        Ok(())
    }

    fn oversized(&self, body: usize, max_body: usize) -> String {
        let parts = serde_json::from_slice::<ReplyHeader>(&self.header).ok().and_then(|header| header.outputs);
        let largest = parts.as_ref().and_then(|parts| parts.iter().max_by_key(|part| part.bytes));
        let mut text = format!("answered with {body} bytes, above the limit of {max_body}");
        if let Some(part) = largest {
            let _ = write!(text, "; output `{}` alone has {} bytes", cut(&part.name), part.bytes);
        }
        text
    }
}

fn closed(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Fault::Closed("closed its output".to_owned())
    } else {
        Fault::Closed(format!("cannot be read from: {error}"))
    }
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    datatype: Datatype,
    shape: &'a [usize],
    bytes: usize,
}

/// The parts of a message, serialised without an intermediate list.
struct Parts<'a>(&'a [TensorSpec], &'a [Tensor]);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().zip(self.1).map(|(spec, tensor)| Part {
            name: &spec.name,
            datatype: tensor.data.datatype(),
            shape: &tensor.dims,
            bytes: byte_length(&tensor.data),
        }))
    }
}

#[derive(Serialize)]
struct RequestHeader<'a> {
    id: u64,
    inputs: Parts<'a>,
}

/// Writes the whole frame of a request into `out`, replacing what was there.
///
/// # Errors
/// `Code::Internal` where the tensors are not those of `specs` or do not fit in a frame.
pub fn encode_request(
    out: &mut Vec<u8>,
    id: u64,
    specs: &[TensorSpec],
    inputs: &[Tensor],
    max_body: usize,
) -> Result<()> {
    check_inputs(specs, inputs)?;
    let body: usize = inputs.iter().map(|tensor| byte_length(&tensor.data)).sum();
    let limit = max_body.min(u32::MAX as usize);
    if body > limit {
        return Err(internal(format!("a batch of {body} bytes is above the limit of {limit} for a worker")));
    }
    out.clear();
    out.extend_from_slice(&[0; 8]);
    let header = RequestHeader { id, inputs: Parts(specs, inputs) };
    serde_json::to_writer(&mut *out, &header).map_err(|error| internal(error.to_string()))?;
    let header = out.len() - 8;
    if header > MAX_HEADER {
        return Err(internal(format!("a header of {header} bytes is above the limit of {MAX_HEADER}")));
    }
    out[..4].copy_from_slice(&(header as u32).to_le_bytes());
    out[4..8].copy_from_slice(&(body as u32).to_le_bytes());
    out.reserve(body);
    for tensor in inputs {
        put_data(out, &tensor.data);
    }
    Ok(())
}

fn internal(message: String) -> Error {
    Error::new(Code::Internal, message)
}

fn check_inputs(specs: &[TensorSpec], inputs: &[Tensor]) -> Result<()> {
    if specs.len() != inputs.len() {
        return Err(internal(format!("{} inputs for a model of {}", inputs.len(), specs.len())));
    }
    for (spec, tensor) in specs.iter().zip(inputs) {
        let fits = spec.datatype == tensor.data.datatype()
            && elements(&tensor.dims) == Some(tensor.data.len())
            && tensor.rows() == inputs[0].rows();
        if !fits {
            return Err(internal(format!("input `{}` does not fit the signature", spec.name)));
        }
    }
    Ok(())
}

fn elements(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim))
}

#[derive(Deserialize)]
struct ReplyPart<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<usize>,
    bytes: usize,
}

#[derive(Deserialize)]
struct ReplyHeader<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    outputs: Option<Vec<ReplyPart<'a>>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(default)]
    ready: bool,
}

fn parse_header(header: &[u8]) -> std::result::Result<ReplyHeader<'_>, Fault> {
    serde_json::from_slice(header).map_err(|error| {
        let start = &header[..header.len().min(40)];
        Fault::Garbage(format!("wrote a header that is not valid ({error}): `{}`", start.escape_ascii()))
    })
}

/// At most `MAX_TEXT` bytes of a worker's text.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// Reads the first header of a worker.
///
/// # Errors
/// The worker's own error with its code (`bundle_untrusted`, `bundle_corrupt`, otherwise `model_invalid`), also where the
/// header is neither.
pub fn decode_ready(header: &[u8]) -> Result<()> {
    let header = parse_header(header)
        .map_err(|fault| Error::new(Code::ModelInvalid, format!("the worker {}", fault.message())))?;
    if let Some(message) = header.error {
        let code = match header.code.as_deref() {
            Some("bundle_untrusted") => Code::BundleUntrusted,
            Some("bundle_corrupt") => Code::BundleCorrupt,
            _ => Code::ModelInvalid,
        };
        return Err(Error::new(code, cut(&message)));
    }
    if !header.ready {
        return Err(Error::new(Code::ModelInvalid, "the worker's first frame does not say that it is ready"));
    }
    Ok(())
}

/// Reads the answer to request `id` of `rows` rows: its tensors in the order of `specs`, every one checked against its spec.
///
/// # Errors
/// `Batch` with the exception's words, or naming the output that does not fit; `Garbage` where this is not an answer to
/// this request.
pub fn decode_reply(
    frame: &Frame,
    id: u64,
    specs: &[TensorSpec],
    rows: usize,
) -> std::result::Result<Vec<Tensor>, Fault> {
    let header = parse_header(&frame.header)?;
    if header.id != Some(id) {
        return Err(Fault::Garbage(format!("answered request {:?} where {id} was asked", header.id)));
    }
    if let Some(message) = header.error {
        return Err(Fault::Batch(cut(&message).to_owned()));
    }
    let Some(parts) = header.outputs else {
        return Err(Fault::Garbage("answered with neither outputs nor an error".to_owned()));
    };
    outputs(&parts, &frame.body, specs, rows).map_err(Fault::Batch)
}

fn outputs(
    parts: &[ReplyPart],
    body: &[u8],
    specs: &[TensorSpec],
    rows: usize,
) -> std::result::Result<Vec<Tensor>, String> {
    let mut found: Vec<Option<Tensor>> = specs.iter().map(|_| None).collect();
    let mut rest = body;
    for part in parts {
        let name = cut(&part.name);
        let Some((bytes, after)) = rest.split_at_checked(part.bytes) else {
            return Err(format!("output `{name}` says {} bytes, {} are left in the frame", part.bytes, rest.len()));
        };
        rest = after;
        let Some(index) = specs.iter().position(|spec| spec.name == *part.name) else {
            return Err(format!("output `{name}` is not in the signature"));
        };
        let slot = &mut found[index];
        if slot.is_some() {
            return Err(format!("output `{name}` came twice"));
        }
        *slot = Some(tensor(part, bytes, &specs[index], rows).map_err(|why| format!("output `{name}` {why}"))?);
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes of the answer belong to no output", rest.len()));
    }
    let missing = |spec: &TensorSpec| format!("output `{}` is missing", spec.name);
    found.into_iter().zip(specs).map(|(tensor, spec)| tensor.ok_or_else(|| missing(spec))).collect()
}

fn tensor(part: &ReplyPart, bytes: &[u8], spec: &TensorSpec, rows: usize) -> std::result::Result<Tensor, String> {
    if part.datatype != spec.datatype.name() {
        return Err(format!("is {}, the signature says {}", cut(&part.datatype), spec.datatype.name()));
    }
    let fits = |(dim, wanted): (&usize, &i64)| usize::try_from(*wanted).map_or(*wanted == -1, |wanted| wanted == *dim);
    let trailing = part.shape.iter().zip(&spec.shape).skip(1).all(fits);
    if part.shape.len() != spec.shape.len() || part.shape.first() != Some(&rows) || !trailing {
        let shape = shown(&part.shape);
        return Err(format!("has shape {shape} for {rows} rows, the signature says {:?}", spec.shape));
    }
    let Some(count) = elements(&part.shape) else {
        return Err(format!("has an impossible shape {}", shown(&part.shape)));
    };
    let data = take_data(spec.datatype, bytes, count)
        .ok_or_else(|| format!("has {} bytes, which are not its {count} elements", bytes.len()))?;
    Ok(Tensor { dims: part.shape.clone(), data, missing: Vec::new() })
}

/// A shape as text; a long one (it is no tensor's) only by its beginning.
fn shown(shape: &[usize]) -> String {
    if shape.len() > 16 { format!("{:?}... of {} dimensions", &shape[..16], shape.len()) } else { format!("{shape:?}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::Data;

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: shape.to_vec() }
    }

    fn specs() -> Vec<TensorSpec> {
        vec![spec("x", Datatype::Fp32, &[-1, 2]), spec("country", Datatype::Bytes, &[-1])]
    }

    fn tensors(amounts: Vec<f32>, countries: &[&str]) -> Vec<Tensor> {
        let texts = countries.iter().map(|text| text.as_bytes().into()).collect();
        vec![
            Tensor { dims: vec![amounts.len() / 2, 2], data: Data::Fp32(amounts), missing: Vec::new() },
            Tensor { dims: vec![countries.len()], data: Data::Bytes(texts), missing: Vec::new() },
        ]
    }

    fn request() -> Vec<u8> {
        let mut bytes = Vec::new();
        let inputs = tensors(vec![1.0, 2.0], &["SE"]);
        encode_request(&mut bytes, 7, &specs(), &inputs, MAX_BODY).expect("a request");
        bytes
    }

    fn framed(header: &str, body: &[u8]) -> Vec<u8> {
        let lengths = [(header.len() as u32).to_le_bytes(), (body.len() as u32).to_le_bytes()];
        [lengths.as_flattened(), header.as_bytes(), body].concat()
    }

    fn read(mut bytes: &[u8], max_body: usize) -> std::result::Result<Frame, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let mut frame = Frame::default();
        runtime.block_on(frame.read(&mut bytes, max_body)).map(|()| frame)
    }

    fn reply(header: &str, body: &[u8]) -> std::result::Result<Vec<Tensor>, Fault> {
        decode_reply(&read(&framed(header, body), MAX_BODY)?, 7, &specs()[..1], 1)
    }

    #[test]
    fn a_request_is_the_documented_bytes() {
        let header = concat!(
            r#"{"id":7,"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"bytes":8},"#,
            r#"{"name":"country","datatype":"BYTES","shape":[1],"bytes":6}]}"#
        );
        assert_eq!(request(), framed(header, b"\x00\x00\x80\x3f\x00\x00\x00\x40\x02\x00\x00\x00SE"));
    }

    #[test]
    fn inputs_that_break_the_signature_are_not_sent() {
        let mut out = Vec::new();
        let mut wrong = tensors(vec![1.0, 2.0], &["SE", "NO"]);
        let code = |inputs: &[Tensor], out: &mut Vec<u8>, limit| {
            encode_request(out, 1, &specs(), inputs, limit).expect_err("refused").code
        };
        assert_eq!(code(&wrong, &mut out, MAX_BODY), Code::Internal);
        assert_eq!(code(&wrong[..1], &mut out, MAX_BODY), Code::Internal);
        wrong = tensors(vec![1.0, 2.0], &["SE"]);
        assert_eq!(code(&wrong, &mut out, 13), Code::Internal);
    }

    /// The answer's header for one output and what has to be said about it.
    const REFUSED: [(&str, &str); 12] = [
        (r#"{"id":7,"error":"ValueError: no"}"#, "ValueError: no"),
        (r#"{"id":7,"outputs":[]}"#, "bytes of the answer belong to no output"),
        (
            r#"{"id":7,"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"bytes":8}]}"#,
            "`y` is not in the signature",
        ),
        (r#"{"id":7,"outputs":[{"name":"x","datatype":"FP64","shape":[1,2],"bytes":8}]}"#, "`x` is FP64"),
        (
            r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[2,1],"bytes":8}]}"#,
            "`x` has shape [2, 1] for 1 rows",
        ),
        (r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[1,3],"bytes":8}]}"#, "`x` has shape [1, 3]"),
        (r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[2],"bytes":8}]}"#, "`x` has shape [2]"),
        (r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[1,2],"bytes":7}]}"#, "`x` has 7 bytes"),
        (r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[1,2],"bytes":9}]}"#, "`x` says 9 bytes"),
        (
            r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[1,2],"bytes":8},{"name":"x","datatype":"FP32","shape":[1,2],"bytes":0}]}"#,
            "`x` came twice",
        ),
        (r#"{"id":8,"outputs":[]}"#, "answered request Some(8) where 7 was asked"),
        (r#"{"id":7}"#, "neither outputs nor an error"),
    ];

    #[test]
    fn answers_that_break_the_signature_are_refused_by_name() {
        for (header, wanted) in REFUSED {
            let fault = reply(header, &[0; 8]).expect_err(header);
            assert!(fault.message().contains(wanted), "{header}: {fault:?}");
            let in_step = header.starts_with(r#"{"id":7,"#);
            assert_eq!(matches!(fault, Fault::Batch(_)), in_step, "{header}: {fault:?}");
        }
        let missing = reply(r#"{"id":7,"outputs":[]}"#, b"").expect_err("nothing");
        assert_eq!(missing, Fault::Batch("output `x` is missing".into()));
    }

    #[test]
    fn frames_above_the_limits_are_not_read() {
        let header = r#"{"id":7,"outputs":[{"name":"x","datatype":"FP32","shape":[1,2],"bytes":8}]}"#;
        let large = read(&framed(header, &[0; 8]), 7).expect_err("too large");
        assert!(matches!(&large, Fault::TooLarge(text) if text.contains("output `x` alone has 8 bytes")), "{large:?}");
        let garbage = read(b"Loading model...\n", MAX_BODY).expect_err("text");
        assert!(matches!(&garbage, Fault::Garbage(text) if text.contains("`Loading `")), "{garbage:?}");
    }

    #[test]
    fn the_first_frame_maps_to_codes() {
        let code = |text: &str| decode_ready(text.as_bytes()).map_err(|error| error.code);
        assert_eq!(code(r#"{"ready":true,"pid":12}"#), Ok(()));
        assert_eq!(code(r#"{"error":"x","code":"bundle_untrusted"}"#), Err(Code::BundleUntrusted));
        assert_eq!(code(r#"{"error":"x","code":"bundle_corrupt"}"#), Err(Code::BundleCorrupt));
        assert_eq!(code(r#"{"error":"x","code":"model_invalid"}"#), Err(Code::ModelInvalid));
        assert_eq!(code("{}"), Err(Code::ModelInvalid));
        assert_eq!(code("\u{1}"), Err(Code::ModelInvalid));
    }

    #[test]
    fn a_cut_frame_is_closed_at_every_byte() {
        let bytes = request();
        for length in 0..bytes.len() {
            let fault = read(&bytes[..length], MAX_BODY).expect_err("cut");
            assert!(matches!(fault, Fault::Closed(_)), "cut at {length}: {fault:?}");
        }
        assert!(read(&bytes, MAX_BODY).is_ok());
    }

    proptest! {
        #[test]
        fn an_echoed_request_is_its_inputs(rows in proptest::collection::vec((any::<i32>(), any::<i32>(), ".{0,5}"), 1..9)) {
            let amounts = rows.iter().flat_map(|row| [row.0 as f32, row.1 as f32]).collect();
            let countries: Vec<&str> = rows.iter().map(|row| row.2.as_str()).collect();
            let inputs = tensors(amounts, &countries);
            let mut bytes = Vec::new();
            encode_request(&mut bytes, 3, &specs(), &inputs, MAX_BODY).expect("a request");
            let mut frame = read(&bytes, MAX_BODY).expect("a frame");
            frame.header = String::from_utf8(frame.header).expect("utf-8").replace("inputs", "outputs").into_bytes();
            prop_assert_eq!(decode_reply(&frame, 3, &specs(), rows.len()), Ok(inputs));
        }

        #[test]
        fn arbitrary_bytes_never_panic(header: Vec<u8>, body: Vec<u8>, stream: Vec<u8>) {
            let frame = Frame { header, body };
            prop_assert!(decode_reply(&frame, 1, &specs(), 1).is_err());
            let _ = read(&stream, MAX_BODY);
        }

        #[test]
        fn arbitrary_parts_never_panic(shape in proptest::collection::vec(any::<usize>(), 0..40), bytes: usize) {
            let header = format!(r#"{{"id":7,"outputs":[{{"name":"x","datatype":"FP32","shape":{shape:?},"bytes":{bytes}}}]}}"#);
            prop_assert!(reply(&header, &[0; 3]).is_err());
        }
    }
}
