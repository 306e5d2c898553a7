//! Prediction ids: UUID version 7 (RFC 9562), one run of consecutive ids for the rows of a request.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

/// A generator for one thread; unique over threads and processes by 73 random bits in each millisecond.
#[derive(Debug)]
pub struct Ids {
    state: u64,
}

impl Default for Ids {
    fn default() -> Self {
        // The standard library's hash seed comes from the system's random source.
        Self { state: RandomState::new().build_hasher().finish() | 1 }
    }
}

impl Ids {
    /// splitmix64 (Steele, Lea, Flood 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The id of a request's first row; row i has this plus i. `time_us` is microseconds since the Unix epoch.
    pub fn next(&mut self, time_us: i64) -> u128 {
        let millis = u128::from((time_us.max(0) / 1_000) as u64) & 0xffff_ffff_ffff;
        let high = u128::from(self.random() & 0xfff);
        // Bit 61 stays clear, so that adding a row index never carries out of the random part.
        let low = u128::from(self.random() & 0x1fff_ffff_ffff_ffff);
        (millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    }
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_ordered_by_time_and_distinct() {
        let mut ids = Ids::default();
        let a = ids.next(1_000_000);
        let b = ids.next(2_000_000);
        assert_eq!((a >> 76) & 0xf, 7);
        assert_eq!((a >> 62) & 0b11, 0b10);
        assert!(a < b);
        assert_eq!(a >> 80, 1_000);
        let many: std::collections::HashSet<u128> = (0..100_000).map(|_| ids.next(5_000)).collect();
        assert_eq!(many.len(), 100_000);
        assert_eq!(((a + 1_000_000) >> 76) & 0xf, 7, "row ids keep the version");
    }
}
