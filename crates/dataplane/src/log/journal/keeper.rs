//! The journal's thread: makes its file, makes durable what its full half stands for, and removes it in the end.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};

use super::Wreck;
use super::debt::Debt;
use super::file::Medium;
use super::record::Layout;

/// What the thread is to do.
pub(super) enum Work {
    /// Make durable what these segments owe: the half that has records of them is wanted.
    Free(Vec<Arc<Debt>>),
    /// The same, and then the journal is not wanted any more.
    Leave(Box<dyn Medium>, Vec<Arc<Debt>>),
}

/// What the thread has done.
pub(super) enum Told {
    Made(io::Result<(Box<dyn Medium>, Layout)>),
    Freed(io::Result<()>),
    /// The journal is removed; or it is not, because of what it holds.
    Left(Option<Wreck>),
    /// The thread has ended by a panic.
    Died,
}

/// The thread of one journal.
pub(super) struct Keeper {
    work: Option<Sender<Work>>,
    told: Receiver<Told>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread, which begins with `begin`, the making of the file.
    pub(super) fn start(
        begin: impl FnOnce() -> io::Result<(Box<dyn Medium>, Layout)> + Send + 'static,
    ) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let (give, work) = mpsc::channel();
        let thread = thread::Builder::new().name("log-journal".into()).spawn(move || {
            let made = begin();
            let is_made = made.is_ok();
            let _ = tell.send(Told::Made(made)); // who does not listen any more has closed the log
            if is_made {
                keep(&work, &tell);
            }
        })?;
        Ok(Self { work: Some(give), told, thread })
    }

    /// The next thing that it has told, if there is one.
    pub(super) fn told(&self) -> Option<Told> {
        match self.told.try_recv() {
            Ok(told) => Some(told),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Told::Died),
        }
    }

    pub(super) fn work(&self, work: Work) {
        if let Some(give) = &self.work {
            let _ = give.send(work); // should it be dead, `told` says so
        }
    }

    /// Its last work.
    pub(super) fn leave(&mut self, medium: Box<dyn Medium>, debts: Vec<Arc<Debt>>) {
        self.work(Work::Leave(medium, debts));
        self.work = None;
    }

    /// Waits for its end; all that it has still told.
    pub(super) fn end(self) -> Vec<Told> {
        drop(self.work);
        let died = self.thread.join().is_err();
        self.told.try_iter().chain(died.then_some(Told::Died)).collect()
    }
}

fn keep(work: &Receiver<Work>, tell: &Sender<Told>) {
    let mut stuck = Vec::new();
    for work in work {
        let _ = match work {
            Work::Free(debts) => tell.send(Told::Freed(pay(debts, &mut stuck))),
            Work::Leave(mut medium, debts) => {
                let _ = pay(debts, &mut stuck); // told by what is stuck
                if stuck.is_empty() {
                    if let Err(error) = medium.remove() {
                        tracing::warn!(%error, "the log's journal cannot be removed; the next start does it");
                    }
                    tell.send(Told::Left(None))
                } else {
                    tell.send(Told::Left(Some((medium, mem::take(&mut stuck)))))
                }
            }
        };
    }
}

/// Has all debts paid; those that cannot be are added to `stuck`. Fails with the last reason.
fn pay(debts: Vec<Arc<Debt>>, stuck: &mut Vec<Arc<Debt>>) -> io::Result<()> {
    let mut result = Ok(());
    for debt in debts {
        if let Err(error) = debt.pay() {
            result = Err(error);
            stuck.push(debt);
        }
    }
    result
}
