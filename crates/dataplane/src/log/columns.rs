//! Rows to Arrow columns, straight from the tensors: a feature is a strided gather over the batches of a stream.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, Float64Builder, StringBuilder};
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
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
    columns.push(structure(schema.field(columns.len()).data_type(), rows, |fields| features(stream, fields, &inputs))?);
    columns.push(structure(schema.field(columns.len()).data_type(), rows, |fields| {
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

fn structure(
    kind: &DataType,
    rows: usize,
    columns: impl FnOnce(&Fields) -> Result<Vec<ArrayRef>, ArrowError>,
) -> Column {
    let DataType::Struct(fields) = kind else {
        return Err(ArrowError::SchemaError(format!("{kind} is no struct")));
    };
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns(fields)?, None, rows)?))
}

fn features(stream: &Stream, fields: &Fields, inputs: &[&[Tensor]]) -> Result<Vec<ArrayRef>, ArrowError> {
    let spec = stream.spec();
    if spec.features.is_empty() {
        return tensors(&spec.inputs, fields, inputs);
    }
    let split_all = spec.inputs.iter().enumerate().map(|(index, tensor)| {
        if stream.sources().iter().all(|(source, _)| *source != index) {
            return Ok(Vec::new());
        }
        let parts: Vec<&Tensor> = inputs.iter().map(|batch| &batch[index]).collect();
        let width = parts.first().map_or(1, |part| part.width());
        columns(&parts, width, tensor.datatype, &DataType::Utf8)
    });
    let of_tensors = split_all.collect::<Result<Vec<_>, _>>()?;
    Ok(stream.sources().iter().map(|&(tensor, column)| of_tensors[tensor][column].clone()).collect())
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
    let one = columns(parts, 1, spec.datatype, innermost(kind))?.pop();
    let mut column = one.ok_or_else(|| ArrowError::ComputeError("no column".into()))?;
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

/// The elements of `parts` dealt out in turn to `width` columns: those of a row-major `[n, width]` tensor.
fn columns(parts: &[&Tensor], width: usize, datatype: Datatype, bytes: &DataType) -> Result<Vec<ArrayRef>, ArrowError> {
    let rows = parts.iter().map(|part| part.data.len()).sum::<usize>() / width.max(1);
    let valid = validity(parts, width, rows);
    macro_rules! numbers {
        ($variant:ident, $kind:ty) => {{
            let values = deal(parts, width, rows, |data| if let Data::$variant(v) = data { v } else { &[] }, |v| *v);
            let column = |(values, valid): (Vec<_>, _)| PrimitiveArray::<$kind>::try_new(values.into(), valid);
            values.into_iter().zip(valid).map(|pair| Ok(Arc::new(column(pair)?) as ArrayRef)).collect()
        }};
    }
    match datatype {
        Datatype::Bool => {
            let values = deal(parts, width, rows, |data| if let Data::Bool(v) = data { v } else { &[] }, |v| *v);
            let column = |(values, valid): (Vec<bool>, _)| BooleanArray::new(BooleanBuffer::from(values), valid);
            Ok(values.into_iter().zip(valid).map(|pair| Arc::new(column(pair)) as ArrayRef).collect())
        }
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
        Datatype::Bytes => {
            let values = deal(parts, width, rows, |data| if let Data::Bytes(v) = data { v } else { &[] }, |v| &**v);
            values.iter().zip(valid).map(|(values, valid)| byte_column(values, valid.as_ref(), bytes)).collect()
        }
    }
}

/// One pass over the parts, whatever their number: a pass for each column would miss the cache for each.
fn deal<'a, T: 'a, U>(
    parts: &[&'a Tensor],
    width: usize,
    rows: usize,
    values: impl Fn(&'a Data) -> &'a [T],
    convert: impl Fn(&'a T) -> U,
) -> Vec<Vec<U>> {
    let mut columns: Vec<Vec<U>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
    for part in parts {
        let values = values(&part.data);
        if let [column] = columns.as_mut_slice() {
            column.extend(values.iter().map(&convert));
            continue;
        }
        for row in values.chunks_exact(width) {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(convert(value));
            }
        }
    }
    columns
}

/// Text where the column is text (bytes that are not UTF-8 become U+FFFD there), else the bytes as they are.
fn byte_column(values: &[&[u8]], valid: Option<&NullBuffer>, kind: &DataType) -> Column {
    let present = |at: usize| valid.is_none_or(|valid| valid.is_valid(at));
    let values = values.iter().enumerate().map(|(at, value)| present(at).then_some(*value));
    if *kind == DataType::Binary {
        let length = bounded(values.clone().flatten().map(<[u8]>::len).sum())?;
        let mut column = BinaryBuilder::with_capacity(values.len(), length);
        values.for_each(|value| column.append_option(value));
        return Ok(Arc::new(column.finish()));
    }
    let texts: Vec<_> = values.map(|value| value.map(String::from_utf8_lossy)).collect();
    strings(texts.len(), || texts.iter().map(Option::as_deref))
}

/// For each of `width` columns which of its elements are there; `None` where all are.
fn validity(parts: &[&Tensor], width: usize, rows: usize) -> Vec<Option<NullBuffer>> {
    let mut masks: Vec<Option<Vec<bool>>> = vec![None; width];
    let mut base = 0;
    for part in parts {
        for &missing in &part.missing {
            let (row, column) = (missing as usize / width.max(1), missing as usize % width.max(1));
            let mask = masks[column].get_or_insert_with(|| vec![true; rows]);
            if let Some(mark) = mask.get_mut(base + row) {
                *mark = false;
            }
        }
        base += part.data.len() / width.max(1);
    }
    masks.into_iter().map(|mask| mask.map(NullBuffer::from)).collect()
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

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_ipc::reader::StreamReader;
    use arrow_ipc::writer::StreamWriter;
    use proptest::prelude::*;

    use super::super::samples::{self, batch_of, stream_of, tensor};
    use super::*;

    const ALL: [Datatype; 12] = [
        Datatype::Bool,
        Datatype::Uint8,
        Datatype::Uint16,
        Datatype::Uint32,
        Datatype::Uint64,
        Datatype::Int8,
        Datatype::Int16,
        Datatype::Int32,
        Datatype::Int64,
        Datatype::Fp32,
        Datatype::Fp64,
        Datatype::Bytes,
    ];

    /// `batch` after a trip through the IPC format.
    fn travelled(batch: &RecordBatch) -> RecordBatch {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("writer");
        writer.write(batch).expect("write");
        let bytes = writer.into_inner().expect("finish");
        StreamReader::try_new(bytes.as_slice(), None).expect("reader").next().expect("batch").expect("decode")
    }

    /// Element `at` of `array` as text, for comparison with `text_of`.
    fn shown(array: &dyn Array, at: usize) -> Option<String> {
        macro_rules! number {
            ($kind:ty) => {
                array.as_primitive::<$kind>().value(at).to_string()
            };
        }
        array.is_valid(at).then(|| match array.data_type() {
            DataType::Boolean => array.as_boolean().value(at).to_string(),
            DataType::UInt8 => number!(UInt8Type),
            DataType::UInt16 => number!(UInt16Type),
            DataType::UInt32 => number!(UInt32Type),
            DataType::UInt64 => number!(UInt64Type),
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::Float32 => number!(Float32Type),
            DataType::Float64 => number!(Float64Type),
            DataType::Utf8 => array.as_string::<i32>().value(at).to_owned(),
            DataType::Binary => String::from_utf8_lossy(array.as_binary::<i32>().value(at)).into_owned(),
            other => panic!("unexpected {other}"),
        })
    }

    /// Element `at` of `tensor` as text; `None` where it is missing.
    fn text_of(tensor: &Tensor, at: usize) -> Option<String> {
        let text = match &tensor.data {
            Data::Bytes(values) => String::from_utf8_lossy(&values[at]).into_owned(),
            Data::Bool(values) => values[at].to_string(),
            Data::Fp32(values) => values[at].to_string(),
            Data::Fp64(values) => values[at].to_string(),
            data => crate::each_data!(data, values => format!("{:?}", values[at])),
        };
        (!tensor.missing.contains(&(at as u32))).then_some(text)
    }

    fn child(batch: &RecordBatch, of: &str, name: &str) -> ArrayRef {
        batch[of].as_struct().column_by_name(name).expect("child").clone()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Features of every datatype, in tensors of several columns, cut into batches anywhere, missing anywhere.
        #[test]
        fn features_are_the_tensors_elements(
            which in 0..ALL.len(),
            width in 1_u8..4,
            cuts in prop::collection::vec(1_usize..6, 1..5),
            seed in any::<u64>(),
        ) {
            let datatype = ALL[which];
            let stream = stream_of(datatype, &[-1, i64::from(width)], true);
            let width = usize::from(width);
            let batches: Vec<Batch> = cuts
                .iter()
                .enumerate()
                .map(|(at, n)| batch_of(&stream, at as u128 * 100, tensor(datatype, &[*n, width], seed + at as u64)))
                .collect();
            let all: Vec<&Batch> = batches.iter().collect();
            let built = travelled(&build(&stream, &all).expect("build"));
            let mut row = 0;
            for batch in &batches {
                for at in 0..batch.rows.len() {
                    for column in 0..width {
                        let got = shown(&child(&built, "features", &format!("f{column}")), row);
                        prop_assert_eq!(got, text_of(&batch.inputs[0], at * width + column));
                    }
                    row += 1;
                }
            }
            prop_assert_eq!(row, built.num_rows());
        }

        /// Raw tensors keep their shape as lists within lists, fixed or variable.
        #[test]
        fn raw_tensors_keep_elements_and_shape(
            which in 0..ALL.len(),
            variable in any::<[bool; 2]>(),
            lengths in prop::collection::vec((1_usize..4, 0_usize..3), 1..4),
            seed in any::<u64>(),
        ) {
            let datatype = ALL[which];
            let shape = [-1, if variable[0] { -1 } else { 2 }, if variable[1] { -1 } else { 3 }];
            let stream = stream_of(datatype, &shape, false);
            let batches: Vec<Batch> = lengths
                .iter()
                .map(|(n, length)| {
                    let dims =
                        [*n, if variable[0] { *length } else { 2 }, if variable[1] { length + 1 } else { 3 }];
                    batch_of(&stream, 0, tensor(datatype, &dims, seed))
                })
                .collect();
            let all: Vec<&Batch> = batches.iter().collect();
            let built = travelled(&build(&stream, &all).expect("build"));
            let column = child(&built, "features", "x");
            let mut row = 0;
            for batch in &batches {
                let dims = &batch.inputs[0].dims;
                for at in 0..dims[0] {
                    let outer = list(&column, row);
                    prop_assert_eq!(outer.len(), dims[1]);
                    for middle in 0..dims[1] {
                        let inner = list(&outer, middle);
                        prop_assert_eq!(inner.len(), dims[2]);
                        for last in 0..dims[2] {
                            let flat = (at * dims[1] + middle) * dims[2] + last;
                            prop_assert_eq!(shown(&inner, last), text_of(&batch.inputs[0], flat));
                        }
                    }
                    row += 1;
                }
            }
        }
    }

    fn list(array: &dyn Array, at: usize) -> ArrayRef {
        match array.data_type() {
            DataType::FixedSizeList(..) => array.as_fixed_size_list().value(at),
            _ => array.as_list::<i32>().value(at),
        }
    }

    #[test]
    fn meta_columns_are_the_rows() {
        let stream = samples::stream("fraud");
        let mut batch = samples::batch(&stream, 7..9);
        batch.rows[1] = RowMeta {
            id: u128::MAX - 1,
            time_us: 5,
            latency_us: u32::MAX,
            row: 3,
            unit: Some("C1".into()),
            request_id: Some("r".into()),
            violations: vec!["a:missing".into(), "b:wrong_type".into()],
            score: Some(0.5),
            decision: Some(1),
        };
        let built = travelled(&build(&stream, &[&batch]).expect("build"));
        let ids = built["id"].as_fixed_size_binary();
        assert_eq!((ids.value(0), ids.value(1)), (&7_u128.to_be_bytes()[..], &(u128::MAX - 1).to_be_bytes()[..]));
        assert_eq!(built["time"].as_primitive::<TimestampMicrosecondType>().value(1), 5);
        for (name, text) in [("endpoint", "fraud"), ("version", "1"), ("variant", "champion")] {
            let values = built[name].as_dictionary::<Int8Type>().downcast_dict::<arrow_array::StringArray>();
            assert_eq!(values.expect("text").into_iter().flatten().collect::<Vec<_>>(), [text, text]);
        }
        assert_eq!(shown(&built["unit"], 0), None);
        assert_eq!(shown(&built["unit"], 1).as_deref(), Some("C1"));
        assert_eq!(shown(&built["request_id"], 1).as_deref(), Some("r"));
        assert_eq!(shown(&built["row"], 1).as_deref(), Some("3"));
        assert_eq!(shown(&built["latency_us"], 1), Some(i32::MAX.to_string()));
        assert_eq!(shown(&built["score"], 1).as_deref(), Some("0.5"));
        assert_eq!((built["score"].is_null(0), built["decision"].is_null(0)), (true, true));
        let decision = built["decision"].as_dictionary::<Int16Type>();
        assert_eq!(decision.values().as_string::<i32>().value(decision.key(1).expect("key")), "yes");
        let violations = built["violations"].as_list::<i32>();
        assert_eq!((violations.value_length(0), violations.value_length(1)), (0, 2));
        assert_eq!(shown(&violations.value(1), 1).as_deref(), Some("b:wrong_type"));
    }

    #[test]
    fn a_stream_may_have_no_outputs() {
        let mut spec = samples::stream("fraud").spec().clone();
        spec.outputs.clear();
        let stream = Arc::new(Stream::new(spec).expect("stream"));
        let batch = Batch { outputs: Arc::new(vec![]), ..samples::batch(&stream, 0..3) };
        let built = travelled(&build(&stream, &[&batch]).expect("build"));
        assert_eq!((built.num_rows(), built["outputs"].len()), (3, 3));
    }

    #[test]
    fn bytes_that_are_not_text_stay_bytes_only_in_raw_tensors() {
        let odd = || Tensor { dims: vec![1, 1], data: Data::Bytes(vec![Box::from(&b"a\xFF"[..])]), missing: vec![] };
        for (named, expected) in [(true, DataType::Utf8), (false, DataType::Binary)] {
            let stream = stream_of(Datatype::Bytes, &[-1, 1], named);
            let batch = batch_of(&stream, 0, odd());
            let column = child(&build(&stream, &[&batch]).expect("build"), "features", if named { "f0" } else { "x" });
            assert_eq!(*column.data_type(), expected);
            if named {
                assert_eq!(column.as_string::<i32>().value(0), "a\u{FFFD}");
            } else {
                assert_eq!(column.as_binary::<i32>().value(0), b"a\xFF");
            }
        }
    }
}
