//! Which closed segments have served their time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::names;
use crate::wire::options::LogOptions;

struct Closed {
    stamp: String,
    path: PathBuf,
    size: u64,
}

/// Removes the oldest closed segments under the log's folder beyond `retention_bytes` in all, and those whose last row
/// is older than `retention_hours` at `now`. Gives how many. Segments that are being written are never touched.
pub(super) fn apply(options: &LogOptions, now: SystemTime) -> io::Result<usize> {
    if options.retention_bytes.is_none() && options.retention_hours.is_none() {
        return Ok(0);
    }
    let mut segments = closed(Path::new(&options.directory))?;
    segments.sort_unstable_by(|a, b| (&a.stamp, &a.path).cmp(&(&b.stamp, &b.path)));
    let mut total: u64 = segments.iter().map(|segment| segment.size).sum();
    let horizon = horizon(options, now);
    let mut removed = 0;
    for segment in segments {
        let too_old = horizon.as_ref().is_some_and(|horizon| segment.stamp < *horizon);
        let too_much = options.retention_bytes.is_some_and(|limit| total > limit);
        if !too_old && !too_much {
            break; // what follows is younger
        }
        match fs::remove_file(&segment.path) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // another process was faster
            Err(error) => return Err(error),
        }
        total -= segment.size;
    }
    Ok(removed)
}

/// `apply` for now, with its result in the process's log.
pub(super) fn apply_and_report(options: &LogOptions) {
    match apply(options, SystemTime::now()) {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "removed log segments past their retention"),
        Err(error) => tracing::error!(%error, "cannot remove log segments past their retention"),
    }
}

/// Segments begun before this stamp hold only rows past their time: the stamp is that of a segment's first row, and
/// its last came at most `segment_seconds` later.
fn horizon(options: &LogOptions, now: SystemTime) -> Option<String> {
    let kept = Duration::try_from_secs_f64(options.retention_hours? * 3_600.0).ok()?;
    let kept = kept.checked_add(Duration::from_secs(options.segment_seconds))?;
    now.checked_sub(kept).map(names::stamp)
}

fn closed(directory: &Path) -> io::Result<Vec<Closed>> {
    let mut found = Vec::new();
    for endpoint in fs::read_dir(directory)? {
        let endpoint = endpoint?.path();
        if !endpoint.is_dir() {
            continue;
        }
        for file in fs::read_dir(endpoint)? {
            let file = file?;
            let path = file.path();
            if let (Some(stamp), Ok(meta)) = (names::closed_stamp(&path), file.metadata()) {
                found.push(Closed { stamp: stamp.to_owned(), size: meta.len(), path });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// A closed segment of `size` bytes, begun `age` hours before 1970-01-11.
    fn put(directory: &Path, endpoint: &str, age: u64, size: usize) -> PathBuf {
        let stem = names::stem(&"ab".repeat(32), now() - Duration::from_hours(age), "p", age);
        let path = directory.join(endpoint).join(format!("{stem}{}", names::CLOSED));
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(&path, vec![0; size]).expect("segment");
        path
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(240)
    }

    #[test]
    fn the_oldest_go_first_whatever_their_endpoint() {
        let folder = tempfile::tempdir().expect("folder");
        let [old, middle, young] = [("b", 3), ("a", 2), ("b", 1)].map(|(name, age)| put(folder.path(), name, age, 100));
        let mut options = samples::options(folder.path());
        assert_eq!(apply(&options, now()).expect("kept all"), 0);
        options.retention_bytes = Some(200);
        assert_eq!(apply(&options, now()).expect("applied"), 1);
        assert_eq!([&old, &middle, &young].map(|path| path.exists()), [false, true, true]);
        options.retention_bytes = Some(99);
        assert_eq!(apply(&options, now()).expect("applied"), 2);
        assert!(!young.exists());
    }

    #[test]
    fn age_is_that_of_the_last_row() {
        let folder = tempfile::tempdir().expect("folder");
        let paths = [5, 4, 3].map(|age| put(folder.path(), "a", age, 1));
        let mut options = samples::options(folder.path());
        options.retention_hours = Some(3.5);
        options.segment_seconds = 3_600; // the one begun 4 hours ago may hold rows of 3 hours ago
        assert_eq!(apply(&options, now()).expect("applied"), 1);
        assert_eq!(paths.map(|path| path.exists()), [false, true, true]);
        options.retention_hours = Some(1e300);
        assert_eq!(apply(&options, now()).expect("applied"), 0);
    }

    #[test]
    fn open_segments_and_strangers_stay() {
        let folder = tempfile::tempdir().expect("folder");
        let closed = put(folder.path(), "a", 5, 10);
        let open = closed.with_extension("arrow.open");
        let stranger = folder.path().join("a").join("notes.arrow");
        fs::write(&open, "x").expect("write");
        fs::write(&stranger, "x").expect("write");
        let mut options = samples::options(folder.path());
        (options.retention_hours, options.retention_bytes) = (Some(1.0), Some(1));
        assert_eq!(apply(&options, now()).expect("applied"), 1);
        assert_eq!([&closed, &open, &stranger].map(|path| path.exists()), [false, true, true]);
    }
}
