//! Where the arms of all rollouts are kept: one for the same names, over snapshots, until its rollout is over.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::{Arm, Shadow};
use crate::slices::Columns;

/// What identifies an arm for as long as the process lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    endpoint: Box<str>,
    salt: Box<str>,
    version: Box<str>,
    role: &'static str,
    epoch: u64,
    matched: bool,
}

/// All that this process has counted in, also in epochs that are over.
#[derive(Debug, Default)]
pub struct Book {
    arms: Mutex<FxHashMap<Key, Arc<Arm>>>,
    shadows: Mutex<FxHashMap<Key, Arc<Shadow>>>,
    columns: Mutex<FxHashMap<Key, Arc<Columns>>>,
}

impl Book {
    /// The arm of a variant of `endpoint` in an epoch of the rollout with that salt; the same one for the same names.
    ///
    /// Arms of an earlier salt of the endpoint are let go: that rollout is over.
    pub fn arm(&self, endpoint: &str, salt: &str, arm: Arm) -> Arc<Arm> {
        let key = Key { matched: arm.matched, ..Key::new(endpoint, salt, &arm.version, arm.role, arm.epoch) };
        kept(&self.arms, key, arm)
    }

    /// The same for a shadow.
    pub fn shadow(&self, endpoint: &str, salt: &str, shadow: Shadow) -> Arc<Shadow> {
        let key = Key::new(endpoint, salt, &shadow.version, "shadow", shadow.epoch);
        kept(&self.shadows, key, shadow)
    }

    /// The columns by which the units of a rollout are counted: those that it began with.
    pub fn columns(&self, endpoint: &str, salt: &str, columns: Columns) -> Arc<Columns> {
        kept(&self.columns, Key::new(endpoint, salt, "", "", 0), columns)
    }

    /// Every endpoint's arms.
    pub fn arms(&self) -> Vec<(Box<str>, Arc<Arm>)> {
        self.arms.lock().iter().map(|(key, arm)| (key.endpoint.clone(), Arc::clone(arm))).collect()
    }

    /// Every endpoint's shadows.
    pub fn shadows(&self) -> Vec<(Box<str>, Arc<Shadow>)> {
        self.shadows.lock().iter().map(|(key, shadow)| (key.endpoint.clone(), Arc::clone(shadow))).collect()
    }
}

impl Key {
    fn new(endpoint: &str, salt: &str, version: &str, role: &'static str, epoch: u64) -> Self {
        Self { endpoint: endpoint.into(), salt: salt.into(), version: version.into(), role, epoch, matched: false }
    }
}

fn kept<T>(entries: &Mutex<FxHashMap<Key, Arc<T>>>, key: Key, new: T) -> Arc<T> {
    let mut entries = entries.lock();
    entries.retain(|old, _| old.endpoint != key.endpoint || old.salt == key.salt);
    Arc::clone(entries.entry(key).or_insert_with(|| Arc::new(new)))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::slices::NOWHERE;

    const GOOD: Verdict = Verdict::Answered { latency_us: 100, decision: Some(1), score: Some(0.93) };

    #[test]
    fn a_control_is_an_arm_beside_its_variant_and_slices_are_those_that_a_rollout_began_with() {
        let book = Book::default();
        let new = || Arm::new("1", "champion", 4, 0);
        let all = book.arm("fraud", "a", new());
        let control = book.arm("fraud", "a", new().matched());
        assert!(!Arc::ptr_eq(&all, &control));
        assert!(Arc::ptr_eq(&control, &book.arm("fraud", "a", new().matched())));
        let first = book.columns("fraud", "a", Columns::default());
        assert!(Arc::ptr_eq(&first, &book.columns("fraud", "a", Columns::default())));
        assert!(!Arc::ptr_eq(&first, &book.columns("fraud", "b", Columns::default())));
    }

    #[test]
    fn an_arm_goes_on_over_snapshots_and_ends_with_its_rollout() {
        let book = Book::default();
        let new = |epoch| Arm::new("2", "challenger", epoch, 0);
        let first = book.arm("fraud", "a", new(0));
        first.count(Some(1), NOWHERE, GOOD, false);
        assert!(Arc::ptr_eq(&first, &book.arm("fraud", "a", new(0))));
        book.arm("fraud", "a", new(1));
        book.arm("other", "b", new(0));
        assert_eq!(book.arms().len(), 3);
        book.arm("fraud", "c", new(0));
        assert_eq!(book.arms().len(), 2, "the rollout `a` is over");
    }
}
