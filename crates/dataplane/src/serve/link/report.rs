//! Reports: everything that was counted since the process started, made anew each time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::arms::{Arm, Shadow};
use crate::ids::now_us;
use crate::serve::state::State;
use crate::slices::Cell;
use crate::wire::bundle::Scalar;
use crate::wire::options::ControlLink;
use crate::wire::telemetry::{ArmCounts, EndpointTelemetry, ShadowCounts, SliceCounts, Telemetry, base64};

/// Makes the reports of this process.
pub(super) struct Reporter {
    replica: String,
    region: Option<String>,
    incarnation: i64,
    sequence: u64,
}

impl Reporter {
    pub(super) fn new(link: &ControlLink, region: Option<&str>) -> Self {
        Self { replica: link.replica.clone(), region: region.map(str::to_owned), incarnation: now_us(), sequence: 0 }
    }

    /// The next report as JSON.
    pub(super) fn report(&mut self, state: &State) -> Vec<u8> {
        self.sequence += 1;
        let plan = state.plan.load();
        let (mut arms, mut shadows) = (state.loader.book.arms(), state.loader.book.shadows());
        arms.sort_by(|(a, one), (b, other)| (a, one.epoch, &one.version).cmp(&(b, other.epoch, &other.version)));
        shadows.sort_by(|(a, one), (b, other)| (a, one.epoch, &one.version).cmp(&(b, other.epoch, &other.version)));
        let mut names: Vec<&str> = plan.endpoints.keys().map(AsRef::as_ref).collect();
        names.extend(arms.iter().map(|(name, _)| name.as_ref()));
        names.sort_unstable();
        names.dedup();
        let labels = |name: &str| -> Vec<Scalar> {
            let variant = plan.endpoints.get(name).map(|endpoint| &endpoint.variants[endpoint.champion]);
            let decision = variant.and_then(|variant| variant.core.model.signature.decision.as_ref());
            decision.map_or_else(Vec::new, |decision| decision.labels.clone())
        };
        let endpoints = names
            .into_iter()
            .map(|name| EndpointTelemetry {
                name,
                arms: arms.iter().filter(|(of, _)| **of == *name).map(|(_, arm)| arm_counts(arm)).collect(),
                shadows: shadows
                    .iter()
                    .filter(|(of, _)| **of == *name)
                    .map(|(_, shadow)| shadow_counts(shadow, &labels(name)))
                    .collect(),
            })
            .collect();
        let report = Telemetry {
            schema_version: 1,
            replica: &self.replica,
            incarnation: self.incarnation,
            sequence: self.sequence,
            generation: plan.generation,
            region: self.region.as_deref(),
            time_us: now_us(),
            endpoints,
        };
        // Nothing in it can fail to be written.
        serde_json::to_vec(&report).unwrap_or_default()
    }
}

fn read(counters: &[AtomicU64]) -> Vec<u64> {
    counters.iter().map(|counter| counter.load(Ordering::Relaxed)).collect()
}

/// Numerators are read before their denominators: a report may miss the newest request, but never has more units with
/// errors than units.
fn arm_counts(arm: &Arm) -> ArmCounts<'_> {
    let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
    let slices = arm.slices.counted().map(slice_counts).collect();
    let (unit_errors, unit_violations, errors) =
        (load(&arm.unit_errors), load(&arm.unit_violations), load(&arm.errors));
    let (unit_decisions, score_counts) = (read(&arm.decisions), read(&arm.scores));
    let latency_counts = read(&arm.latencies);
    let registers: Vec<u8> = arm.sketch.iter().map(|register| register.load(Ordering::Relaxed)).collect();
    let units = load(&arm.units);
    ArmCounts {
        version: &arm.version,
        role: arm.role,
        epoch: arm.epoch,
        matched: arm.matched,
        requests: load(&arm.requests),
        errors,
        units,
        unit_errors,
        unit_violations,
        unit_decisions,
        score_counts,
        latency_counts,
        units_sketch: if registers.iter().all(|register| *register == 0) { String::new() } else { base64(&registers) },
        slices,
    }
}

fn slice_counts<'a>((column, value, other, cell): (&'a str, Option<&'a Scalar>, bool, &'a Cell)) -> SliceCounts<'a> {
    let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
    let (unit_errors, unit_violations) = (load(&cell.unit_errors), load(&cell.unit_violations));
    let unit_decisions = read(&cell.decisions);
    SliceCounts { column, value, other, units: load(&cell.units), unit_errors, unit_violations, unit_decisions }
}

fn shadow_counts<'a>(shadow: &'a Shadow, labels: &[Scalar]) -> ShadowCounts<'a> {
    let mut flips = Vec::new();
    for (from, row) in labels.iter().zip(&shadow.flips) {
        for (to, count) in labels.iter().zip(read(row)) {
            if count > 0 {
                flips.push((from.clone(), to.clone(), count));
            }
        }
    }
    ShadowCounts {
        version: &shadow.version,
        epoch: shadow.epoch,
        pairs: shadow.pairs.load(Ordering::Relaxed),
        flips,
        score_delta_counts: read(&shadow.deltas),
        scores: (0..).zip(read(&shadow.scores)).filter(|(_, count)| *count > 0).collect(),
        failures: shadow.failures.load(Ordering::Relaxed),
    }
}
