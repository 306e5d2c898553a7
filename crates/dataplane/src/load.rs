//! Builds a plan from a snapshot: opens bundles, loads and warms models, starts executors. Slow, and away from requests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::admission::Admission;
use crate::arms::{Arm, Book, Shadow};
use crate::bundle::{self, Bundle};
use crate::error::{Code, Error, Result};
use crate::execute::{self, Core, Mail, Place};
use crate::infer::forest::Forest;
use crate::infer::onnx::{self, OnnxSession};
use crate::infer::worker::{Worker, WorkerSpec};
use crate::infer::{Engine, Native};
use crate::lane::Lane;
use crate::log::{Log, Stream, StreamSpec};
use crate::metrics::Metrics;
use crate::model::Model;
use crate::plan::{Endpoint, Lanes, Plan, Variant};
use crate::route::{Counts, Routing};
use crate::slices::Columns;
use crate::tensor::Tensor;
use crate::wire::bundle::{self as wire, FeatureSpec, OnnxEngine, PythonEngine};
use crate::wire::check;
use crate::wire::records::RecordPlan;
use crate::wire::snapshot::{self, Dispatch, Role, Snapshot};

/// Longest time that one inline batch may keep an I/O thread from its connections.
const INLINE_BUDGET: Duration = Duration::from_millis(2);
/// Fewer rows than this in a budget: the model gains more from larger batches on a thread of its own.
const INLINE_ROWS: usize = 32;
/// Shadows may have one row waiting for so many of the endpoint's.
const SHADOW_PART: usize = 4;
/// Rows of the warm-up batch that is timed.
const PROBE_ROWS: usize = 64;

/// What building needs beside the snapshot.
pub struct Loader {
    /// Runtimes of the I/O threads.
    pub io: Vec<Handle>,
    pub homes: Arc<[UnboundedSender<Mail>]>,
    /// Runtime of the control thread, where worker processes are supervised.
    pub control: Handle,
    pub metrics: Arc<Metrics>,
    pub log: Log,
    pub library: PathBuf,
    pub python: PathBuf,
    pub trust_pickle: bool,
    /// Where this replica runs.
    pub region: Option<String>,
    /// What the variants' answers are counted in.
    pub book: Arc<Book>,
}

impl Loader {
    /// Builds the whole plan or nothing. Variants of `old` that did not change are taken over as they run.
    ///
    /// Blocks; call it from a thread that serves nobody.
    pub fn build(&self, snapshot: &Snapshot, old: &Plan) -> Result<Plan> {
        check::snapshot(snapshot).map_err(|what| Error::new(Code::SnapshotInvalid, what))?;
        let mut endpoints = FxHashMap::default();
        for spec in &snapshot.endpoints {
            let endpoint = self.endpoint(spec, old)?;
            endpoints.insert(spec.name.as_str().into(), endpoint);
        }
        Ok(Plan { generation: snapshot.generation, endpoints, snapshot: snapshot.clone() })
    }

    fn endpoint(&self, spec: &snapshot::Endpoint, old: &Plan) -> Result<Endpoint> {
        let previous = old.endpoints.get(spec.name.as_str());
        let mut variants = Vec::with_capacity(spec.variants.len());
        for variant in &spec.variants {
            let named = |mut error: Error| {
                error.message = format!("endpoint {}, version {}: {}", spec.name, variant.version, error.message);
                error
            };
            variants.push(self.variant(spec, variant, previous).map_err(named)?);
        }
        let same_queue = old.snapshot.endpoints.iter().find(|e| e.name == spec.name).map(|e| e.batching.queue_rows)
            == Some(spec.batching.queue_rows);
        let admission = match previous {
            Some(previous) if same_queue => Arc::clone(&previous.admission),
            _ => Admission::new(spec.batching.queue_rows, self.io.len()),
        };
        let routing = self.routing(spec, &variants)?;
        Ok(Endpoint {
            name: spec.name.as_str().into(),
            champion: spec.variants.iter().position(|variant| variant.role == Role::Champion).unwrap_or(0),
            variants,
            validation: spec.validation,
            deadline: Duration::from_millis(spec.deadline_ms),
            queue_wait: Duration::from_millis(spec.batching.queue_wait_ms.min(spec.deadline_ms)),
            admission,
            shadows: Admission::new(spec.batching.queue_rows.div_ceil(SHADOW_PART), self.io.len()),
            queue_rows: self.metrics.endpoint_queue(&spec.name),
            routing,
        })
    }

    /// Compiles how requests are shared out, with the counts of this epoch.
    fn routing(&self, spec: &snapshot::Endpoint, variants: &[Arc<Variant>]) -> Result<Option<Routing>> {
        let Some(routing) = &spec.routing else { return Ok(None) };
        let invalid = |what: String| Error::new(Code::SnapshotInvalid, format!("endpoint {}: {what}", spec.name));
        let labels = |variant: &Variant| variant.core.model.decision.as_ref().map_or(0, |rule| rule.labels.len());
        let champion = variants.iter().position(|variant| variant.core.role == Role::Champion.name());
        let columns = champion.map_or_else(
            || Ok(Columns::default()),
            |champion| Columns::new(&routing.slices, &variants[champion].core.model).map_err(invalid),
        )?;
        let columns = self.book.columns(&spec.name, &routing.salt, columns);
        let new = |variant: &Variant| {
            let arm = Arm::new(&variant.core.version, variant.core.role, routing.epoch, labels(variant));
            arm.sliced(Arc::clone(&columns))
        };
        let arms = variants.iter().map(|variant| self.book.arm(&spec.name, &routing.salt, new(variant))).collect();
        let matched = champion
            .filter(|_| routing.matched)
            .map(|index| (index, self.book.arm(&spec.name, &routing.salt, new(&variants[index]).matched())));
        let compared = routing.shadow.as_ref().map(|version| {
            let shadow = variants.iter().find(|variant| *variant.core.version == **version);
            let shadow = Shadow::new(version, routing.epoch, shadow.map_or(0, |shadow| labels(shadow)));
            self.book.shadow(&spec.name, &routing.salt, shadow)
        });
        let counts = Counts { arms, matched, compared, columns };
        let compiled = Routing::new(routing, &spec.variants, self.region.as_deref(), counts).map_err(invalid)?;
        for index in [compiled.challenger, compiled.shadow].into_iter().flatten().map(|(index, _)| index) {
            if let Some(champion) = champion {
                interchangeable(&variants[champion].core.model, &variants[index].core.model)
                    .map_err(|what| invalid(format!("version {}: {what}", variants[index].core.version)))?;
            }
        }
        Ok(Some(compiled))
    }

    fn variant(
        &self,
        endpoint: &snapshot::Endpoint,
        spec: &snapshot::Variant,
        previous: Option<&Endpoint>,
    ) -> Result<Arc<Variant>> {
        let bundle = bundle::open(Path::new(&spec.bundle.path), spec.bundle.sha256.as_deref())?;
        let key = format!(
            "{} {} {} {} {:?} {:?} {:?} {:?} {:?}",
            endpoint.name,
            spec.version,
            spec.role.name(),
            bundle.sha256,
            spec.threshold,
            endpoint.durability,
            endpoint.unit_key,
            endpoint.batching,
            endpoint.engine
        );
        if let Some(running) = previous.and_then(|previous| previous.variants.iter().find(|v| v.key == key)) {
            return Ok(Arc::clone(running));
        }
        let records = RecordPlan::new(&bundle.signature, endpoint.unit_key.as_deref());
        let core = Arc::new(self.core(endpoint, spec, &bundle)?);
        let max_rows = endpoint.batching.max_rows;
        let lanes = match &bundle.manifest.engine {
            wire::Engine::Onnx(engine) => self.start_onnx(&core, &bundle, engine, &endpoint.engine, max_rows)?,
            wire::Engine::Python(engine) => self.start_workers(&core, &bundle, engine, &endpoint.engine, max_rows)?,
        };
        core.metrics.ready.set(1);
        Ok(Arc::new(Variant { core, records, lanes, key }))
    }

    fn core(&self, endpoint: &snapshot::Endpoint, spec: &snapshot::Variant, bundle: &Bundle) -> Result<Core> {
        let mut model = Model::new(bundle.signature.clone())?;
        model.zero_bytes = !matches!(bundle.manifest.engine, wire::Engine::Onnx(_));
        if let Some(threshold) = spec.threshold {
            model.decide_at(threshold).map_err(|what| Error::new(Code::SnapshotInvalid, what))?;
        }
        let metrics = self.metrics.variant(&endpoint.name, &spec.version, &model);
        let role = spec.role.name();
        let stream = Stream::new(StreamSpec {
            endpoint: endpoint.name.as_str().into(),
            version: spec.version.as_str().into(),
            variant: role.into(),
            bundle: bundle.sha256.as_str().into(),
            inputs: bundle.signature.inputs.clone(),
            features: bundle.signature.features.clone(),
            outputs: bundle.signature.outputs.clone(),
            labels: model.decision.as_ref().map_or_else(Vec::new, |decision| decision.labels.clone()),
        })
        .map_err(|error| Error::new(Code::ModelInvalid, error.to_string()))?;
        Ok(Core {
            endpoint: endpoint.name.as_str().into(),
            version: spec.version.as_str().into(),
            role,
            sha256: bundle.sha256.as_str().into(),
            metrics,
            durability: endpoint.durability,
            max_wait: Duration::from_micros(endpoint.batching.max_wait_us),
            log: self.log.clone(),
            stream: Arc::new(stream),
            homes: Arc::clone(&self.homes),
            workers: OnceLock::new(),
            counted_restarts: AtomicU64::new(0),
            forest: AtomicBool::new(false),
            model,
        })
    }

    fn start_onnx(
        &self,
        core: &Arc<Core>,
        bundle: &Bundle,
        engine: &OnnxEngine,
        options: &snapshot::EngineOptions,
        max_rows: usize,
    ) -> Result<Lanes> {
        onnx::initialize(&self.library)?;
        let bytes = bundle.model.as_deref().unwrap_or_default();
        let threads = options.intra_op_threads.unwrap_or(engine.intra_op_threads);
        let load = || OnnxSession::load(bytes, engine, threads, &bundle.signature);
        let mut session = load()?;
        let forest = options
            .native_trees
            .then(|| Forest::equal_to(&mut session, bytes, &bundle.signature))
            .flatten()
            .map(Arc::new);
        core.forest.store(forest.is_some(), Ordering::Relaxed);
        // The session that a forest was compared with is freed here.
        let mut first = forest.as_ref().map_or(Native::Onnx(session), |forest| Native::Forest(Arc::clone(forest)));
        let inline_rows = warm(&mut first, &core.model, max_rows)?;
        let another = || -> Result<Native> {
            if let Some(forest) = &forest {
                return Ok(Native::Forest(Arc::clone(forest)));
            }
            let mut session = Native::Onnx(load()?);
            warm(&mut session, &core.model, max_rows)?;
            Ok(session)
        };
        let inline = match options.dispatch {
            Dispatch::Inline => Some(inline_rows.unwrap_or(1)),
            Dispatch::Threads => None,
            Dispatch::Auto => inline_rows.filter(|&rows| rows >= INLINE_ROWS.min(max_rows)),
        };
        let Some(rows) = inline else {
            let lane = Arc::new(Lane::default());
            let mut models = vec![first];
            for _ in 1..options.instances {
                models.push(another()?);
            }
            for model in models {
                on_thread(core, &lane, Engine::Native(model), max_rows)?;
            }
            return Ok(Lanes::Shared(lane));
        };
        let mut models = Vec::with_capacity(self.io.len());
        for _ in &self.io {
            models.push(another()?);
        }
        let bulk = Arc::new(Lane::default());
        on_thread(core, &bulk, Engine::Native(first), max_rows)?;
        let each: Vec<Arc<Lane>> = self.io.iter().map(|_| Arc::default()).collect();
        for (home, model) in models.into_iter().enumerate() {
            let lane = Arc::clone(&each[home]);
            self.io[home].spawn(execute::run(Arc::clone(core), lane, Engine::Native(model), Place::Inline(home), rows));
        }
        Ok(Lanes::Inline { each, bulk, max_rows: rows })
    }

    /// Starts the worker processes side by side; all must come up, or none stays.
    fn start_workers(
        &self,
        core: &Arc<Core>,
        bundle: &Bundle,
        engine: &PythonEngine,
        options: &snapshot::EngineOptions,
        max_rows: usize,
    ) -> Result<Lanes> {
        if bundle.manifest.requires_trust && !self.trust_pickle {
            let message = "loading this model would unpickle it; serve with --trust-pickle if you made the bundle";
            return Err(Error::new(Code::BundleUntrusted, message));
        }
        let engine = &PythonEngine {
            timeout_ms: options.timeout_ms.unwrap_or(engine.timeout_ms),
            memory_mb: options.memory_mb.or(engine.memory_mb),
            ..engine.clone()
        };
        let spec =
            WorkerSpec::for_bundle(&self.python, &bundle.directory, self.trust_pickle, engine, &bundle.signature);
        let spec = Arc::new(spec.with_threads(options.intra_op_threads.unwrap_or(1)));
        let count = options.workers.unwrap_or(engine.workers);
        let sample = core.model.sample_inputs(1);
        let started = self.control.block_on(async {
            let starting: Vec<_> =
                (0..count).map(|_| tokio::spawn(started_worker(Arc::clone(&spec), sample.clone()))).collect();
            let mut workers = Vec::with_capacity(starting.len());
            for worker in starting {
                workers.push(worker.await.map_err(|error| Error::new(Code::Internal, error.to_string()))??);
            }
            Ok::<_, Error>(workers)
        })?;
        drop(core.workers.set(started.iter().map(Worker::health).collect()));
        let lane = Arc::new(Lane::default());
        for worker in started {
            let run = execute::run(Arc::clone(core), Arc::clone(&lane), Engine::Worker(worker), Place::Apart, max_rows);
            self.control.spawn(run);
        }
        Ok(Lanes::Shared(lane))
    }
}

/// Whether a request parsed for one model can be answered by the other.
fn interchangeable(champion: &Model, other: &Model) -> std::result::Result<(), String> {
    let (ours, theirs) = (&champion.signature, &other.signature);
    if ours.inputs != theirs.inputs {
        return Err("its inputs are not the champion's".to_owned());
    }
    let place = |feature: &FeatureSpec| (feature.name.clone(), feature.kind, feature.tensor.clone(), feature.column);
    if !ours.features.iter().map(place).eq(theirs.features.iter().map(place)) {
        return Err("its features are not the champion's".to_owned());
    }
    if ours.outputs != theirs.outputs {
        return Err("its outputs are not the champion's".to_owned());
    }
    Ok(())
}

async fn started_worker(spec: Arc<WorkerSpec>, sample: Vec<Tensor>) -> Result<Worker> {
    let mut worker = Worker::start(spec).await?;
    worker.infer(&sample).await.map_err(|error| {
        Error::new(Code::ModelInvalid, format!("the model fails on a sample row: {}", error.message))
    })?;
    Ok(worker)
}

/// Runs the model on sample rows, so that the first request meets a warm one, and measures it.
///
/// Gives the rows that an inline batch may have to stay within its budget; None where even one row takes longer.
fn warm(native: &mut Native, model: &Model, max_rows: usize) -> Result<Option<usize>> {
    let refuse = |mut error: Error| {
        error.code = Code::ModelInvalid;
        error.message = format!("the model fails on a sample row: {}", error.message);
        error
    };
    let rows = PROBE_ROWS.min(max_rows);
    let inputs = model.sample_inputs(rows);
    native.run(&model.sample_inputs(1)).map_err(refuse)?;
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        native.run(&inputs).map_err(refuse)?;
        best = best.min(started.elapsed());
        if best > INLINE_BUDGET * PROBE_ROWS as u32 {
            break;
        }
    }
    let per_row = best.as_secs_f64() / rows as f64;
    let fitting = (INLINE_BUDGET.as_secs_f64() / per_row.max(1e-9)) as usize;
    Ok((fitting >= 1).then(|| fitting.min(max_rows)))
}

fn on_thread(core: &Arc<Core>, lane: &Arc<Lane>, engine: Engine, max_rows: usize) -> Result<()> {
    let (core, lane) = (Arc::clone(core), Arc::clone(lane));
    let name = format!("engine-{}", core.endpoint);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(execute::run(core, lane, engine, Place::Apart, max_rows));
        }
    };
    std::thread::Builder::new()
        .name(name.chars().take(15).collect())
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::new(Code::Internal, format!("cannot start an engine thread: {error}")))
}

/// Threads that one process should use for connections: what the cgroup and the affinity mask grant.
pub fn default_io_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
