//! What a dead process left behind: each of its open segments is cut to its last whole message and closed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::ArrowError;

use super::names;
use super::segment::{END_OF_STREAM, FileSink, Sink};

/// What was done with the open segments of dead processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments closed with the rows they had.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes after the last whole message, cut off.
    pub torn_bytes: u64,
    /// Files without a single whole row, removed.
    pub removed: u64,
    /// Files that could not be read or written; they are left as they are.
    pub failed: u64,
}

enum Outcome {
    /// A living process writes it, or has just closed it.
    Held,
    Removed,
    Closed {
        rows: u64,
        torn: u64,
    },
}

/// Closes every open segment under `directory` whose writer is dead. Fails only where the folder cannot be listed.
pub(super) fn recover(directory: &Path) -> io::Result<RecoveryReport> {
    let mut report = RecoveryReport::default();
    for path in left_open(directory)? {
        match close(&path) {
            Ok(Outcome::Held) => {}
            Ok(Outcome::Removed) => {
                report.removed += 1;
                tracing::warn!(path = %path.display(), "removed an open log segment without rows");
            }
            Ok(Outcome::Closed { rows, torn }) => {
                report.segments += 1;
                report.rows += rows;
                report.torn_bytes += torn;
                tracing::info!(path = %path.display(), rows, torn_bytes = torn, "recovered a log segment");
            }
            Err(error) => {
                report.failed += 1;
                tracing::error!(path = %path.display(), %error, "cannot recover a log segment");
            }
        }
    }
    Ok(report)
}

fn left_open(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for endpoint in fs::read_dir(directory)? {
        let endpoint = endpoint?.path();
        if endpoint.is_dir() {
            for file in fs::read_dir(endpoint)? {
                let path = file?.path();
                if path.to_str().is_some_and(|path| path.ends_with(names::OPEN)) {
                    found.push(path);
                }
            }
        }
    }
    Ok(found)
}

fn close(path: &Path) -> io::Result<Outcome> {
    let file = OpenOptions::new().read(true).append(true).open(path);
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Held),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Outcome::Held),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if !is_at(&file, path) {
        return Ok(Outcome::Held); // its writer, or another recovery, closed it between `open` and the lock
    }
    let size = file.metadata()?.len();
    let messages = whole_messages(&mut file, size)?;
    let (end, rows) = decodable(&file, &messages)?;
    let mut torn = size - end;
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not a segment's name");
    let mut sink = FileSink::adopt(file, path).ok_or_else(missing)?;
    if rows == 0 {
        sink.remove()?;
        return Ok(Outcome::Removed);
    }
    if ends_well(path, end, size)? {
        torn = 0;
    }
    sink.truncate(end)?;
    sink.append(&END_OF_STREAM)?;
    sink.seal()?;
    Ok(Outcome::Closed { rows, torn })
}

/// Whether `path` still names `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Whether nothing but the end marker stands after `end`.
fn ends_well(path: &Path, end: u64, size: u64) -> io::Result<bool> {
    let mut rest = [0; END_OF_STREAM.len()];
    if size - end != rest.len() as u64 {
        return Ok(false);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut rest)?;
    Ok(rest == END_OF_STREAM)
}

struct Message {
    end: u64,
    is_batch: bool,
}

/// The messages from the start on that are whole by their lengths and headers.
fn whole_messages(file: &mut File, size: u64) -> io::Result<Vec<Message>> {
    let mut messages: Vec<Message> = Vec::new();
    let mut at = 0;
    while let Some(message) = message_at(file, at, size, messages.is_empty())? {
        at = message.end;
        messages.push(message);
    }
    Ok(messages)
}

/// The message at `at`, if it is whole: a schema at the start, then dictionaries and record batches.
fn message_at(file: &mut File, at: u64, size: u64, is_first: bool) -> io::Result<Option<Message>> {
    let mut prefix = [0; 8];
    if size - at < prefix.len() as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut prefix)?;
    let [a, b, c, d, length @ ..] = prefix;
    let (marker, length) = (u32::from_le_bytes([a, b, c, d]), u64::from(u32::from_le_bytes(length)));
    let body = at + prefix.len() as u64 + length;
    if marker != u32::MAX || length == 0 || body > size {
        return Ok(None);
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    let Ok(message) = root_as_message(&header) else { return Ok(None) };
    let kind = message.header_type();
    let expected = if is_first {
        kind == MessageHeader::Schema
    } else {
        kind == MessageHeader::RecordBatch || kind == MessageHeader::DictionaryBatch
    };
    let end = u64::try_from(message.bodyLength()).ok().and_then(|length| body.checked_add(length));
    Ok(end
        .filter(|end| expected && *end <= size)
        .map(|end| Message { end, is_batch: kind == MessageHeader::RecordBatch }))
}

/// The end of the last record batch that decodes, as do all before it, and the rows up to there.
fn decodable(file: &File, messages: &[Message]) -> io::Result<(u64, u64)> {
    let whole = messages.last().map_or(0, |message| message.end);
    if whole == 0 {
        return Ok((0, 0));
    }
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    let input = BufReader::new(file.take(whole));
    let mut counts = Vec::new();
    // The decoder checks what it reads; should it miss something in a damaged file, that must not stop a start.
    if let Ok(read) = catch_unwind(AssertUnwindSafe(|| count_rows(input, &mut counts))) {
        read?;
    }
    let ends = messages.iter().filter(|message| message.is_batch).map(|message| message.end);
    let last = ends.zip(&counts).last().map_or(0, |(end, _)| end);
    Ok((last, counts.iter().sum()))
}

/// Adds the rows of each record batch to `counts`, up to the first that does not decode. Fails only where the file
/// cannot be read: that says nothing about its content, and must not shorten it.
fn count_rows(input: impl Read, counts: &mut Vec<u64>) -> io::Result<()> {
    let undecodable = |error: ArrowError| match error {
        ArrowError::IoError(_, error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(()),
    };
    let reader = match StreamReader::try_new(input, None) {
        Ok(reader) => reader,
        Err(error) => return undecodable(error),
    };
    for batch in reader {
        match batch {
            Ok(batch) => counts.push(batch.num_rows() as u64),
            Err(error) => return undecodable(error),
        }
    }
    Ok(())
}
