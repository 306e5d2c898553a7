//! A worker: a Python process that computes batches for one executor, and the supervisor that brings it back.

#[cfg(test)]
pub(super) mod fake;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::frame::{Fault, Frame, decode_reply, encode_request};
pub use super::process::WorkerHealth;
use super::process::{DRAIN, Exit, OWN_END, Process, Running, launch};
use crate::error::{Code, Error, Result};
use crate::tensor::Tensor;
pub use spec::{Backoff, WorkerSpec};

/// How long a worker may take to end after its input was closed.
const STOP: Duration = Duration::from_secs(2);
/// Buffers above this are given back after the batch that needed them.
const KEEP: usize = 4 << 20;

/// One worker. Used by one task at a time; must live on the runtime that it was started on (I/O and time enabled), where
/// a task of its own watches the process and starts a new one when it dies, whether anybody asks or not.
///
/// Dropping it kills the process and everything that the process started.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    process: Option<Process>,
    request: Vec<u8>,
    answer: Frame,
    last_id: u64,
    /// Dropped to stop the supervisor.
    stop: Option<oneshot::Sender<()>>,
    supervisor: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    spec: Arc<WorkerSpec>,
    health: Arc<WorkerHealth>,
    /// A ready process on its way from the supervisor to the worker.
    handover: Mutex<Option<Process>>,
    arrived: Notify,
}

impl Shared {
    fn hand_over(&self, process: Process) {
        process.announce();
        let old = self.handover.lock().replace(process);
        drop(old);
        self.arrived.notify_one();
    }
}

impl Worker {
    /// Starts the first process and returns when it is ready.
    ///
    /// # Errors
    /// Those of the worker's own error frame (`bundle_untrusted`, `bundle_corrupt`, `model_invalid`); `model_invalid`
    /// where it ends or writes anything else first; `worker_timeout`; `internal` where the program cannot be started.
    pub async fn start(spec: Arc<WorkerSpec>) -> Result<Self> {
        let health = Arc::new(WorkerHealth::default());
        let (running, process) = launch(&spec, &health, 1).await?;
        let shared = Arc::new(Shared { spec, health, handover: Mutex::new(None), arrived: Notify::new() });
        process.announce();
        let (stop, stopped) = oneshot::channel();
        let supervisor = tokio::spawn(supervise(Arc::clone(&shared), running, stopped));
        Ok(Self {
            shared,
            process: Some(process),
            request: Vec::new(),
            answer: Frame::default(),
            last_id: 0,
            stop: Some(stop),
            supervisor,
        })
    }

    /// Returns when a process is there that can take a batch. Can be dropped at any time without harm.
    pub async fn ready(&mut self) {
        while !self.adopt() {
            self.shared.arrived.notified().await;
        }
    }

    /// True where `infer` has a living process now.
    pub fn alive(&self) -> bool {
        let alive = |process: &Option<Process>| process.as_ref().is_some_and(Process::alive);
        alive(&self.process) || alive(&self.shared.handover.lock())
    }

    /// Starts after the first, those that failed included.
    pub fn restarts(&self) -> u64 {
        self.shared.health.restarts()
    }

    /// The living process.
    pub fn pid(&self) -> Option<u32> {
        self.shared.health.pid()
    }

    /// The state of this worker for other threads.
    pub fn health(&self) -> Arc<WorkerHealth> {
        Arc::clone(&self.shared.health)
    }

    /// Computes one batch: `inputs` in the signature's order, the answer in the order of its outputs.
    ///
    /// If the future is dropped before it is done, the process is killed: it would answer out of step.
    ///
    /// # Errors
    /// `not_ready` where no process is there: nothing was computed, the batch can be tried again after `ready`.
    /// `model_failed` with the exception's words, or naming the output that breaks the signature. `worker_died` and
    /// `worker_timeout` (the process was killed): `ready` waits for its successor.
    pub async fn infer(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let spec = Arc::clone(&self.shared.spec);
        self.last_id += 1;
        encode_request(&mut self.request, self.last_id, &spec.inputs, inputs, spec.max_body)?;
        self.adopt();
        let Some(mut process) = self.process.take() else {
            let message = "the worker process is being started again";
            return Err(Error::new(Code::NotReady, message).retry_after(Duration::from_secs(1)));
        };
        let health = Arc::clone(&self.shared.health);
        let _working = health.working();
        let exchange = exchange(&mut process, &self.request, &mut self.answer, spec.max_body);
        let Ok(exchanged) = timeout(spec.timeout, exchange).await else {
            let message = format!("no answer within {:?}; worker process {} was killed", spec.timeout, process.pid());
            return Err(Error::new(Code::WorkerTimeout, message));
        };
        let rows = inputs.first().map_or(0, Tensor::rows);
        let decoded = exchanged.and_then(|()| decode_reply(&self.answer, self.last_id, &spec.outputs, rows));
        self.give_memory_back();
        match decoded {
            Ok(outputs) => {
                health.count_batch();
                self.process = Some(process);
                Ok(outputs)
            }
            Err(Fault::Batch(message)) => {
                self.process = Some(process);
                Err(Error::new(Code::ModelFailed, message))
            }
            Err(fault) => Err(end(process, &fault).await),
        }
    }

    /// Lets the process end by itself: closes its input, waits two seconds, then kills it.
    pub async fn stop(mut self) {
        self.adopt();
        let rest = self.process.take().map(|process| {
            drop(process.stdin);
            (process.stdout, process.guard)
        });
        drop(self.stop.take());
        // Fails only where the runtime is going down, which kills the process as well.
        let _ = (&mut self.supervisor).await;
        drop(rest);
    }

    /// Takes the living process, be it the one at hand or its successor; false without one.
    fn adopt(&mut self) -> bool {
        let alive = |process: &Process| process.alive();
        self.process = self.process.take().filter(alive).or_else(|| self.shared.handover.lock().take().filter(alive));
        self.process.is_some()
    }

    fn give_memory_back(&mut self) {
        for buffer in [&mut self.request, &mut self.answer.header, &mut self.answer.body] {
            if buffer.capacity() > KEEP {
                *buffer = Vec::new();
            }
        }
    }
}

async fn exchange(
    process: &mut Process,
    request: &[u8],
    answer: &mut Frame,
    max_body: usize,
) -> std::result::Result<(), Fault> {
    let Process { stdin, stdout, exit, .. } = process;
    let talk = async {
        let sent = stdin.write_all(request).await;
        sent.map_err(|error| Fault::Closed(format!("cannot be written to: {error}")))?;
        answer.read(stdout, max_body).await
    };
    tokio::select! {
        biased;
        done = talk => done,
        () = gone(exit) => Err(Fault::Closed("ended".to_owned())),
    }
}

/// Returns a moment after the end of the process: an escaped child of it may hold the pipes open for ever.
async fn gone(exit: &mut Exit) {
    // An error means that nobody watches the process any more, which is an end, too.
    let _ = exit.wait_for(Option::is_some).await;
    sleep(DRAIN).await;
}

/// The error for a process that is dead or useless, which it is killed for.
async fn end(mut process: Process, fault: &Fault) -> Error {
    let pid = process.pid();
    let code = if matches!(fault, Fault::TooLarge(_)) { Code::ModelFailed } else { Code::WorkerDied };
    let own_end = match fault {
        Fault::Closed(_) => timeout(OWN_END, process.exit.wait_for(Option::is_some)).await.ok(),
        _ => None,
    };
    let how = match &own_end {
        Some(Ok(how)) => how.as_deref().unwrap_or_default(),
        _ => "it was killed",
    };
    let message = format!("worker process {} {}: {how}", pid, fault.message());
    Error::new(code, message)
}

/// Watches the process, starts the next one when it ends, and so on until the worker is dropped or stopped.
async fn supervise(shared: Arc<Shared>, mut running: Running, mut stopped: oneshot::Receiver<()>) {
    let (spec, health) = (&shared.spec, &shared.health);
    let mut failures = 0;
    let mut generation = 1;
    loop {
        let (born, batches) = (Instant::now(), health.batches());
        let status = tokio::select! {
            status = running.wait() => status,
            _ = &mut stopped => {
                drop(shared.handover.lock().take());
                let status = running.wait_or_kill(STOP).await;
                running.bury(status).await;
                return;
            }
        };
        let how = running.bury(status).await;
        tracing::warn!(target: "fairlead::worker", "a worker process ended: {how}");
        if spec.backoff.healthy(born.elapsed(), health.batches() - batches) {
            failures = 0;
        }
        let restart = restart(&shared, &mut failures, &mut generation);
        running = tokio::select! {
            running = restart => running,
            _ = &mut stopped => return,
        };
    }
}

/// Tries until a process is ready, waiting longer each time.
async fn restart(shared: &Shared, failures: &mut u32, generation: &mut u64) -> Running {
    loop {
        *failures = failures.saturating_add(1);
        sleep(shared.spec.backoff.delay(*failures)).await;
        *generation += 1;
        shared.health.count_restart();
        match launch(&shared.spec, &shared.health, *generation).await {
            Ok((running, process)) => {
                tracing::info!(target: "fairlead::worker", pid = process.pid(), "a new worker process is ready");
                shared.hand_over(process);
                return running;
            }
            Err(error) => {
                tracing::warn!(target: "fairlead::worker", failures = *failures, "a worker did not start: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{Fake, batch, gone, until};
    use super::*;

    /// What the fake worker does on these values.
    const FAIL: f32 = -1.0;
    const DIE: f32 = -2.0;
    const HANG: f32 = -3.0;
    const GARBAGE: f32 = -4.0;
    const CHILD_THEN_HANG: f32 = -5.0;
    const CHILD_THEN_DIE: f32 = -6.0;
    const HALF_AN_ANSWER: f32 = -7.0;
    const WRONG_ID: f32 = -8.0;
    const TOO_MUCH: f32 = -9.0;

    async fn start(fake: &Fake) -> Worker {
        Worker::start(fake.arc()).await.expect("a worker")
    }

    /// The error of a batch that asks for `wish`; afterwards the worker, ready again, echoes.
    async fn only_this_batch_fails(worker: &mut Worker, wish: f32) -> Error {
        let error = worker.infer(&batch(&[wish])).await.expect_err("the batch fails");
        worker.ready().await;
        assert_eq!(worker.infer(&batch(&[1.5, 2.5])).await.expect("an answer"), batch(&[1.5, 2.5]));
        error
    }

    #[tokio::test]
    async fn batches_are_answered_by_one_process() {
        let fake = Fake::new("slow");
        let mut worker = start(&fake).await;
        worker.ready().await;
        for size in [1, 2, 100_000] {
            let values: Vec<f32> = (0..size).map(|value| value as f32).collect();
            assert_eq!(worker.infer(&batch(&values)).await.expect("an answer"), batch(&values));
        }
        let health = worker.health();
        assert_eq!((worker.alive(), worker.restarts(), health.batches(), health.busy()), (true, 0, 3, false));
        assert!(worker.pid().is_some_and(|pid| !gone(pid)));
    }

    #[tokio::test]
    async fn an_exception_fails_its_batch_and_keeps_the_process() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        let error = only_this_batch_fails(&mut worker, FAIL).await;
        assert_eq!((error.code, error.message.as_str()), (Code::ModelFailed, "ValueError: no negative amounts"));
        let error = only_this_batch_fails(&mut worker, TOO_MUCH).await;
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::ModelFailed, "output `x` has 8 bytes, which are not its 1 elements")
        );
        assert_eq!(worker.restarts(), 0);
    }

    #[tokio::test]
    async fn a_death_fails_its_batch_and_says_how() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        let error = only_this_batch_fails(&mut worker, DIE).await;
        assert_eq!(error.code, Code::WorkerDied);
        assert!(error.message.contains("exit status: 3; its last words: Memory: all of it is gone"), "{error}");
        let error = only_this_batch_fails(&mut worker, HALF_AN_ANSWER).await;
        assert!(error.code == Code::WorkerDied && error.message.contains("exit status: 0"), "{error}");
        assert_eq!(worker.restarts(), 2);
    }

    #[tokio::test]
    async fn a_stream_out_of_step_ends_its_process() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        for (wish, words) in [(GARBAGE, "not a frame: `Epoch 1/`"), (WRONG_ID, "answered request")] {
            let pid = worker.pid().expect("a process");
            let error = only_this_batch_fails(&mut worker, wish).await;
            assert!(error.code == Code::WorkerDied && error.message.contains(words), "{error}");
            assert!(gone(pid));
        }
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_the_models_failure() {
        let mut fake = Fake::new("ok");
        fake.spec.max_body = 8;
        let mut worker = start(&fake).await;
        let error = worker.infer(&batch(&[TOO_MUCH, 1.0])).await.expect_err("too large");
        assert!(error.code == Code::ModelFailed && error.message.contains("output `x` alone has 16 bytes"), "{error}");
        worker.ready().await;
        assert_eq!(worker.restarts(), 1);
    }

    #[tokio::test]
    async fn a_hang_is_killed_in_time_with_its_children() {
        let mut fake = Fake::new("ok");
        fake.spec.timeout = Duration::from_secs(1);
        let mut worker = start(&fake).await;
        let pid = worker.pid().expect("a process");
        let asked = Instant::now();
        let error = worker.infer(&batch(&[CHILD_THEN_HANG])).await.expect_err("no answer");
        let waited = asked.elapsed();
        assert_eq!((error.code, worker.alive()), (Code::WorkerTimeout, false));
        assert!(waited >= fake.spec.timeout && waited < Duration::from_secs(4), "{waited:?}");
        let child = fake.noted_pid();
        until("process and child are gone", || gone(pid) && gone(child)).await;
        worker.ready().await;
        assert_eq!(worker.infer(&batch(&[1.0])).await.expect("an answer"), batch(&[1.0]));
    }

    #[tokio::test]
    async fn a_death_takes_the_children_along() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        let error = only_this_batch_fails(&mut worker, CHILD_THEN_DIE).await;
        assert!(error.message.contains("exit status: 5"), "{error}");
        let child = fake.noted_pid();
        until("the child is gone", || gone(child)).await;
    }

    #[tokio::test]
    async fn an_idle_death_is_seen_and_mended_without_a_request() {
        let fake = Fake::new("ok");
        let worker = start(&fake).await;
        let (health, pid) = (worker.health(), worker.pid().expect("a process"));
        kill(pid);
        until("the death is seen", || health.restarts() == 1).await;
        until("a new process is there", || health.pid().is_some_and(|new| new != pid)).await;
        assert!(worker.alive());
    }

    #[tokio::test]
    async fn a_batch_for_a_dead_process_is_not_lost() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        let pid = worker.pid().expect("a process");
        kill(pid);
        let zombie = || gone(pid);
        while !zombie() {
            // Without giving the supervisor a turn: it must be seen by looking.
            std::thread::yield_now();
        }
        assert!(!worker.alive());
        let error = worker.infer(&batch(&[1.0])).await.expect_err("nobody is there");
        assert_eq!(error.code, Code::NotReady);
        worker.ready().await;
        assert_eq!(worker.infer(&batch(&[1.0])).await.expect("an answer"), batch(&[1.0]));
    }

    #[tokio::test]
    async fn a_dropped_batch_ends_its_process() {
        let fake = Fake::new("ok");
        let mut worker = start(&fake).await;
        let (pid, health) = (worker.pid().expect("a process"), worker.health());
        let dropped = timeout(Duration::from_millis(50), worker.infer(&batch(&[HANG]))).await;
        assert!(dropped.is_err());
        assert_eq!((worker.alive(), health.alive(), health.busy()), (false, false, false));
        until("the process is gone", || gone(pid)).await;
        worker.ready().await;
        assert_eq!(worker.infer(&batch(&[2.0])).await.expect("an answer"), batch(&[2.0]));
    }

    #[tokio::test]
    async fn failing_starts_are_tried_again_ever_more_slowly() {
        let mut fake = Fake::new("once");
        fake.spec.backoff.first = Duration::from_millis(40);
        let mut worker = start(&fake).await;
        assert_eq!(worker.infer(&batch(&[DIE])).await.expect_err("dead").code, Code::WorkerDied);
        let health = worker.health();
        let waited = timeout(Duration::from_millis(5), worker.ready()).await;
        assert!(waited.is_err() && !worker.alive());
        until("five starts", || fake.notes().len() >= 5).await;
        let starts: Vec<f64> =
            fake.notes().iter().filter_map(|line| line.strip_prefix("start ")?.parse().ok()).collect();
        for (index, pair) in starts.windows(2).skip(1).enumerate() {
            let least = fake.spec.backoff.delay(index as u32 + 2).as_secs_f64();
            assert!(pair[1] - pair[0] >= least, "start {index}: {starts:?}, at least {least}");
        }
        assert!(health.restarts() >= 4 && !health.alive());
    }

    #[tokio::test]
    async fn dropping_kills() {
        let fake = Fake::new("ok");
        let worker = start(&fake).await;
        let (pid, health) = (worker.pid().expect("a process"), worker.health());
        drop(worker);
        assert!(!health.alive());
        until("the process is gone", || gone(pid)).await;
    }

    #[test]
    fn a_runtime_that_goes_down_takes_its_workers_along() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fake = Fake::new("ok");
        let worker = runtime.block_on(start(&fake));
        let pid = worker.pid().expect("a process");
        drop(runtime);
        drop(worker);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(until("the process is gone", || gone(pid)));
    }

    #[tokio::test]
    async fn stopping_lets_the_process_end_by_itself() {
        let fake = Fake::new("ok");
        let worker = start(&fake).await;
        let (pid, health) = (worker.pid().expect("a process"), worker.health());
        let asked = Instant::now();
        worker.stop().await;
        assert!(gone(pid) && asked.elapsed() < STOP, "{:?}", asked.elapsed());
        assert_eq!(fake.notes().last().map(String::as_str), Some("end of input"));
        assert_eq!((health.alive(), health.restarts()), (false, 0));
    }

    fn kill(pid: u32) {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
    }
}
