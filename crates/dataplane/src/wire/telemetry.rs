//! The report of a replica: what it has counted since it started. Written here, read by the control plane only.

use serde::Serialize;

use super::bundle::Scalar;

#[derive(Debug, Serialize)]
pub struct SliceCounts<'a> {
    pub column: &'a str,
    pub value: Option<&'a Scalar>,
    pub other: bool,
    pub units: u64,
    pub unit_errors: u64,
    pub unit_violations: u64,
    pub unit_decisions: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct ArmCounts<'a> {
    pub version: &'a str,
    pub role: &'static str,
    pub epoch: u64,
    pub matched: bool,
    pub requests: u64,
    pub errors: u64,
    pub units: u64,
    pub unit_errors: u64,
    pub unit_violations: u64,
    pub unit_decisions: Vec<u64>,
    pub score_counts: Vec<u64>,
    pub latency_counts: Vec<u64>,
    /// `HyperLogLog` registers in base64; empty where nothing was counted.
    pub units_sketch: String,
    pub slices: Vec<SliceCounts<'a>>,
}

#[derive(Debug, Serialize)]
pub struct ShadowCounts<'a> {
    pub version: &'a str,
    pub epoch: u64,
    pub pairs: u64,
    pub flips: Vec<(Scalar, Scalar, u64)>,
    pub score_delta_counts: Vec<u64>,
    /// Bins that are not empty, and how many scores are in each.
    pub scores: Vec<(u64, u64)>,
    pub failures: u64,
}

#[derive(Debug, Serialize)]
pub struct EndpointTelemetry<'a> {
    pub name: &'a str,
    pub arms: Vec<ArmCounts<'a>>,
    pub shadows: Vec<ShadowCounts<'a>>,
}

#[derive(Debug, Serialize)]
pub struct Telemetry<'a> {
    pub schema_version: u32,
    pub replica: &'a str,
    pub incarnation: i64,
    pub sequence: u64,
    pub generation: u64,
    pub region: Option<&'a str>,
    pub time_us: i64,
    pub endpoints: Vec<EndpointTelemetry<'a>>,
}

/// `bytes` in base64 (RFC 4648), with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let letter = ALPHABET[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
