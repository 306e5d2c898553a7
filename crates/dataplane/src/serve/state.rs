//! What every thread of the process shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::error::{Code, Error, Result};
use crate::load::Loader;
use crate::log::Log;
use crate::metrics::{Metrics, raise};
use crate::plan::Plan;
use crate::wire::snapshot::Snapshot;

use super::desk::Desk;
use super::server::LastGood;

/// Shared by reference; no lock of it is on a prediction's path.
pub struct State {
    pub plan: ArcSwap<Plan>,
    pub metrics: Arc<Metrics>,
    pub log: Log,
    pub draining: AtomicBool,
    /// A plan has been applied.
    pub loaded: AtomicBool,
    /// One for each I/O thread.
    pub desks: OnceLock<Vec<Arc<Desk>>>,
    pub body_bytes: usize,
    /// Longest wait for a request's body.
    pub patience: Duration,
    pub loader: Loader,
    pub last_good: LastGood,
    /// Held while a snapshot is built: one at a time, in order.
    pub applying: Mutex<()>,
}

impl State {
    /// Builds and switches to `snapshot`, or leaves everything as it is. Blocks while models load.
    ///
    /// Errors: `snapshot_stale` unless the generation is newer, and whatever building meets.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<()> {
        let result = self.apply_whole(snapshot);
        self.metrics.count_snapshot(result.as_ref().err().map_or("applied", |error| error.code.name()));
        if let Err(error) = &result {
            tracing::warn!(generation = snapshot.generation, %error, "snapshot refused; the last good one stays");
        }
        result
    }

    fn apply_whole(&self, snapshot: &Snapshot) -> Result<()> {
        let _one_at_a_time = self.applying.lock();
        let old = self.plan.load_full();
        if self.loaded.load(Ordering::Relaxed) && snapshot.generation <= old.generation {
            let message = format!("generation {} is not newer than {}", snapshot.generation, old.generation);
            return Err(Error::new(Code::SnapshotStale, message));
        }
        let plan = self.loader.build(snapshot, &old)?;
        self.plan.store(Arc::new(plan));
        self.desks.get().into_iter().flatten().for_each(|desk| desk.refresh());
        self.loaded.store(true, Ordering::Release);
        self.metrics.snapshot_generation.set(snapshot.generation.cast_signed());
        self.last_good.keep(snapshot);
        tracing::info!(generation = snapshot.generation, endpoints = snapshot.endpoints.len(), "snapshot applied");
        Ok(())
    }

    /// Generation of the snapshot in force; None before the first.
    pub fn generation(&self) -> Option<u64> {
        self.loaded.load(Ordering::Acquire).then(|| self.plan.load().generation)
    }

    /// Requests being answered.
    pub fn in_flight(&self) -> usize {
        self.desks.get().into_iter().flatten().map(|desk| desk.in_flight()).sum()
    }

    /// True where every endpoint can answer and the server is to stay.
    pub fn ready(&self) -> bool {
        let champions = |plan: &Plan| plan.endpoints.values().all(|e| e.variants[e.champion].core.ready());
        self.loaded.load(Ordering::Acquire) && !self.draining.load(Ordering::Relaxed) && champions(&self.plan.load())
    }

    /// The exposition, with the gauges that are kept elsewhere brought up to date.
    pub fn metrics_text(&self) -> String {
        for endpoint in self.plan.load().endpoints.values() {
            endpoint.queue_rows.set(endpoint.admission.rows().cast_signed() as i64);
            for variant in &endpoint.variants {
                let core = &variant.core;
                core.metrics.ready.set(i64::from(core.ready()));
                core.count_restarts();
            }
        }
        let log = self.log.status();
        raise(&self.metrics.log_rows, log.written_rows);
        raise(&self.metrics.log_bytes, log.written_bytes);
        raise(&self.metrics.log_lost_rows, log.lost_rows);
        self.metrics.log_queue_rows.set(log.queued_rows.cast_signed() as i64);
        self.metrics.render()
    }
}
