//! The plan: a snapshot compiled to what requests meet. Immutable; swapped whole.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rustc_hash::FxHashMap;

use crate::error::{Code, Error, Result};
use crate::execute::Core;
use crate::lane::{Admission, Lane};
use crate::wire::records::RecordPlan;
use crate::wire::snapshot::{self, Role, Snapshot, Validation};

/// The queues in front of a variant's executors.
#[derive(Debug)]
pub enum Lanes {
    /// One for each I/O thread, and one apart for requests too large to hold up a thread that serves connections.
    Inline { each: Vec<Arc<Lane>>, bulk: Arc<Lane>, max_rows: usize },
    /// One, with executors apart.
    Shared(Arc<Lane>),
}

/// One bundle in one role on one endpoint, with its executors behind the lanes.
pub struct Variant {
    pub core: Arc<Core>,
    pub records: RecordPlan,
    pub lanes: Lanes,
    /// What it was built from: an equal key means that the running variant can stay.
    pub key: String,
}

impl Variant {
    /// The protocol's name of what runs the model.
    pub fn platform(&self) -> &'static str {
        if self.core.workers.get().is_some() { "python_worker" } else { "onnxruntime_onnx" }
    }

    /// For people: what it is and how it runs.
    pub fn describe(&self) -> serde_json::Value {
        let dispatch = match &self.lanes {
            Lanes::Inline { max_rows, .. } => serde_json::json!({"kind": "inline", "max_rows": max_rows}),
            Lanes::Shared(_) => {
                serde_json::json!({"kind": if self.core.workers.get().is_some() { "workers" } else { "threads" }})
            }
        };
        serde_json::json!({
            "version": &*self.core.version,
            "role": self.core.role,
            "bundle": &*self.core.sha256,
            "platform": self.platform(),
            "ready": self.core.ready(),
            "dispatch": dispatch,
            "worker_restarts": self.core.worker_restarts(),
        })
    }

    /// The lane for `rows` rows that arrive on I/O thread `home`, and whether it is that thread's own.
    pub fn lane(&self, home: usize, rows: usize) -> (&Lane, bool) {
        match &self.lanes {
            Lanes::Inline { each, max_rows, .. } if rows <= *max_rows => (&each[home], true),
            Lanes::Inline { bulk, .. } => (bulk, false),
            Lanes::Shared(lane) => (lane, false),
        }
    }
}

impl Drop for Variant {
    /// The last request that held the plan is gone: executors finish what is queued, end, and free the model.
    fn drop(&mut self) {
        self.core.metrics.ready.set(0);
        match &self.lanes {
            Lanes::Inline { each, bulk, .. } => {
                each.iter().for_each(|lane| lane.close());
                bulk.close();
            }
            Lanes::Shared(lane) => lane.close(),
        }
    }
}

/// A stable prediction address.
pub struct Endpoint {
    pub name: Box<str>,
    pub variants: Vec<Arc<Variant>>,
    pub champion: usize,
    pub validation: Validation,
    pub deadline: Duration,
    pub admission: Arc<Admission>,
    pub queue_rows: Gauge,
}

impl Endpoint {
    /// The variant that answers: the champion, or the one whose version is asked for.
    pub fn variant(&self, version: Option<&str>) -> Result<&Arc<Variant>> {
        let Some(version) = version else { return Ok(&self.variants[self.champion]) };
        self.variants.iter().find(|variant| &*variant.core.version == version).ok_or_else(|| {
            let known: Vec<&str> = self.variants.iter().map(|variant| &*variant.core.version).collect();
            let message = format!("endpoint {} has no version {version}; it has {}", self.name, known.join(", "));
            Error::new(Code::UnknownVersion, message)
        })
    }
}

/// All endpoints of one snapshot.
pub struct Plan {
    pub generation: u64,
    pub endpoints: FxHashMap<Box<str>, Endpoint>,
    /// As it was applied.
    pub snapshot: Snapshot,
}

impl Plan {
    /// Answers nothing: what a server starts with.
    pub fn empty() -> Self {
        let snapshot = Snapshot { schema_version: 1, generation: 0, endpoints: Vec::new() };
        Self { generation: 0, endpoints: FxHashMap::default(), snapshot }
    }

    pub fn endpoint(&self, name: &str) -> Result<&Endpoint> {
        self.endpoints.get(name).ok_or_else(|| Error::new(Code::UnknownEndpoint, format!("no endpoint named {name}")))
    }
}

/// What a snapshot must be beyond its types, as `fairlead.schema.snapshot` checks it too.
pub fn check(snapshot: &Snapshot) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Code::SnapshotInvalid, message));
    if snapshot.schema_version != 1 {
        return invalid(format!("schema_version: this server speaks 1, got {}", snapshot.schema_version));
    }
    for (index, endpoint) in snapshot.endpoints.iter().enumerate() {
        let name = &endpoint.name;
        if !is_name(name) {
            return invalid(format!("endpoints[{index}].name: letters, digits, '.', '_' and '-', got {name:?}"));
        }
        if snapshot.endpoints[..index].iter().any(|other| other.name == *name) {
            return invalid(format!("endpoint {name}: the name is there twice"));
        }
        check_endpoint(endpoint)?;
    }
    Ok(())
}

fn check_endpoint(endpoint: &snapshot::Endpoint) -> Result<()> {
    let name = &endpoint.name;
    let invalid = |message: String| Err(Error::new(Code::SnapshotInvalid, format!("endpoint {name}: {message}")));
    let champions = endpoint.variants.iter().filter(|variant| variant.role == Role::Champion).count();
    if champions != 1 {
        return invalid(format!("exactly one champion, got {champions}"));
    }
    for (index, variant) in endpoint.variants.iter().enumerate() {
        if !is_name(&variant.version) {
            return invalid(format!("version: letters, digits, '.', '_' and '-', got {:?}", variant.version));
        }
        if endpoint.variants[..index].iter().any(|other| other.version == variant.version) {
            return invalid(format!("version {} is there twice", variant.version));
        }
        if variant.bundle.path.is_empty() {
            return invalid("bundle.path is empty".to_owned());
        }
        if let Some(sha256) = &variant.bundle.sha256
            && !(sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            return invalid(format!("bundle.sha256: 64 lower-case hex digits, got {sha256:?}"));
        }
    }
    check_numbers(endpoint)
}

fn check_numbers(endpoint: &snapshot::Endpoint) -> Result<()> {
    let (batching, engine) = (&endpoint.batching, &endpoint.engine);
    let workers = engine.workers.unwrap_or(1) as u64;
    let threads = u64::from(engine.intra_op_threads.unwrap_or(1));
    let bounds = [
        ("deadline_ms", endpoint.deadline_ms, 3_600_000),
        ("batching.max_rows", batching.max_rows as u64, u64::MAX),
        ("batching.queue_rows", batching.queue_rows as u64, u64::MAX),
        ("engine.instances", engine.instances as u64, 256),
        ("engine.workers", workers, 256),
        ("engine.intra_op_threads", threads, 256),
    ];
    for (field, value, most) in bounds {
        if value < 1 || value > most {
            let message = format!("endpoint {}: {field} must be from 1 to {most}, got {value}", endpoint.name);
            return Err(Error::new(Code::SnapshotInvalid, message));
        }
    }
    Ok(())
}

/// The pattern `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`.
fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
