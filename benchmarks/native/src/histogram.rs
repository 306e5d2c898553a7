//! A log-linear histogram of durations: 128 steps per power of two, so a quantile is at most 0.8 % too high.

use std::time::Duration;

const STEP_BITS: u32 = 7;
const STEPS: usize = 1 << STEP_BITS;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (64 - STEP_BITS as usize + 1) * STEPS], total: 0, max: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bin(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Milliseconds below which the share `quantile` of the recorded durations lies; 0 when there are none.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(index).min(self.max) as f64 / 1e6;
            }
        }
        self.max as f64 / 1e6
    }

    #[must_use]
    pub fn max_ms(&self) -> f64 {
        self.max as f64 / 1e6
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

fn bin(nanos: u64) -> usize {
    let shift = (nanos | 1).ilog2().saturating_sub(STEP_BITS);
    shift as usize * STEPS + (nanos >> shift) as usize
}

/// Largest value of the bin.
fn upper_edge(index: usize) -> u64 {
    if index < 2 * STEPS {
        return index as u64;
    }
    let shift = index / STEPS - 1;
    let step = (index - shift * STEPS) as u64;
    ((u128::from(step) + 1) << shift).saturating_sub(1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bin, upper_edge};
    use std::time::Duration;

    #[test]
    fn a_bin_holds_its_value_within_one_per_cent() {
        for value in (0..1 << 20).step_by(37).chain([u64::MAX, u64::MAX / 3, 1 << 40]) {
            let edge = upper_edge(bin(value));
            assert!(edge >= value, "{value} lies above its bin's edge {edge}");
            assert!((edge - value) as f64 <= value as f64 * 0.008, "{value} is far from {edge}");
        }
    }

    #[test]
    fn quantiles_of_a_uniform_sample() {
        let mut histogram = Histogram::default();
        for microseconds in 1..=1000 {
            histogram.record(Duration::from_micros(microseconds));
        }
        assert!((histogram.quantile_ms(0.5) - 0.5).abs() < 0.005);
        assert!((histogram.quantile_ms(0.99) - 0.99).abs() < 0.01);
        assert!((histogram.quantile_ms(1.0) - 1.0).abs() < 1e-9);
        assert_eq!(histogram.total(), 1000);
    }
}
