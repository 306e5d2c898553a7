//! Admission to an endpoint: so many rows at a time, a short wait for the others, and a refusal after that.
//!
//! The wait is what makes overload cheap. A refused client comes back at once, and hearing it out again costs nearly as
//! much as an answer; one that waits a moment costs nothing meanwhile, and mostly finds room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Code, Error, Result};

/// Requests of one I/O thread that wait for room.
#[derive(Debug, Default)]
struct Room {
    waiting: AtomicUsize,
    freed: Notify,
}

/// Rows admitted to an endpoint and not yet answered.
#[derive(Debug)]
pub struct Admission {
    rows: AtomicUsize,
    limit: usize,
    /// Most bytes that a row has had in a request body; 0 before the first.
    row_bytes: AtomicUsize,
    /// One for each I/O thread: mostly a thread frees room for itself, and need not wake another.
    rooms: Box<[Room]>,
}

impl Admission {
    pub fn new(limit: usize, io_threads: usize) -> Arc<Self> {
        let rooms = (0..io_threads.max(1)).map(|_| Room::default()).collect();
        Arc::new(Self { rows: AtomicUsize::new(0), limit, row_bytes: AtomicUsize::new(0), rooms })
    }

    /// Rows in flight now.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Requests that wait for room now.
    pub fn waiting(&self) -> usize {
        self.rooms.iter().map(|room| room.waiting.load(Ordering::Relaxed)).sum()
    }

    /// True where a body of so many bytes cannot find room, told before it is parsed: under overload a refusal must
    /// cost little. It is taken for as few rows as such a body can have had so far, so that none is refused wrongly.
    fn is_full_for(&self, body_bytes: usize) -> bool {
        let rows = self.rows();
        let least = body_bytes / self.row_bytes.load(Ordering::Relaxed).max(body_bytes / self.limit).max(1);
        rows > 0 && rows + least.max(1) > self.limit
    }

    /// Learns how many bytes a row has.
    pub fn learn(&self, body_bytes: usize, rows: usize) {
        let row_bytes = body_bytes.div_ceil(rows.max(1));
        if row_bytes > self.row_bytes.load(Ordering::Relaxed) {
            self.row_bytes.fetch_max(row_bytes, Ordering::Relaxed);
        }
    }

    /// Returns when a body of so many bytes seems to find room; `queue_full` where it does not within `patience`, or
    /// where as many requests wait already as the queue has rows.
    pub async fn wait(&self, body_bytes: usize, home: usize, patience: Duration) -> Result<()> {
        if !self.is_full_for(body_bytes) {
            return Ok(());
        }
        if patience.is_zero() || self.waiting() >= self.limit {
            return Err(self.refusal());
        }
        let room = &self.rooms[home];
        let _place = Place::take(room);
        let until = Instant::now() + patience;
        loop {
            let freed = room.freed.notified();
            if !self.is_full_for(body_bytes) {
                // What is left may do for the next one.
                room.freed.notify_one();
                return Ok(());
            }
            if tokio::time::timeout_at(until, freed).await.is_err() {
                return Err(self.refusal());
            }
        }
    }

    /// Room for `rows` more, or `queue_full`. A request larger than the whole queue is let in when it is empty.
    pub fn enter(self: &Arc<Self>, rows: usize, home: usize) -> Result<RowPermit> {
        let before = self.rows.fetch_add(rows, Ordering::Relaxed);
        let permit = RowPermit { admission: Arc::clone(self), rows, home };
        if before > 0 && before + rows > self.limit {
            return Err(self.refusal());
        }
        Ok(permit)
    }

    /// Tells one that waits that there is room: of the same thread, or else of another.
    fn tell(&self, home: usize) {
        let waits = |room: &&Room| room.waiting.load(Ordering::Relaxed) > 0;
        if let Some(room) = self.rooms[home..].iter().chain(&self.rooms[..home]).find(waits) {
            room.freed.notify_one();
        }
    }

    /// The 429 answer.
    fn refusal(&self) -> Error {
        let message = format!("{} rows are waiting, the queue holds {}", self.rows(), self.limit);
        Error::new(Code::QueueFull, message).retry_after(Duration::from_secs(1))
    }
}

/// A place among those that wait; given back however the wait ends.
struct Place<'r>(&'r Room);

impl<'r> Place<'r> {
    fn take(room: &'r Room) -> Self {
        room.waiting.fetch_add(1, Ordering::Relaxed);
        Self(room)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives the rows back when dropped.
#[derive(Debug)]
pub struct RowPermit {
    admission: Arc<Admission>,
    rows: usize,
    /// Index of the I/O thread whose request it is.
    home: usize,
}

impl Drop for RowPermit {
    fn drop(&mut self) {
        self.admission.rows.fetch_sub(self.rows, Ordering::Relaxed);
        self.admission.tell(self.home);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn permits_come_back() {
        let admission = Admission::new(4, 1);
        let permit = admission.enter(3, 0).expect("room");
        assert_eq!(admission.enter(2, 0).expect_err("full").code, Code::QueueFull);
        assert_eq!(admission.rows(), 3);
        drop(permit);
        assert_eq!(admission.rows(), 0);
        assert!(admission.enter(10, 0).is_ok(), "a request larger than the queue is let in when it is empty");
    }

    #[test]
    fn a_body_that_cannot_find_room_is_told_by_its_length() {
        let admission = Admission::new(100, 1);
        assert!(!admission.is_full_for(1_000_000), "an empty queue takes anything");
        admission.learn(3_200, 32);
        let _held = admission.enter(80, 0).expect("room");
        assert!(admission.is_full_for(3_200), "80 and 32 are more than 100");
        assert!(!admission.is_full_for(1_500), "80 and 15 are not");
        admission.learn(400, 1);
        assert!(!admission.is_full_for(3_200), "it could be eight rows of 400 bytes");
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_room_comes_on_whatever_thread() {
        let admission = Admission::new(2, 3);
        let held = admission.enter(2, 0).expect("room");
        let waiters: Vec<_> = [1, 2]
            .map(|home| {
                let admission = Arc::clone(&admission);
                tokio::spawn(async move {
                    admission.wait(1, home, LONG).await?;
                    // Held until both have come in, so that the second one needs its own room.
                    let permit = admission.enter(1, home)?;
                    tokio::time::sleep(SOON).await;
                    drop(permit);
                    Ok::<_, Error>(())
                })
            })
            .into();
        while admission.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        drop(held);
        for waiter in waiters {
            waiter.await.expect("no panic").expect("let in");
        }
        assert_eq!((admission.rows(), admission.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn patience_ends_and_the_waiting_room_is_bounded() {
        let admission = Admission::new(1, 1);
        let held = admission.enter(1, 0).expect("room");
        assert_eq!(admission.wait(1, 0, Duration::ZERO).await.expect_err("no patience").code, Code::QueueFull);
        assert_eq!(admission.wait(1, 0, SOON).await.expect_err("no room came").code, Code::QueueFull);
        let first = Arc::clone(&admission);
        let first = tokio::spawn(async move { first.wait(1, 0, LONG).await });
        while admission.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.wait(1, 0, LONG).await.expect_err("as many wait as may").code, Code::QueueFull);
        first.abort();
        drop(first.await);
        assert_eq!(admission.waiting(), 0, "a client that has gone waits no more");
        drop(held);
        admission.wait(1, 0, Duration::ZERO).await.expect("room");
    }
}
