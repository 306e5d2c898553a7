//! THE path of a prediction: find, admit, parse, validate, queue, wait, write. Transports are adapters of this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::oneshot;

use crate::arms::Verdict;
use crate::error::{Code, Error, Result};
use crate::execute::{Core, count_violations};
use crate::ids::{Ids, now_us};
use crate::lane::{Answered, Job};
use crate::mirror::{Mirror, Original};
use crate::plan::{Endpoint, Plan, Variant};
use crate::route::{self, Routing, Wish};
use crate::slices::Place;
use crate::tensor::Tensor;
use crate::validate;
use crate::violation::Violation;
use crate::wire::oip::{self, InferAnswer};
use crate::wire::records::{self, InvocationRequest, RecordsRequest, Wanted};
use crate::wire::snapshot::{Durability, Validation};

mod account;
mod share;

use account::Account;
use share::{Share, parts};

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
    /// The variant named in the transport's headers.
    pub wish: Option<Wish<'a>>,
}

/// How the body of `/invocations` is to be read and answered, as far as it does not say so itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub csv: bool,
    pub wanted: Wanted,
}

/// The answer of `/invocations`, and what its body has no place for.
#[derive(Debug)]
pub struct Invoked {
    pub body: Vec<u8>,
    /// Prediction id of the request's first row.
    pub first_id: u128,
    /// Roles and versions that answered, the first row's first.
    pub answered_by: Vec<(&'static str, Box<str>)>,
}

/// Who answers a request.
#[derive(Clone, Copy)]
struct Seat<'p> {
    endpoint: &'p Endpoint,
    /// Of the variant.
    index: usize,
    /// The caller named the variant: its answers are no evidence.
    chosen: bool,
}

impl<'p> Seat<'p> {
    fn variant(&self) -> &'p Arc<Variant> {
        &self.endpoint.variants[self.index]
    }
}

/// A parsed request, whatever its protocol.
struct Parsed {
    inputs: Vec<Tensor>,
    rows: usize,
    violations: Vec<Violation>,
    units: Vec<Option<Box<str>>>,
    request_id: Option<Arc<str>>,
    timeout: Option<Duration>,
    time_us: i64,
    /// Prediction id of the first row.
    first_id: u128,
}

impl Parsed {
    /// A request of these rows only, which ascend; its id is still that of the whole.
    fn only(&self, rows: &[usize]) -> Self {
        let own = |violation: &Violation| {
            let row = rows.binary_search(&(violation.row as usize)).ok()? as u32;
            Some(Violation { row, ..violation.clone() })
        };
        Self {
            inputs: self.inputs.iter().map(|tensor| tensor.select_rows(rows)).collect(),
            rows: rows.len(),
            violations: self.violations.iter().filter_map(own).collect(),
            units: rows.iter().map(|&row| self.units[row].clone()).collect(),
            request_id: self.request_id.clone(),
            ..*self
        }
    }
}

impl Answerer {
    /// Answers an Open Inference Protocol `infer` request with its JSON body.
    pub async fn infer(&self, plan: &Plan, call: Call<'_>) -> Result<Vec<u8>> {
        let seat = find(plan, &call)?;
        let mut account = Account::open(&seat.variant().core, call.received);
        let outcome = self.infer_on(seat, &mut account, &call).await;
        account.close(outcome)
    }

    /// Answers a request with named records.
    pub async fn predict(&self, plan: &Plan, call: Call<'_>) -> Result<Vec<u8>> {
        let seat = find(plan, &call)?;
        let mut account = Account::open(&seat.variant().core, call.received);
        let outcome = self.predict_on(seat, &mut account, &call).await;
        account.close(outcome)
    }

    /// Answers an `MLflow` scoring request.
    pub async fn invoke(&self, plan: &Plan, call: Call<'_>, asked: Asked) -> Result<Invoked> {
        let seat = find(plan, &call)?;
        let mut account = Account::open(&seat.variant().core, call.received);
        let outcome = self.invoke_on(seat, &mut account, &call, asked).await;
        account.close(outcome)
    }

    async fn infer_on<'p>(&self, seat: Seat<'p>, account: &mut Account<'p>, call: &Call<'_>) -> Result<Vec<u8>> {
        self.admit(seat.endpoint, seat.variant(), call).await?;
        let signature = &seat.variant().core.model.signature;
        let request = oip::parse_infer(call.body, &signature.inputs, &signature.outputs, self.max_rows)?;
        let rows = request.rows;
        let id: Option<Arc<str>> = request.id.map(Arc::from);
        let (time_us, first_id) = self.stamp();
        let parsed = Parsed {
            inputs: request.inputs,
            rows,
            violations: Vec::new(),
            units: request.unit.map_or_else(Vec::new, |unit| vec![Some(unit); rows]),
            request_id: id.clone(),
            timeout: request.timeout_us.map(Duration::from_micros),
            time_us,
            first_id,
        };
        let (core, answered) = self.routed(seat, account, call, (parsed, None)).await?;
        let mut uuid = Vec::with_capacity(36);
        oip::write_uuid(&mut uuid, first_id);
        let mut body = Vec::with_capacity(256 + 32 * rows);
        let answer = InferAnswer {
            model_name: &core.endpoint,
            model_version: &core.version,
            id: id.as_deref(),
            prediction_id: std::str::from_utf8(&uuid).unwrap_or_default(),
            variant: core.role,
            specs: &core.model.signature.outputs,
            selected: request.outputs.as_deref(),
            outputs: &answered.outcome.outputs,
            start: answered.start,
            rows,
        };
        oip::write_infer(&mut body, &answer);
        Ok(body)
    }

    async fn predict_on<'p>(&self, seat: Seat<'p>, account: &mut Account<'p>, call: &Call<'_>) -> Result<Vec<u8>> {
        self.admit(seat.endpoint, seat.variant(), call).await?;
        let request = records::parse_records(call.body, &seat.variant().records, self.max_rows)?;
        let rows = request.rows;
        let shares = self.answer_records(seat, account, call, request).await?;
        let mut body = Vec::with_capacity(256 + 128 * rows);
        match &shares[..] {
            [only] => records::write_predictions(&mut body, &only.predictions()),
            _ => records::write_parts(&mut body, &parts(&shares)),
        }
        Ok(body)
    }

    async fn invoke_on<'p>(
        &self,
        seat: Seat<'p>,
        account: &mut Account<'p>,
        call: &Call<'_>,
        asked: Asked,
    ) -> Result<Invoked> {
        self.admit(seat.endpoint, seat.variant(), call).await?;
        let plan = &seat.variant().records;
        let InvocationRequest { records: request, wanted } = if asked.csv {
            let records = records::parse_csv(call.body, plan, self.max_rows)?;
            InvocationRequest { records, wanted: None }
        } else {
            records::parse_invocation(call.body, plan, self.max_rows)?
        };
        let wanted = wanted.unwrap_or(asked.wanted);
        if wanted == Wanted::Score && seat.variant().core.model.decision.is_none() {
            let message = format!("endpoint {}: the model gives no score, ask for `decision` or `full`", call.endpoint);
            return Err(Error::new(Code::Unsupported, message));
        }
        let rows = request.rows;
        let shares = self.answer_records(seat, account, call, request).await?;
        let mut body = Vec::with_capacity(32 + 16 * rows);
        records::write_invocation(&mut body, &parts(&shares), wanted);
        Ok(Invoked {
            body,
            first_id: shares.first().map_or(0, |share| share.first_id),
            answered_by: shares.iter().map(|share| (share.core.role, share.core.version.clone())).collect(),
        })
    }

    /// Answers named records: one share, or one for each variant that units of the request belong to, the first row's first.
    async fn answer_records<'p>(
        &self,
        seat: Seat<'p>,
        account: &mut Account<'p>,
        call: &Call<'_>,
        request: RecordsRequest,
    ) -> Result<Vec<Share<'p>>> {
        let count = request.rows;
        let (time_us, first_id) = self.stamp();
        let parsed = Parsed {
            inputs: request.inputs,
            rows: count,
            violations: request.violations,
            units: request.units,
            request_id: request.request_id.map(Arc::from),
            timeout: request.timeout_us.map(Duration::from_micros),
            time_us,
            first_id,
        };
        let groups = if seat.chosen { Vec::new() } else { groups(seat.endpoint, &parsed) };
        if groups.len() < 2 {
            let (core, answered) = self.routed(seat, account, call, (parsed, None)).await?;
            return Ok(vec![Share { core, answered, first_id, count, rows: Vec::new() }]);
        }
        let mut shares = Vec::with_capacity(groups.len());
        for (index, rows) in groups {
            let mut part = parsed.only(&rows);
            part.first_id = self.ids.lock().next(parsed.time_us);
            let first_id = part.first_id;
            // The variants answer one after the other: who sends many units in one request is not in a hurry.
            let (core, answered) = self.routed(seat, account, call, (part, Some(index))).await?;
            shares.push(Share { core, answered, first_id, count: rows.len(), rows });
        }
        Ok(shares)
    }

    fn mirror(&self, endpoint: &Endpoint, routing: &Routing, index: usize, parsed: &Parsed) -> Option<Mirror> {
        let mut given_id = Vec::with_capacity(36);
        oip::write_uuid(&mut given_id, parsed.first_id);
        let original = Original {
            inputs: &parsed.inputs,
            rows: parsed.rows,
            units: &parsed.units,
            time_us: parsed.time_us,
            first_id: self.ids.lock().next(parsed.time_us),
            given_id: std::str::from_utf8(&given_id).unwrap_or_default(),
            home: self.home,
        };
        Mirror::of(endpoint, routing, index, &original)
    }

    fn stamp(&self) -> (i64, u128) {
        let time_us = now_us();
        (time_us, self.ids.lock().next(time_us))
    }

    /// Lets the variant that the request's unit belongs to answer, counts what became of it, and shows the request to
    /// the shadow where its turn has come. Part of a larger request comes with its variant's index.
    async fn routed<'p>(
        &self,
        seat: Seat<'p>,
        account: &mut Account<'p>,
        call: &Call<'_>,
        (mut parsed, index): (Parsed, Option<usize>),
    ) -> Result<(&'p Core, Answered)> {
        let nobody = |parsed: &Parsed| index.is_none() && parsed.units.iter().all(Option::is_none);
        if let Some(unit) = call.unit.filter(|_| nobody(&parsed)) {
            parsed.units = vec![Some(unit.into()); parsed.rows];
        }
        let Some(routing) = &seat.endpoint.routing else {
            return Ok((&seat.variant().core, self.answer(seat, call, parsed).await?));
        };
        // The low bits of an id are random.
        let random = (parsed.first_id as u64) << 3;
        let lone = nobody(&parsed).then_some(random);
        let own = || {
            let first = || unit_hash(routing, parsed.units.first().and_then(Option::as_deref));
            routing.variant(lone.unwrap_or_else(first), seat.endpoint.champion)
        };
        let seat = if seat.chosen { seat } else { Seat { index: index.unwrap_or_else(own), ..seat } };
        account.move_to(&seat.variant().core);
        let shadow = routing.shadow(random).and_then(|index| self.mirror(seat.endpoint, routing, index, &parsed));
        let counted = if seat.chosen { Vec::new() } else { counted(routing, &parsed) };
        let result = self.answer(seat, call, parsed).await;
        for Counted { row, unit, place } in counted {
            let (verdict, violated) = judged(&result, call.received, row);
            routing.arm(seat.index, unit.or(lone)).count(unit, place, verdict, violated);
        }
        if let (Some(shadow), Ok(answered)) = (shadow, &result) {
            shadow.start(answered);
        }
        Ok((&seat.variant().core, result?))
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
    async fn answer(&self, seat: Seat<'_>, call: &Call<'_>, mut parsed: Parsed) -> Result<Answered> {
        let (endpoint, variant) = (seat.endpoint, seat.variant());
        let core = &variant.core;
        endpoint.admission.learn(call.body.len(), parsed.rows);
        let permit = endpoint.admission.enter(parsed.rows, self.home)?;
        let checked = validate::check(&core.model, &mut parsed.inputs, &mut parsed.violations, endpoint.validation);
        count_violations(core, &parsed.violations);
        checked?;
        if endpoint.validation == Validation::Reject && !parsed.violations.is_empty() {
            return Err(validate::rejection(&core.model, &parsed.violations));
        }
        let patience = [call.timeout, parsed.timeout].into_iter().flatten().fold(endpoint.deadline, Duration::min);
        let deadline = call.received + patience;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            inputs: parsed.inputs,
            rows: parsed.rows,
            received: call.received,
            time_us: parsed.time_us,
            deadline,
            first_id: parsed.first_id,
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
            return answer.await.map_err(lost)?;
        }
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(answer) => answer.map_err(lost)?,
            Err(_) => Err(Error::new(Code::DeadlineExceeded, format!("no answer within {} ms", patience.as_millis()))),
        }
    }
}

fn find<'p>(plan: &'p Plan, call: &Call<'_>) -> Result<Seat<'p>> {
    let endpoint = plan.endpoint(call.endpoint)?;
    if let Some(version) = call.version {
        return Ok(Seat { endpoint, index: endpoint.index(Wish::Version(version))?, chosen: true });
    }
    match call.wish.filter(|_| endpoint.routing.as_ref().is_some_and(|routing| routing.wishes)) {
        Some(wish) => Ok(Seat { endpoint, index: endpoint.index(wish)?, chosen: true }),
        None => Ok(Seat { endpoint, index: endpoint.champion, chosen: false }),
    }
}

/// Rows of a request by the variant that their units belong to, the first row's first. One group, or none, where
/// nothing has to be taken apart.
fn groups(endpoint: &Endpoint, parsed: &Parsed) -> Vec<(usize, Vec<usize>)> {
    let (Some(routing), [first, rest @ ..]) = (&endpoint.routing, &parsed.units[..]) else { return Vec::new() };
    if rest.iter().all(|unit| unit == first) {
        return Vec::new();
    }
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for (row, unit) in parsed.units.iter().enumerate() {
        let index = routing.variant(unit_hash(routing, unit.as_deref()), endpoint.champion);
        match groups.iter_mut().find(|(of, _)| *of == index) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((index, vec![row])),
        }
    }
    groups
}

/// Where a row's unit falls. A row without one, among rows that have one, goes to the champion.
fn unit_hash(routing: &Routing, unit: Option<&str>) -> u64 {
    unit.map_or(u64::MAX, |unit| route::hash(&routing.salt, unit))
}

/// A unit of a request, as it will be counted once the request is answered.
struct Counted {
    /// Its first.
    row: usize,
    /// Its hash; None: it has no name.
    unit: Option<u64>,
    place: Place,
}

/// Each different unit of a request with its first row; a request without units counts as one of its own.
fn counted(routing: &Routing, parsed: &Parsed) -> Vec<Counted> {
    let one = |(row, unit): (usize, Option<&str>)| Counted {
        row,
        unit: unit.map(|unit| route::hash(&routing.salt, unit)),
        place: routing.columns.place(&parsed.inputs, row),
    };
    match &parsed.units[..] {
        [] => vec![one((0, None))],
        [unit] => vec![one((0, unit.as_deref()))],
        units => {
            let mut seen = FxHashSet::default();
            let named = units.iter().map(Option::as_deref).enumerate();
            named.filter(|(_, unit)| seen.insert(*unit)).map(one).collect()
        }
    }
}

/// What became of a request for the comparison of variants, and whether its rows broke the signature.
fn judged(result: &Result<Answered>, received: Instant, row: usize) -> (Verdict, bool) {
    match result {
        Ok(answered) => {
            let outcome = &answered.outcome;
            let at = answered.start + row;
            let decision = outcome.decisions.get(at).copied().flatten();
            let score = outcome.scores.get(at).copied().flatten();
            let latency_us = received.elapsed().as_micros() as u64;
            let violated = answered.violations.iter().any(|violation| violation.row as usize == row);
            (Verdict::Answered { latency_us, decision, score }, violated)
        }
        Err(error) => match error.code {
            Code::ModelFailed | Code::WorkerDied | Code::WorkerTimeout | Code::DeadlineExceeded | Code::Internal => {
                (Verdict::Failed, false)
            }
            code => (Verdict::Void, code == Code::ValidationFailed),
        },
    }
}
