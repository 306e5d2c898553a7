//! A lane: the queue between the requests of an endpoint and one executor (or several) of its model.
//!
//! Bounded by the endpoint's admission (`admission.rs`), so that pushing never waits and never fails but on a closed lane.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::admission::RowPermit;
use crate::error::Result;
use crate::tensor::Tensor;
use crate::violation::Violation;

/// What a batch came to; shared by the requests that it answers.
#[derive(Debug)]
pub struct Outcome {
    /// In the order of the signature's outputs, all rows of the batch.
    pub outputs: Arc<Vec<Tensor>>,
    /// One a row, or empty without a decision rule.
    pub scores: Vec<Option<f64>>,
    pub decisions: Vec<Option<u16>>,
}

/// One request's rows of an `Outcome`.
#[derive(Debug)]
pub struct Answered {
    pub outcome: Arc<Outcome>,
    pub start: usize,
    pub violations: Vec<Violation>,
    /// Holds the request's place in the queue until its answer is written.
    pub permit: RowPermit,
}

pub type Reply = oneshot::Sender<Result<Answered>>;

/// One request on its way to the model.
#[derive(Debug)]
pub struct Job {
    /// In the order of the signature's inputs.
    pub inputs: Vec<Tensor>,
    pub rows: usize,
    pub received: Instant,
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    pub deadline: Instant,
    /// Prediction id of the first row; row i has `first_id + i`.
    pub first_id: u128,
    pub request_id: Option<Arc<str>>,
    /// One a row, or empty.
    pub units: Vec<Option<Box<str>>>,
    pub violations: Vec<Violation>,
    pub permit: RowPermit,
    pub reply: Reply,
    /// Index of the I/O thread that waits for the reply.
    pub home: usize,
}

impl Job {
    /// Jobs with equal shapes behind the first dimension can share a batch.
    fn fits_with(&self, other: &Self) -> bool {
        self.inputs.iter().zip(&other.inputs).all(|(a, b)| a.dims[1..] == b.dims[1..])
    }
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The queue itself.
#[derive(Debug, Default)]
pub struct Lane {
    queue: Mutex<Queue>,
    arrived: Notify,
}

/// A cut batch: what to run, and who is answered without it.
#[derive(Debug, Default)]
pub struct Cut {
    pub jobs: Vec<Job>,
    pub rows: usize,
    /// Past their deadline while they waited.
    pub expired: Vec<Job>,
    /// Their client has gone; counted where the answer would have been written.
    pub abandoned: usize,
}

impl Lane {
    /// Queues a job; a closed lane gives it back.
    pub fn push(&self, job: Job) -> std::result::Result<(), Box<Job>> {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(Box::new(job));
            }
            queue.jobs.push_back(job);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// No more jobs are taken; executors finish what is queued and end.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// Waits until there is something to cut. False: closed and empty.
    pub async fn wait(&self) -> bool {
        loop {
            let arrived = self.arrived.notified();
            {
                let queue = self.queue.lock();
                if !queue.jobs.is_empty() {
                    return true;
                }
                if queue.closed {
                    // Another executor of this lane may be waiting too.
                    self.arrived.notify_one();
                    return false;
                }
            }
            arrived.await;
        }
    }

    /// How long the batch may still wait for company: none when it is full, the oldest has waited enough, or
    /// a deadline is there.
    pub fn patience(&self, max_rows: usize, max_wait: Duration) -> Option<Instant> {
        let queue = self.queue.lock();
        let waiting: usize = queue.jobs.iter().map(|job| job.rows).sum();
        let soonest = queue.jobs.iter().map(|job| job.deadline).min()?;
        let until = (queue.jobs.front()?.received + max_wait).min(soonest);
        (waiting < max_rows && until > Instant::now()).then_some(until)
    }

    /// Takes from the front what fits into one batch of at most `max_rows` rows, at least one job if there is any.
    pub fn cut(&self, max_rows: usize) -> Cut {
        let now = Instant::now();
        let mut cut = Cut::default();
        let mut queue = self.queue.lock();
        while let Some(job) = queue.jobs.front() {
            let gone = job.reply.is_closed();
            let late = job.deadline <= now;
            let joins = cut.jobs.first().is_none_or(|first| cut.rows + job.rows <= max_rows && job.fits_with(first));
            if !gone && !late && !joins {
                break;
            }
            let Some(job) = queue.jobs.pop_front() else { break };
            if gone {
                cut.abandoned += 1;
            } else if late {
                cut.expired.push(job);
            } else {
                cut.rows += job.rows;
                cut.jobs.push(job);
            }
        }
        if !queue.jobs.is_empty() {
            // Several executors may share the lane, and `notify_one` stores one permit only.
            self.arrived.notify_one();
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Admission;
    use crate::tensor::Data;

    fn job(rows: usize, width: usize, deadline: Instant) -> (Job, oneshot::Receiver<Result<Answered>>) {
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let inputs =
            vec![Tensor { dims: vec![rows, width], data: Data::Fp32(vec![0.0; rows * width]), missing: vec![] }];
        let permit = Admission::new(1_000, 1).enter(rows, 0).expect("room");
        let job = Job {
            inputs,
            rows,
            received: now,
            time_us: 0,
            deadline,
            first_id: 0,
            request_id: None,
            units: vec![],
            violations: vec![],
            permit,
            reply,
            home: 0,
        };
        (job, answer)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn a_cut_holds_what_fits_and_leaves_the_rest_in_order() {
        let lane = Lane::default();
        let answers: Vec<_> = [3, 4, 5]
            .map(|rows| {
                let (job, answer) = job(rows, 2, later());
                lane.push(job).expect("open");
                answer
            })
            .into();
        assert_eq!(lane.cut(8).rows, 7);
        assert_eq!(lane.cut(8).rows, 5);
        assert_eq!(lane.cut(8).rows, 0);
        drop(answers);
    }

    #[test]
    fn a_job_larger_than_a_batch_runs_alone() {
        let lane = Lane::default();
        let (big, _a) = job(100, 2, later());
        let (small, _b) = job(1, 2, later());
        lane.push(big).expect("open");
        lane.push(small).expect("open");
        assert_eq!(lane.cut(8).rows, 100);
        assert_eq!(lane.cut(8).rows, 1);
    }

    #[test]
    fn the_gone_and_the_late_are_skipped() {
        let lane = Lane::default();
        let (gone, answer) = job(1, 2, later());
        drop(answer);
        let (overdue, _a) = job(1, 2, Instant::now());
        let (good, _b) = job(1, 2, later());
        for job in [gone, overdue, good] {
            lane.push(job).expect("open");
        }
        let cut = lane.cut(8);
        assert_eq!((cut.jobs.len(), cut.expired.len(), cut.abandoned), (1, 1, 1));
    }

    #[test]
    fn different_shapes_do_not_share_a_batch() {
        let lane = Lane::default();
        let (a, _a) = job(1, 2, later());
        let (b, _b) = job(1, 3, later());
        lane.push(a).expect("open");
        lane.push(b).expect("open");
        assert_eq!(lane.cut(8).jobs.len(), 1);
        assert_eq!(lane.cut(8).jobs.len(), 1);
    }

    #[tokio::test]
    async fn a_closed_lane_drains_and_ends() {
        let lane = Lane::default();
        let (a, _a) = job(1, 2, later());
        lane.push(a).expect("open");
        lane.close();
        let (b, _b) = job(1, 2, later());
        assert!(lane.push(b).is_err());
        assert!(lane.wait().await);
        assert_eq!(lane.cut(8).rows, 1);
        assert!(!lane.wait().await);
    }
}
