//! A typed, named-by-position tensor: the one form in which values move from parser to engine to log.

use serde::{Deserialize, Serialize};

/// Tensor datatypes of the Open Inference Protocol that have a JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// The protocol's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }
}

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Bool(Vec<bool>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(Vec<Box<[u8]>>),
}

/// Runs `$body` with `$v` bound to the vector inside, whatever its type.
#[macro_export]
macro_rules! each_data {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::tensor::Data::Bool($v) => $body,
            $crate::tensor::Data::Uint8($v) => $body,
            $crate::tensor::Data::Uint16($v) => $body,
            $crate::tensor::Data::Uint32($v) => $body,
            $crate::tensor::Data::Uint64($v) => $body,
            $crate::tensor::Data::Int8($v) => $body,
            $crate::tensor::Data::Int16($v) => $body,
            $crate::tensor::Data::Int32($v) => $body,
            $crate::tensor::Data::Int64($v) => $body,
            $crate::tensor::Data::Fp32($v) => $body,
            $crate::tensor::Data::Fp64($v) => $body,
            $crate::tensor::Data::Bytes($v) => $body,
        }
    };
}

impl Data {
    pub fn with_capacity(datatype: Datatype, capacity: usize) -> Self {
        match datatype {
            Datatype::Bool => Self::Bool(Vec::with_capacity(capacity)),
            Datatype::Uint8 => Self::Uint8(Vec::with_capacity(capacity)),
            Datatype::Uint16 => Self::Uint16(Vec::with_capacity(capacity)),
            Datatype::Uint32 => Self::Uint32(Vec::with_capacity(capacity)),
            Datatype::Uint64 => Self::Uint64(Vec::with_capacity(capacity)),
            Datatype::Int8 => Self::Int8(Vec::with_capacity(capacity)),
            Datatype::Int16 => Self::Int16(Vec::with_capacity(capacity)),
            Datatype::Int32 => Self::Int32(Vec::with_capacity(capacity)),
            Datatype::Int64 => Self::Int64(Vec::with_capacity(capacity)),
            Datatype::Fp32 => Self::Fp32(Vec::with_capacity(capacity)),
            Datatype::Fp64 => Self::Fp64(Vec::with_capacity(capacity)),
            Datatype::Bytes => Self::Bytes(Vec::with_capacity(capacity)),
        }
    }

    pub fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Uint16(_) => Datatype::Uint16,
            Self::Uint32(_) => Datatype::Uint32,
            Self::Uint64(_) => Datatype::Uint64,
            Self::Int8(_) => Datatype::Int8,
            Self::Int16(_) => Datatype::Int16,
            Self::Int32(_) => Datatype::Int32,
            Self::Int64(_) => Datatype::Int64,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each_data!(self, v => v.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn reserve(&mut self, additional: usize) {
        each_data!(self, v => v.reserve(additional));
    }

    /// A copy of the elements at `indices`.
    #[must_use]
    pub fn gather(&self, indices: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Bool(v) => Self::Bool(indices.map(|index| v[index]).collect()),
            Self::Uint8(v) => Self::Uint8(indices.map(|index| v[index]).collect()),
            Self::Uint16(v) => Self::Uint16(indices.map(|index| v[index]).collect()),
            Self::Uint32(v) => Self::Uint32(indices.map(|index| v[index]).collect()),
            Self::Uint64(v) => Self::Uint64(indices.map(|index| v[index]).collect()),
            Self::Int8(v) => Self::Int8(indices.map(|index| v[index]).collect()),
            Self::Int16(v) => Self::Int16(indices.map(|index| v[index]).collect()),
            Self::Int32(v) => Self::Int32(indices.map(|index| v[index]).collect()),
            Self::Int64(v) => Self::Int64(indices.map(|index| v[index]).collect()),
            Self::Fp32(v) => Self::Fp32(indices.map(|index| v[index]).collect()),
            Self::Fp64(v) => Self::Fp64(indices.map(|index| v[index]).collect()),
            Self::Bytes(v) => Self::Bytes(indices.map(|index| v[index].clone()).collect()),
        }
    }

    /// A copy of the elements in `range`.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Bool(v) => Self::Bool(v[range].to_vec()),
            Self::Uint8(v) => Self::Uint8(v[range].to_vec()),
            Self::Uint16(v) => Self::Uint16(v[range].to_vec()),
            Self::Uint32(v) => Self::Uint32(v[range].to_vec()),
            Self::Uint64(v) => Self::Uint64(v[range].to_vec()),
            Self::Int8(v) => Self::Int8(v[range].to_vec()),
            Self::Int16(v) => Self::Int16(v[range].to_vec()),
            Self::Int32(v) => Self::Int32(v[range].to_vec()),
            Self::Int64(v) => Self::Int64(v[range].to_vec()),
            Self::Fp32(v) => Self::Fp32(v[range].to_vec()),
            Self::Fp64(v) => Self::Fp64(v[range].to_vec()),
            Self::Bytes(v) => Self::Bytes(v[range].to_vec()),
        }
    }

    /// Moves the elements of `other` to the end; both have the same datatype (a caller's bug otherwise).
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Bool(a), Self::Bool(mut b)) => a.append(&mut b),
            (Self::Uint8(a), Self::Uint8(mut b)) => a.append(&mut b),
            (Self::Uint16(a), Self::Uint16(mut b)) => a.append(&mut b),
            (Self::Uint32(a), Self::Uint32(mut b)) => a.append(&mut b),
            (Self::Uint64(a), Self::Uint64(mut b)) => a.append(&mut b),
            (Self::Int8(a), Self::Int8(mut b)) => a.append(&mut b),
            (Self::Int16(a), Self::Int16(mut b)) => a.append(&mut b),
            (Self::Int32(a), Self::Int32(mut b)) => a.append(&mut b),
            (Self::Int64(a), Self::Int64(mut b)) => a.append(&mut b),
            (Self::Fp32(a), Self::Fp32(mut b)) => a.append(&mut b),
            (Self::Fp64(a), Self::Fp64(mut b)) => a.append(&mut b),
            (Self::Bytes(a), Self::Bytes(mut b)) => a.append(&mut b),
            (a, b) => unreachable!("append {} to {}", b.datatype().name(), a.datatype().name()),
        }
    }
}

/// A tensor whose first dimension is the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// All dimensions; `dims[0]` is the number of rows; the product equals `data.len()`.
    pub dims: Vec<usize>,
    pub data: Data,
    /// Ascending indices of elements that were absent or `null`. They hold NaN (floats) or a zero value.
    pub missing: Vec<u32>,
}

impl Tensor {
    pub fn rows(&self) -> usize {
        self.dims.first().copied().unwrap_or(0)
    }

    /// Elements in one row.
    pub fn width(&self) -> usize {
        self.dims.iter().skip(1).product()
    }

    /// A copy of `rows` rows from row `start`.
    #[must_use]
    pub fn slice_rows(&self, start: usize, rows: usize) -> Self {
        let width = self.width();
        let (from, to) = (start * width, (start + rows) * width);
        let inside = |&&index: &&u32| (from..to).contains(&(index as usize));
        let missing = self.missing.iter().filter(inside).map(|index| index - from as u32).collect();
        let mut dims = self.dims.clone();
        dims[0] = rows;
        Self { dims, data: self.data.slice(from..to), missing }
    }

    /// A copy of these rows, which ascend.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let width = self.width();
        let place = |index: &u32| rows.binary_search(&(*index as usize / width.max(1))).ok();
        let missing = self
            .missing
            .iter()
            .filter_map(|index| place(index).map(|row| (row * width + *index as usize % width.max(1)) as u32))
            .collect();
        let mut dims = self.dims.clone();
        dims[0] = rows.len();
        let data = self.data.gather(rows.iter().flat_map(|row| row * width..(row + 1) * width));
        Self { dims, data, missing }
    }

    /// Adds the rows of `other`, which has equal trailing dimensions and datatype.
    pub fn append_rows(&mut self, other: Self) {
        let base = self.data.len() as u32;
        self.missing.extend(other.missing.iter().map(|index| base + index));
        self.dims[0] += other.rows();
        self.data.append(other.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_rows_keep_values_and_missing_marks() {
        let mut a = Tensor { dims: vec![1, 2], data: Data::Fp32(vec![1.0, 2.0]), missing: vec![] };
        a.append_rows(Tensor { dims: vec![1, 2], data: Data::Fp32(vec![3.0, f32::NAN]), missing: vec![1] });
        assert_eq!((a.rows(), a.width(), a.missing.clone()), (2, 2, vec![3]));
        assert!(matches!(&a.data, Data::Fp32(v) if v[2].to_bits() == 3.0_f32.to_bits()));
    }

    #[test]
    fn selected_rows_keep_values_and_missing_marks() {
        let data = Data::Int64((0..8).collect());
        let tensor = Tensor { dims: vec![4, 2], data, missing: vec![1, 2, 6] };
        let picked = tensor.select_rows(&[0, 3]);
        assert_eq!(picked, Tensor { dims: vec![2, 2], data: Data::Int64(vec![0, 1, 6, 7]), missing: vec![1, 2] });
    }

    #[test]
    fn datatype_names_are_the_protocols() {
        let text = serde_json::to_string(&Datatype::Uint16).expect("json");
        assert_eq!(text, "\"UINT16\"");
        assert_eq!(Datatype::Uint16.name(), "UINT16");
    }
}
