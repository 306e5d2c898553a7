//! The rows of one stream on their way into its segment.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::queue::{EAGER_ROWS, Entry};
use super::segment::{Fault, Segment};
use super::segments::Segments;
use super::status::Status;
use super::stream::Stream;
use super::{Batch, LogError, columns};
use crate::each_data;
use crate::tensor::{Data, Tensor};

/// Most rows in a record batch, unless one batch has more.
const GROUP_ROWS: usize = 8_192;
/// Most bytes of tensors in a record batch, unless one batch has more.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Most rows that are encoded to find out whether failing storage works again.
const PROBE_ROWS: usize = 256;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// When failing storage is tried again for rows that nobody waits for.
struct Retry {
    at: Instant,
    pause: Duration,
}

/// Rows of one stream, its segment, and whether the last attempt to bring them together failed.
pub(super) struct Lane {
    stream: Arc<Stream>,
    segment: Option<Segment>,
    entries: Vec<Entry>,
    rows: usize,
    urgent: bool,
    retry: Option<Retry>,
}

impl Lane {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, segment: None, entries: Vec::new(), rows: 0, urgent: false, retry: None }
    }

    /// Whether rows of `stream` belong here.
    pub(super) fn is_of(&self, stream: &Arc<Stream>) -> bool {
        Arc::ptr_eq(&self.stream, stream) || self.stream.spec() == stream.spec()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.rows += entry.batch.rows.len();
        self.urgent |= entry.answer.is_awaited();
        self.entries.push(entry);
    }

    /// Rows that are not written yet.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Counts the rows anew, after a panic; gives them.
    pub(super) fn settle(&mut self) -> usize {
        self.rows = self.entries.iter().map(|entry| entry.batch.rows.len()).sum();
        self.rows
    }

    pub(super) fn is_failing(&self) -> bool {
        self.retry.is_some()
    }

    /// Whether nothing is here and nobody else knows the stream: its plan is gone.
    pub(super) fn is_over(&self) -> bool {
        self.entries.is_empty() && self.segment.is_none() && Arc::strong_count(&self.stream) == 1
    }

    /// Whether rows should be written now: somebody waits for them, they are many, or the tick has come.
    pub(super) fn is_due(&self, ticked: bool, now: Instant) -> bool {
        let may_try = self.retry.as_ref().is_none_or(|retry| retry.at <= now);
        !self.entries.is_empty() && (self.urgent || may_try && (ticked || self.rows >= EAGER_ROWS))
    }

    /// Takes a segment that is full out of use.
    pub(super) fn rotate(&mut self, segments: &Segments) {
        if let Some(segment) = self.segment.take_if(|segment| segments.is_full(segment)) {
            segments.retire(segment);
        }
    }

    /// Writes all rows, or up to the first failure of the storage: then those that somebody waits for are refused, and
    /// the others are kept for the next attempt.
    pub(super) fn commit(&mut self, segments: &mut Segments, status: &Status, flush: Duration) {
        let mut entries = mem::take(&mut self.entries);
        self.urgent = false;
        let (mut done, mut alone) = (0, 0);
        while done < entries.len() {
            let count = if alone > 0 { 1 } else { self.group(&entries[done..]) };
            let group = &mut entries[done..done + count];
            let started = Instant::now();
            match self.write(group, segments) {
                Ok(bytes) => {
                    status.last_commit_us.store(started.elapsed().as_micros() as u64, Relaxed);
                    self.written(group, bytes, status);
                }
                Err(Fault::Rows(_)) if count > 1 => {
                    alone = count; // one of them is at fault: the others must not suffer for it
                    continue;
                }
                Err(Fault::Rows(error)) => self.reject(&mut group[0], &error.to_string(), status),
                Err(Fault::Storage(error)) => {
                    self.fail(&error.to_string(), status, flush);
                    break;
                }
            }
            done += count;
            alone = alone.saturating_sub(1);
        }
        entries.drain(..done);
        if !entries.is_empty() {
            self.refuse_awaited(&mut entries, status);
        }
        self.entries = entries;
    }

    /// Gives up what could not be written. The log is closing.
    pub(super) fn abandon(&mut self, segments: &Segments, status: &Status) {
        if self.rows > 0 {
            let endpoint = &self.stream.spec().endpoint;
            tracing::error!(rows = self.rows, %endpoint, "log rows are lost: they could not be written before the end");
            status.lost(self.rows);
            status.queued_rows.fetch_sub(self.rows, Relaxed);
        }
        self.entries.clear();
        self.rows = 0;
        if let Some(segment) = self.segment.take() {
            segments.retire(segment);
        }
    }

    /// How many entries from the front make one record batch.
    fn group(&self, entries: &[Entry]) -> usize {
        let limit = if self.is_failing() { PROBE_ROWS } else { GROUP_ROWS };
        let (mut rows, mut bytes) = (0, 0);
        let fits = |entry: &&Entry| {
            rows += entry.batch.rows.len();
            bytes += size(&entry.batch);
            rows <= limit && bytes <= GROUP_BYTES
        };
        entries.iter().take_while(fits).count().max(1)
    }

    fn write(&mut self, group: &[Entry], segments: &mut Segments) -> Result<u64, Fault> {
        let durable = group.iter().any(|entry| entry.answer.is_awaited());
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let batches: Vec<&Batch> = group.iter().map(|entry| &entry.batch).collect();
            let record = columns::build(&self.stream, &batches).map_err(Fault::Rows)?;
            self.put(&record, durable, segments)
        }));
        attempt.unwrap_or_else(|_| {
            if let Some(mut segment) = self.segment.take() {
                segment.distrust();
                segments.retire(segment);
            }
            Err(Fault::Rows(ArrowError::ComputeError("the writer panicked on these rows".into())))
        })
    }

    fn put(&mut self, record: &RecordBatch, durable: bool, segments: &mut Segments) -> Result<u64, Fault> {
        self.drop_broken(segments);
        let is_new = self.segment.is_none();
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => none.insert(segments.begin(&self.stream)?),
        };
        let result = segment.commit(record, durable.then(|| segments.journal()));
        self.drop_broken(segments);
        match result {
            // Somebody removed the file: go on in a new one.
            Err(Fault::Storage(error)) if error.kind() == std::io::ErrorKind::NotFound && !is_new => {
                self.put(record, durable, segments)
            }
            result => result,
        }
    }

    fn drop_broken(&mut self, segments: &Segments) {
        if let Some(broken) = self.segment.take_if(|segment| segment.is_broken()) {
            segments.retire(broken);
        }
    }

    fn written(&mut self, group: &mut [Entry], bytes: u64, status: &Status) {
        if self.retry.take().is_some() {
            tracing::info!(endpoint = %self.stream.spec().endpoint, "the log can be written again");
        }
        let rows = group.iter().map(|entry| entry.batch.rows.len()).sum();
        let awaited = group.iter().any(|entry| entry.answer.is_awaited());
        self.leave(rows, status);
        status.written_rows.fetch_add(rows as u64, Relaxed);
        status.written_bytes.fetch_add(bytes, Relaxed);
        status.commits.fetch_add(1, Relaxed);
        status.syncs.fetch_add(u64::from(awaited), Relaxed);
        for entry in group {
            entry.answer.tell(Ok(()));
        }
    }

    fn reject(&mut self, entry: &mut Entry, error: &str, status: &Status) {
        let rows = entry.batch.rows.len();
        tracing::error!(rows, error, endpoint = %self.stream.spec().endpoint, "log rows are lost: they cannot be encoded");
        self.leave(rows, status);
        if entry.answer.is_awaited() {
            status.refused_rows.fetch_add(rows as u64, Relaxed);
        } else {
            status.lost(rows);
        }
        status.failed(error.into());
        entry.answer.tell(Err(LogError::Rows(error.into())));
    }

    fn fail(&mut self, error: &str, status: &Status, flush: Duration) {
        let pause = self.retry.as_ref().map_or(flush, |retry| retry.pause * 2).min(LONGEST_PAUSE);
        if self.retry.is_none() {
            tracing::error!(error, endpoint = %self.stream.spec().endpoint, "the log cannot be written");
        }
        self.retry = Some(Retry { at: Instant::now() + pause, pause });
        status.failed(error.into());
        status.failing.store(true, Relaxed);
    }

    /// Tells those that wait what the storage said, and keeps the rest.
    fn refuse_awaited(&mut self, entries: &mut Vec<Entry>, status: &Status) {
        let error = status.last_error().unwrap_or_else(|| "unknown".into());
        entries.retain_mut(|entry| {
            let awaited = entry.answer.is_awaited();
            if awaited {
                let rows = entry.batch.rows.len();
                self.leave(rows, status);
                status.refused_rows.fetch_add(rows as u64, Relaxed);
                entry.answer.tell(Err(LogError::Storage(error.clone())));
            }
            !awaited
        });
    }

    /// `rows` are no longer on their way.
    fn leave(&mut self, rows: usize, status: &Status) {
        self.rows -= rows;
        status.queued_rows.fetch_sub(rows, Relaxed);
    }
}

/// Bytes of the batch's tensors.
fn size(batch: &Batch) -> usize {
    let tensor = |tensor: &Tensor| match &tensor.data {
        Data::Bytes(values) => values.iter().map(|value| value.len() + size_of::<i32>()).sum(),
        data => each_data!(data, values => size_of_val(values.as_slice())),
    };
    batch.inputs.iter().chain(batch.outputs.iter()).map(tensor).sum::<usize>()
}
