//! Elements of a tensor as raw little-endian bytes: fixed widths back to back, a BYTES element as a `u32 LE` length and
//! its bytes.

use crate::each_data;
use crate::tensor::{Data, Datatype};

/// Bytes of one element; None where they vary.
fn width(datatype: Datatype) -> Option<usize> {
    match datatype {
        Datatype::Bool | Datatype::Uint8 | Datatype::Int8 => Some(1),
        Datatype::Uint16 | Datatype::Int16 => Some(2),
        Datatype::Uint32 | Datatype::Int32 | Datatype::Fp32 => Some(4),
        Datatype::Uint64 | Datatype::Int64 | Datatype::Fp64 => Some(8),
        Datatype::Bytes => None,
    }
}

/// How many bytes `put_data` writes.
pub fn byte_length(data: &Data) -> usize {
    match data {
        Data::Bytes(values) => values.iter().map(|value| 4 + value.len()).sum(),
        fixed => each_data!(fixed, values => size_of_val(values.as_slice())),
    }
}

fn put<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + N * values.len(), 0);
    let (slots, _) = out[start..].as_chunks_mut::<N>();
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = bytes(*value);
    }
}

/// Appends the elements to `out`. A BYTES element of 4 GiB or more cannot be written; the caller bounds the total.
pub fn put_data(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::Bool(v) => put(out, v, |value| [u8::from(value)]),
        Data::Uint8(v) => out.extend_from_slice(v),
        Data::Uint16(v) => put(out, v, u16::to_le_bytes),
        Data::Uint32(v) => put(out, v, u32::to_le_bytes),
        Data::Uint64(v) => put(out, v, u64::to_le_bytes),
        Data::Int8(v) => put(out, v, i8::to_le_bytes),
        Data::Int16(v) => put(out, v, i16::to_le_bytes),
        Data::Int32(v) => put(out, v, i32::to_le_bytes),
        Data::Int64(v) => put(out, v, i64::to_le_bytes),
        Data::Fp32(v) => put(out, v, f32::to_le_bytes),
        Data::Fp64(v) => put(out, v, f64::to_le_bytes),
        Data::Bytes(v) => {
            for value in v {
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }
}

fn take<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

/// `bytes` as `count` elements, or None where they are not exactly that.
pub fn take_data(datatype: Datatype, bytes: &[u8], count: usize) -> Option<Data> {
    if width(datatype).is_some_and(|width| count.checked_mul(width) != Some(bytes.len())) {
        return None;
    }
    Some(match datatype {
        Datatype::Bool => Data::Bool(bytes.iter().map(|byte| *byte != 0).collect()),
        Datatype::Uint8 => Data::Uint8(bytes.to_vec()),
        Datatype::Uint16 => Data::Uint16(take(bytes, u16::from_le_bytes)),
        Datatype::Uint32 => Data::Uint32(take(bytes, u32::from_le_bytes)),
        Datatype::Uint64 => Data::Uint64(take(bytes, u64::from_le_bytes)),
        Datatype::Int8 => Data::Int8(take(bytes, i8::from_le_bytes)),
        Datatype::Int16 => Data::Int16(take(bytes, i16::from_le_bytes)),
        Datatype::Int32 => Data::Int32(take(bytes, i32::from_le_bytes)),
        Datatype::Int64 => Data::Int64(take(bytes, i64::from_le_bytes)),
        Datatype::Fp32 => Data::Fp32(take(bytes, f32::from_le_bytes)),
        Datatype::Fp64 => Data::Fp64(take(bytes, f64::from_le_bytes)),
        Datatype::Bytes => Data::Bytes(take_strings(bytes, count)?),
    })
}

fn take_strings(mut bytes: &[u8], count: usize) -> Option<Vec<Box<[u8]>>> {
    if count > bytes.len() / 4 {
        return None;
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        values.push(value.into());
        bytes = rest;
    }
    bytes.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> impl Strategy<Value = Data> {
        use proptest::collection::vec;
        let size = 0..20_usize;
        prop_oneof![
            vec(any::<bool>(), size.clone()).prop_map(Data::Bool),
            vec(any::<u8>(), size.clone()).prop_map(Data::Uint8),
            vec(any::<u16>(), size.clone()).prop_map(Data::Uint16),
            vec(any::<u32>(), size.clone()).prop_map(Data::Uint32),
            vec(any::<u64>(), size.clone()).prop_map(Data::Uint64),
            vec(any::<i8>(), size.clone()).prop_map(Data::Int8),
            vec(any::<i16>(), size.clone()).prop_map(Data::Int16),
            vec(any::<i32>(), size.clone()).prop_map(Data::Int32),
            vec(any::<i64>(), size.clone()).prop_map(Data::Int64),
            vec(any::<f32>(), size.clone()).prop_map(Data::Fp32),
            vec(any::<f64>(), size.clone()).prop_map(Data::Fp64),
            vec(vec(any::<u8>(), 0..6).prop_map(Vec::into_boxed_slice), size).prop_map(Data::Bytes),
        ]
    }

    /// Equal bit for bit, NaN included.
    fn same(a: &Data, b: &Data) -> bool {
        match (a, b) {
            (Data::Fp32(a), Data::Fp32(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (Data::Fp64(a), Data::Fp64(b)) => a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits())),
            (a, b) => a == b,
        }
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(data in data()) {
            let mut bytes = Vec::new();
            put_data(&mut bytes, &data);
            prop_assert_eq!(bytes.len(), byte_length(&data));
            let back = take_data(data.datatype(), &bytes, data.len()).expect("its own bytes");
            prop_assert!(same(&back, &data), "{:?} came back as {:?}", data, back);
        }

        #[test]
        fn a_wrong_count_or_a_cut_is_refused(data in data(), cut in 1..9_usize) {
            let mut bytes = Vec::new();
            put_data(&mut bytes, &data);
            prop_assert!(take_data(data.datatype(), &bytes, data.len() + 1).is_none());
            if let Some(shorter) = bytes.len().checked_sub(cut) {
                prop_assert!(take_data(data.datatype(), &bytes[..shorter], data.len()).is_none());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(data in data(), bytes: Vec<u8>, count: usize) {
            let taken = take_data(data.datatype(), &bytes, count);
            prop_assert!(taken.is_none_or(|taken| taken.len() == count));
        }
    }

    #[test]
    fn the_layout_is_little_endian() {
        let mut bytes = Vec::new();
        put_data(&mut bytes, &Data::Int16(vec![1, -2]));
        put_data(&mut bytes, &Data::Fp32(vec![1.0]));
        put_data(&mut bytes, &Data::Bytes(vec![(*b"SE").into(), (*b"").into()]));
        assert_eq!(bytes, b"\x01\x00\xfe\xff\x00\x00\x80\x3f\x02\x00\x00\x00SE\x00\x00\x00\x00");
    }
}
