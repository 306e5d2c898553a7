//! One worker process: how it is started, heard and killed. What happens after its end is the supervisor's (`worker`).

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frame::{Fault, Frame, MAX_HEADER, cut, decode_ready};
use super::worker::WorkerSpec;
use crate::error::{Code, Error, Result};

/// How long a process that closed its pipes may take to end by itself, so that its own exit status can be told.
pub(super) const OWN_END: Duration = Duration::from_secs(1);
/// How long the last lines on stderr, or an answer in the pipe, are waited for after the end.
pub(super) const DRAIN: Duration = Duration::from_millis(200);
/// Longest piece of a line on stderr that becomes one log event.
const MAX_LINE: u64 = 4_096;
const PIPE_BUFFER: usize = 64 * 1024;

/// The state of one worker for readiness and metrics; can be read from any thread at any time.
#[derive(Debug, Default)]
pub struct WorkerHealth {
    /// Generation of the living process, 0 without one.
    live: AtomicU64,
    pid: AtomicU32,
    restarts: AtomicU64,
    batches: AtomicU64,
    busy: AtomicBool,
}

impl WorkerHealth {
    /// True while a process is there that said that it is ready.
    pub fn alive(&self) -> bool {
        self.live.load(Ordering::Acquire) != 0
    }

    /// The living process.
    pub fn pid(&self) -> Option<u32> {
        self.alive().then(|| self.pid.load(Ordering::Relaxed))
    }

    /// Starts after the first, those that failed included.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Batches answered well, by all processes of this worker.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// True while a batch is being computed.
    pub fn busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Busy until the returned value is dropped.
    pub(super) fn working(&self) -> Working<'_> {
        self.busy.store(true, Ordering::Relaxed);
        Working(self)
    }

    /// Takes `generation` off the air, and nothing else: a late call must not hide its successor.
    fn down(&self, generation: u64) {
        let _ = self.live.compare_exchange(generation, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// See `WorkerHealth::working`.
pub(super) struct Working<'a>(&'a WorkerHealth);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// The right to kill a process and all of its group.
#[derive(Debug)]
pub(super) struct Leash {
    pid: Pid,
    generation: u64,
    ended: AtomicBool,
    health: Arc<WorkerHealth>,
}

impl Leash {
    /// Kills the process, and every process that it started, unless that was done before.
    pub fn kill(&self) {
        self.health.down(self.generation);
        if !self.ended.swap(true, Ordering::AcqRel) {
            // Fails only where nobody is left.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// The process is gone: kills what it started and left behind.
    fn release(&self) {
        self.health.down(self.generation);
        self.ended.store(true, Ordering::Release);
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// False as soon as the process has ended, whether somebody waited for it or not.
    fn alive(&self) -> bool {
        if self.ended.load(Ordering::Acquire) {
            return false;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let alive = matches!(waitid(WaitId::Pid(self.pid), options), Ok(None) | Err(Errno::INTR));
        if !alive {
            self.health.down(self.generation);
        }
        alive
    }
}

/// Kills when dropped.
#[derive(Debug)]
pub(super) struct Guard(Arc<Leash>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// How a process ended, once it has.
pub(super) type Exit = watch::Receiver<Option<Arc<str>>>;

/// The talking end of a process that said that it is ready. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    pub stdin: ChildStdin,
    pub stdout: BufReader<ChildStdout>,
    pub exit: Exit,
    pub guard: Guard,
}

impl Process {
    pub fn alive(&self) -> bool {
        self.guard.0.alive()
    }

    pub fn pid(&self) -> u32 {
        self.guard.0.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Marks this process as the one that answers.
    pub fn announce(&self) {
        let leash = &self.guard.0;
        leash.health.pid.store(self.pid(), Ordering::Relaxed);
        leash.health.live.store(leash.generation, Ordering::Release);
    }
}

/// The watching end of a process.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    leash: Arc<Leash>,
    stderr: JoinHandle<()>,
    last_line: Arc<Mutex<String>>,
    exit: watch::Sender<Option<Arc<str>>>,
}

impl Running {
    /// Returns when the process has ended, however long that takes. Can be dropped and called again.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Waits at most `patience` for the process to end, then kills it.
    pub async fn wait_or_kill(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(patience, self.child.wait()).await {
            return status;
        }
        self.leash.kill();
        self.child.wait().await
    }

    /// Tells everybody how the process ended, and ends what it left behind.
    pub async fn bury(mut self, status: io::Result<ExitStatus>) -> Arc<str> {
        self.leash.release();
        if timeout(DRAIN, &mut self.stderr).await.is_err() {
            self.stderr.abort();
        }
        let mut text = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let last = self.last_line.lock();
        if !last.is_empty() {
            text.push_str("; its last words: ");
            text.push_str(cut(&last));
        }
        drop(last);
        let text: Arc<str> = text.into();
        self.exit.send_replace(Some(Arc::clone(&text)));
        text
    }
}

/// Starts a process and returns when it is ready.
///
/// # Errors
/// What its error frame says; `model_invalid` where it ends or writes anything else before it is ready; `worker_timeout`
/// where it is not ready in time; `internal` where the program cannot be started. Nothing is left running.
pub(super) async fn launch(
    spec: &WorkerSpec,
    health: &Arc<WorkerHealth>,
    generation: u64,
) -> Result<(Running, Process)> {
    let (mut running, mut process) = spawn(spec, health, generation)?;
    let mut first = Frame::default();
    let error = match timeout(spec.start_timeout, first.read(&mut process.stdout, MAX_HEADER)).await {
        Ok(Ok(())) => match decode_ready(&first.header) {
            Ok(()) => return Ok((running, process)),
            Err(error) => error,
        },
        Ok(Err(Fault::Closed(_))) => {
            let status = running.wait_or_kill(OWN_END).await;
            let how = running.bury(status).await;
            return Err(Error::new(Code::ModelInvalid, format!("the worker ended before it was ready: {how}")));
        }
        Ok(Err(fault)) => Error::new(Code::ModelInvalid, format!("the worker {} before it was ready", fault.message())),
        Err(_) => Error::new(Code::WorkerTimeout, format!("the worker was not ready within {:?}", spec.start_timeout)),
    };
    let status = running.wait_or_kill(Duration::ZERO).await;
    running.bury(status).await;
    Err(error)
}

fn spawn(spec: &WorkerSpec, health: &Arc<WorkerHealth>, generation: u64) -> Result<(Running, Process)> {
    let refused = |why: String| Error::new(Code::Internal, format!("a worker cannot be started: {why}"));
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(refused("its command is empty".to_owned()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| refused(format!("`{}`: {error}", program.display())))?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let (Some(stdin), Some(stdout), Some(stderr), Some(pid)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take(), pid)
    else {
        return Err(refused("it has no pipes".to_owned()));
    };
    let leash = Arc::new(Leash { pid, generation, ended: AtomicBool::new(false), health: Arc::clone(health) });
    let last_line = Arc::new(Mutex::new(String::new()));
    let stderr = tokio::spawn(forward(stderr, pid, Arc::clone(&last_line)));
    let (sender, exit) = watch::channel(None);
    let running = Running { child, leash: Arc::clone(&leash), stderr, last_line, exit: sender };
    let stdout = BufReader::with_capacity(PIPE_BUFFER, stdout);
    Ok((running, Process { stdin, stdout, exit, guard: Guard(leash) }))
}

/// What a worker writes to stderr becomes log events; the last line is kept for the message of its death.
async fn forward(stderr: ChildStderr, pid: Pid, last_line: Arc<Mutex<String>>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        if !text.is_empty() {
            tracing::info!(target: "fairlead::worker", pid = pid.as_raw_nonzero().get(), "{text}");
            text.as_ref().clone_into(&mut last_line.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::worker::fake::{Fake, gone, until};
    use super::*;

    async fn refused(spec: &WorkerSpec) -> Error {
        launch(spec, &Arc::default(), 1).await.expect_err("it must not start")
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_code_and_words() {
        for (name, code) in [
            ("bundle_untrusted", Code::BundleUntrusted),
            ("bundle_corrupt", Code::BundleCorrupt),
            ("model_invalid", Code::ModelInvalid),
        ] {
            let error = refused(&Fake::new(&format!("refuse:{name}")).spec).await;
            assert_eq!((error.code, error.message.as_str()), (code, "the bundle needs a pickle"));
        }
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_its_last_words() {
        let error = refused(&Fake::new("crash").spec).await;
        assert_eq!(error.code, Code::ModelInvalid);
        assert!(error.message.contains("exit status: 1; its last words: Memory: all of it is gone"), "{error}");
    }

    #[tokio::test]
    async fn what_is_printed_before_ready_is_shown() {
        let error = refused(&Fake::new("noisy").spec).await;
        assert_eq!(error.code, Code::ModelInvalid);
        assert!(error.message.contains("`Loading `"), "{error}");
    }

    #[tokio::test]
    async fn a_silent_start_is_killed_in_time_with_its_children() {
        let mut fake = Fake::new("silent");
        fake.spec.start_timeout = Duration::from_millis(500);
        let started = Instant::now();
        let launched = refused(&fake.spec);
        let error = launched.await;
        assert_eq!(error.code, Code::WorkerTimeout);
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        if let Some(child) = fake.notes().get(1) {
            let child = child.parse().expect("a pid");
            until("the child is gone", || gone(child)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let mut fake = Fake::new("ok");
        fake.spec.command[0] = "no-such-python".into();
        let error = refused(&fake.spec).await;
        assert!(error.code == Code::Internal && error.message.contains("`no-such-python`"), "{error}");
        fake.spec.command.clear();
        assert_eq!(refused(&fake.spec).await.code, Code::Internal);
    }
}
