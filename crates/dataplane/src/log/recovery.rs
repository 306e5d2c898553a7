//! What a dead process left behind: its journal is replayed, then each of its open segments is cut to its last whole
//! message and closed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::{MessageHeader, root_as_message};
use arrow_schema::ArrowError;

use super::claim::{Claim, claim};
use super::journal::replay;
use super::names;
use super::segment::{END_OF_STREAM, FileSink, Sink};

/// What was done with the journals and open segments of dead processes.
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
    /// Journals replayed and removed.
    pub journals: u64,
    /// Commits that were in a journal and not in their segments, written there.
    pub replayed: u64,
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

/// Replays the journals of dead processes under `directory` and closes their open segments. Fails only where the folder
/// cannot be listed.
pub(super) fn recover(directory: &Path) -> io::Result<RecoveryReport> {
    let _alone = alone(directory);
    let replay = replay(directory)?;
    let mut report = RecoveryReport { replayed: replay.commits, failed: replay.failed, ..RecoveryReport::default() };
    for path in left_open(directory)?.into_iter().filter(|path| !replay.is_lacking(path)) {
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
    report.journals = replay.finish();
    Ok(report)
}

/// Waits for others that recover this folder: one of them may hold a journal, and its segments must not be closed by
/// us before they have what it holds. Where folders cannot be locked (NFS) starts must not coincide.
fn alone(directory: &Path) -> Option<File> {
    let folder = File::open(directory).ok()?;
    folder.lock().inspect_err(|error| tracing::debug!(%error, "the log's folder cannot be locked")).ok()?;
    Some(folder)
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
    let Claim::Ours(mut file) = claim(path, OpenOptions::new().read(true).append(true))? else {
        return Ok(Outcome::Held);
    };
    let Content { end, rows, torn } = Content::of(&mut file)?;
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "not a segment's name");
    let mut sink = FileSink::adopt(file, path).ok_or_else(missing)?;
    if rows == 0 {
        sink.remove()?;
        return Ok(Outcome::Removed);
    }
    sink.truncate(end)?;
    sink.append(&END_OF_STREAM)?;
    sink.seal()?;
    Ok(Outcome::Closed { rows, torn })
}

/// What of a file is worth keeping.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    /// Bytes from the start that are a stream of whole messages.
    end: u64,
    rows: u64,
    /// Bytes after that, unless they are the end marker.
    torn: u64,
}

impl Content {
    fn of(file: &mut File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let messages = whole_messages(file, size)?;
        let (end, rows) = decodable(file, &messages)?;
        let mut rest = [0; END_OF_STREAM.len()];
        let mut torn = size - end;
        if torn == rest.len() as u64 {
            file.seek(SeekFrom::Start(end))?;
            file.read_exact(&mut rest)?;
            torn *= u64::from(rest != END_OF_STREAM);
        }
        Ok(Self { end, rows, torn })
    }
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use arrow_ipc::writer::StreamWriter;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::{columns, samples};
    use super::*;

    const NAME: &str = "abababababab-20260101T000000-dead-0.arrow.open";

    /// An Arrow stream without end marker, one batch for each range of ids, and where each batch ends.
    fn stream(ranges: &[Range<u128>]) -> (Vec<u8>, Vec<usize>) {
        let stream = samples::stream("fraud");
        let mut writer = StreamWriter::try_new(Vec::new(), stream.schema()).expect("writer");
        let mut ends = Vec::new();
        for range in ranges {
            let batch = samples::batch(&stream, range.clone());
            writer.write(&columns::build(&stream, &[&batch]).expect("build")).expect("write");
            ends.push(writer.get_ref().len());
        }
        (writer.get_ref().clone(), ends)
    }

    fn left_behind(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("fraud").join(NAME);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(&path, bytes).expect("segment");
        (folder, path)
    }

    fn whole(segments: u64, rows: u64, torn_bytes: u64) -> RecoveryReport {
        RecoveryReport { segments, rows, torn_bytes, ..RecoveryReport::default() }
    }

    #[test]
    fn every_cut_in_the_last_message_keeps_all_before_it() {
        let (bytes, ends) = stream(&[0..3, 3..4, 4..9]);
        let (_folder, path) = left_behind(&bytes);
        let mut file = OpenOptions::new().read(true).write(true).open(path).expect("file");
        for cut in (ends[1]..=ends[2]).rev() {
            file.set_len(cut as u64).expect("cut");
            let (end, rows) = if cut == ends[2] { (cut, 9) } else { (ends[1], 4) };
            let expected = Content { end: end as u64, rows, torn: (cut - end) as u64 };
            assert_eq!(Content::of(&mut file).expect("content"), expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_cut_segment_is_closed_with_the_rows_it_had() {
        let (bytes, ends) = stream(&[0..3, 3..4, 4..9]);
        for (cut, rows, torn) in [(ends[2], 9, 0), (ends[2] - 1, 4, ends[2] - 1 - ends[1]), (ends[1] + 1, 4, 1)] {
            let (folder, _) = left_behind(&bytes[..cut]);
            assert_eq!(recover(folder.path()).expect("report"), whole(1, rows, torn as u64), "cut at {cut}");
            assert_eq!(samples::ids(folder.path()), (0..u128::from(rows)).collect::<Vec<_>>(), "cut at {cut}");
            let files = samples::files(folder.path());
            assert!(samples::is_closed(&files[0]) && files.len() == 1);
            assert_eq!(fs::read(&files[0]).expect("bytes")[(cut - torn)..], END_OF_STREAM);
        }
    }

    #[test]
    fn without_a_whole_row_the_file_is_removed() {
        let (bytes, ends) = stream(std::slice::from_ref(&(0..1)));
        for cut in [0, 1, 8, ends[0] / 2, ends[0] - 1] {
            let (folder, _) = left_behind(&bytes[..cut]);
            let report = recover(folder.path()).expect("report");
            assert_eq!(report, RecoveryReport { removed: 1, ..RecoveryReport::default() }, "cut at {cut}");
            assert!(samples::files(folder.path()).is_empty());
        }
    }

    #[test]
    fn an_end_marker_is_not_torn() {
        let (mut bytes, _) = stream(&[0..2, 2..3]);
        bytes.extend(END_OF_STREAM);
        let (folder, _) = left_behind(&bytes);
        assert_eq!(recover(folder.path()).expect("report"), whole(1, 3, 0));
        assert_eq!(fs::read(&samples::files(folder.path())[0]).expect("bytes"), bytes);
    }

    #[test]
    fn a_living_writers_file_is_left_alone() {
        let (bytes, _) = stream(std::slice::from_ref(&(0..2)));
        let (folder, path) = left_behind(&bytes);
        let held = File::open(&path).expect("file");
        held.lock().expect("lock");
        assert_eq!(recover(folder.path()).expect("report"), RecoveryReport::default());
        assert!(path.exists());
        drop(held);
        assert_eq!(recover(folder.path()).expect("report"), whole(1, 2, 0));
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("stray.arrow.open"), "x").expect("write");
        fs::create_dir(folder.path().join("fraud")).expect("folder");
        fs::write(folder.path().join("fraud/notes.txt"), "x").expect("write");
        assert_eq!(recover(folder.path()).expect("report"), RecoveryReport::default());
        assert!(recover(&folder.path().join("absent")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the damage, recovery ends, and what it closes can be read and is a prefix of what was written.
        #[test]
        fn damage_never_stops_it(at in any::<prop::sample::Index>(), patch in prop::collection::vec(any::<u8>(), 1..40)) {
            let (mut bytes, ends) = stream(&[0..3, 3..5, 5..9]);
            let at = at.index(bytes.len());
            for (byte, new) in bytes[at..].iter_mut().zip(&patch) {
                *byte = *new;
            }
            let (folder, _) = left_behind(&bytes);
            let report = recover(folder.path()).expect("report");
            prop_assert_eq!(report.failed, 0);
            let files = samples::files(folder.path());
            let rows = files.iter().flat_map(|path| samples::read(path)).map(|batch| batch.num_rows()).sum::<usize>();
            prop_assert_eq!(rows as u64, report.rows);
            if at >= ends[1] {
                prop_assert!(rows >= 5);
            }
        }

        #[test]
        fn garbage_never_stops_it(bytes in prop::collection::vec(any::<u8>(), 0..200), marked in any::<bool>()) {
            let bytes = if marked { [&[0xFF; 4][..], &bytes].concat() } else { bytes };
            let (folder, _) = left_behind(&bytes);
            prop_assert_eq!(recover(folder.path()).expect("report").segments, 0);
        }
    }
}
