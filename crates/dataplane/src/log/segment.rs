//! One segment file: an Arrow IPC stream that grows by whole commits and is given its final name when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};

use super::journal::{Debt, Journal, Syncer};
use super::names;

/// End of an Arrow IPC stream: a continuation marker and a length of zero.
pub(super) const END_OF_STREAM: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

/// Where a segment's bytes go. A file in production; tests put a failing one in its place.
pub(super) trait Sink: Send {
    /// Adds `bytes` at the end, in one call to the system where it takes them whole.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the content to `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// What makes all that was appended survive a power cut.
    fn syncer(&self) -> io::Result<Syncer>;
    /// Makes the content durable and gives it its final name.
    fn seal(&mut self) -> io::Result<()>;
    /// Removes it.
    fn remove(&mut self) -> io::Result<()>;
}

/// Makes the sink of a new segment in a folder, under a name without ending. `AlreadyExists`: the name is taken.
pub(super) type Opener = Box<dyn Fn(&Path, &str) -> io::Result<Box<dyn Sink>> + Send>;

/// A segment file. While it lives it holds an advisory lock, by which recovery tells it from a dead process's.
pub(super) struct FileSink {
    file: File,
    directory: PathBuf,
    open: PathBuf,
    closed: PathBuf,
}

impl FileSink {
    /// A new file `STEM.arrow.open`, locked; never one that exists. The folder is made where it is missing.
    pub(super) fn create(directory: &Path, stem: &str) -> io::Result<Self> {
        if !directory.is_dir() {
            fs::create_dir_all(directory)?;
            directory.parent().map_or(Ok(()), sync_directory)?;
        }
        let open = directory.join(format!("{stem}{}", names::OPEN));
        let closed = directory.join(format!("{stem}{}", names::CLOSED));
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is taken", open.display()));
        if closed.exists() {
            return Err(taken());
        }
        let file = OpenOptions::new().append(true).create_new(true).open(&open)?;
        // Between creation and lock a recovering process may take the file for a dead one's and remove it.
        if file.try_lock().is_err() || file.metadata()?.nlink() == 0 {
            return Err(taken());
        }
        sync_directory(directory)?;
        Ok(Self { file, directory: directory.to_path_buf(), open, closed })
    }

    /// An open segment of a dead process, already locked.
    pub(super) fn adopt(file: File, open: &Path) -> Option<Self> {
        let stem = open.file_name()?.to_str()?.strip_suffix(names::OPEN)?;
        let directory = open.parent()?;
        let closed = directory.join(format!("{stem}{}", names::CLOSED));
        Some(Self { file, directory: directory.to_path_buf(), open: open.to_path_buf(), closed })
    }
}

impl Sink for FileSink {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A removed file takes bytes without complaint, and nobody will ever read them.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} was removed", self.open.display())));
        }
        self.file.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn syncer(&self) -> io::Result<Syncer> {
        let file = self.file.try_clone()?;
        Ok(Box::new(move || file.sync_data()))
    }

    fn seal(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.open, &self.closed)?;
        sync_directory(&self.directory)
    }

    fn remove(&mut self) -> io::Result<()> {
        fs::remove_file(&self.open)
    }
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Why rows did not get into a segment.
#[derive(Debug)]
pub(super) enum Fault {
    /// The rows cannot be encoded; they never will be.
    Rows(ArrowError),
    /// The storage refused; it may take them later.
    Storage(io::Error),
}

/// A stream of record batches on a sink. After a failed commit its content is that of before.
pub(super) struct Segment {
    sink: Box<dyn Sink>,
    schema: SchemaRef,
    encoder: StreamWriter<Vec<u8>>,
    /// Bytes of whole commits.
    length: u64,
    /// So many of them survive a power cut, by the segment itself or by the journal.
    safe: u64,
    debt: Arc<Debt>,
    opened: Instant,
    /// The sink's content is not known to be `length` bytes of commits.
    broken: bool,
}

impl Segment {
    /// An empty segment; `path` is that of the sink's file, relative to the log's folder.
    pub(super) fn new(sink: Box<dyn Sink>, path: String, schema: SchemaRef) -> Result<Self, Fault> {
        let encoder = encoder(&schema).map_err(Fault::Rows)?;
        let debt = Arc::new(Debt::new(path, sink.syncer().map_err(Fault::Storage)?));
        Ok(Self { sink, schema, encoder, length: 0, safe: 0, debt, opened: Instant::now(), broken: false })
    }

    /// Bytes of whole commits.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// True where a new segment must be begun, because this one's content could not be put right or made durable.
    pub(super) fn is_broken(&self) -> bool {
        self.broken || self.debt.is_failed()
    }

    /// Adds `batch` whole or not at all; when it returns with a `journal`, it survives a power cut. Gives the bytes
    /// added.
    pub(super) fn commit(&mut self, batch: &RecordBatch, journal: Option<&mut Journal>) -> Result<u64, Fault> {
        if let Err(error) = self.encoder.write(batch) {
            self.distrust();
            return Err(Fault::Rows(error));
        }
        let bytes = self.encoder.get_ref();
        let added = bytes.len() as u64;
        let appended = self.sink.append(bytes);
        let written = appended.and_then(|()| journal.map_or(Ok(()), |journal| self.make_safe(journal)));
        if let Err(error) = written {
            // A file that was removed will not come back: begin another.
            self.broken |= error.kind() == io::ErrorKind::NotFound;
            self.roll_back();
            return Err(Fault::Storage(error));
        }
        self.encoder.get_mut().clear();
        self.encoder.get_mut().shrink_to(KEPT_BUFFER);
        self.length += added;
        Ok(added)
    }

    /// Makes what the encoder holds, and has been appended, survive a power cut. The journal can do that only where all
    /// before it is safe already: it knows nothing of rows that nobody waited for.
    fn make_safe(&mut self, journal: &mut Journal) -> io::Result<()> {
        let bytes = self.encoder.get_ref();
        if self.safe != self.length || !journal.record(&self.debt, self.length, bytes) {
            // After a failed sync the system may drop what it could not write and report success next time: never
            // trust the file again.
            self.debt.pay().inspect_err(|_| self.broken = true)?;
        }
        self.safe = self.length + self.encoder.get_ref().len() as u64;
        Ok(())
    }

    /// To be called where a commit ended in a way that leaves the encoder's state unknown, such as a panic.
    pub(super) fn distrust(&mut self) {
        self.roll_back();
        self.broken = true;
    }

    /// Puts the content back to the last whole commit.
    fn roll_back(&mut self) {
        self.broken |= self.sink.truncate(self.length).is_err();
        self.encoder.get_mut().clear();
        if self.length > 0 {
            return;
        }
        // Schema and dictionaries belong to the first commit: encode them again.
        match encoder(&self.schema) {
            Ok(encoder) => self.encoder = encoder,
            Err(_) => self.broken = true,
        }
    }

    /// Ends the stream, makes it durable and gives it its final name; an empty segment is removed.
    /// Whether there is a closed segment now.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        if self.length == 0 {
            return self.sink.remove().map(|()| false);
        }
        if self.broken {
            self.sink.truncate(self.length)?;
        }
        if self.sink.append(&END_OF_STREAM).is_err() {
            // The end marker is optional in the format; a part of one is not.
            self.sink.truncate(self.length)?;
        }
        self.debt.settle(|| self.sink.seal()).map(|()| true)
    }
}

/// Capacity that a segment's buffer keeps between commits.
const KEPT_BUFFER: usize = 1024 * 1024;

fn encoder(schema: &SchemaRef) -> Result<StreamWriter<Vec<u8>>, ArrowError> {
    // Padding to 8 bytes instead of 64: commits of a few rows would be mostly padding.
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
    StreamWriter::try_new_with_options(Vec::new(), schema, options)
}
