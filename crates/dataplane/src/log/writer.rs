//! The writer's thread: takes what is queued, sorts it by stream, and has each stream that is due committed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Files;
use super::lane::Lane;
use super::queue::{Entry, Queue};
use super::segments::Segments;
use crate::wire::options::LogOptions;

/// All that the writer's thread owns.
pub(super) struct Writer {
    queue: Arc<Queue>,
    segments: Segments,
    lanes: Vec<Lane>,
    flush: Duration,
}

impl Writer {
    pub(super) fn new(options: LogOptions, process: String, files: Files, queue: Arc<Queue>) -> io::Result<Self> {
        let flush = Duration::from_millis(options.flush_ms);
        let segments = Segments::new(options, process, files, queue.clone())?;
        Ok(Self { queue, segments, lanes: Vec::new(), flush })
    }

    /// Writes until the queue is closed and empty, then closes all segments.
    pub(super) fn run(mut self) {
        let mut entries = Vec::new();
        let mut tick = Instant::now() + self.flush;
        loop {
            let closing = self.queue.take(tick, &mut entries);
            let now = Instant::now();
            let ticked = closing || now >= tick;
            if ticked {
                tick = now + self.flush;
            }
            // A fault of ours must not end the log: what was in its hands is reported, and the next round goes on.
            if catch_unwind(AssertUnwindSafe(|| self.round(&mut entries, ticked, closing))).is_err() {
                entries.clear();
                self.account_for_panic();
            }
            if closing {
                break;
            }
        }
        for lane in &mut self.lanes {
            lane.abandon(&self.segments, self.queue.status());
        }
        self.segments.finish();
    }

    fn round(&mut self, entries: &mut Vec<Entry>, ticked: bool, closing: bool) {
        entries.drain(..).for_each(|entry| self.sort(entry));
        let now = Instant::now();
        let status = self.queue.status();
        for lane in &mut self.lanes {
            if lane.is_due(ticked, now) || closing && lane.rows() > 0 {
                lane.commit(&mut self.segments, status, self.flush);
                lane.rotate(&self.segments);
            } else if ticked {
                lane.rotate(&self.segments);
            }
        }
        status.failing.store(self.lanes.iter().any(Lane::is_failing), Relaxed);
        if ticked {
            self.lanes.retain(|lane| !lane.is_over());
        }
    }

    fn sort(&mut self, entry: Entry) {
        let stream = &entry.batch.stream;
        let known = self.lanes.iter().position(|lane| lane.is_of(stream));
        let index = known.unwrap_or_else(|| {
            self.lanes.push(Lane::new(stream.clone()));
            self.lanes.len() - 1
        });
        self.lanes[index].push(entry);
    }

    /// After a panic: the rows that are neither queued nor in a lane any more are lost.
    fn account_for_panic(&mut self) {
        let status = self.queue.status();
        let lost = self.queue.settle(self.lanes.iter_mut().map(Lane::settle).sum());
        status.lost(lost);
        tracing::error!(lost, "the log writer panicked");
    }
}
