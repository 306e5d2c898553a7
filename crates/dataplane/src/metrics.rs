//! Every metric of the data plane: one table of names, one place that registers them.

use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::histogram::Histogram;
use crate::model::Model;
use crate::stats::{ScoreHistogram, has_probability};
use crate::violation::Kind;

/// One row of the catalogue. `name` is the name on the wire.
pub struct Spec {
    pub name: &'static str,
    pub kind: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

const fn spec(name: &'static str, kind: &'static str, help: &'static str, labels: &'static [&'static str]) -> Spec {
    Spec { name, kind, help, labels }
}

const MODEL: &[&str] = &["endpoint", "version"];

/// Every metric. Counters end in `_total`; durations are in seconds.
pub const CATALOGUE: &[Spec] = &[
    spec(
        "fairlead_requests_total",
        "counter",
        "Requests answered, by outcome (`ok` or an error code)",
        &["endpoint", "version", "outcome"],
    ),
    spec(
        "fairlead_rejected_total",
        "counter",
        "Requests refused before an endpoint was known, by error code",
        &["outcome"],
    ),
    spec("fairlead_rows_total", "counter", "Rows predicted", MODEL),
    spec("fairlead_decisions_total", "counter", "Rows by decision", &["endpoint", "version", "decision"]),
    spec(
        "fairlead_violations_total",
        "counter",
        "Values that broke the signature",
        &["endpoint", "version", "field", "kind"],
    ),
    spec(
        "fairlead_missing_total",
        "counter",
        "Values that were absent or null, allowed or not",
        &["endpoint", "version", "field"],
    ),
    spec("fairlead_score", "histogram", "Score of each row, where it is a probability", MODEL),
    spec("fairlead_abandoned_total", "counter", "Requests whose client left before the answer", MODEL),
    spec("fairlead_batches_total", "counter", "Calls of the model", MODEL),
    spec("fairlead_request_duration_seconds", "histogram", "From the request's arrival to its answer", MODEL),
    spec("fairlead_queue_duration_seconds", "histogram", "From the request's arrival to the start of its batch", MODEL),
    spec("fairlead_compute_duration_seconds", "histogram", "One call of the model", MODEL),
    spec("fairlead_queue_rows", "gauge", "Rows admitted and not yet answered", &["endpoint"]),
    spec("fairlead_variant_ready", "gauge", "1 where the variant's engine can answer", MODEL),
    spec("fairlead_worker_restarts_total", "counter", "Python workers restarted", MODEL),
    spec("fairlead_connections", "gauge", "Open client connections", &[]),
    spec("fairlead_log_rows_total", "counter", "Rows written to the prediction log", &[]),
    spec("fairlead_log_bytes_total", "counter", "Bytes written to the prediction log", &[]),
    spec("fairlead_log_lost_rows_total", "counter", "Rows that could not be written and were given up", &[]),
    spec("fairlead_log_queue_rows", "gauge", "Rows waiting for the log writer", &[]),
    spec("fairlead_snapshot_generation", "gauge", "Generation of the snapshot in force", &[]),
    spec(
        "fairlead_snapshots_total",
        "counter",
        "Snapshots offered, by outcome (`applied` or an error code)",
        &["outcome"],
    ),
];

type Labels = Vec<(&'static str, String)>;
type CounterFamily = Family<Labels, Counter>;
type GaugeFamily = Family<Labels, Gauge>;
type HistogramFamily = Family<Labels, Histogram>;

/// All families of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: CounterFamily,
    rejected: CounterFamily,
    rows: CounterFamily,
    decisions: CounterFamily,
    violations: CounterFamily,
    missing: CounterFamily,
    score: Family<Labels, ScoreHistogram>,
    abandoned: CounterFamily,
    batches: CounterFamily,
    request_duration: HistogramFamily,
    queue_duration: HistogramFamily,
    compute_duration: HistogramFamily,
    queue_rows: GaugeFamily,
    variant_ready: GaugeFamily,
    worker_restarts: CounterFamily,
    pub connections: Gauge,
    pub log_rows: Counter,
    pub log_bytes: Counter,
    pub log_lost_rows: Counter,
    pub log_queue_rows: Gauge,
    pub snapshot_generation: Gauge,
    snapshots: CounterFamily,
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, metric: &M) {
    let spec = CATALOGUE.iter().find(|spec| spec.name == name);
    let help = spec.map_or("", |spec| spec.help);
    registry.register(name.trim_end_matches("_total"), help, metric.clone());
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            rejected: Family::default(),
            rows: Family::default(),
            decisions: Family::default(),
            violations: Family::default(),
            missing: Family::default(),
            score: Family::default(),
            abandoned: Family::default(),
            batches: Family::default(),
            request_duration: Family::default(),
            queue_duration: Family::default(),
            compute_duration: Family::default(),
            queue_rows: Family::default(),
            variant_ready: Family::default(),
            worker_restarts: Family::default(),
            connections: Gauge::default(),
            log_rows: Counter::default(),
            log_bytes: Counter::default(),
            log_lost_rows: Counter::default(),
            log_queue_rows: Gauge::default(),
            snapshot_generation: Gauge::default(),
            snapshots: Family::default(),
        };
        metrics.register_all();
        metrics
    }
}

impl Metrics {
    fn register_all(&self) {
        let mut guard = self.registry.lock();
        let registry = &mut *guard;
        register(registry, "fairlead_requests_total", &self.requests);
        register(registry, "fairlead_rejected_total", &self.rejected);
        register(registry, "fairlead_rows_total", &self.rows);
        register(registry, "fairlead_decisions_total", &self.decisions);
        register(registry, "fairlead_violations_total", &self.violations);
        register(registry, "fairlead_missing_total", &self.missing);
        register(registry, "fairlead_score", &self.score);
        register(registry, "fairlead_abandoned_total", &self.abandoned);
        register(registry, "fairlead_batches_total", &self.batches);
        register(registry, "fairlead_request_duration_seconds", &self.request_duration);
        register(registry, "fairlead_queue_duration_seconds", &self.queue_duration);
        register(registry, "fairlead_compute_duration_seconds", &self.compute_duration);
        register(registry, "fairlead_queue_rows", &self.queue_rows);
        register(registry, "fairlead_variant_ready", &self.variant_ready);
        register(registry, "fairlead_worker_restarts_total", &self.worker_restarts);
        register(registry, "fairlead_connections", &self.connections);
        register(registry, "fairlead_log_rows_total", &self.log_rows);
        register(registry, "fairlead_log_bytes_total", &self.log_bytes);
        register(registry, "fairlead_log_lost_rows_total", &self.log_lost_rows);
        register(registry, "fairlead_log_queue_rows", &self.log_queue_rows);
        register(registry, "fairlead_snapshot_generation", &self.snapshot_generation);
        register(registry, "fairlead_snapshots_total", &self.snapshots);
    }

    /// The exposition (`OpenMetrics` text, which Prometheus reads).
    pub fn render(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry.lock()).is_err() {
            text.clear();
        }
        text
    }

    /// Counts a request that was refused before its endpoint was known.
    pub fn count_rejected(&self, code: &'static str) {
        self.rejected.get_or_create(&vec![("outcome", code.to_owned())]).inc();
    }

    /// Counts a snapshot that was offered.
    pub fn count_snapshot(&self, outcome: &'static str) {
        self.snapshots.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// Rows in flight of one endpoint.
    pub fn endpoint_queue(&self, endpoint: &str) -> Gauge {
        self.queue_rows.get_or_create_owned(&vec![("endpoint", endpoint.to_owned())])
    }

    /// The handles of one variant, with every label that is known beforehand looked up once.
    pub fn variant(&self, endpoint: &str, version: &str, model: &Model) -> VariantMetrics {
        let fields = &model.feature_names;
        let labels = model.decision.as_ref().map_or(&[][..], |decision| &decision.labels);
        let has_probability = has_probability(model.decision.as_ref());
        let named: Labels = vec![("endpoint", endpoint.to_owned()), ("version", version.to_owned())];
        let with = |extra: &[(&'static str, &str)]| -> Labels {
            let mut all = named.clone();
            all.extend(extra.iter().map(|(key, value)| (*key, (*value).to_owned())));
            all
        };
        let violation = |field: &str| {
            Kind::ALL.map(|kind| Lazy::new(&self.violations, with(&[("field", field), ("kind", kind.name())])))
        };
        VariantMetrics {
            ok: self.requests.get_or_create_owned(&with(&[("outcome", "ok")])),
            errors: self.requests.clone(),
            rows: self.rows.get_or_create_owned(&named),
            decisions: labels
                .iter()
                .map(|label| self.decisions.get_or_create_owned(&with(&[("decision", label)])))
                .collect(),
            violations: fields.iter().map(|field| violation(field)).collect(),
            unknown_field: violation("(unknown)"),
            missing: fields.iter().map(|field| Lazy::new(&self.missing, with(&[("field", field)]))).collect(),
            score: has_probability.then(|| self.score.get_or_create_owned(&named)),
            abandoned: self.abandoned.get_or_create_owned(&named),
            batches: self.batches.get_or_create_owned(&named),
            request_duration: self.request_duration.get_or_create_owned(&named),
            queue_duration: self.queue_duration.get_or_create_owned(&named),
            compute_duration: self.compute_duration.get_or_create_owned(&named),
            ready: self.variant_ready.get_or_create_owned(&named),
            worker_restarts: self.worker_restarts.get_or_create_owned(&named),
            model: named,
        }
    }
}

/// A counter that appears in the exposition only once it has counted: fields times kinds would be many zeros.
#[derive(Debug)]
struct Lazy {
    family: CounterFamily,
    labels: Labels,
    counter: std::sync::OnceLock<Counter>,
}

impl Lazy {
    fn new(family: &CounterFamily, labels: Labels) -> Self {
        Self { family: family.clone(), labels, counter: std::sync::OnceLock::new() }
    }

    fn add(&self, n: u64) {
        self.counter.get_or_init(|| self.family.get_or_create_owned(&self.labels)).inc_by(n);
    }
}

/// Handles of one variant.
#[derive(Debug)]
pub struct VariantMetrics {
    model: Labels,
    pub ok: Counter,
    errors: CounterFamily,
    pub rows: Counter,
    pub decisions: Vec<Counter>,
    violations: Vec<[Lazy; 7]>,
    unknown_field: [Lazy; 7],
    missing: Vec<Lazy>,
    /// None where the score is no probability.
    pub score: Option<ScoreHistogram>,
    pub abandoned: Counter,
    pub batches: Counter,
    pub request_duration: Histogram,
    pub queue_duration: Histogram,
    pub compute_duration: Histogram,
    pub ready: Gauge,
    pub worker_restarts: Counter,
}

impl VariantMetrics {
    /// Counts a request that ended in an error.
    pub fn count_error(&self, code: &'static str) {
        let mut labels = self.model.clone();
        labels.push(("outcome", code.to_owned()));
        self.errors.get_or_create(&labels).inc();
    }

    /// Counts missing values of one feature.
    pub fn count_missing(&self, feature: u16, n: u64) {
        if let Some(counter) = self.missing.get(feature as usize) {
            counter.add(n);
        }
    }

    /// Counts one violation; `feature` is None for a field that the signature does not have.
    pub fn count_violation(&self, feature: Option<u16>, kind: Kind) {
        let row = feature.and_then(|index| self.violations.get(index as usize)).unwrap_or(&self.unknown_field);
        row[kind as usize].add(1);
    }
}

/// Raises `counter` to `value`, for totals that are kept elsewhere.
pub fn raise(counter: &Counter<u64, AtomicU64>, value: u64) {
    counter.inc_by(value.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bundle::Signature;
    use std::time::Duration;

    #[test]
    fn the_exposition_has_exactly_the_catalogue() {
        let metrics = Metrics::default();
        let signature: Signature = serde_json::from_value(serde_json::json!({
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}],
            "features": [{"name": "amount", "type": "float", "tensor": "x", "column": 0, "nullable": false,
                "minimum": null, "maximum": null, "categories": null, "missing": null, "impute": null}],
            "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 2]}],
            "decision": {"task": "binary", "score_output": "p", "score_column": 1, "threshold": 0.5, "labels": [0, 1]}}))
        .expect("signature");
        let variant = metrics.variant("fraud", "1", &Model::new(signature).expect("model"));
        variant.count_missing(0, 2);
        variant.count_error("queue_full");
        variant.count_violation(Some(0), Kind::Missing);
        variant.count_violation(None, Kind::UnknownField);
        variant.request_duration.observe(Duration::from_micros(50));
        metrics.count_rejected("unknown_route");
        metrics.count_snapshot("applied");
        metrics.endpoint_queue("fraud").set(3);
        let text = metrics.render();
        let mut seen: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|line| line.split_once(' '))
            .collect();
        seen.sort_unstable();
        let mut wanted: Vec<(&str, &str)> =
            CATALOGUE.iter().map(|spec| (spec.name.trim_end_matches("_total"), spec.kind)).collect();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
        assert!(text.contains(r#"field="amount",kind="missing"} 1"#), "{text}");
        let infinite = text.lines().filter(|line| line.contains(r#"le="+Inf""#)).count();
        assert_eq!(infinite, 4, "every histogram ends with +Inf");
        assert!(text.contains(r#"fairlead_request_duration_seconds_count{endpoint="fraud",version="1"} 1"#), "{text}");
    }
}
