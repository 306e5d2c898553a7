//! THE path of a prediction: find, admit, parse, validate, queue, wait, write. Transports are adapters of this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{Code, Error, Result};
use crate::execute::{Core, count_violations};
use crate::ids::{Ids, now_us};
use crate::lane::{Answered, Job};
use crate::plan::{Endpoint, Plan, Variant};
use crate::tensor::Tensor;
use crate::validate;
use crate::violation::Violation;
use crate::wire::oip::{self, InferAnswer};
use crate::wire::records::{self, PredictionsAnswer};
use crate::wire::snapshot::{Durability, Validation};

/// What one I/O thread answers with.
pub struct Answerer {
    /// Index of the I/O thread.
    pub home: usize,
    pub max_rows: usize,
    pub ids: Mutex<Ids>,
}

/// What a transport knows of a request beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub endpoint: &'a str,
    pub version: Option<&'a str>,
    pub body: &'a [u8],
    pub received: Instant,
    /// Asked for in the transport's headers.
    pub timeout: Option<Duration>,
    /// The unit named in the transport's headers.
    pub unit: Option<&'a str>,
}

/// A parsed request, whatever its protocol.
struct Parsed {
    inputs: Vec<Tensor>,
    rows: usize,
    violations: Vec<Violation>,
    units: Vec<Option<Box<str>>>,
    request_id: Option<Arc<str>>,
    timeout: Option<Duration>,
}

impl Answerer {
    /// Answers an Open Inference Protocol `infer` request with its JSON body.
    pub async fn infer(&self, plan: &Plan, call: Call<'_>) -> Result<Vec<u8>> {
        let (endpoint, variant) = find(plan, &call)?;
        let account = Account::open(&variant.core, call.received);
        let outcome = self.infer_on(endpoint, variant, &call).await;
        account.close(outcome)
    }

    /// Answers a request with named records.
    pub async fn predict(&self, plan: &Plan, call: Call<'_>) -> Result<Vec<u8>> {
        let (endpoint, variant) = find(plan, &call)?;
        let account = Account::open(&variant.core, call.received);
        let outcome = self.predict_on(endpoint, variant, &call).await;
        account.close(outcome)
    }

    async fn infer_on(&self, endpoint: &Endpoint, variant: &Arc<Variant>, call: &Call<'_>) -> Result<Vec<u8>> {
        self.admit(endpoint, variant, call).await?;
        let core = &variant.core;
        let signature = &core.model.signature;
        let request = oip::parse_infer(call.body, &signature.inputs, &signature.outputs, self.max_rows)?;
        let rows = request.rows;
        let id: Option<Arc<str>> = request.id.map(Arc::from);
        let parsed = Parsed {
            inputs: request.inputs,
            rows,
            violations: Vec::new(),
            units: request.unit.map_or_else(Vec::new, |unit| vec![Some(unit); rows]),
            request_id: id.clone(),
            timeout: request.timeout_us.map(Duration::from_micros),
        };
        let (first_id, answered) = self.answer(endpoint, variant, call, parsed).await?;
        let mut uuid = Vec::with_capacity(36);
        oip::write_uuid(&mut uuid, first_id);
        let mut body = Vec::with_capacity(256 + 32 * rows);
        let answer = InferAnswer {
            model_name: &core.endpoint,
            model_version: &core.version,
            id: id.as_deref(),
            prediction_id: std::str::from_utf8(&uuid).unwrap_or_default(),
            variant: core.role,
            specs: &signature.outputs,
            selected: request.outputs.as_deref(),
            outputs: &answered.outcome.outputs,
            start: answered.start,
            rows,
        };
        oip::write_infer(&mut body, &answer);
        Ok(body)
    }

    async fn predict_on(&self, endpoint: &Endpoint, variant: &Arc<Variant>, call: &Call<'_>) -> Result<Vec<u8>> {
        self.admit(endpoint, variant, call).await?;
        let core = &variant.core;
        let request = records::parse_records(call.body, &variant.records, self.max_rows)?;
        let rows = request.rows;
        let parsed = Parsed {
            inputs: request.inputs,
            rows,
            violations: request.violations,
            units: request.units,
            request_id: request.request_id.map(Arc::from),
            timeout: request.timeout_us.map(Duration::from_micros),
        };
        let (first_id, answered) = self.answer(endpoint, variant, call, parsed).await?;
        let mut body = Vec::with_capacity(256 + 128 * rows);
        let range = answered.start..answered.start + rows;
        let answer = PredictionsAnswer {
            endpoint: &core.endpoint,
            version: &core.version,
            variant: core.role,
            bundle: &core.sha256,
            first_id,
            decision: core.model.signature.decision.as_ref(),
            specs: &core.model.signature.outputs,
            outputs: &answered.outcome.outputs,
            start: answered.start,
            rows,
            scores: answered.outcome.scores.get(range.clone()).unwrap_or_default(),
            decisions: answered.outcome.decisions.get(range).unwrap_or_default(),
            violations: &answered.violations,
            feature_names: &core.model.feature_names,
        };
        records::write_predictions(&mut body, &answer);
        Ok(body)
    }

    /// Waits for room or refuses, before the body is parsed: overload must cost as little as it can.
    async fn admit(&self, endpoint: &Endpoint, variant: &Variant, call: &Call<'_>) -> Result<()> {
        let patience = call.timeout.map_or(endpoint.queue_wait, |timeout| endpoint.queue_wait.min(timeout));
        endpoint.admission.wait(call.body.len(), self.home, patience).await?;
        if !variant.core.ready() {
            let message = format!("endpoint {}: no engine is ready", endpoint.name);
            return Err(Error::new(Code::NotReady, message).retry_after(Duration::from_secs(1)));
        }
        Ok(())
    }

    /// From typed values to the answer; the same for every protocol.
    async fn answer(
        &self,
        endpoint: &Endpoint,
        variant: &Arc<Variant>,
        call: &Call<'_>,
        mut parsed: Parsed,
    ) -> Result<(u128, Answered)> {
        let core = &variant.core;
        endpoint.admission.learn(call.body.len(), parsed.rows);
        let permit = endpoint.admission.enter(parsed.rows, self.home)?;
        let checked = validate::check(&core.model, &mut parsed.inputs, &mut parsed.violations, endpoint.validation);
        count_violations(core, &parsed.violations);
        checked?;
        if endpoint.validation == Validation::Reject && !parsed.violations.is_empty() {
            return Err(validate::rejection(&core.model, &parsed.violations));
        }
        if let Some(unit) = call.unit.filter(|_| parsed.units.is_empty()) {
            parsed.units = vec![Some(unit.into()); parsed.rows];
        }
        let time_us = now_us();
        let first_id = self.ids.lock().next(time_us);
        let patience = [call.timeout, parsed.timeout].into_iter().flatten().fold(endpoint.deadline, Duration::min);
        let deadline = call.received + patience;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            inputs: parsed.inputs,
            rows: parsed.rows,
            received: call.received,
            time_us,
            deadline,
            first_id,
            request_id: parsed.request_id,
            units: parsed.units,
            violations: parsed.violations,
            permit,
            reply,
            home: self.home,
        };
        let (lane, own) = variant.lane(self.home, job.rows);
        lane.push(job).map_err(|_| Error::new(Code::NotReady, "the model is being replaced"))?;
        let lost = |_| Error::new(Code::Internal, "the model's executor ended without an answer");
        // On its own thread's lane a request cannot outlive its deadline by more than one batch: no timer is needed.
        if own && core.durability != Durability::Acknowledged {
            return Ok((first_id, answer.await.map_err(lost)??));
        }
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(answer) => Ok((first_id, answer.map_err(lost)??)),
            Err(_) => Err(Error::new(Code::DeadlineExceeded, format!("no answer within {} ms", patience.as_millis()))),
        }
    }
}

fn find<'p>(plan: &'p Plan, call: &Call<'_>) -> Result<(&'p Endpoint, &'p Arc<Variant>)> {
    let endpoint = plan.endpoint(call.endpoint)?;
    Ok((endpoint, endpoint.variant(call.version)?))
}

/// Counts a request exactly once: as answered, as an error, or, where its future is dropped, as abandoned.
struct Account<'c> {
    core: &'c Core,
    received: Instant,
    settled: bool,
}

impl<'c> Account<'c> {
    fn open(core: &'c Core, received: Instant) -> Self {
        Self { core, received, settled: false }
    }

    fn close(mut self, outcome: Result<Vec<u8>>) -> Result<Vec<u8>> {
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
