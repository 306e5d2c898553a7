//! A lock-free histogram of durations with fixed buckets: four to each doubling, from 8 microseconds to 67 seconds.
//!
//! Fixed edges make histograms of replicas add up exactly; a bucket is at most 25 % wide, so that a quantile read off
//! by interpolation, p99.9 too, is at most that far off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Buckets to a doubling.
const PER_OCTAVE: usize = 4;
/// log2 of the first upper edge's octave, in microseconds.
const FIRST: usize = 3;
/// log2 of the last octave, in microseconds.
const LAST: usize = 25;
const BUCKETS: usize = (LAST - FIRST + 1) * PER_OCTAVE + 1;

#[derive(Debug)]
struct Inner {
    /// The last one is everything beyond the edges.
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// Cheap to clone; clones share the counts.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Inner>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Arc::new(Inner { counts: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }))
    }
}

/// Upper edge (inclusive) of bucket `index`, in microseconds.
fn upper_edge_us(index: usize) -> u64 {
    let (octave, part) = (FIRST + index / PER_OCTAVE, index % PER_OCTAVE);
    (1 << octave) + ((part as u64 + 1) << octave) / PER_OCTAVE as u64
}

/// The bucket whose edges hold `us`: above the edge before it, not above its own.
fn bucket(us: u64) -> usize {
    let value = us.saturating_sub(1).max(1 << FIRST);
    let octave = value.ilog2() as usize;
    if octave > LAST {
        return BUCKETS - 1;
    }
    let part = ((value >> (octave - 2)) & 3) as usize;
    (octave - FIRST) * PER_OCTAVE + part
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let us = duration.as_nanos().div_ceil(1_000) as u64;
        self.0.counts[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(duration.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let counts: Vec<u64> = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let edge = |index| if index == BUCKETS - 1 { f64::INFINITY } else { upper_edge_us(index) as f64 / 1e6 };
        let buckets: Vec<(f64, u64)> = counts.iter().enumerate().map(|(index, &count)| (edge(index), count)).collect();
        let sum = self.0.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_of_its_edges() {
        for us in (0..20_000_u64).chain((0..2_000).map(|i| i * 40_000)) {
            let index = bucket(us);
            if index < BUCKETS - 1 {
                assert!(us <= upper_edge_us(index), "{us} in {index}");
            }
            if index > 0 {
                assert!(us > upper_edge_us(index - 1), "{us} in {index}");
            }
        }
    }

    #[test]
    fn edges_grow_by_at_most_a_quarter() {
        for index in 1..BUCKETS - 1 {
            let (low, high) = (upper_edge_us(index - 1), upper_edge_us(index));
            assert!(high > low && high as f64 / low as f64 <= 1.25, "{low} {high}");
        }
        assert_eq!(upper_edge_us(0), 10);
    }
}
