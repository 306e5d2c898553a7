//! What one I/O thread answers with. Everything that a request touches is the thread's own where it can be: a counter
//! or a reference count that two threads write costs more than parsing the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::answer::Answerer;
use crate::plan::Plan;

use super::state::State;

/// The plan as one thread holds it: its reference count is touched by that thread's requests only.
pub(super) struct Held(Arc<Plan>);

impl std::ops::Deref for Held {
    type Target = Plan;
    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// One for each I/O thread.
pub struct Desk {
    pub(super) state: Arc<State>,
    pub(super) answerer: Answerer,
    held: Mutex<Arc<Held>>,
    in_flight: AtomicUsize,
}

impl Desk {
    pub(super) fn new(state: Arc<State>, answerer: Answerer) -> Self {
        let held = Mutex::new(Arc::new(Held(state.plan.load_full())));
        Self { state, answerer, held, in_flight: AtomicUsize::new(0) }
    }

    /// The plan in force.
    pub(super) fn plan(&self) -> Arc<Held> {
        Arc::clone(&self.held.lock())
    }

    /// Takes up the plan in force and lets go of the one before.
    pub(super) fn refresh(&self) {
        let held = Arc::new(Held(self.state.plan.load_full()));
        let before = std::mem::replace(&mut *self.held.lock(), held);
        drop(before);
    }

    /// Counts a request as in flight until the guard is dropped, answered or not.
    pub(super) fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Requests being answered.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

pub(super) struct InFlight<'a>(&'a Desk);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
