//! What one variant answered of a request, as bodies have it.

use crate::execute::Core;
use crate::lane::Answered;
use crate::wire::records::{Part, PredictionsAnswer};

/// Rows of a request that one variant answered.
pub(super) struct Share<'p> {
    pub(super) core: &'p Core,
    pub(super) answered: Answered,
    pub(super) first_id: u128,
    pub(super) count: usize,
    /// Which rows of the request they are; empty where they are all of them.
    pub(super) rows: Vec<usize>,
}

impl Share<'_> {
    /// The rows as an answer has them.
    pub(super) fn predictions(&self) -> PredictionsAnswer<'_> {
        let (core, answered) = (self.core, &self.answered);
        let range = answered.start..answered.start + self.count;
        PredictionsAnswer {
            endpoint: &core.endpoint,
            version: &core.version,
            variant: core.role,
            bundle: &core.sha256,
            first_id: self.first_id,
            decision: core.model.signature.decision.as_ref(),
            specs: &core.model.signature.outputs,
            outputs: &answered.outcome.outputs,
            start: answered.start,
            rows: self.count,
            scores: answered.outcome.scores.get(range.clone()).unwrap_or_default(),
            decisions: answered.outcome.decisions.get(range).unwrap_or_default(),
            violations: &answered.violations,
            feature_names: &core.model.feature_names,
        }
    }
}

pub(super) fn parts<'a>(shares: &'a [Share<'_>]) -> Vec<Part<'a>> {
    shares.iter().map(|share| Part { answer: share.predictions(), rows: &share.rows }).collect()
}
