//! Whether a forest answers as ONNX Runtime does: rows at, just below and just above the thresholds of the model itself,
//! far out, and missing, in batches of several sizes.

use super::Forest;
use super::walk::MISSING_FIRST;
use crate::error::{Code, Error, Result};
use crate::infer::onnx::OnnxSession;
use crate::tensor::{Data, Tensor};

/// Largest difference of a score, relative where it is above one. Sums are taken in the same order in the same
/// precision; what may differ is the last bit of an exponential.
pub(super) const TOLERANCE: f64 = 1e-6;
/// Sizes of the batches: one, less than a block, a block and a rest, many.
const BATCHES: [usize; 5] = [1, 3, 13, 64, 256];

/// The largest difference of any score. Errors where the session fails, or where labels or shapes differ at all.
pub(super) fn largest_difference(forest: &Forest, reference: &mut OnnxSession) -> Result<f64> {
    let mut rows = Rows::of(forest);
    let mut largest = 0.0_f64;
    for size in BATCHES.into_iter().chain(BATCHES) {
        let inputs = [rows.batch(size)];
        let (ours, theirs) = (forest.run(&inputs)?, reference.run(&inputs)?);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            if ours.dims != theirs.dims {
                let message = format!("shape {:?} where ONNX Runtime gives {:?}", ours.dims, theirs.dims);
                return Err(Error::new(Code::ModelInvalid, message));
            }
            largest = largest.max(difference(&ours.data, &theirs.data)?);
        }
    }
    Ok(largest)
}

fn difference(ours: &Data, theirs: &Data) -> Result<f64> {
    let (Data::Fp32(ours), Data::Fp32(theirs)) = (ours, theirs) else {
        return if ours == theirs { Ok(0.0) } else { Err(Error::new(Code::ModelInvalid, "labels differ")) };
    };
    let apart = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        if same { 0.0 } else { (a - b).abs() / b.abs().max(1.0) }
    };
    // A difference that is no number must not pass for none.
    Ok(ours
        .iter()
        .zip(theirs)
        .map(apart)
        .fold(0.0, |most, next| if next >= most || next.is_nan() { next } else { most }))
}

/// Rows from a fixed sequence.
pub(super) struct Rows {
    /// Thresholds of each column.
    thresholds: Vec<Vec<f32>>,
    state: u64,
}

impl Rows {
    pub(super) fn of(forest: &Forest) -> Self {
        let mut thresholds = vec![Vec::new(); forest.width];
        for node in forest.nodes.iter().filter(|node| node.threshold.is_finite()) {
            thresholds[usize::from(node.feature & !MISSING_FIRST)].push(node.threshold);
        }
        Self { thresholds, state: 0x9E37_79B9_7F4A_7C15 }
    }

    /// xorshift64: reproducible, and good enough to spread.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    pub(super) fn batch(&mut self, rows: usize) -> Tensor {
        let width = self.thresholds.len();
        let data = (0..rows * width).map(|index| self.value(index % width)).collect();
        Tensor { dims: vec![rows, width], data: Data::Fp32(data), missing: Vec::new() }
    }

    fn value(&mut self, column: usize) -> f32 {
        let kind = self.next() % 16;
        let draw = self.next() as usize;
        let known = &self.thresholds[column];
        let Some(&threshold) = known.get(draw % known.len().max(1)) else { return (draw % 7) as f32 - 3.0 };
        match kind {
            0..4 => threshold,
            4..7 => threshold.next_up(),
            7..10 => threshold.next_down(),
            10..13 => threshold / 2.0 + known[(draw >> 16) % known.len()] / 2.0,
            13 => f32::NAN,
            14 => [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0][draw >> 8 & 3],
            _ => threshold * 10.0 + 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_is_no_number_is_one() {
        let data = |values: &[f32]| Data::Fp32(values.to_vec());
        assert!(difference(&data(&[1.0]), &data(&[1.0])).is_ok_and(|d| d == 0.0));
        assert!(difference(&data(&[f32::NAN]), &data(&[f32::NAN])).is_ok_and(|d| d == 0.0));
        assert!(difference(&data(&[1.0, f32::NAN, 1.0]), &data(&[1.0, 1.0, 1.0])).is_ok_and(f64::is_nan));
        assert!(difference(&data(&[200.0]), &data(&[100.0])).is_ok_and(|d| (d - 1.0).abs() < 1e-12));
        assert!(difference(&Data::Int64(vec![1]), &Data::Int64(vec![2])).is_err());
    }
}
