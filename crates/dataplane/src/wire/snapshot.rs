//! The snapshot: the complete desired state of the data plane.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Champion,
    Challenger,
    Shadow,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
            Self::Shadow => "shadow",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validation {
    Reject,
    Flag,
    Impute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    Acknowledged,
    Buffered,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    Auto,
    Inline,
    Threads,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batching {
    pub max_rows: usize,
    pub max_wait_us: u64,
    pub queue_rows: usize,
    pub queue_wait_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineOptions {
    pub dispatch: Dispatch,
    pub instances: usize,
    pub workers: Option<u32>,
    pub intra_op_threads: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub memory_mb: Option<u64>,
    pub native_trees: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleReference {
    pub path: String,
    pub sha256: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub role: Role,
    pub version: String,
    pub bundle: BundleReference,
    pub threshold: Option<f64>,
}

/// Columns by which units may be counted.
pub const MOST_SLICE_COLUMNS: usize = 8;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    pub salt: String,
    pub epoch: u64,
    pub challenger: Option<String>,
    pub share: f64,
    pub shadow: Option<String>,
    pub shadow_share: f64,
    pub regions: Option<Vec<String>>,
    #[serde(rename = "override")]
    pub wishes: bool,
    pub matched: bool,
    pub slices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub name: String,
    pub variants: Vec<Variant>,
    pub validation: Validation,
    pub durability: Durability,
    pub deadline_ms: u64,
    pub unit_key: Option<String>,
    pub batching: Batching,
    pub engine: EngineOptions,
    pub routing: Option<Routing>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub schema_version: u32,
    pub generation: u64,
    pub endpoints: Vec<Endpoint>,
}
