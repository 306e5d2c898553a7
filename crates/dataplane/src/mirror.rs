//! Shadow traffic: a request that was answered is shown to another variant too, afterwards and apart, and the two
//! answers are compared row by row. Nobody waits for a shadow, and one that is too busy is passed over and counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::arms::Shadow;
use crate::error::Result;
use crate::lane::{Answered, Job};
use crate::plan::{Endpoint, Variant};
use crate::route::Routing;
use crate::tensor::Tensor;
use crate::validate;
use crate::wire::snapshot::Validation;

/// A request as a shadow sees it.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    pub inputs: &'a [Tensor],
    pub rows: usize,
    pub units: &'a [Option<Box<str>>],
    pub time_us: i64,
    /// Prediction id that the shadow's own first row gets.
    pub first_id: u128,
    /// The id of the answer that is given.
    pub given_id: &'a str,
    /// Index of the I/O thread that answers it.
    pub home: usize,
}

/// A copy of a request, kept until its answer is known.
pub struct Mirror {
    variant: Arc<Variant>,
    counts: Arc<Shadow>,
    job: Job,
    answer: oneshot::Receiver<Result<Answered>>,
    patience: Duration,
    validation: Validation,
}

impl Mirror {
    /// Copies a request for variant `index`; None where the shadow has no room or nothing is compared.
    pub fn of(endpoint: &Endpoint, routing: &Routing, index: usize, original: &Original<'_>) -> Option<Self> {
        let counts = Arc::clone(routing.compared.as_ref()?);
        let Ok(permit) = endpoint.shadows.enter(original.rows, original.home) else {
            counts.fail(original.rows);
            return None;
        };
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let job = Job {
            inputs: original.inputs.to_vec(),
            rows: original.rows,
            received: now,
            time_us: original.time_us,
            deadline: now + endpoint.deadline,
            first_id: original.first_id,
            request_id: Some(original.given_id.into()),
            units: original.units.to_vec(),
            violations: Vec::new(),
            permit,
            reply,
            home: original.home,
        };
        let variant = Arc::clone(&endpoint.variants[index]);
        Some(Self { variant, counts, job, answer, patience: endpoint.deadline, validation: endpoint.validation })
    }

    /// Runs the shadow and compares, in the background of the calling runtime.
    pub fn start(mut self, given: &Answered) {
        let rows = self.job.rows;
        let given: Vec<_> = (0..rows).map(|row| outcome(given, row)).collect();
        self.job.received = Instant::now();
        self.job.deadline = self.job.received + self.patience;
        let core = &self.variant.core;
        let checked = validate::check(&core.model, &mut self.job.inputs, &mut self.job.violations, self.validation);
        let refused = self.validation == Validation::Reject && !self.job.violations.is_empty();
        if checked.is_err() || refused || self.variant.background().push(self.job).is_err() {
            return self.counts.fail(rows);
        }
        let (counts, answer, patience, variant) = (self.counts, self.answer, self.patience, self.variant);
        tokio::spawn(async move {
            match tokio::time::timeout(patience, answer).await {
                Ok(Ok(Ok(answered))) => {
                    for (row, given) in given.into_iter().enumerate() {
                        counts.compare(given, outcome(&answered, row));
                    }
                }
                _ => counts.fail(rows),
            }
            // A shadow that was taken out of the plan meanwhile lives until its last answer.
            drop(variant);
        });
    }
}

/// Decision and score of a request's row.
fn outcome(answered: &Answered, row: usize) -> (Option<u16>, Option<f64>) {
    let at = answered.start + row;
    let outcome = &answered.outcome;
    (outcome.decisions.get(at).copied().flatten(), outcome.scores.get(at).copied().flatten())
}
