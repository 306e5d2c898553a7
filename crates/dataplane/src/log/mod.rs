//! The prediction log: every answered prediction as a row of an Arrow IPC segment, written by one background thread.
//!
//! `append` hands over and returns; it refuses what does not fit and never drops. A batch with `on_durable` is told when
//! its rows survive a power cut, after one sync for all that waited (group commit); any other is in the file at most
//! `flush_ms` later. What cannot be written is kept and tried again; what never can is counted as lost and reported.

mod claim;
mod columns;
mod journal;
mod lane;
mod names;
mod queue;
mod recovery;
mod retention;
#[cfg(test)]
mod samples;
mod segment;
mod segments;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::tensor::Tensor;
use crate::wire::options::LogOptions;
use queue::Queue;
use segment::{FileSink, Opener, Sink};
use writer::Writer;

pub use recovery::RecoveryReport;
pub use status::LogStatus;
pub use stream::{Stream, StreamSpec};

/// Why rows are not in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// A stream that cannot be made; the text says why.
    #[error("log stream: {0}")]
    Stream(Arc<str>),
    /// The storage refused; the text is the system's.
    #[error("log storage: {0}")]
    Storage(Arc<str>),
    /// These rows can never be written: they do not fit the format, or a fault of the writer met them.
    #[error("log rows: {0}")]
    Rows(Arc<str>),
    /// The log ended before they were written.
    #[error("the log was closed")]
    Closed,
}

/// Why a batch was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full: rows come faster than they are written.
    Backlog,
    /// The queue is full because the storage refuses, or the log is closed; the text says which.
    Unavailable(String),
    /// The batch does not fit its stream: a fault of the caller.
    Invalid(String),
}

/// What a row says besides its tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowMeta {
    /// `UUIDv7` of the prediction.
    pub id: u128,
    /// Microseconds since 1970 UTC.
    pub time_us: i64,
    pub latency_us: u32,
    /// Position in its request.
    pub row: u32,
    pub unit: Option<Box<str>>,
    pub request_id: Option<Arc<str>>,
    /// `field:kind` each.
    pub violations: Vec<Box<str>>,
    pub score: Option<f64>,
    /// Index into the stream's labels.
    pub decision: Option<u16>,
}

/// Called once on the writer's thread: it must not wait.
pub type OnDurable = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// Rows of one stream that were answered together.
pub struct Batch {
    pub stream: Arc<Stream>,
    /// In the order of the stream's inputs, `rows.len()` rows each.
    pub inputs: Vec<Tensor>,
    /// In the order of the stream's outputs, `rows.len()` rows each.
    pub outputs: Arc<Vec<Tensor>>,
    pub rows: Vec<RowMeta>,
    /// Set where the answer waits until the rows are durable.
    pub on_durable: Option<OnDurable>,
}

impl Batch {
    fn check(&self) -> Result<(), String> {
        self.stream.check(&self.inputs, &self.outputs, self.rows.len())?;
        let labels = self.stream.spec().labels.len();
        let decision = self.rows.iter().filter_map(|row| row.decision).find(|index| usize::from(*index) >= labels);
        decision.map_or(Ok(()), |index| Err(format!("decision {index} of {labels} labels")))
    }
}

/// The log of one process. Cheap to clone; the last clone that goes closes it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

/// What a log writes to.
struct Files {
    create: Opener,
    journal: journal::Setup,
}

impl Default for Files {
    fn default() -> Self {
        let create = |directory: &Path, stem: &str| {
            FileSink::create(directory, stem).map(|sink| Box::new(sink) as Box<dyn Sink>)
        };
        Self { create: Box::new(create), journal: journal::Setup::default() }
    }
}

struct Inner {
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    recovery: RecoveryReport,
}

impl Log {
    /// Makes the folder where it is missing, closes what dead processes left open in it, and starts the writer.
    /// `process` names this process in file names; two that share a folder need two names.
    pub fn open(options: &LogOptions, process: &str) -> io::Result<Self> {
        Self::open_on(options, process, Files::default())
    }

    fn open_on(options: &LogOptions, process: &str, files: Files) -> io::Result<Self> {
        if process.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the log needs a name for its process"));
        }
        let directory = Path::new(&options.directory);
        fs::create_dir_all(directory)?;
        let recovery = recovery::recover(directory)?;
        retention::apply_and_report(options);
        let queue = Arc::new(Queue::new(options.queue_rows));
        let writer = Writer::new(options.clone(), names::safe(process), files, queue.clone())?;
        let writer = thread::Builder::new().name("log-writer".into()).spawn(move || writer.run())?;
        Ok(Self { inner: Arc::new(Inner { queue, writer: Mutex::new(Some(writer)), recovery }) })
    }

    /// Hands `batch` over, or gives it back: it never waits for the storage and never drops. A batch of no rows is
    /// durable at once.
    pub fn append(&self, batch: Batch) -> Result<(), (Refused, Batch)> {
        match batch.check() {
            Ok(()) => self.inner.queue.push(batch),
            Err(text) => Err((Refused::Invalid(text), batch)),
        }
    }

    /// Whether `append` would take `rows` more rows now.
    pub fn has_room(&self, rows: usize) -> bool {
        self.inner.queue.has_room(rows)
    }

    /// Counters since `open`, and the last error.
    pub fn status(&self) -> LogStatus {
        self.inner.queue.status().read()
    }

    /// What `open` did with the open segments of dead processes.
    pub fn recovery(&self) -> RecoveryReport {
        self.inner.recovery
    }

    /// Writes what was handed over, closes the segments and ends the writer. Rows that cannot be written even now are
    /// counted as lost. Later calls return at once, later appends are refused.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        self.queue.close();
        let mut writer = self.writer.lock();
        // On the writer's own thread (a callback holds the last clone) there is nothing to wait for.
        if let Some(writer) = writer.take_if(|writer| writer.thread().id() != thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the log writer ended by a panic");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
