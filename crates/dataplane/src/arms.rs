//! What is counted of each variant while the split of traffic does not change (an allocation epoch), by *unit*: one
//! customer who sends a hundred requests is one observation, not a hundred.
//!
//! Every count only grows for as long as the process lives, so that a report replaces the one before and replicas add
//! up.

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::slices::{Cell, Columns, Place, Slices};

mod book;
pub use book::Book;

/// Equal bins on [0, 1].
pub const SCORE_BINS: usize = 20;
/// Bits of the sketch's index: 4,096 registers, a standard error of 1.6 %.
const SKETCH_BITS: u32 = 12;
/// Units that one arm remembers. Later newcomers are not counted as units any more: the evidence stops growing, and
/// stays valid.
const MOST_UNITS: usize = 4 << 20;
const SHARDS: usize = 16;

/// Upper bounds of the latency bins in microseconds, four to the octave from 50 on, then one minute.
pub const LATENCY_EDGES: usize = 82;

/// The latency bins' upper bounds: 50 * 2^(i/4), rounded, and a minute.
pub fn latency_edges() -> [u64; LATENCY_EDGES] {
    std::array::from_fn(|index| {
        if index == LATENCY_EDGES - 1 { 60_000_000 } else { (50.0 * (index as f64 / 4.0).exp2()).round() as u64 }
    })
}

/// What became of a request, as far as the comparison of variants is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Answered in `latency_us`; decision and score are those of its first row.
    Answered { latency_us: u64, decision: Option<u16>, score: Option<f64> },
    /// The variant failed: no fault of the caller.
    Failed,
    /// Neither good nor bad for the variant: the caller's fault, or the server was too busy.
    Void,
}

/// Counts of one variant in one epoch.
#[derive(Debug)]
pub struct Arm {
    pub version: Box<str>,
    pub role: &'static str,
    pub epoch: u64,
    /// Of the champion's units only those that the challenger's are compared with.
    pub matched: bool,
    pub requests: AtomicU64,
    pub errors: AtomicU64,
    pub units: AtomicU64,
    pub unit_errors: AtomicU64,
    pub unit_violations: AtomicU64,
    pub decisions: Vec<AtomicU64>,
    pub scores: [AtomicU64; SCORE_BINS],
    pub latencies: [AtomicU64; LATENCY_EDGES + 1],
    edges: [u64; LATENCY_EDGES],
    pub sketch: Box<[AtomicU8]>,
    pub slices: Slices,
    seen: [Mutex<Seen>; SHARDS],
    failed: Mutex<FxHashSet<u64>>,
    violated: Mutex<FxHashSet<u64>>,
}

/// The units that an arm has met; where slices are counted, with the place of each unit's first request.
#[derive(Debug)]
enum Seen {
    Units(FxHashSet<u64>),
    Placed(FxHashMap<u64, Place>),
}

impl Seen {
    /// Whether the unit is new, and where it was first, or is; nowhere where it cannot be remembered any more.
    fn meet(&mut self, unit: u64, place: Place) -> (bool, Option<Place>) {
        let room = MOST_UNITS / SHARDS;
        match self {
            Self::Units(units) => (units.len() < room && units.insert(unit), None),
            Self::Placed(places) => match places.get(&unit) {
                Some(first) => (false, Some(*first)),
                None if places.len() < room => {
                    places.insert(unit, place);
                    (true, Some(place))
                }
                None => (false, None),
            },
        }
    }
}

impl Arm {
    pub fn new(version: &str, role: &'static str, epoch: u64, labels: usize) -> Self {
        Self {
            version: version.into(),
            role,
            epoch,
            matched: false,
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            units: AtomicU64::new(0),
            unit_errors: AtomicU64::new(0),
            unit_violations: AtomicU64::new(0),
            decisions: (0..labels).map(|_| AtomicU64::new(0)).collect(),
            scores: [const { AtomicU64::new(0) }; SCORE_BINS],
            latencies: [const { AtomicU64::new(0) }; LATENCY_EDGES + 1],
            edges: latency_edges(),
            sketch: (0..1 << SKETCH_BITS).map(|_| AtomicU8::new(0)).collect(),
            slices: Slices::new(Arc::default(), labels),
            seen: std::array::from_fn(|_| Mutex::new(Seen::Units(FxHashSet::default()))),
            failed: Mutex::default(),
            violated: Mutex::default(),
        }
    }

    /// The same arm, which also counts by slices of these columns.
    #[must_use]
    pub fn sliced(mut self, columns: Arc<Columns>) -> Self {
        if !columns.is_empty() {
            self.seen = std::array::from_fn(|_| Mutex::new(Seen::Placed(FxHashMap::default())));
        }
        self.slices = Slices::new(columns, self.decisions.len());
        self
    }

    /// The same arm, of the control only.
    #[must_use]
    pub fn matched(self) -> Self {
        Self { matched: true, ..self }
    }

    /// Counts a request of the unit with this hash, whose row falls into these slices; `violated`: a row broke the
    /// signature. A request that names no unit is one of its own. A unit stays in the slices of its first request.
    pub fn count(&self, unit: Option<u64>, place: Place, verdict: Verdict, violated: bool) {
        if verdict == Verdict::Void && !violated {
            return;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (first, place) = self.meet(unit, place);
        if violated && unit.is_none_or(|unit| self.violated.lock().insert(unit)) {
            self.unit_violations.fetch_add(1, Ordering::Relaxed);
            self.count_slices(place, |cell| Some(&cell.unit_violations));
        }
        match verdict {
            Verdict::Answered { latency_us, decision, score } if first => {
                self.observe(latency_us, decision, score);
                self.count_slices(place, |cell| cell.decisions.get(usize::from(decision?)));
            }
            Verdict::Failed => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                if unit.is_none_or(|unit| self.failed.lock().insert(unit)) {
                    self.unit_errors.fetch_add(1, Ordering::Relaxed);
                    self.count_slices(place, |cell| Some(&cell.unit_errors));
                }
            }
            Verdict::Answered { .. } | Verdict::Void => {}
        }
    }

    fn count_slices(&self, place: Option<Place>, counter: impl Fn(&Cell) -> Option<&AtomicU64>) {
        if let Some(place) = place {
            self.slices.count(place, counter);
        }
    }

    /// Whether the unit is met for the first time in this epoch, and where it belongs.
    fn meet(&self, unit: Option<u64>, place: Place) -> (bool, Option<Place>) {
        let (first, place) = unit.map_or((true, Some(place)), |unit| {
            self.remember(unit);
            self.seen[unit as usize % SHARDS].lock().meet(unit, place)
        });
        if first {
            self.units.fetch_add(1, Ordering::Relaxed);
            self.count_slices(place, |cell| Some(&cell.units));
        }
        (first, place)
    }

    fn observe(&self, latency_us: u64, decision: Option<u16>, score: Option<f64>) {
        let bin = self.edges.partition_point(|&edge| edge < latency_us);
        self.latencies[bin].fetch_add(1, Ordering::Relaxed);
        if let Some(counter) = decision.and_then(|decision| self.decisions.get(usize::from(decision))) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(score) = score {
            let bin = ((score * SCORE_BINS as f64).floor().max(0.0) as usize).min(SCORE_BINS - 1);
            self.scores[bin].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a unit into the sketch of how many different ones there are.
    ///
    /// `HyperLogLog` (Flajolet, Fusy, Gandouet and Meunier, 2007): each register keeps the longest run of leading zeros
    /// among the hashes that fall to it. The unit's hash is mixed once more, because in an arm its high bits are alike.
    fn remember(&self, unit: u64) {
        let mut hasher = FxHasher::default();
        hasher.write_u64(unit);
        let mixed = hasher.finish().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = mixed ^ mixed >> 32;
        let mixed = mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let mixed = mixed ^ mixed >> 32;
        let index = (mixed >> (64 - SKETCH_BITS)) as usize;
        let rank = ((mixed << SKETCH_BITS) | 1 << (SKETCH_BITS - 1)).leading_zeros() as u8 + 1;
        if self.sketch[index].load(Ordering::Relaxed) < rank {
            self.sketch[index].fetch_max(rank, Ordering::Relaxed);
        }
    }
}

/// Lower bounds of the bins of the difference between a shadow's score and the score given, beyond "the same".
pub const DELTA_EDGES: [f64; 10] = [1e-6, 1e-4, 1e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5];

/// Bins of a shadow's scores, equal in log-odds from -`LOGIT_LIMIT` to `LOGIT_LIMIT`: as fine for a decision of one
/// row in ten thousand as for one of every other. What lies outside goes to the nearest.
pub const LOGIT_BINS: usize = 1_024;
pub const LOGIT_LIMIT: f64 = 16.0;

/// The bin of a score.
pub fn logit_bin(score: f64) -> usize {
    if score >= 1.0 {
        return LOGIT_BINS - 1;
    }
    let odds = (score / (1.0 - score)).ln();
    let bin = (odds + LOGIT_LIMIT) * (LOGIT_BINS as f64 / (2.0 * LOGIT_LIMIT));
    // A score of 0 or below has no log-odds; the conversion makes 0 of it.
    (bin as usize).min(LOGIT_BINS - 1)
}

/// A shadow's answers beside those that were given, row by row.
#[derive(Debug)]
pub struct Shadow {
    pub version: Box<str>,
    pub epoch: u64,
    pub pairs: AtomicU64,
    /// Pairs that did not come about: the shadow failed, was too late, or was too busy.
    pub failures: AtomicU64,
    /// How often each decision of the shadow (inner) stood beside each decision given (outer).
    pub flips: Vec<Vec<AtomicU64>>,
    pub deltas: [AtomicU64; DELTA_EDGES.len() + 1],
    /// The shadow's scores of the pairs in `flips`, by `logit_bin`.
    pub scores: Box<[AtomicU64]>,
}

impl Shadow {
    pub fn new(version: &str, epoch: u64, labels: usize) -> Self {
        let row = || (0..labels).map(|_| AtomicU64::new(0)).collect();
        Self {
            version: version.into(),
            epoch,
            pairs: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            flips: (0..labels).map(|_| row()).collect(),
            deltas: [const { AtomicU64::new(0) }; DELTA_EDGES.len() + 1],
            scores: (0..LOGIT_BINS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts one row: decision and score given, and the shadow's.
    pub fn compare(&self, given: (Option<u16>, Option<f64>), shadow: (Option<u16>, Option<f64>)) {
        self.pairs.fetch_add(1, Ordering::Relaxed);
        if let (Some(from), Some(to)) = (given.0, shadow.0)
            && let Some(cell) = self.flips.get(usize::from(from)).and_then(|row| row.get(usize::from(to)))
        {
            cell.fetch_add(1, Ordering::Relaxed);
            if let Some(score) = shadow.1 {
                self.scores[logit_bin(score)].fetch_add(1, Ordering::Relaxed);
            }
        }
        if let (Some(a), Some(b)) = (given.1, shadow.1) {
            let delta = (a - b).abs();
            self.deltas[DELTA_EDGES.partition_point(|&edge| edge <= delta)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts rows that the shadow did not answer.
    pub fn fail(&self, rows: usize) {
        self.failures.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Model;
    use crate::slices::NOWHERE;
    use crate::tensor::{Data, Tensor};
    use crate::wire::bundle::Scalar;

    const GOOD: Verdict = Verdict::Answered { latency_us: 100, decision: Some(1), score: Some(0.93) };

    fn counts(arm: &Arm) -> [u64; 5] {
        [&arm.requests, &arm.errors, &arm.units, &arm.unit_errors, &arm.unit_violations]
            .map(|count| count.load(Ordering::Relaxed))
    }

    #[test]
    fn a_unit_counts_once_however_often_it_comes_and_fails() {
        let arm = Arm::new("2", "challenger", 3, 2);
        for _ in 0..5 {
            arm.count(Some(7), NOWHERE, GOOD, false);
            arm.count(Some(8), NOWHERE, Verdict::Failed, false);
            arm.count(Some(9), NOWHERE, Verdict::Void, true);
            arm.count(Some(10), NOWHERE, Verdict::Void, false);
        }
        assert_eq!(counts(&arm), [15, 5, 3, 1, 1]);
        assert_eq!(arm.decisions[1].load(Ordering::Relaxed), 1);
        assert_eq!(arm.scores[18].load(Ordering::Relaxed), 1);
        assert_eq!(arm.latencies.iter().map(|bin| bin.load(Ordering::Relaxed)).sum::<u64>(), 1);
    }

    fn sliced() -> (Arm, Arc<Columns>) {
        let feature = |name: &str, column: usize| {
            serde_json::json!({"name": name, "type": "integer", "tensor": "x", "column": column, "nullable": true,
                "minimum": null, "maximum": null, "categories": null, "missing": null, "impute": null})
        };
        let signature = serde_json::json!({
            "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, 2]}],
            "features": [feature("age", 0), feature("zone", 1)],
            "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1]}], "decision": null});
        let model = Model::new(serde_json::from_value(signature).expect("a signature")).expect("a model");
        let columns = Arc::new(Columns::new(&["age".to_owned(), "zone".to_owned()], &model).expect("columns"));
        (Arm::new("2", "challenger", 3, 2).sliced(Arc::clone(&columns)), columns)
    }

    fn at(columns: &Columns, age: i64, zone: i64) -> Place {
        columns.place(&[Tensor { dims: vec![1, 2], data: Data::Int64(vec![age, zone]), missing: vec![] }], 0)
    }

    /// Units, errors, violations and first decisions of a column's value.
    fn slice(arm: &Arm, column: &str, value: i64) -> [u64; 5] {
        let found = arm.slices.counted().find(|(of, is, ..)| *of == column && *is == Some(&Scalar::Int(value)));
        let Some((.., cell)) = found else { return [0; 5] };
        [&cell.units, &cell.unit_errors, &cell.unit_violations, &cell.decisions[0], &cell.decisions[1]]
            .map(|count| count.load(Ordering::Relaxed))
    }

    #[test]
    fn a_unit_stays_in_the_slices_of_its_first_request() {
        let (arm, columns) = sliced();
        for _ in 0..3 {
            arm.count(Some(7), at(&columns, 30, 1), GOOD, false);
            arm.count(Some(7), at(&columns, 31, 2), Verdict::Failed, false);
            arm.count(Some(8), at(&columns, 31, 1), Verdict::Void, true);
            arm.count(Some(9), at(&columns, 40, 4), Verdict::Void, false);
        }
        arm.count(None, at(&columns, 31, 2), GOOD, true);
        assert_eq!(slice(&arm, "age", 30), [1, 1, 0, 0, 1]);
        assert_eq!(slice(&arm, "age", 31), [2, 0, 2, 0, 1]);
        assert_eq!(slice(&arm, "zone", 1), [2, 1, 1, 0, 1]);
        assert_eq!(slice(&arm, "zone", 2), [1, 0, 1, 0, 1]);
        assert_eq!(slice(&arm, "age", 40), [0; 5], "who was too busy has counted nobody");
        assert_eq!(counts(&arm)[2..], [3, 1, 2]);
    }

    proptest! {
        #[test]
        fn the_slices_of_a_column_add_up_to_the_arm(requests: Vec<(u8, u8, u8)>) {
            let (arm, columns) = sliced();
            let plain = Arm::new("2", "challenger", 3, 2);
            for (unit, age, what) in requests {
                let verdict = match what % 3 { 0 => GOOD, 1 => Verdict::Failed, _ => Verdict::Void };
                let unit = (unit > 20).then_some(u64::from(unit));
                arm.count(unit, at(&columns, i64::from(age), 0), verdict, what > 200);
                plain.count(unit, NOWHERE, verdict, what > 200);
            }
            prop_assert_eq!(counts(&arm), counts(&plain));
            for column in ["age", "zone"] {
                let sum = |counter: fn(&Cell) -> &AtomicU64| -> u64 {
                    let own = arm.slices.counted().filter(|(of, ..)| *of == column);
                    own.map(|(.., cell)| counter(cell).load(Ordering::Relaxed)).sum()
                };
                let sums = [sum(|cell| &cell.units), sum(|cell| &cell.unit_errors), sum(|cell| &cell.unit_violations)];
                prop_assert_eq!(sums, <[u64; 3]>::try_from(&counts(&arm)[2..]).expect("three"));
                prop_assert_eq!(sum(|cell| &cell.decisions[1]), arm.decisions[1].load(Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn edges_belong_to_the_bin_below_and_scores_outside_to_the_nearest() {
        let edges = latency_edges();
        assert_eq!((edges[0], edges[1], edges[4], edges[80]), (50, 59, 100, 52_428_800));
        let arm = Arm::new("2", "challenger", 0, 0);
        for (unit, (latency_us, score)) in [(50, -1.0), (51, 0.05), (70_000_000, 1.0), (0, 9.0)].into_iter().enumerate()
        {
            arm.count(
                Some(unit as u64),
                NOWHERE,
                Verdict::Answered { latency_us, decision: Some(3), score: Some(score) },
                false,
            );
        }
        let at = |bin: usize| arm.latencies[bin].load(Ordering::Relaxed);
        assert_eq!((at(0), at(1), at(LATENCY_EDGES)), (2, 1, 1));
        let at = |bin: usize| arm.scores[bin].load(Ordering::Relaxed);
        assert_eq!((at(0), at(1), at(19)), (1, 1, 2));
    }

    #[test]
    fn the_sketch_tells_how_many_units_there_are() {
        let arm = Arm::new("2", "challenger", 0, 0);
        let units = 50_000;
        for unit in 0..units {
            // Like the hashes in a small arm: all of them low.
            let hash = crate::route::hash("salt", &unit.to_string()) / 20;
            arm.count(Some(hash), NOWHERE, Verdict::Failed, false);
        }
        let size = arm.sketch.len() as f64;
        let sum: f64 = arm.sketch.iter().map(|register| (-f64::from(register.load(Ordering::Relaxed))).exp2()).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
        assert!((estimate / f64::from(units) - 1.0).abs() < 0.05, "{estimate}");
    }

    #[test]
    fn bins_of_log_odds_are_fine_in_both_tails() {
        let edge = |bin: usize| 1.0 / (1.0 + (16.0 - bin as f64 / 32.0).exp());
        for bin in [1, 32, 300, 512, 700, 1_000, 1_023] {
            assert_eq!(logit_bin(edge(bin) * (1.0 + 1e-9)), bin);
            assert_eq!(logit_bin(edge(bin) * (1.0 - 1e-9)), bin - 1);
        }
        assert_eq!([-1.0, 0.0, 1e-9, f64::MIN].map(logit_bin), [0; 4]);
        assert_eq!([1.0, 7.0, 1.0 - 1e-9].map(logit_bin), [LOGIT_BINS - 1; 3]);
    }

    #[test]
    fn a_shadows_scores_are_counted_for_pairs_that_both_decided() {
        let shadow = Shadow::new("2", 0, 2);
        shadow.compare((Some(1), Some(0.9)), (Some(0), Some(0.5)));
        shadow.compare((None, None), (Some(0), Some(0.5)));
        shadow.compare((Some(1), Some(0.9)), (None, None));
        assert_eq!(shadow.scores[512].load(Ordering::Relaxed), 1);
        assert_eq!(shadow.scores.iter().map(|bin| bin.load(Ordering::Relaxed)).sum::<u64>(), 1);
    }
}
