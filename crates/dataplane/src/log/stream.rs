//! What the rows of one variant have in common, and the Arrow schema that follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::LogError;
use crate::tensor::{Datatype, Tensor};
use crate::wire::bundle::{FeatureSpec, TensorSpec};

/// What a stream is made of. Two equal ones are the same stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSpec {
    /// The endpoint's name; also the name of the folder that the segments lie in.
    pub endpoint: Box<str>,
    pub version: Box<str>,
    /// The role of the variant: champion, challenger or shadow.
    pub variant: Box<str>,
    /// sha256 of the bundle, 64 hexadecimal digits.
    pub bundle: Box<str>,
    pub inputs: Vec<TensorSpec>,
    /// Empty for a model that takes raw tensors.
    pub features: Vec<FeatureSpec>,
    pub outputs: Vec<TensorSpec>,
    /// The decision's labels as text, in the order that `RowMeta::decision` counts in.
    pub labels: Vec<Box<str>>,
}

/// A stream ready to be written to: made once for each variant of a plan, then shared.
#[derive(Debug)]
pub struct Stream {
    spec: StreamSpec,
    schema: SchemaRef,
    /// Endpoint, version, variant and bundle, each as the one value of a dictionary.
    constants: [ArrayRef; 4],
    labels: ArrayRef,
    /// For each feature: index of its input tensor, its column.
    sources: Vec<(usize, usize)>,
}

impl Stream {
    /// Precomputes the schema. Refuses what cannot be a folder's name, features that point nowhere, and more labels
    /// than a 16-bit key counts.
    pub fn new(spec: StreamSpec) -> Result<Self, LogError> {
        let name = &*spec.endpoint;
        if name.is_empty() || name.starts_with('.') || super::names::safe(name) != name {
            return Err(LogError::Stream(format!("endpoint {name:?} cannot be a folder's name").into()));
        }
        if spec.bundle.len() != 64 || !spec.bundle.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(LogError::Stream(format!("bundle {:?} is not a sha256", spec.bundle).into()));
        }
        if spec.labels.len() > i16::MAX as usize {
            return Err(LogError::Stream(format!("{} labels are too many", spec.labels.len()).into()));
        }
        let sources = spec.features.iter().map(|feature| source(&spec, feature)).collect::<Result<_, _>>()?;
        let schema = Arc::new(schema(&spec));
        let constant = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let constants =
            [constant(&spec.endpoint), constant(&spec.version), constant(&spec.variant), constant(&spec.bundle)];
        let labels = Arc::new(spec.labels.iter().map(|label| Some(&**label)).collect::<StringArray>());
        Ok(Self { spec, schema, constants, labels, sources })
    }

    /// What the stream was made of.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// The schema of its segments.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn constants(&self) -> &[ArrayRef; 4] {
        &self.constants
    }

    pub(super) fn labels(&self) -> &ArrayRef {
        &self.labels
    }

    pub(super) fn sources(&self) -> &[(usize, usize)] {
        &self.sources
    }

    /// Whether `inputs` and `outputs` are `rows` rows of this stream; names the first tensor that is not.
    pub(super) fn check(&self, inputs: &[Tensor], outputs: &[Tensor], rows: usize) -> Result<(), String> {
        check_all("input", &self.spec.inputs, inputs, rows)?;
        check_all("output", &self.spec.outputs, outputs, rows)
    }
}

fn source(spec: &StreamSpec, feature: &FeatureSpec) -> Result<(usize, usize), LogError> {
    let found = spec.inputs.iter().position(|tensor| tensor.name == feature.tensor);
    let width = |tensor: &TensorSpec| match tensor.shape[..] {
        [_] => 1,
        [_, width] => usize::try_from(width).unwrap_or(0),
        _ => 0,
    };
    match found {
        Some(index) if feature.column < width(&spec.inputs[index]) => Ok((index, feature.column)),
        _ => Err(LogError::Stream(format!("feature {:?} is no column of an input", feature.name).into())),
    }
}

fn check_all(kind: &str, specs: &[TensorSpec], tensors: &[Tensor], rows: usize) -> Result<(), String> {
    if specs.len() != tensors.len() {
        return Err(format!("{} {kind} tensors, expected {}", tensors.len(), specs.len()));
    }
    for (spec, tensor) in specs.iter().zip(tensors) {
        let shape_fits = tensor.dims.len() == spec.shape.len()
            && tensor.rows() == rows
            && tensor.dims.iter().product::<usize>() == tensor.data.len()
            && spec.shape.iter().zip(&tensor.dims).skip(1).all(|(want, got)| *want < 0 || *want as usize == *got);
        if !shape_fits || tensor.data.datatype() != spec.datatype {
            let (got, want) = (tensor.data.datatype().name(), spec.datatype.name());
            let (dims, shape) = (&tensor.dims, &spec.shape);
            return Err(format!("{kind} {:?}: {got} {dims:?} for {rows} rows, expected {want} {shape:?}", spec.name));
        }
    }
    Ok(())
}

fn schema(spec: &StreamSpec) -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let constant = |name: &str| Field::new(name, dictionary(DataType::Int8), false);
    let uuid = HashMap::from([
        ("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned()),
        ("ARROW:extension:metadata".to_owned(), String::new()),
    ]);
    let fields = vec![
        Field::new("id", DataType::FixedSizeBinary(16), false).with_metadata(uuid),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        constant("endpoint"),
        constant("version"),
        constant("variant"),
        constant("bundle"),
        text("unit"),
        text("request_id"),
        Field::new("row", DataType::Int32, false),
        Field::new("latency_us", DataType::Int32, false),
        Field::new("violations", DataType::List(item(DataType::Utf8)), false),
        Field::new("decision", dictionary(DataType::Int16), true),
        Field::new("score", DataType::Float64, true),
        Field::new("features", DataType::Struct(features(spec)), false),
        Field::new("outputs", DataType::Struct(children(&spec.outputs, &DataType::Utf8)), false),
    ];
    Schema::new_with_metadata(fields, HashMap::from([("fairlead.log".to_owned(), "1".to_owned())]))
}

fn dictionary(keys: DataType) -> DataType {
    DataType::Dictionary(Box::new(keys), Box::new(DataType::Utf8))
}

/// The field of a list's elements.
pub(super) fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, true))
}

fn features(spec: &StreamSpec) -> Fields {
    if spec.features.is_empty() {
        return children(&spec.inputs, &DataType::Binary);
    }
    let field = |feature: &FeatureSpec| {
        let datatype = spec.inputs.iter().find(|t| t.name == feature.tensor).map_or(Datatype::Fp32, |t| t.datatype);
        Field::new(&feature.name, element(datatype, &DataType::Utf8), true)
    };
    spec.features.iter().map(field).collect()
}

fn children(specs: &[TensorSpec], bytes: &DataType) -> Fields {
    specs.iter().map(|spec| Field::new(&spec.name, tensor_type(spec, bytes), true)).collect()
}

/// Whether each row of the tensor is one element, whatever the number of dimensions.
pub(super) fn is_scalar(spec: &TensorSpec) -> bool {
    spec.shape.iter().skip(1).all(|dimension| *dimension == 1)
}

/// The Arrow type of one row: an element, or lists within lists, one for each dimension after the first.
fn tensor_type(spec: &TensorSpec, bytes: &DataType) -> DataType {
    let inner = element(spec.datatype, bytes);
    if is_scalar(spec) {
        return inner;
    }
    spec.shape.iter().skip(1).rev().fold(inner, |inner, dimension| match i32::try_from(*dimension) {
        Ok(size) if size > 0 => DataType::FixedSizeList(item(inner), size),
        _ => DataType::List(item(inner)),
    })
}

fn element(datatype: Datatype, bytes: &DataType) -> DataType {
    match datatype {
        Datatype::Bool => DataType::Boolean,
        Datatype::Uint8 => DataType::UInt8,
        Datatype::Uint16 => DataType::UInt16,
        Datatype::Uint32 => DataType::UInt32,
        Datatype::Uint64 => DataType::UInt64,
        Datatype::Int8 => DataType::Int8,
        Datatype::Int16 => DataType::Int16,
        Datatype::Int32 => DataType::Int32,
        Datatype::Int64 => DataType::Int64,
        Datatype::Fp32 => DataType::Float32,
        Datatype::Fp64 => DataType::Float64,
        Datatype::Bytes => bytes.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::tensor::Data;

    #[test]
    fn what_cannot_be_a_stream_is_refused() {
        let good = samples::stream("fraud").spec().clone();
        assert!(Stream::new(good.clone()).is_ok());
        let bad: [fn(&mut StreamSpec); 7] = [
            |spec| spec.endpoint = "".into(),
            |spec| spec.endpoint = "../up".into(),
            |spec| spec.endpoint = "..".into(),
            |spec| spec.bundle = "abc".into(),
            |spec| spec.features[0].column = 2,
            |spec| spec.features[0].tensor = "nowhere".into(),
            |spec| spec.labels = vec!["x".into(); 40_000],
        ];
        for (at, spoil) in bad.into_iter().enumerate() {
            let mut spec = good.clone();
            spoil(&mut spec);
            assert!(matches!(Stream::new(spec), Err(LogError::Stream(_))), "{at}");
        }
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let stream = samples::stream("fraud");
        let batch = samples::batch(&stream, 0..2);
        let check = |inputs: &[Tensor]| stream.check(inputs, &batch.outputs, 2);
        assert_eq!(check(&batch.inputs), Ok(()));
        let with = |dims: &[usize], data: Data| [Tensor { dims: dims.to_vec(), data, missing: vec![] }];
        assert!(check(&[]).is_err());
        for (dims, data) in [
            (&[1, 2][..], Data::Fp32(vec![0.0; 2])),
            (&[2, 1], Data::Fp32(vec![0.0; 2])),
            (&[2, 2], Data::Fp32(vec![0.0; 3])),
            (&[4], Data::Fp32(vec![0.0; 4])),
            (&[2, 2], Data::Fp64(vec![0.0; 4])),
        ] {
            let text = check(&with(dims, data)).expect_err("does not fit");
            assert!(text.contains("\"x\""), "{text}");
        }
    }

    #[test]
    fn the_shape_decides_the_type_of_a_row() {
        let kind = |shape: &[i64]| {
            let spec = TensorSpec { name: "t".into(), datatype: Datatype::Fp32, shape: shape.to_vec() };
            tensor_type(&spec, &DataType::Utf8)
        };
        let fixed = |inner, size| DataType::FixedSizeList(item(inner), size);
        assert_eq!(kind(&[-1]), DataType::Float32);
        assert_eq!(kind(&[-1, 1]), DataType::Float32);
        assert_eq!(kind(&[-1, 3]), fixed(DataType::Float32, 3));
        assert_eq!(kind(&[-1, -1, 2]), DataType::List(item(fixed(DataType::Float32, 2))));
        assert_eq!(kind(&[-1, 2, -1]), fixed(DataType::List(item(DataType::Float32)), 2));
    }
}
