//! Poisson arrivals: exponential gaps from a seeded generator.

use std::time::Duration;

pub struct Poisson {
    state: u64,
    rate: f64,
}

impl Poisson {
    /// `rate` arrivals a second.
    pub fn new(rate: f64, seed: u64) -> Self {
        Self { state: seed, rate }
    }

    pub fn gap(&mut self) -> Duration {
        Duration::from_secs_f64(-self.uniform().ln() / self.rate)
    }

    /// In (0, 1], by splitmix64.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Poisson;

    #[test]
    fn gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let mut arrivals = Poisson::new(1000.0, 7);
        let gaps: Vec<f64> = (0..200_000).map(|_| arrivals.gap().as_secs_f64() * 1000.0).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
    }
}
