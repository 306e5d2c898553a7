//! Rows to Arrow columns, straight from the tensors: a feature is a strided gather over the batches of a stream.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, Float64Builder, StringBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, ListArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Fields};

use super::stream::{Stream, is_scalar, item};
use super::{Batch, RowMeta};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::TensorSpec;

type Column = Result<ArrayRef, ArrowError>;

/// One record batch of all rows of `batches`, each of which has passed `Stream::check`.
pub(super) fn build(stream: &Stream, batches: &[&Batch]) -> Result<RecordBatch, ArrowError> {
    let schema = stream.schema();
    let rows: usize = batches.iter().map(|batch| batch.rows.len()).sum();
    let meta = || batches.iter().flat_map(|batch| &batch.rows);
    let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    columns.push(ids(meta(), rows)?);
    let times: Vec<i64> = meta().map(|row| row.time_us).collect();
    columns.push(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(times).with_timezone("UTC")));
    let first = ScalarBuffer::<i8>::from(vec![0; rows]); // one buffer: every constant's key is 0 in every row
    for constant in stream.constants() {
        let keys = PrimitiveArray::<Int8Type>::try_new(first.clone(), None)?;
        columns.push(Arc::new(DictionaryArray::try_new(keys, constant.clone())?));
    }
    columns.push(strings(rows, || meta().map(|row| row.unit.as_deref()))?);
    columns.push(strings(rows, || meta().map(|row| row.request_id.as_deref()))?);
    columns.push(Arc::new(meta().map(|row| int(row.row)).collect::<PrimitiveArray<Int32Type>>()));
    columns.push(Arc::new(meta().map(|row| int(row.latency_us)).collect::<PrimitiveArray<Int32Type>>()));
    columns.push(violations(meta(), rows)?);
    let decisions = meta().map(|row| row.decision.and_then(|index| i16::try_from(index).ok()));
    columns.push(Arc::new(DictionaryArray::try_new(
        decisions.collect::<PrimitiveArray<Int16Type>>(),
        stream.labels().clone(),
    )?));
    let mut scores = Float64Builder::with_capacity(rows);
    meta().for_each(|row| scores.append_option(row.score));
    columns.push(Arc::new(scores.finish()));
    let inputs: Vec<&[Tensor]> = batches.iter().map(|batch| &*batch.inputs).collect();
    let outputs: Vec<&[Tensor]> = batches.iter().map(|batch| batch.outputs.as_slice()).collect();
    columns.push(structure(schema.field(columns.len()).data_type(), |fields| features(stream, fields, &inputs))?);
    columns.push(structure(schema.field(columns.len()).data_type(), |fields| {
        tensors(&stream.spec().outputs, fields, &outputs)
    })?);
    RecordBatch::try_new(schema.clone(), columns)
}

fn ids<'a>(rows: impl Iterator<Item = &'a RowMeta>, count: usize) -> Column {
    let mut ids = FixedSizeBinaryBuilder::with_capacity(count, 16);
    for row in rows {
        ids.append_value(row.id.to_be_bytes())?;
    }
    Ok(Arc::new(ids.finish()))
}

/// A text column. `values` is walked twice: arrow panics where offsets pass 31 bits, so the length is checked first.
fn strings<'a, I: Iterator<Item = Option<&'a str>>>(count: usize, values: impl Fn() -> I) -> Column {
    let length = bounded(values().flatten().map(str::len).sum())?;
    let mut texts = StringBuilder::with_capacity(count, length);
    values().for_each(|value| texts.append_option(value));
    Ok(Arc::new(texts.finish()))
}

fn violations<'a>(rows: impl Iterator<Item = &'a RowMeta> + Clone, count: usize) -> Column {
    let texts = strings(0, || rows.clone().flat_map(|row| row.violations.iter().map(|text| Some(&**text))))?;
    let offsets = offsets(count, rows.map(|row| row.violations.len()))?;
    Ok(Arc::new(ListArray::try_new(item(DataType::Utf8), offsets, texts, None)?))
}

fn structure(kind: &DataType, columns: impl FnOnce(&Fields) -> Result<Vec<ArrayRef>, ArrowError>) -> Column {
    let DataType::Struct(fields) = kind else {
        return Err(ArrowError::SchemaError(format!("{kind} is no struct")));
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns(fields)?, None)?))
}

fn features(stream: &Stream, fields: &Fields, inputs: &[&[Tensor]]) -> Result<Vec<ArrayRef>, ArrowError> {
    if stream.spec().features.is_empty() {
        return tensors(&stream.spec().inputs, fields, inputs);
    }
    let columns = stream.sources().iter().zip(fields.iter()).map(|(&(tensor, column), field)| {
        let slices: Vec<Slice> = inputs.iter().map(|batch| Slice::column(&batch[tensor], column)).collect();
        elements(&slices, stream.spec().inputs[tensor].datatype, field.data_type())
    });
    columns.collect()
}

fn tensors(specs: &[TensorSpec], fields: &Fields, batches: &[&[Tensor]]) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = specs.iter().zip(fields.iter()).enumerate().map(|(index, (spec, field))| {
        let parts: Vec<&Tensor> = batches.iter().map(|batch| &batch[index]).collect();
        nested(spec, field.data_type(), &parts)
    });
    columns.collect()
}

/// The elements of `parts`, folded into one level of lists for each dimension after the first.
fn nested(spec: &TensorSpec, kind: &DataType, parts: &[&Tensor]) -> Column {
    let leaf = innermost(kind);
    let slices: Vec<Slice> = parts.iter().map(|tensor| Slice::whole(tensor)).collect();
    let mut column = elements(&slices, spec.datatype, leaf)?;
    if is_scalar(spec) {
        return Ok(column);
    }
    for level in (1..spec.shape.len()).rev() {
        let field = item(column.data_type().clone());
        column = match i32::try_from(spec.shape[level]) {
            Ok(size) if size > 0 => Arc::new(FixedSizeListArray::try_new(field, size, column, None)?),
            _ => {
                let lists = parts.iter().map(|tensor| (tensor.dims[..level].iter().product(), tensor.dims[level]));
                let count = lists.clone().map(|(count, _)| count).sum();
                let lengths = lists.flat_map(|(count, length)| std::iter::repeat_n(length, count));
                Arc::new(ListArray::try_new(field, offsets(count, lengths)?, column, None)?)
            }
        };
    }
    Ok(column)
}

fn innermost(kind: &DataType) -> &DataType {
    match kind {
        DataType::List(field) | DataType::FixedSizeList(field, _) => innermost(field.data_type()),
        leaf => leaf,
    }
}

/// Every `step`-th element of a tensor from `start` on.
struct Slice<'a> {
    tensor: &'a Tensor,
    start: usize,
    step: usize,
}

impl<'a> Slice<'a> {
    fn whole(tensor: &'a Tensor) -> Self {
        Self { tensor, start: 0, step: 1 }
    }

    fn column(tensor: &'a Tensor, column: usize) -> Self {
        Self { tensor, start: column, step: tensor.width().max(1) }
    }

    fn len(&self) -> usize {
        self.tensor.data.len().saturating_sub(self.start).div_ceil(self.step)
    }

    fn pick<'v, T>(&self, values: &'v [T]) -> impl Iterator<Item = &'v T> + use<'v, T> {
        values.get(self.start..).unwrap_or_default().iter().step_by(self.step)
    }
}

fn elements(slices: &[Slice], datatype: Datatype, kind: &DataType) -> Column {
    let count = slices.iter().map(Slice::len).sum();
    let valid = validity(slices, count);
    macro_rules! numbers {
        ($variant:ident, $kind:ty) => {
            primitive::<$kind>(slices, count, valid, |data| match data {
                Data::$variant(values) => values,
                _ => &[],
            })
        };
    }
    match datatype {
        Datatype::Bool => Ok(booleans(slices, count, valid)),
        Datatype::Uint8 => numbers!(Uint8, UInt8Type),
        Datatype::Uint16 => numbers!(Uint16, UInt16Type),
        Datatype::Uint32 => numbers!(Uint32, UInt32Type),
        Datatype::Uint64 => numbers!(Uint64, UInt64Type),
        Datatype::Int8 => numbers!(Int8, Int8Type),
        Datatype::Int16 => numbers!(Int16, Int16Type),
        Datatype::Int32 => numbers!(Int32, Int32Type),
        Datatype::Int64 => numbers!(Int64, Int64Type),
        Datatype::Fp32 => numbers!(Fp32, Float32Type),
        Datatype::Fp64 => numbers!(Fp64, Float64Type),
        Datatype::Bytes => bytes(slices, count, valid.as_ref(), kind),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    slices: &[Slice],
    count: usize,
    valid: Option<NullBuffer>,
    values: impl for<'d> Fn(&'d Data) -> &'d [T::Native],
) -> Column {
    let mut column: Vec<T::Native> = Vec::with_capacity(count);
    for slice in slices {
        let values = values(&slice.tensor.data);
        if slice.step == 1 {
            column.extend_from_slice(values);
        } else {
            column.extend(slice.pick(values).copied());
        }
    }
    Ok(Arc::new(PrimitiveArray::<T>::try_new(column.into(), valid)?))
}

fn booleans(slices: &[Slice], count: usize, valid: Option<NullBuffer>) -> ArrayRef {
    let mut column: Vec<bool> = Vec::with_capacity(count);
    for slice in slices {
        if let Data::Bool(values) = &slice.tensor.data {
            column.extend(slice.pick(values).copied());
        }
    }
    Arc::new(BooleanArray::new(BooleanBuffer::from(column), valid))
}

/// Text where the column is text (bytes that are not UTF-8 become U+FFFD there), else the bytes as they are.
fn bytes(slices: &[Slice], count: usize, valid: Option<&NullBuffer>, kind: &DataType) -> Column {
    let mut values: Vec<&[u8]> = Vec::with_capacity(count);
    for slice in slices {
        if let Data::Bytes(all) = &slice.tensor.data {
            values.extend(slice.pick(all).map(|value| &**value));
        }
    }
    let values =
        values.into_iter().enumerate().map(|(at, value)| valid.is_none_or(|v| v.is_valid(at)).then_some(value));
    if *kind == DataType::Binary {
        let length = bounded(values.clone().flatten().map(<[u8]>::len).sum())?;
        let mut column = BinaryBuilder::with_capacity(count, length);
        values.for_each(|value| column.append_option(value));
        return Ok(Arc::new(column.finish()));
    }
    let texts: Vec<_> = values.map(|value| value.map(String::from_utf8_lossy)).collect();
    strings(count, || texts.iter().map(Option::as_deref))
}

/// Which elements are there; `None` where all are.
fn validity(slices: &[Slice], count: usize) -> Option<NullBuffer> {
    if slices.iter().all(|slice| slice.tensor.missing.is_empty()) {
        return None;
    }
    let mut valid = vec![true; count];
    let mut base = 0;
    for slice in slices {
        for &missing in &slice.tensor.missing {
            let Some(distance) = (missing as usize).checked_sub(slice.start) else { continue };
            if distance.is_multiple_of(slice.step) && distance / slice.step < slice.len() {
                valid[base + distance / slice.step] = false;
            }
        }
        base += slice.len();
    }
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

/// The offsets of `count` lists of these lengths.
fn offsets(count: usize, lengths: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>, ArrowError> {
    let mut ends = Vec::with_capacity(count + 1);
    let mut end = 0_i32;
    ends.push(end);
    for length in lengths {
        let next = i32::try_from(length).ok().and_then(|length| end.checked_add(length));
        end = next.ok_or_else(|| too_much(length))?;
        ends.push(end);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends)))
}

/// `length` if 32-bit offsets can hold it.
fn bounded(length: usize) -> Result<usize, ArrowError> {
    if i32::try_from(length).is_ok() { Ok(length) } else { Err(too_much(length)) }
}

fn too_much(length: usize) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("a column of one batch cannot hold {length} more elements or bytes"))
}
