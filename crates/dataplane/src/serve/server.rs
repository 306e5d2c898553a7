//! Start, accept, drain, end.

use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::answer::Answerer;
use crate::arms::Book;
use crate::error::{Code, Error, Result};
use crate::ids::Ids;
use crate::load::{Loader, default_io_threads};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::wire::options::{Listener, ServeOptions};
use crate::wire::snapshot::Snapshot;

use super::admin;
use super::desk::Desk;
use super::io::{Duty, IoThread, Visitor};
use super::link;
use super::state::State;

/// How long a half-sent request may hold up the end.
const UNFINISHED: Duration = Duration::from_secs(2);

/// Told once the server listens and its models are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    pub port: u16,
    pub admin_port: u16,
    pub elapsed: Duration,
}

/// Keeps the last snapshot that was applied on disk, for a start without its source.
pub struct LastGood {
    path: Option<PathBuf>,
}

impl LastGood {
    /// Writes whole or not at all; a failure is logged, for serving goes on without.
    pub fn keep(&self, snapshot: &Snapshot) {
        let Some(path) = &self.path else { return };
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let draft = path.with_extension("json.tmp");
            std::fs::write(&draft, serde_json::to_vec(snapshot)?)?;
            std::fs::File::open(&draft)?.sync_all()?;
            std::fs::rename(&draft, path)
        };
        if let Err(error) = write() {
            tracing::warn!(%error, path = %path.display(), "the last good snapshot could not be kept");
        }
    }

    fn read(&self) -> Option<Snapshot> {
        serde_json::from_slice(&std::fs::read(self.path.as_ref()?).ok()?).ok()
    }
}

/// Serves until SIGTERM or SIGINT, then drains. `started` is called once, when the first request can be answered.
///
/// Gives true where everything in flight was finished within the grace period.
/// Errors: addresses that cannot be bound, a log that cannot be opened, a first snapshot that cannot be applied and
/// no last good one to stand in for it.
pub fn serve(options: &ServeOptions, started: impl FnOnce(Started)) -> Result<bool> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, format!("cannot start the control thread: {error}")))?;
    let listener = bind(&options.listen)?;
    let admin_listener = bind(&options.admin)?;
    let port = |listener: &TcpListener| listener.local_addr().map_or(0, |address| address.port());
    let ports = (port(&listener), port(&admin_listener));
    let house = House::build(options, runtime.handle().clone())?;
    let finished = runtime.block_on(async {
        let admin = tokio::net::TcpListener::from_std(admin_listener).map_err(|error| internal(&error))?;
        tokio::spawn(admin::serve(admin, Arc::clone(&house.state)));
        let accepting = tokio::spawn(accept(listener, house.doors(), options.limits.connections));
        let follows = options.control.as_ref().is_some_and(|link| link.follow);
        house.first_snapshot(&options.snapshot, follows).await?;
        if let Some(link) = &options.control {
            link::start(link, options.region.as_deref(), &house.state)?;
        }
        started(Started { port: ports.0, admin_port: ports.1, elapsed: begun.elapsed() });
        wait_for_the_end().await?;
        let seconds = [options.grace_seconds, options.shutdown_delay_seconds];
        let [grace, delay] = seconds.map(Duration::from_secs_f64);
        Ok(house.drain(&accepting, grace, delay).await)
    });
    house.state.log.close();
    runtime.shutdown_background();
    finished
}

fn internal(error: &std::io::Error) -> Error {
    Error::new(Code::Internal, error.to_string())
}

fn bind(listener: &Listener) -> Result<TcpListener> {
    let place = format!("{}:{}", listener.host, listener.port);
    let fail = |error: std::io::Error| Error::new(Code::Internal, format!("cannot listen on {place}: {error}"));
    let address = (listener.host.as_str(), listener.port)
        .to_socket_addrs()
        .map_err(fail)?
        .next()
        .ok_or_else(|| Error::new(Code::Internal, format!("{place} names no address")))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(fail)?;
    socket.set_reuse_address(true).map_err(fail)?;
    socket.bind(&address.into()).map_err(fail)?;
    socket.listen(4_096).map_err(fail)?;
    socket.set_nonblocking(true).map_err(fail)?;
    Ok(socket.into())
}

/// The threads and what they share.
struct House {
    state: Arc<State>,
    io: Vec<Arc<IoThread>>,
    stop: watch::Sender<bool>,
}

impl House {
    fn build(options: &ServeOptions, control: tokio::runtime::Handle) -> Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let process = format!("{}-{}", std::process::id(), crate::ids::now_us() / 1_000_000);
        let log = Log::open(&options.log, &process).map_err(|error| {
            Error::new(Code::LogUnavailable, format!("prediction log {}: {error}", options.log.directory))
        })?;
        let count = if options.io_threads == 0 { default_io_threads() } else { options.io_threads };
        let mut io = Vec::with_capacity(count);
        let mut duties = Vec::with_capacity(count);
        for home in 0..count {
            let (give, duty) = oneshot::channel();
            io.push(Arc::new(IoThread::start(home, duty)?));
            duties.push(give);
        }
        let loader = Loader {
            io: io.iter().map(|thread| thread.handle.clone()).collect(),
            homes: io.iter().map(|thread| thread.mail.clone()).collect(),
            control,
            metrics: Arc::clone(&metrics),
            log: log.clone(),
            library: PathBuf::from(&options.onnxruntime_library),
            python: PathBuf::from(&options.python),
            trust_pickle: options.trust_pickle,
            region: options.region.clone(),
            book: Arc::new(Book::default()),
        };
        let last_good = options.state_directory.as_deref().map(|folder| Path::new(folder).join("snapshot.json"));
        let state = Arc::new(State {
            plan: ArcSwap::from_pointee(Plan::empty()),
            metrics,
            log,
            draining: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
            desks: OnceLock::new(),
            body_bytes: options.limits.body_bytes,
            patience: Duration::from_millis(options.limits.header_timeout_ms),
            loader,
            last_good: LastGood { path: last_good },
            applying: Mutex::new(()),
        });
        let (stop, stopped) = watch::channel(false);
        let mut desks = Vec::with_capacity(count);
        for (home, duty) in duties.into_iter().enumerate() {
            let ids = Mutex::new(Ids::default());
            let answerer = Answerer { home, max_rows: options.limits.request_rows, ids };
            let desk = Arc::new(Desk::new(Arc::clone(&state), answerer));
            desks.push(Arc::clone(&desk));
            drop(duty.send(Duty { desk, limits: options.limits.clone(), stop: stopped.clone() }));
        }
        drop(state.desks.set(desks));
        Ok(Self { state, io, stop })
    }

    fn doors(&self) -> Vec<Arc<IoThread>> {
        self.io.clone()
    }

    /// Applies the snapshot that the process was started with, or the last good one. A process that was given none,
    /// because it follows a control plane, starts with the last good one if it has one, and else not ready.
    async fn first_snapshot(&self, snapshot: &Snapshot, follows: bool) -> Result<()> {
        let (state, first) = (Arc::clone(&self.state), snapshot.clone());
        let apply = move || {
            if follows && first.endpoints.is_empty() {
                return state.last_good.read().map_or(Ok(()), |last| state.apply(&last));
            }
            let Err(error) = state.apply(&first) else { return Ok(()) };
            let Some(last) = state.last_good.read() else { return Err(error) };
            tracing::warn!(%error, generation = last.generation, "starting with the last good snapshot");
            state.apply(&last).map_err(|_| error)
        };
        tokio::task::spawn_blocking(apply).await.map_err(|error| Error::new(Code::Internal, error.to_string()))?
    }

    /// Not ready at once; new connections for `delay`, while load balancers learn that this replica leaves; then no
    /// more, and what is in flight is finished.
    async fn drain(&self, accepting: &tokio::task::JoinHandle<()>, grace: Duration, delay: Duration) -> bool {
        let until = Instant::now() + grace;
        self.state.draining.store(true, Ordering::Relaxed);
        tracing::info!(in_flight = self.state.in_flight(), "draining");
        tokio::time::sleep(delay.min(grace)).await;
        accepting.abort();
        // Nobody listens when every connection has closed already.
        let _ = self.stop.send(true);
        let open = || self.io.iter().map(|thread| thread.load.load(Ordering::Relaxed)).sum::<usize>();
        let stopped = Instant::now();
        // A connection that has begun a request and does not go on is no reason to wait for long.
        let settled = || self.state.in_flight() == 0 && stopped.elapsed() > UNFINISHED;
        while open() > 0 && !settled() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = self.state.in_flight();
        if left > 0 {
            tracing::error!(left, "the grace period ended before these requests did");
        }
        left == 0
    }
}

/// Accepts for ever, giving each connection to the I/O thread that has fewest.
async fn accept(listener: TcpListener, doors: Vec<Arc<IoThread>>, connections: usize) {
    let places = Arc::new(Semaphore::new(connections));
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept"),
    };
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, mostly: wait for some to come back.
                tracing::warn!(%error, "accept");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Latency over packet count; a socket that refuses still works.
        drop(stream.set_nodelay(true));
        let Ok(stream) = stream.into_std() else { continue };
        if let Some(door) = doors.iter().min_by_key(|door| door.load.load(Ordering::Relaxed)) {
            drop(door.visitors.send(Visitor { stream, place }));
        }
    }
}

async fn wait_for_the_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| internal(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| internal(&error))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
