//! What documents must be beyond their types; the same verdicts as `fairlead.schema`, on the same examples.

use super::bundle::{Decision, Engine, FeatureType, Manifest, Signature, Task, TensorSpec};
use super::options::{Listener, ServeOptions};
use super::snapshot::{Endpoint, MOST_SLICE_COLUMNS, Role, Routing, Snapshot, Variant};
use crate::tensor::Datatype;

/// Nothing, or what is wrong and where.
pub type Verdict = Result<(), String>;

/// Checks a snapshot.
pub fn snapshot(snapshot: &Snapshot) -> Verdict {
    schema_version(snapshot.schema_version)?;
    for (index, spec) in snapshot.endpoints.iter().enumerate() {
        require(is_name(&spec.name), || {
            format!("endpoints[{index}].name: letters, digits, '.', '_' and '-', got {:?}", spec.name)
        })?;
        endpoint(spec).map_err(|what| format!("endpoint {}: {what}", spec.name))?;
    }
    unique("endpoint names", snapshot.endpoints.iter().map(|endpoint| endpoint.name.as_str()))
}

fn endpoint(endpoint: &Endpoint) -> Verdict {
    let champions = endpoint.variants.iter().filter(|variant| variant.role == Role::Champion).count();
    require(champions == 1, || format!("exactly one champion, got {champions}"))?;
    for variant in &endpoint.variants {
        let version = &variant.version;
        require(is_name(version), || format!("version: letters, digits, '.', '_' and '-', got {version:?}"))?;
        require(!variant.bundle.path.is_empty(), || "bundle.path is empty".to_owned())?;
        if let Some(sha256) = &variant.bundle.sha256 {
            digest("bundle.sha256", sha256)?;
        }
    }
    unique("versions", endpoint.variants.iter().map(|variant| variant.version.as_str()))?;
    let (batching, engine) = (&endpoint.batching, &endpoint.engine);
    within("deadline_ms", endpoint.deadline_ms, 1, 3_600_000)?;
    within("batching.max_rows", batching.max_rows as u64, 1, u64::MAX)?;
    within("batching.queue_rows", batching.queue_rows as u64, 1, u64::MAX)?;
    within("batching.queue_wait_ms", batching.queue_wait_ms, 0, 60_000)?;
    if let Some(routing) = &endpoint.routing {
        check_routing(routing, &endpoint.variants)?;
    }
    within("engine.instances", engine.instances as u64, 1, 256)?;
    within("engine.workers", u64::from(engine.workers.unwrap_or(1)), 1, 256)?;
    within("engine.intra_op_threads", u64::from(engine.intra_op_threads.unwrap_or(1)), 1, 256)?;
    within("engine.timeout_ms", engine.timeout_ms.unwrap_or(1), 1, u64::MAX)?;
    within("engine.memory_mb", engine.memory_mb.unwrap_or(64), 64, u64::MAX)
}

fn check_routing(routing: &Routing, variants: &[Variant]) -> Verdict {
    within("routing.salt (bytes)", routing.salt.len() as u64, 1, 64)?; // BLAKE2b's longest key
    for (name, share) in [("share", routing.share), ("shadow_share", routing.shadow_share)] {
        require((0.0..=1.0).contains(&share), || format!("routing.{name}: from 0 to 1, got {share}"))?;
    }
    for version in routing.challenger.iter().chain(&routing.shadow) {
        let named = |variant: &Variant| variant.role != Role::Champion && variant.version == *version;
        require(variants.iter().any(named), || format!("routing: {version:?} is no challenger and no shadow"))?;
    }
    within("routing.slices (columns)", routing.slices.len() as u64, 0, MOST_SLICE_COLUMNS as u64)?;
    require(routing.slices.iter().all(|name| !name.is_empty()), || "routing.slices: an empty name".to_owned())?;
    unique("routing.slices", routing.slices.iter().map(String::as_str))
}

/// Checks a bundle's manifest.
pub fn manifest(manifest: &Manifest) -> Verdict {
    schema_version(manifest.schema_version)?;
    require(is_name(&manifest.name), || format!("name: letters, digits, '.', '_' and '-', got {:?}", manifest.name))?;
    require(!manifest.files.is_empty(), || "files: at least one".to_owned())?;
    for file in &manifest.files {
        require(!file.path.is_empty(), || "files: an empty path".to_owned())?;
        digest(&file.path, &file.sha256)?;
    }
    match &manifest.engine {
        Engine::Onnx(engine) => within("engine.intra_op_threads", u64::from(engine.intra_op_threads), 1, 256),
        Engine::Python(engine) => {
            within("engine.workers", u64::from(engine.workers), 1, 256)?;
            within("engine.timeout_ms", engine.timeout_ms, 1, u64::MAX)?;
            within("engine.memory_mb", engine.memory_mb.unwrap_or(64), 64, u64::MAX)
        }
    }
}

/// Checks a signature.
pub fn signature(signature: &Signature) -> Verdict {
    require(!signature.inputs.is_empty(), || "inputs: at least one".to_owned())?;
    require(!signature.outputs.is_empty(), || "outputs: at least one".to_owned())?;
    for tensor in signature.inputs.iter().chain(&signature.outputs) {
        shape(tensor).map_err(|what| format!("tensor {:?}: {what}", tensor.name))?;
    }
    unique("input names", signature.inputs.iter().map(|tensor| tensor.name.as_str()))?;
    unique("output names", signature.outputs.iter().map(|tensor| tensor.name.as_str()))?;
    unique("feature names", signature.features.iter().map(|feature| feature.name.as_str()))?;
    if !signature.features.is_empty() {
        features(signature)?;
    }
    signature.decision.as_ref().map_or(Ok(()), |rule| decision(signature, rule))
}

fn shape(tensor: &TensorSpec) -> Verdict {
    require(!tensor.name.is_empty(), || "an empty name".to_owned())?;
    require(tensor.shape.first() == Some(&-1), || "shape[0] must be -1 (the batch)".to_owned())?;
    let good = tensor.shape.iter().all(|&dimension| dimension == -1 || dimension > 0);
    require(good, || format!("dimensions must be positive or -1, got {:?}", tensor.shape))
}

fn features(signature: &Signature) -> Verdict {
    let mut taken: Vec<Vec<bool>> = Vec::with_capacity(signature.inputs.len());
    for tensor in &signature.inputs {
        let width = tensor.shape.get(1).copied().unwrap_or(1);
        let fits = tensor.shape.len() <= 2 && (1..=i64::from(u16::MAX)).contains(&width);
        require(fits, || format!("tensor {:?}: one that carries features has shape [-1] or [-1, k]", tensor.name))?;
        taken.push(vec![false; usize::try_from(width).unwrap_or(0)]);
    }
    for feature in &signature.features {
        let named = |what: &str| format!("feature {:?}: {what}", feature.name);
        require(!feature.name.is_empty(), || named("an empty name"))?;
        let tensor = signature.inputs.iter().position(|tensor| tensor.name == feature.tensor);
        let tensor = tensor.ok_or_else(|| named("no such input tensor"))?;
        let text = signature.inputs[tensor].datatype == Datatype::Bytes;
        require((feature.kind == FeatureType::String) == text, || named("strings and BYTES tensors go together"))?;
        let slot = taken[tensor].get_mut(feature.column).ok_or_else(|| named("no such column"))?;
        require(!std::mem::replace(slot, true), || named("its column is taken twice"))?;
    }
    for (tensor, columns) in signature.inputs.iter().zip(taken) {
        require(columns.iter().all(|&taken| taken), || {
            format!("tensor {:?}: its {} columns must be one feature each", tensor.name, columns.len())
        })?;
    }
    Ok(())
}

fn decision(signature: &Signature, rule: &Decision) -> Verdict {
    let known = signature.outputs.iter().any(|output| output.name == rule.score_output);
    require(known, || format!("decision.score_output {:?} is not an output", rule.score_output))?;
    match rule.task {
        Task::Binary => require(rule.threshold.is_some() && rule.labels.len() == 2, || {
            "a binary decision needs a threshold and two labels".to_owned()
        }),
        Task::Multiclass => require(rule.labels.len() >= 2, || "a multiclass decision needs its labels".to_owned()),
        Task::Regression => require(rule.labels.is_empty(), || "a regression has no labels".to_owned()),
    }
}

/// Checks what a process is started with.
pub fn serve_options(options: &ServeOptions) -> Verdict {
    snapshot(&options.snapshot)?;
    let listener = |field: &str, listener: &Listener| within(field, u64::from(listener.port), 0, 65_535);
    listener("listen.port", &options.listen)?;
    listener("admin.port", &options.admin)?;
    let (log, limits) = (&options.log, &options.limits);
    within("log.segment_bytes", log.segment_bytes, 4_096, u64::MAX)?;
    within("log.segment_seconds", log.segment_seconds, 1, u64::MAX)?;
    within("log.flush_ms", log.flush_ms, 1, u64::MAX)?;
    within("log.queue_rows", log.queue_rows as u64, 1, u64::MAX)?;
    within("log.retention_bytes", log.retention_bytes.unwrap_or(1), 1, u64::MAX)?;
    require(log.retention_hours.unwrap_or(1.0) > 0.0, || "log.retention_hours must be positive".to_owned())?;
    within("limits.body_bytes", limits.body_bytes as u64, 1_024, u64::MAX)?;
    within("limits.request_rows", limits.request_rows as u64, 1, u64::MAX)?;
    within("limits.connections", limits.connections as u64, 1, u64::MAX)?;
    within("limits.header_timeout_ms", limits.header_timeout_ms, 1, u64::MAX)?;
    within("io_threads", options.io_threads as u64, 0, 256)?;
    if let Some(link) = &options.control {
        require(!link.url.is_empty(), || "control.url is empty".to_owned())?;
        within("control.replica (bytes)", link.replica.len() as u64, 1, 200)?;
        within("control.report_ms", link.report_ms, 50, 60_000)?;
    }
    within_a_day("grace_seconds", options.grace_seconds)?;
    within_a_day("shutdown_delay_seconds", options.shutdown_delay_seconds)
}

fn within_a_day(name: &str, seconds: f64) -> Verdict {
    require((0.0..=86_400.0).contains(&seconds), || format!("{name} must be 0 to 86400, got {seconds}"))
}

fn schema_version(version: u32) -> Verdict {
    require(version == 1, || format!("schema_version: this server speaks 1, got {version}"))
}

fn require(good: bool, what: impl FnOnce() -> String) -> Verdict {
    if good { Ok(()) } else { Err(what()) }
}

fn within(field: &str, value: u64, least: u64, most: u64) -> Verdict {
    require((least..=most).contains(&value), || match most {
        u64::MAX => format!("{field} must be at least {least}, got {value}"),
        _ => format!("{field} must be from {least} to {most}, got {value}"),
    })
}

fn unique<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Verdict {
    let mut seen = rustc_hash::FxHashSet::default();
    for name in names {
        require(seen.insert(name), || format!("{what} must be unique, {name:?} is there twice"))?;
    }
    Ok(())
}

fn digest(field: &str, text: &str) -> Verdict {
    let hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    require(hex, || format!("{field}: 64 lower-case hex digits, got {text:?}"))
}

/// The pattern `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`.
fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
