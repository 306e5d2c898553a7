//! The plan: a snapshot compiled to what requests meet. Immutable; swapped whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use rustc_hash::FxHashMap;

use crate::admission::Admission;
use crate::error::{Code, Error, Result};
use crate::execute::Core;
use crate::lane::Lane;
use crate::route::{Routing, Wish};
use crate::wire::records::RecordPlan;
use crate::wire::snapshot::{Snapshot, Validation};

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
        if self.core.workers.get().is_some() {
            "python_worker"
        } else if self.core.forest.load(Ordering::Relaxed) {
            "fairlead_trees"
        } else {
            "onnxruntime_onnx"
        }
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
            "threshold": self.core.model.threshold(),
            "dispatch": dispatch,
            "worker_restarts": self.core.worker_restarts(),
        })
    }

    /// The lane for rows that nobody waits for: never that of a thread which serves connections.
    pub fn background(&self) -> &Lane {
        match &self.lanes {
            Lanes::Inline { bulk, .. } => bulk,
            Lanes::Shared(lane) => lane,
        }
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
        self.core.count_restarts();
        self.core.metrics.ready.set(0);
        match &self.lanes {
            Lanes::Inline { each, bulk, .. } => {
                for lane in each {
                    lane.close();
                }
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
    /// Longest wait for room in the queue.
    pub queue_wait: Duration,
    pub admission: Arc<Admission>,
    /// Rows that wait for a shadow: room of their own, so that they take none from requests.
    pub shadows: Arc<Admission>,
    pub queue_rows: Gauge,
    /// None: the champion answers everybody.
    pub routing: Option<Routing>,
}

impl Endpoint {
    /// Index of the variant that a caller names; `unknown_version` where there is none.
    pub fn index(&self, wish: Wish<'_>) -> Result<usize> {
        let found = self.variants.iter().position(|variant| match wish {
            Wish::Role(role) => variant.core.role == role.name(),
            Wish::Version(version) => &*variant.core.version == version,
        });
        found.ok_or_else(|| {
            let known: Vec<&str> = self.variants.iter().map(|variant| &*variant.core.version).collect();
            let known = known.join(", ");
            let message = match wish {
                Wish::Role(role) => format!("endpoint {} has no {} now; it has {known}", self.name, role.name()),
                Wish::Version(version) => format!("endpoint {} has no version {version}; it has {known}", self.name),
            };
            Error::new(Code::UnknownVersion, message)
        })
    }

    /// The variant that answers: the champion, or the one whose version is asked for.
    pub fn variant(&self, version: Option<&str>) -> Result<&Arc<Variant>> {
        let Some(version) = version else { return Ok(&self.variants[self.champion]) };
        Ok(&self.variants[self.index(Wish::Version(version))?])
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
