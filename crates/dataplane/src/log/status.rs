//! The log's counters: written by its threads, read by anyone without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

/// The log at one moment. Counters run from `open` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStatus {
    /// Rows taken over and not yet written.
    pub queued_rows: usize,
    pub written_rows: u64,
    /// Bytes of whole commits.
    pub written_bytes: u64,
    /// Writes that succeeded; each is one record batch.
    pub commits: u64,
    /// Commits that were made durable.
    pub syncs: u64,
    /// Segments closed under their final name.
    pub closed_segments: u64,
    /// Rows that never will be written.
    pub lost_rows: u64,
    /// Rows of acknowledged batches whose callers were told that they are not in the log.
    pub refused_rows: u64,
    /// Encoding, writing and syncing the last commit.
    pub last_commit: Duration,
    /// Whether the last attempt of some stream failed.
    pub failing: bool,
    /// The last error; it stays after recovery.
    pub last_error: Option<Arc<str>>,
}

/// The shared cells behind `LogStatus`.
#[derive(Default)]
pub(super) struct Status {
    pub(super) queued_rows: AtomicUsize,
    pub(super) written_rows: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) closed_segments: AtomicU64,
    pub(super) lost_rows: AtomicU64,
    pub(super) refused_rows: AtomicU64,
    pub(super) last_commit_us: AtomicU64,
    pub(super) failing: AtomicBool,
    last_error: Mutex<Option<Arc<str>>>,
}

impl Status {
    pub(super) fn read(&self) -> LogStatus {
        LogStatus {
            queued_rows: self.queued_rows.load(Relaxed),
            written_rows: self.written_rows.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            commits: self.commits.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            closed_segments: self.closed_segments.load(Relaxed),
            lost_rows: self.lost_rows.load(Relaxed),
            refused_rows: self.refused_rows.load(Relaxed),
            last_commit: Duration::from_micros(self.last_commit_us.load(Relaxed)),
            failing: self.failing.load(Relaxed),
            last_error: self.last_error.lock().clone(),
        }
    }

    pub(super) fn failed(&self, error: Arc<str>) {
        *self.last_error.lock() = Some(error);
    }

    pub(super) fn last_error(&self) -> Option<Arc<str>> {
        self.last_error.lock().clone()
    }

    /// The last error, while it lasts.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.failing.load(Relaxed).then(|| self.last_error()).flatten()
    }

    pub(super) fn lost(&self, rows: usize) {
        self.lost_rows.fetch_add(rows as u64, Relaxed);
    }
}
