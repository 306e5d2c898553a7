//! What one data-plane process is started with.

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    pub directory: String,
    pub segment_bytes: u64,
    pub segment_seconds: u64,
    pub flush_ms: u64,
    pub queue_rows: usize,
    pub retention_bytes: Option<u64>,
    pub retention_hours: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub request_rows: usize,
    pub connections: usize,
    pub header_timeout_ms: u64,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

/// Where the control plane is, and who this replica is to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlLink {
    pub url: String,
    pub key: Option<Secret>,
    pub replica: String,
    pub report_ms: u64,
    pub follow: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeOptions {
    pub snapshot: Snapshot,
    pub listen: Listener,
    pub admin: Listener,
    pub log: LogOptions,
    pub limits: Limits,
    pub state_directory: Option<String>,
    pub io_threads: usize,
    pub grace_seconds: f64,
    pub shutdown_delay_seconds: f64,
    pub region: Option<String>,
    pub control: Option<ControlLink>,
    pub trust_pickle: bool,
    pub onnxruntime_library: String,
    pub python: String,
}
