//! Streaming statistics: what every answered batch adds to the picture of its endpoint. Counters only, so that replicas
//! add up; the monitors read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::model::{DecisionRule, Model};
use crate::tensor::Tensor;
use crate::wire::bundle::Task;

/// Equal bins on [0, 1].
const BINS: usize = 20;
/// Scores are summed in billionths, for there is no atomic float.
const UNIT: f64 = 1e9;

#[derive(Debug)]
struct Scores {
    counts: [AtomicU64; BINS],
    sum: AtomicU64,
}

/// Counts of scores on [0, 1]; cheap to clone, clones share the counts.
#[derive(Clone, Debug)]
pub struct ScoreHistogram(Arc<Scores>);

impl Default for ScoreHistogram {
    fn default() -> Self {
        Self(Arc::new(Scores { counts: [const { AtomicU64::new(0) }; BINS], sum: AtomicU64::new(0) }))
    }
}

impl ScoreHistogram {
    /// Counts a batch of scores; what is outside [0, 1] goes to the nearest end.
    pub fn observe(&self, scores: &[Option<f64>]) {
        let mut counts = [0_u64; BINS];
        let mut sum = 0.0;
        for score in scores.iter().flatten().map(|score| score.clamp(0.0, 1.0)) {
            // Upper edges belong to their bin, as in a Prometheus histogram.
            let bin = ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            counts[bin] += 1;
            sum += score;
        }
        for (total, count) in self.0.counts.iter().zip(counts).filter(|(_, count)| *count > 0) {
            total.fetch_add(count, Ordering::Relaxed);
        }
        self.0.sum.fetch_add((sum * UNIT) as u64, Ordering::Relaxed);
    }
}

impl TypedMetric for ScoreHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for ScoreHistogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let counts: Vec<u64> = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let edge = |bin| (bin + 1) as f64 / BINS as f64;
        let mut buckets: Vec<(f64, u64)> = counts.iter().enumerate().map(|(bin, &count)| (edge(bin), count)).collect();
        buckets.push((f64::INFINITY, 0));
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / UNIT;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// True where the rule's score is a probability, so that its distribution is worth showing.
pub fn has_probability(rule: Option<&DecisionRule>) -> bool {
    rule.is_some_and(|rule| rule.task != Task::Regression)
}

/// Calls `count(feature, n)` for every feature with `n` missing values among the rows of `inputs`.
pub fn count_missing(model: &Model, inputs: &[Tensor], mut count: impl FnMut(u16, u64)) {
    for (tensor, columns) in inputs.iter().zip(&model.columns) {
        if columns.is_empty() {
            continue;
        }
        for &element in &tensor.missing {
            count(columns[element as usize % columns.len()], 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_into_the_bin_whose_upper_edge_holds_them() {
        let histogram = ScoreHistogram::default();
        histogram.observe(&[Some(0.0), Some(0.05), Some(0.050_001), Some(1.0), None, Some(7.0)]);
        let counts: Vec<u64> = histogram.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!((counts[0], counts[1], counts[BINS - 1]), (2, 1, 2));
        assert_eq!(counts.iter().sum::<u64>(), 5);
    }
}
