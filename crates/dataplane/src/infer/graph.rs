//! The parts of an ONNX file that are read here: enough to recognise a graph that is one tree ensemble. Everything else
//! about a model is ONNX Runtime's business.

use prost::Message;

/// `onnx.ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
}

/// `onnx.GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub initializers: Vec<Constant>,
}

/// `onnx.NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub outputs: Vec<String>,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// `onnx.AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub int: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub text: Vec<u8>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub texts: Vec<Vec<u8>>,
}

/// `onnx.TensorProto`, of which only scalars are read.
#[derive(Clone, PartialEq, Message)]
pub struct Constant {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub floats: Vec<f32>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw: Vec<u8>,
}

/// `onnx.TensorProto.FLOAT`.
const FLOAT: i32 = 1;

impl Constant {
    /// Its value, where it is one float.
    pub fn scalar(&self) -> Option<f32> {
        if self.data_type != FLOAT || self.dims.iter().any(|&dim| dim != 1) {
            return None;
        }
        match (&self.floats[..], &self.raw[..]) {
            (&[value], []) => Some(value),
            ([], raw) => raw.try_into().ok().map(f32::from_le_bytes),
            _ => None,
        }
    }
}

impl Node {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Integers of an attribute; empty where it is absent.
    pub fn ints(&self, name: &str) -> &[i64] {
        self.attribute(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// Floats of an attribute; empty where it is absent.
    pub fn floats(&self, name: &str) -> &[f32] {
        self.attribute(name).map_or(&[], |attribute| &attribute.floats)
    }

    /// Strings of an attribute; empty where it is absent.
    pub fn texts(&self, name: &str) -> &[Vec<u8>] {
        self.attribute(name).map_or(&[], |attribute| &attribute.texts)
    }

    /// Text of an attribute, or `default` where it is absent.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a [u8] {
        self.attribute(name).map_or(default.as_bytes(), |attribute| &attribute.text)
    }
}

/// The graph of an ONNX file, or None where the bytes are none.
pub fn read(bytes: &[u8]) -> Option<Graph> {
    Model::decode(bytes).ok()?.graph
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_read_from_either_field_and_nothing_else_is_one() {
        let scalar = |dims: &[i64], data_type, floats: &[f32], raw: &[u8]| {
            let (dims, floats, raw) = (dims.to_vec(), floats.to_vec(), raw.to_vec());
            Constant { dims, data_type, floats, name: String::new(), raw }.scalar()
        };
        assert_eq!(scalar(&[], 1, &[2.5], &[]), Some(2.5));
        assert_eq!(scalar(&[1, 1], 1, &[], &2.5_f32.to_le_bytes()), Some(2.5));
        assert_eq!(scalar(&[2], 1, &[1.0, 2.0], &[]), None);
        assert_eq!(scalar(&[], 7, &[2.5], &[]), None);
        assert_eq!(scalar(&[], 1, &[], &[0; 8]), None);
    }

    #[test]
    fn what_is_no_model_has_no_graph() {
        assert!(read(b"not a model").is_none());
        assert!(read(b"").is_none());
    }
}
