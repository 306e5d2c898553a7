//! From the sums of the leaves to what the graph gives: base values, the transform, the label. ONNX Runtime's rules,
//! quirks included; `probe` checks that they are.

/// What follows the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
}

impl Transform {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"NONE" => Some(Self::None),
            b"LOGISTIC" => Some(Self::Logistic),
            b"SOFTMAX" => Some(Self::Softmax),
            _ => None,
        }
    }
}

/// How sums become scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One sum a target.
    Regression,
    /// One sum for two classes. With `probability` the leaves hold the share of the second class, else its margin.
    Binary { probability: bool },
    /// One sum a class.
    Multiclass,
}

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub kind: Kind,
    pub transform: Transform,
    /// As many as there are sums, or none.
    pub base: Vec<f32>,
}

impl Head {
    /// Scores that one row has.
    pub(super) fn scores(&self, sums: usize) -> usize {
        if matches!(self.kind, Kind::Binary { .. }) { 2 } else { sums }
    }

    /// Finishes one row: writes its scores, and gives the index of its label (0 for a regression).
    pub(super) fn finish(&self, sums: &mut [f32], scores: &mut Vec<f32>) -> usize {
        for (sum, base) in sums.iter_mut().zip(&self.base) {
            *sum += base;
        }
        match self.kind {
            Kind::Regression => {
                scores.extend_from_slice(sums);
                0
            }
            Kind::Binary { probability } => self.binary(sums[0], probability, scores),
            Kind::Multiclass => {
                let label = largest(sums);
                self.multiclass(sums, scores);
                label
            }
        }
    }

    fn binary(&self, sum: f32, probability: bool, scores: &mut Vec<f32>) -> usize {
        if probability {
            scores.extend([1.0 - sum, sum]);
            return usize::from(sum > 0.5);
        }
        if self.transform == Transform::Logistic {
            scores.extend([logistic(-sum), logistic(sum)]);
        } else {
            scores.extend([-sum, sum]);
        }
        usize::from(sum > 0.0)
    }

    fn multiclass(&self, sums: &[f32], scores: &mut Vec<f32>) {
        match self.transform {
            Transform::None => scores.extend_from_slice(sums),
            Transform::Logistic => scores.extend(sums.iter().map(|&sum| logistic(sum))),
            Transform::Softmax => {
                let most = sums.iter().copied().fold(f32::MIN, f32::max);
                let start = scores.len();
                scores.extend(sums.iter().map(|sum| (sum - most).exp()));
                let total: f32 = scores[start..].iter().sum();
                scores[start..].iter_mut().for_each(|score| *score /= total);
            }
        }
    }
}

/// Index of the first of the largest.
fn largest(sums: &[f32]) -> usize {
    let mut best = 0;
    for (index, sum) in sums.iter().enumerate() {
        if *sum > sums[best] {
            best = index;
        }
    }
    best
}

fn logistic(value: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-value.abs()).exp());
    if value < 0.0 { 1.0 - positive } else { positive }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(kind: Kind, transform: Transform, base: &[f32], sums: &[f32]) -> (usize, Vec<f32>) {
        let head = Head { kind, transform, base: base.to_vec() };
        let (mut sums, mut scores) = (sums.to_vec(), Vec::new());
        let label = head.finish(&mut sums, &mut scores);
        assert_eq!(scores.len(), head.scores(sums.len()));
        (label, scores)
    }

    #[test]
    fn each_kind_ends_as_it_should() {
        let binary = Kind::Binary { probability: false };
        assert_eq!(finish(binary, Transform::Logistic, &[1.0], &[-1.0]), (0, vec![0.5, 0.5]));
        assert_eq!(finish(binary, Transform::None, &[], &[2.0]), (1, vec![-2.0, 2.0]));
        let shares = Kind::Binary { probability: true };
        assert_eq!(finish(shares, Transform::None, &[], &[0.75]), (1, vec![0.25, 0.75]));
        assert_eq!(finish(shares, Transform::None, &[], &[0.5]), (0, vec![0.5, 0.5]));
        assert_eq!(finish(Kind::Regression, Transform::None, &[0.5], &[1.0]), (0, vec![1.5]));
        let (label, scores) = finish(Kind::Multiclass, Transform::Softmax, &[], &[1.0, 1.0, 1.0]);
        assert_eq!(label, 0);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
