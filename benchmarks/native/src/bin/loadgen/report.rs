//! What a run counted, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_bench::histogram::Histogram;
use serde_json::{Value, json};

use crate::options::{Load, Options};

#[derive(Default)]
pub struct Report {
    pub arrivals: u64,
    pub sent: u64,
    pub by_status: BTreeMap<u16, u64>,
    /// Broken or closed connections with a request on them, and requests never answered.
    pub errors: u64,
    pub unanswered: u64,
    /// Given up unsent: past their deadline, or no connection was free for one that does not wait.
    pub abandoned: u64,
    /// 200s within the deadline.
    pub good: u64,
    /// All answers, from the intended send time.
    pub latency: Histogram,
    /// 200s only, from the intended send time.
    pub latency_200: Histogram,
    /// From the intended to the actual send time: what the generator and its queue added.
    pub delay: Histogram,
    pub max_queue: usize,
    pub elapsed: Duration,
    pub first_failure: Option<String>,
}

impl Report {
    pub fn answered(&mut self, status: u16, latency: Duration, deadline: Option<Duration>) {
        *self.by_status.entry(status).or_default() += 1;
        self.latency.record(latency);
        if status == 200 {
            self.latency_200.record(latency);
            if deadline.is_none_or(|limit| latency <= limit) {
                self.good += 1;
            }
        }
    }

    pub fn failed(&mut self, what: impl FnOnce() -> String) {
        if self.first_failure.is_none() {
            self.first_failure = Some(what());
        }
    }

    pub fn json(&self, options: &Options) -> Value {
        let seconds = self.elapsed.as_secs_f64();
        let answered: u64 = self.by_status.values().sum();
        let (mode, rate, connections) = match options.load {
            Load::Open { rate, connections } => ("open", Some(rate), connections),
            Load::Closed { connections } => ("closed", None, connections),
            Load::Blocking => ("blocking", None, 1),
        };
        json!({
            "mode": mode,
            "rate": rate,
            "connections": connections,
            "seconds": seconds,
            "arrivals": self.arrivals,
            "sent": self.sent,
            "answered": answered,
            "by_status": self.by_status.iter().map(|(k, v)| (k.to_string(), *v)).collect::<BTreeMap<_, _>>(),
            "errors": self.errors,
            "unanswered": self.unanswered,
            "abandoned": self.abandoned,
            "good": self.good,
            "answered_per_second": answered as f64 / seconds,
            "good_per_second": self.good as f64 / seconds,
            "latency_ms": quantiles(&self.latency),
            "latency_200_ms": quantiles(&self.latency_200),
            "send_delay_ms": quantiles(&self.delay),
            "max_queue": self.max_queue,
            "first_failure": self.first_failure,
        })
    }
}

fn quantiles(histogram: &Histogram) -> Value {
    json!({
        "p50": histogram.quantile_ms(0.5),
        "p90": histogram.quantile_ms(0.9),
        "p99": histogram.quantile_ms(0.99),
        "p99.9": histogram.quantile_ms(0.999),
        "max": histogram.max_ms(),
    })
}
