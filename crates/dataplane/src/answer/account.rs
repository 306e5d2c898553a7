//! One request in the books of whoever answers it.

use std::time::Instant;

use crate::error::Result;
use crate::execute::Core;

/// Counts a request exactly once: as answered, as an error, or, where its future is dropped, as abandoned.
pub(super) struct Account<'c> {
    core: &'c Core,
    received: Instant,
    settled: bool,
}

impl<'c> Account<'c> {
    pub(super) fn open(core: &'c Core, received: Instant) -> Self {
        Self { core, received, settled: false }
    }

    /// The request is another variant's.
    pub(super) fn move_to(&mut self, core: &'c Core) {
        self.core = core;
    }

    pub(super) fn close<T>(mut self, outcome: Result<T>) -> Result<T> {
        self.settled = true;
        match &outcome {
            Ok(_) => {
                self.core.metrics.ok.inc();
            }
            Err(error) => self.core.metrics.count_error(error.code.name()),
        }
        self.core.metrics.request_duration.observe(self.received.elapsed());
        outcome
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.core.metrics.abandoned.inc();
        }
    }
}
