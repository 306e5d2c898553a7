//! Streams, batches and faulty disks for the tests of the log.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_ipc::reader::StreamReader;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::journal::{JournalFile, Make, Medium, Pages, Setup, Syncer};
use super::segment::{FileSink, Sink};
use super::{Batch, Files, Log, LogError, RowMeta, Stream, StreamSpec, names};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::{FeatureSpec, FeatureType, TensorSpec};
use crate::wire::options::LogOptions;

pub(super) fn options(directory: &Path) -> LogOptions {
    LogOptions {
        directory: directory.to_str().expect("UTF-8").to_owned(),
        segment_bytes: 64 * 1024 * 1024,
        segment_seconds: 300,
        flush_ms: 5,
        queue_rows: 100_000,
        retention_bytes: None,
        retention_hours: None,
    }
}

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.to_vec() }
}

/// Two features of one tensor `x`, one score, two labels.
pub(super) fn stream(endpoint: &str) -> Arc<Stream> {
    let mut spec = stream_of(Datatype::Fp32, &[-1, 2], true).spec().clone();
    spec.endpoint = endpoint.into();
    Arc::new(Stream::new(spec).expect("stream"))
}

/// One input `x`, with a feature `f0`, `f1`, ... for each column if `named`.
pub(super) fn stream_of(datatype: Datatype, shape: &[i64], named: bool) -> Arc<Stream> {
    let feature = |column: usize| FeatureSpec {
        name: format!("f{column}"),
        kind: FeatureType::Float,
        tensor: "x".into(),
        column,
        nullable: true,
        minimum: None,
        maximum: None,
        categories: None,
        missing: None,
        impute: None,
    };
    let width = if named { usize::try_from(shape[1]).expect("fixed") } else { 0 };
    let spec = StreamSpec {
        endpoint: "fraud".into(),
        version: "1".into(),
        variant: "champion".into(),
        bundle: "ab".repeat(32).into(),
        inputs: vec![spec("x", datatype, shape)],
        features: (0..width).map(feature).collect(),
        outputs: vec![spec("score", Datatype::Fp32, &[-1])],
        labels: vec!["no".into(), "yes".into()],
    };
    Arc::new(Stream::new(spec).expect("stream"))
}

/// A tensor with values and missing marks that follow from `seed`.
pub(super) fn tensor(datatype: Datatype, dims: &[usize], seed: u64) -> Tensor {
    let count = dims.iter().product::<usize>() as u64;
    let noise: Vec<u64> =
        (0..count).map(|at| (seed ^ at).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    let all = || noise.iter().copied();
    let data = match datatype {
        Datatype::Bool => Data::Bool(all().map(|n| n & 4 > 0).collect()),
        Datatype::Uint8 => Data::Uint8(all().map(|n| n as u8).collect()),
        Datatype::Uint16 => Data::Uint16(all().map(|n| n as u16).collect()),
        Datatype::Uint32 => Data::Uint32(all().map(|n| n as u32).collect()),
        Datatype::Uint64 => Data::Uint64(all().collect()),
        Datatype::Int8 => Data::Int8(all().map(|n| n as i8).collect()),
        Datatype::Int16 => Data::Int16(all().map(|n| n as i16).collect()),
        Datatype::Int32 => Data::Int32(all().map(|n| n as i32).collect()),
        Datatype::Int64 => Data::Int64(all().map(u64::cast_signed).collect()),
        Datatype::Fp32 => Data::Fp32(all().map(|n| n as f32).collect()),
        Datatype::Fp64 => Data::Fp64(all().map(|n| n as f64).collect()),
        Datatype::Bytes => Data::Bytes(all().map(|n| format!("é{}", n % 1_000).into_bytes().into()).collect()),
    };
    let missing = (0..count as u32).filter(|at| noise[*at as usize] >> 60 == 0).collect();
    Tensor { dims: dims.to_vec(), data, missing }
}

/// A batch of `input`'s rows with ids from `first` on.
pub(super) fn batch_of(stream: &Arc<Stream>, first: u128, input: Tensor) -> Batch {
    let count = input.rows();
    let output = Tensor { dims: vec![count], data: Data::Fp32(vec![0.25; count]), missing: vec![] };
    let row = |at: usize| RowMeta { id: first + at as u128, time_us: 1_000, latency_us: 10, ..RowMeta::default() };
    Batch {
        stream: stream.clone(),
        inputs: vec![input],
        outputs: Arc::new(vec![output]),
        rows: (0..count).map(row).collect(),
        on_durable: None,
    }
}

/// A batch for `stream`, a row for each id.
pub(super) fn batch(stream: &Arc<Stream>, ids: Range<u128>) -> Batch {
    let count = (ids.end - ids.start) as usize;
    batch_of(stream, ids.start, tensor(Datatype::Fp32, &[count, 2], ids.start as u64))
}

/// What a caller is told.
pub(super) type Told = mpsc::Receiver<Result<(), LogError>>;

pub(super) fn append(log: &Log, batch: Batch) {
    log.append(batch).map_err(|(refused, _)| refused).expect("taken over");
}

/// `batch`, and what its caller will be told.
pub(super) fn awaited(mut batch: Batch) -> (Batch, Told) {
    let (tell, told) = mpsc::channel();
    batch.on_durable = Some(Box::new(move |result| tell.send(result).expect("somebody listens")));
    (batch, told)
}

pub(super) fn answer(told: &Told) -> Result<(), LogError> {
    told.recv_timeout(Duration::from_secs(20)).expect("told")
}

/// A day: rows are written only because somebody waits for them, or because the log closes.
pub(super) fn slow(directory: &Path) -> LogOptions {
    LogOptions { flush_ms: 86_400_000, ..options(directory) }
}

/// Every file in a folder under `directory`, by name.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).expect("folder").map(|entry| entry.expect("entry").path());
    let mut found: Vec<PathBuf> = entries(directory).filter(|path| path.is_dir()).flat_map(|e| entries(&e)).collect();
    found.sort();
    found
}

/// Whether the file has been closed.
pub(super) fn is_closed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "arrow")
}

/// All batches of one file; fails on anything that is not a whole stream.
pub(super) fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).expect("segment");
    let reader = StreamReader::try_new(file, None).expect("schema");
    reader.collect::<Result<_, _>>().expect("batches")
}

pub(super) fn ids_of(batches: &[RecordBatch]) -> Vec<u128> {
    let id = |bytes: Option<&[u8]>| u128::from_be_bytes(bytes.and_then(|b| b.try_into().ok()).expect("16 bytes"));
    batches.iter().flat_map(|batch| batch["id"].as_fixed_size_binary().iter().map(id)).collect()
}

/// The ids in all files under `directory`, sorted.
pub(super) fn ids(directory: &Path) -> Vec<u128> {
    let mut all: Vec<u128> = files(directory).iter().flat_map(|path| ids_of(&read(path))).collect();
    all.sort_unstable();
    all
}

/// Returns when `condition` holds; fails after a time no machine needs.
pub(super) fn wait_until(condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "waited in vain");
        thread::yield_now();
    }
}

/// What goes wrong with the files of a log.
pub(super) struct Disk {
    /// Bytes that fit; a write beyond them is cut short, as on a full disk.
    pub(super) room: AtomicU64,
    /// Syncs of segments fail.
    pub(super) sync_fails: AtomicBool,
    /// Writes to journals fail.
    pub(super) journal_fails: AtomicBool,
    /// No journal can be made.
    pub(super) journal_refused: AtomicBool,
    /// So many of the next writes panic.
    pub(super) panics: AtomicU64,
    /// Of segments.
    pub(super) syncs: AtomicU64,
    pub(super) journal_writes: AtomicU64,
    /// Syncs of segments, and whatever changes a file's name, wait while this is held.
    pub(super) gate: Mutex<()>,
    /// Writes to journals wait while this is held.
    pub(super) journal_gate: Mutex<()>,
    /// Bytes of each open segment that a sync has made durable.
    durable: Mutex<HashMap<PathBuf, u64>>,
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            room: AtomicU64::new(u64::MAX),
            sync_fails: AtomicBool::new(false),
            journal_fails: AtomicBool::new(false),
            journal_refused: AtomicBool::new(false),
            panics: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            journal_writes: AtomicU64::new(0),
            gate: Mutex::new(()),
            journal_gate: Mutex::new(()),
            durable: Mutex::default(),
        })
    }

    /// Real files with this disk's faults.
    pub(super) fn files(self: &Arc<Self>) -> Files {
        self.files_with(1024 * 1024)
    }

    /// The same with a journal of two halves of `half` bytes; after one that failed the next is begun at once.
    pub(super) fn files_with(self: &Arc<Self>, half: u64) -> Files {
        let (disk, of_journal) = (self.clone(), self.clone());
        let create = move |directory: &Path, stem: &str| {
            let file = FileSink::create(directory, stem)?;
            let path = directory.join(format!("{stem}{}", names::OPEN));
            Ok(Box::new(Faulty { file, path, disk: disk.clone() }) as Box<dyn Sink>)
        };
        let make: Make = Arc::new(move |directory: &Path, process: &str, half: u64| {
            if of_journal.journal_refused.load(SeqCst) {
                return Err(io::Error::new(ErrorKind::StorageFull, "disk full"));
            }
            let (file, layout) = JournalFile::create(directory, process, half)?;
            Ok((Box::new(Faulty { file, path: PathBuf::new(), disk: of_journal.clone() }) as Box<dyn Medium>, layout))
        });
        Files { create: Box::new(create), journal: Setup { make, half, pause: Duration::ZERO } }
    }
}

impl Disk {
    /// What the folder holds after a power cut now: of open segments no more than was synced. To be called while nobody
    /// waits for a commit.
    pub(super) fn after_power_cut(&self, directory: &Path) -> TempDir {
        let cut = tempfile::tempdir().expect("folder");
        let _gate = self.gate.lock(); // no file is renamed or removed meanwhile
        for entry in fs::read_dir(directory).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                fs::copy(&path, cut.path().join(path.file_name().expect("name"))).expect("copy");
            }
        }
        for path in files(directory) {
            let copy = cut.path().join(path.strip_prefix(directory).expect("prefix"));
            fs::create_dir_all(copy.parent().expect("parent")).expect("folder");
            fs::copy(&path, &copy).expect("copy");
            if !is_closed(&path) {
                let durable = self.durable.lock().get(&path).copied().unwrap_or(0);
                fs::OpenOptions::new().write(true).open(&copy).expect("file").set_len(durable).expect("cut");
            }
        }
        cut
    }
}

struct Faulty<F> {
    file: F,
    path: PathBuf,
    disk: Arc<Disk>,
}

impl Sink for Faulty<FileSink> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let panics = self.disk.panics.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        assert!(panics.is_err(), "a fault of the writer");
        let fits = bytes.len().min(self.disk.room.load(SeqCst) as usize);
        self.disk.room.fetch_sub(fits as u64, SeqCst);
        self.file.append(&bytes[..fits])?;
        if fits < bytes.len() { Err(io::Error::new(ErrorKind::StorageFull, "disk full")) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn syncer(&self) -> io::Result<Syncer> {
        let (disk, path, sync) = (self.disk.clone(), self.path.clone(), self.file.syncer()?);
        Ok(Box::new(move || {
            let _gate = disk.gate.lock();
            disk.syncs.fetch_add(1, SeqCst);
            if disk.sync_fails.load(SeqCst) {
                return Err(io::Error::other("sync failed"));
            }
            let length = fs::metadata(&path).map_or(0, |meta| meta.len());
            sync().inspect(|()| _ = disk.durable.lock().insert(path.clone(), length))
        }))
    }

    fn seal(&mut self) -> io::Result<()> {
        let _gate = self.disk.gate.lock();
        self.file.seal()
    }

    fn remove(&mut self) -> io::Result<()> {
        self.file.remove()
    }
}

impl Medium for Faulty<JournalFile> {
    fn write(&mut self, pages: &Pages, offset: u64) -> io::Result<()> {
        drop(self.disk.journal_gate.lock());
        self.disk.journal_writes.fetch_add(1, SeqCst);
        self.file.write(pages, offset)?; // it may have got there, whatever is said
        if self.disk.journal_fails.load(SeqCst) { Err(io::Error::other("write failed")) } else { Ok(()) }
    }

    fn remove(&mut self) -> io::Result<()> {
        let _gate = self.disk.gate.lock();
        self.file.remove()
    }
}
