//! The hand-over from the threads that answer to the one that writes: bounded in rows, one short lock a batch.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::status::Status;
use super::{Batch, LogError, OnDurable, Refused};

/// Buffered rows that are not left waiting for the flush tick.
pub(super) const EAGER_ROWS: usize = 8_192;

/// A batch that the log has taken over.
pub(super) struct Entry {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
}

/// The caller's wish to be told, if it has one. Dropped untold it tells `Closed`, so that no caller waits for ever.
pub(super) struct Answer(Option<OnDurable>);

impl Answer {
    pub(super) fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the caller, once. A panic of the callback is the caller's and stays there.
    pub(super) fn tell(&mut self, result: Result<(), LogError>) {
        if let Some(callback) = self.0.take()
            && catch_unwind(AssertUnwindSafe(|| callback(result))).is_err()
        {
            tracing::error!("a callback of the log panicked");
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.tell(Err(LogError::Closed));
    }
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    rows: usize,
    /// Somebody waits for an answer.
    urgent: bool,
    asleep: bool,
    closing: bool,
}

/// Rows handed over and not yet written, bounded. Rows count until they are written, not until they are taken.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    status: Status,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), status: Status::default(), limit }
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    /// An empty queue has room for anything: a batch larger than the limit must be written too.
    pub(super) fn has_room(&self, rows: usize) -> bool {
        let queued = self.status.queued_rows.load(Relaxed);
        queued == 0 || queued.saturating_add(rows) <= self.limit
    }

    /// Takes `batch` over or gives it back. Wakes the writer only for rows that should not wait for its tick.
    pub(super) fn push(&self, mut batch: Batch) -> Result<(), (Refused, Batch)> {
        let rows = batch.rows.len();
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return Err((Refused::Unavailable(LogError::Closed.to_string()), batch));
        }
        if !self.has_room(rows) {
            drop(waiting);
            let why = self.status.failure().map_or(Refused::Backlog, |error| Refused::Unavailable(error.to_string()));
            return Err((why, batch));
        }
        let mut answer = Answer(batch.on_durable.take());
        if rows == 0 {
            drop(waiting);
            answer.tell(Ok(()));
            return Ok(());
        }
        self.status.queued_rows.fetch_add(rows, Relaxed);
        waiting.rows += rows;
        waiting.urgent |= answer.is_awaited();
        waiting.entries.push(Entry { batch, answer });
        let wake = waiting.asleep && (waiting.urgent || waiting.rows >= EAGER_ROWS);
        waiting.asleep &= !wake;
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits until `tick`, or until rows should be written at once or the log is closing; then moves all that waits
    /// to `entries`, which is empty. True once nothing more will come.
    pub(super) fn take(&self, tick: Instant, entries: &mut Vec<Entry>) -> bool {
        let mut waiting = self.waiting.lock();
        while !(waiting.urgent || waiting.closing || waiting.rows >= EAGER_ROWS) {
            waiting.asleep = true;
            if self.wake.wait_until(&mut waiting, tick).timed_out() {
                break;
            }
        }
        waiting.asleep = false;
        waiting.urgent = false;
        waiting.rows = 0;
        mem::swap(&mut waiting.entries, entries);
        waiting.closing
    }

    /// Sets the count of rows on their way to those that wait here plus `elsewhere`. Gives how many fewer that are.
    pub(super) fn settle(&self, elsewhere: usize) -> usize {
        let waiting = self.waiting.lock();
        let rows = waiting.rows + elsewhere;
        self.status.queued_rows.swap(rows, Relaxed).saturating_sub(rows)
    }

    /// From now on nothing is taken over.
    pub(super) fn close(&self) {
        self.waiting.lock().closing = true;
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::super::samples::{batch, stream, wait_until};
    use super::*;

    /// What a writer that sleeps takes after `pushes`: entries, and whether the end has come.
    fn taken_after(pushes: impl FnOnce(&Queue)) -> (usize, bool) {
        let queue = Queue::new(1_000_000);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut entries = Vec::new();
                let closing = queue.take(Instant::now() + Duration::from_hours(1), &mut entries);
                (entries.len(), closing)
            });
            wait_until(|| queue.waiting.lock().asleep);
            pushes(&queue);
            writer.join().expect("writer")
        })
    }

    fn push(queue: &Queue, batch: Batch) {
        queue.push(batch).map_err(|(refused, _)| refused).expect("taken over");
    }

    #[test]
    fn the_writer_sleeps_on_until_somebody_waits_or_much_is_queued() {
        let stream = stream("fraud");
        let small = || batch(&stream, 0..1);
        let awaited = taken_after(|queue| {
            push(queue, small());
            assert!(queue.waiting.lock().asleep);
            push(queue, Batch { on_durable: Some(Box::new(drop)), ..small() });
        });
        assert_eq!(awaited, (2, false));
        let many = taken_after(|queue| {
            push(queue, small());
            push(queue, batch(&stream, 0..EAGER_ROWS as u128));
        });
        assert_eq!(many, (2, false));
        assert_eq!(taken_after(Queue::close), (0, true));
    }

    #[test]
    fn the_tick_ends_the_wait() {
        let queue = Queue::new(10);
        push(&queue, batch(&stream("fraud"), 0..1));
        let mut entries = Vec::new();
        assert!(!queue.take(Instant::now(), &mut entries));
        assert_eq!(entries.len(), 1);
    }

    #[test]
    fn a_caller_that_was_not_told_learns_that_it_never_will() {
        let queue = Queue::new(10);
        let (tell, told) = mpsc::channel();
        let on_durable: OnDurable = Box::new(move |result| tell.send(result).expect("somebody listens"));
        push(&queue, Batch { on_durable: Some(on_durable), ..batch(&stream("fraud"), 0..1) });
        drop(queue);
        assert_eq!(told.recv().expect("told"), Err(LogError::Closed));
    }
}
