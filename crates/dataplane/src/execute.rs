//! The executor: takes batches from a lane, runs the engine, scores, counts, logs and answers. One function is the
//! whole path; where it runs (an I/O thread, a thread of its own, beside a worker process) is the plan's choice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::error::{Code, Error, Result};
use crate::infer::Engine;
use crate::infer::worker::WorkerHealth;
use crate::lane::{Answered, Job, Lane, Outcome, Reply};
use crate::log::{Batch, Log, LogError, Refused, RowMeta, Stream};
use crate::metrics::VariantMetrics;
use crate::model::{Model, decide};
use crate::stats;
use crate::tensor::Tensor;
use crate::validate::field_name;
use crate::violation::Field;
use crate::wire::snapshot::Durability;

/// Replies on their way to the I/O thread that waits for them: one message for all of a batch.
pub type Mail = Vec<(Reply, Result<Answered>)>;

/// Everything about a variant that its executors need; immutable.
pub struct Core {
    pub endpoint: Box<str>,
    pub version: Box<str>,
    pub role: &'static str,
    pub sha256: Box<str>,
    pub model: Model,
    pub metrics: VariantMetrics,
    pub durability: Durability,
    pub max_wait: Duration,
    pub log: Log,
    pub stream: Arc<Stream>,
    /// One mailbox for each I/O thread.
    pub homes: Arc<[UnboundedSender<Mail>]>,
    /// Worker processes, where the engine is Python; set once they have started.
    pub workers: OnceLock<Vec<Arc<WorkerHealth>>>,
    /// Their restarts that the metric has counted.
    pub counted_restarts: AtomicU64,
    /// The model is a tree ensemble that runs without ONNX Runtime.
    pub forest: AtomicBool,
}

/// Where an executor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On I/O thread `.0`, between the connections' turns.
    Inline(usize),
    /// On a thread or task that serves no connections.
    Apart,
}

/// Shortest and longest time that an inline executor works before connections get their turn again.
const TURN: std::ops::Range<Duration> = Duration::from_millis(2)..Duration::from_millis(10);

/// Runs until the lane is closed and empty.
pub async fn run(core: Arc<Core>, lane: Arc<Lane>, mut engine: Engine, place: Place, max_rows: usize) {
    let mut idle_since = Instant::now();
    while lane.wait().await {
        // Before the cut: while an engine is down its jobs wait where other executors of the lane can take them.
        engine.ready().await;
        if let Place::Inline(_) = place {
            // Lets every connection that has bytes waiting speak first, so that they share the batch.
            tokio::task::yield_now().await;
        }
        while core.max_wait > Duration::ZERO
            && let Some(until) = lane.patience(max_rows, core.max_wait)
        {
            tokio::time::sleep_until(until.into()).await;
        }
        let began = Instant::now();
        // Under overload connections would take all the time, to be refused: admitted work gets four times theirs.
        let turn = ((began - idle_since) * 4).clamp(TURN.start, TURN.end);
        while answer_one(&core, &lane, &mut engine, place, max_rows).await
            && matches!(place, Place::Inline(_))
            && began.elapsed() < turn
        {}
        idle_since = Instant::now();
        if let Place::Inline(_) = place {
            tokio::task::yield_now().await;
        }
    }
}

/// Cuts and answers one batch; false where there was nothing to cut.
async fn answer_one(core: &Arc<Core>, lane: &Lane, engine: &mut Engine, place: Place, max_rows: usize) -> bool {
    let cut = lane.cut(max_rows);
    let mut post = Post { core, place, mail: Vec::new() };
    let any = !cut.jobs.is_empty();
    post.refuse_late(cut.expired);
    if any {
        answer_batch(&mut post, engine, cut.jobs).await;
    }
    post.send();
    any
}

async fn answer_batch(post: &mut Post<'_>, engine: &mut Engine, mut jobs: Vec<Job>) {
    let core = post.core;
    let started = Instant::now();
    let inputs = concatenate(&mut jobs);
    let result = infer(engine, &inputs).await;
    let finished = Instant::now();
    core.metrics.batches.inc();
    core.metrics.compute_duration.observe(finished - started);
    for job in &jobs {
        core.metrics.queue_duration.observe(started.saturating_duration_since(job.received));
    }
    match result {
        Ok(outputs) => settle(post, jobs, inputs, outputs, finished),
        Err(error) if jobs.len() > 1 && error.code == Code::ModelFailed => {
            // One bad row must not fail its neighbours: each request of the batch is tried by itself.
            let mut start = 0;
            for job in jobs {
                let alone: Vec<Tensor> = inputs.iter().map(|tensor| tensor.slice_rows(start, job.rows)).collect();
                start += job.rows;
                match infer(engine, &alone).await {
                    Ok(outputs) => settle(post, vec![job], alone, outputs, Instant::now()),
                    Err(error) => post.reply(job.home, job.reply, Err(error)),
                }
            }
        }
        Err(error) => {
            for job in jobs {
                post.reply(job.home, job.reply, Err(error.clone()));
            }
        }
    }
}

/// Runs a batch on an engine that may have died since it was last ready: what was not computed is tried again, once.
async fn infer(engine: &mut Engine, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    match engine.infer(inputs).await {
        Err(error) if error.code == Code::NotReady => {
            engine.ready().await;
            engine.infer(inputs).await
        }
        result => result,
    }
}

/// Scores, counts, logs and answers the jobs of one good batch.
fn settle(post: &mut Post<'_>, jobs: Vec<Job>, inputs: Vec<Tensor>, outputs: Vec<Tensor>, finished: Instant) {
    let core = post.core;
    let (scores, decisions) = decide(core.model.decision.as_ref(), &outputs);
    core.metrics.rows.inc_by(outputs.first().map_or(0, Tensor::rows) as u64);
    count_decisions(core, &decisions);
    stats::count_missing(&core.model, &inputs, |feature, n| core.metrics.count_missing(feature, n));
    if let Some(histogram) = &core.metrics.score {
        histogram.observe(&scores);
    }
    let outcome = Arc::new(Outcome { outputs: Arc::new(outputs), scores, decisions });
    if core.durability == Durability::None {
        return post.answer(jobs, &outcome);
    }
    let rows = describe_rows(core, &jobs, &outcome, finished);
    let batch = Batch {
        stream: Arc::clone(&core.stream),
        inputs,
        outputs: Arc::clone(&outcome.outputs),
        rows,
        on_durable: None,
    };
    if core.durability == Durability::Acknowledged {
        return post.answer_when_durable(jobs, outcome, batch);
    }
    match core.log.append(batch) {
        Ok(()) => post.answer(jobs, &outcome),
        Err((refused, _)) => post.refuse(jobs, &refusal(refused)),
    }
}

fn count_decisions(core: &Core, decisions: &[Option<u16>]) {
    for (label, counter) in core.metrics.decisions.iter().enumerate() {
        let n = decisions.iter().filter(|decision| **decision == Some(label as u16)).count();
        if n > 0 {
            counter.inc_by(n as u64);
        }
    }
}

fn refusal(refused: Refused) -> Error {
    match refused {
        Refused::Backlog => Error::new(Code::LogBacklog, "the prediction log's queue is full"),
        Refused::Invalid(why) => {
            return Error::new(Code::Internal, format!("the prediction log refused the rows: {why}"));
        }
        Refused::Unavailable(why) => {
            Error::new(Code::LogUnavailable, format!("the prediction log cannot be written: {why}"))
        }
    }
    .retry_after(Duration::from_secs(1))
}

fn concatenate(jobs: &mut [Job]) -> Vec<Tensor> {
    let Some((first, rest)) = jobs.split_first_mut() else { return Vec::new() };
    let mut inputs = std::mem::take(&mut first.inputs);
    let more: usize = rest.iter().map(|job| job.rows).sum();
    for tensor in &mut inputs {
        let width = tensor.width();
        tensor.data.reserve(more * width);
    }
    for job in rest {
        for (tensor, part) in inputs.iter_mut().zip(std::mem::take(&mut job.inputs)) {
            tensor.append_rows(part);
        }
    }
    inputs
}

fn describe_rows(core: &Core, jobs: &[Job], outcome: &Outcome, finished: Instant) -> Vec<RowMeta> {
    let mut all = Vec::with_capacity(jobs.iter().map(|job| job.rows).sum());
    for job in jobs {
        let latency_us = (finished - job.received).as_micros() as u32;
        for row in 0..job.rows {
            let index = all.len();
            let violations = job
                .violations
                .iter()
                .filter(|violation| violation.row as usize == row)
                .map(|v| format!("{}:{}", field_name(&core.model, v), v.kind.name()).into())
                .collect();
            all.push(RowMeta {
                id: job.first_id + row as u128,
                time_us: job.time_us,
                latency_us,
                row: row as u32,
                unit: job.units.get(row).cloned().flatten(),
                request_id: job.request_id.clone(),
                violations,
                score: outcome.scores.get(index).copied().flatten(),
                decision: outcome.decisions.get(index).copied().flatten(),
            });
        }
    }
    all
}

/// Brings answers home. An inline executor answers its own thread's requests directly.
struct Post<'a> {
    core: &'a Arc<Core>,
    place: Place,
    mail: Vec<(usize, Reply, Result<Answered>)>,
}

impl Post<'_> {
    fn reply(&mut self, home: usize, reply: Reply, answer: Result<Answered>) {
        if self.place == Place::Inline(home) {
            // The client may have gone meanwhile; then nobody wants the answer.
            drop(reply.send(answer));
        } else {
            self.mail.push((home, reply, answer));
        }
    }

    fn answer(&mut self, jobs: Vec<Job>, outcome: &Arc<Outcome>) {
        let mut start = 0;
        for job in jobs {
            let rows = job.rows;
            let answered =
                Answered { outcome: Arc::clone(outcome), start, violations: job.violations, permit: job.permit };
            start += rows;
            self.reply(job.home, job.reply, Ok(answered));
        }
    }

    fn refuse(&mut self, jobs: Vec<Job>, error: &Error) {
        for job in jobs {
            self.reply(job.home, job.reply, Err(error.clone()));
        }
    }

    fn answer_when_durable(&mut self, jobs: Vec<Job>, outcome: Arc<Outcome>, mut batch: Batch) {
        let core = Arc::clone(self.core);
        // The closure is the only owner of the jobs while they wait; a refused batch gives it back unused.
        let waiting = Arc::new(parking_lot::Mutex::new(Some(jobs)));
        let taken = Arc::clone(&waiting);
        batch.on_durable = Some(Box::new(move |result: std::result::Result<(), LogError>| {
            let Some(jobs) = taken.lock().take() else { return };
            let mut post = Post { core: &core, place: Place::Apart, mail: Vec::new() };
            match result {
                Ok(()) => post.answer(jobs, &outcome),
                Err(error) => post.refuse(jobs, &refusal(Refused::Unavailable(error.to_string()))),
            }
            post.send();
        }));
        if let Err((refused, _)) = self.core.log.append(batch)
            && let Some(jobs) = waiting.lock().take()
        {
            self.refuse(jobs, &refusal(refused));
        }
    }

    fn refuse_late(&mut self, expired: Vec<Job>) {
        for job in expired {
            let waited = job.received.elapsed().as_millis();
            let error = Error::new(Code::DeadlineExceeded, format!("waited {waited} ms, past the request's deadline"));
            self.reply(job.home, job.reply, Err(error));
        }
    }

    /// One message, hence one wake-up, for each I/O thread.
    fn send(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        while let Some(home) = mail.first().map(|(home, ..)| *home) {
            let (ours, others): (Vec<_>, Vec<_>) = mail.into_iter().partition(|(to, ..)| *to == home);
            let letters = ours.into_iter().map(|(_, reply, answer)| (reply, answer)).collect();
            // An I/O thread outlives every variant; if it is gone the process is ending.
            drop(self.core.homes[home].send(letters));
            mail = others;
        }
    }
}

/// Delivers the mail of one I/O thread.
pub async fn deliver(mut mailbox: tokio::sync::mpsc::UnboundedReceiver<Mail>) {
    while let Some(mail) = mailbox.recv().await {
        for (reply, answer) in mail {
            drop(reply.send(answer));
        }
    }
}

/// Counts the violations of a request.
pub fn count_violations(core: &Core, violations: &[crate::violation::Violation]) {
    for violation in violations {
        let feature = match violation.field {
            Field::Feature(index) => Some(index),
            Field::Unknown(_) => None,
        };
        core.metrics.count_violation(feature, violation.kind);
    }
}

impl Core {
    /// True where at least one executor can take a batch: always, unless all worker processes are down.
    pub fn ready(&self) -> bool {
        self.workers.get().is_none_or(|workers| workers.iter().any(|worker| worker.alive()))
    }

    /// Brings the counter of restarts up to date; it goes on over the variants that share its labels.
    pub fn count_restarts(&self) {
        let now = self.worker_restarts();
        let before = self.counted_restarts.fetch_max(now, Ordering::Relaxed);
        self.metrics.worker_restarts.inc_by(now.saturating_sub(before));
    }

    /// Restarts of worker processes so far.
    pub fn worker_restarts(&self) -> u64 {
        self.workers.get().map_or(0, |workers| workers.iter().map(|worker| worker.restarts()).sum())
    }
}
