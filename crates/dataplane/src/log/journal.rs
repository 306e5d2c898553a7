//! The journal of the commits that somebody waits for.
//!
//! A segment grows, so each sync of it also waits for the file system to note its new length. The journal is a file
//! that never changes but in its data: a commit is appended to its segment, written over the journal's next pages, and
//! acknowledged when these are on the disk. Should the power fail, the next start copies from the journal what the
//! segments lack (`replay`).
//!
//! The file has two halves. When one is full the other takes over, and a thread makes durable what the segments of
//! the full one owe; then it is free again. Whatever goes wrong with the journal, `record` says no, and the caller
//! syncs the segment instead.

mod debt;
mod file;
mod keeper;
mod record;
mod replay;
#[cfg(test)]
mod tests;

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::Queue;
use keeper::{Keeper, Told, Work};
use record::{Layout, PAGE, Record};

pub(super) use debt::{Debt, Syncer};
pub(super) use file::{JournalFile, Medium};
pub(super) use record::Pages;
pub(super) use replay::replay;

/// Bytes of a half.
const HALF: u64 = 8 * 1024 * 1024;
const PAUSE: Duration = Duration::from_secs(10);

/// Makes a journal's medium in a folder, for a process, with halves of so many bytes, all zeros and durable.
pub(super) type Make = Arc<dyn Fn(&Path, &str, u64) -> io::Result<(Box<dyn Medium>, Layout)> + Send + Sync>;

/// How a log's journals are made.
pub(super) struct Setup {
    pub(super) make: Make,
    pub(super) half: u64,
    /// How long after a failure the next one is begun.
    pub(super) pause: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        let make = |directory: &Path, process: &str, half| {
            let (file, layout) = JournalFile::create(directory, process, half)?;
            Ok((Box::new(file) as Box<dyn Medium>, layout))
        };
        Self { make: Arc::new(make), half: HALF, pause: PAUSE }
    }
}

/// The journal of one process: made when somebody first waits for a commit, removed when the log closes.
pub(super) struct Journal {
    setup: Setup,
    directory: PathBuf,
    process: String,
    queue: Arc<Queue>,
    state: State,
    /// The record in work; their memory is kept.
    pages: Pages,
}

enum State {
    /// There is none. The next is begun at the first commit from then on.
    Absent(Instant),
    /// Its thread is making it.
    Coming(Keeper),
    Ready(Keeper, Book),
    /// Its thread makes everything durable that is in it, and removes it.
    Leaving(Keeper),
    /// It holds the only durable copy of acknowledged rows. It must stay, locked, for the next start to replay it;
    /// on such a disk no other one is begun.
    Stuck {
        _wreck: Option<Wreck>,
    },
}

/// What keeps the files of a stuck journal, and so their locks.
type Wreck = (Box<dyn Medium>, Vec<Arc<Debt>>);

impl Journal {
    pub(super) fn new(setup: Setup, directory: &Path, process: &str, queue: Arc<Queue>) -> Self {
        let (directory, process) = (directory.to_path_buf(), process.to_owned());
        Self { setup, directory, process, queue, state: State::Absent(Instant::now()), pages: Pages::default() }
    }

    /// Writes `bytes`, which have been appended to the segment of `debt` at `offset`; when it gives true, they survive
    /// a power cut if all before them does. It never waits for a half or for a file that is being made.
    pub(super) fn record(&mut self, debt: &Arc<Debt>, offset: u64, bytes: &[u8]) -> bool {
        self.hear();
        match &mut self.state {
            State::Ready(keeper, book) => match book.write(keeper, debt, (offset, bytes), &mut self.pages) {
                Ok(recorded) => recorded,
                Err(error) => {
                    tracing::warn!(%error, "the log's journal is given up; segments are synced instead");
                    self.leave();
                    false
                }
            },
            State::Absent(due) if *due <= Instant::now() => {
                self.begin();
                false
            }
            _ => false,
        }
    }

    /// To be called when all segments are closed: removes the journal, unless one of them could not be.
    pub(super) fn finish(mut self) {
        self.leave();
        if let State::Coming(keeper) | State::Leaving(keeper) = mem::replace(&mut self.state, State::gone()) {
            keeper.end().into_iter().for_each(|told| self.learn(told));
        }
    }

    fn begin(&mut self) {
        let (make, half) = (self.setup.make.clone(), self.setup.half);
        let (directory, process) = (self.directory.clone(), self.process.clone());
        self.state = match Keeper::start(move || make(&directory, &process, half)) {
            Ok(keeper) => State::Coming(keeper),
            Err(error) => self.absent(&error),
        };
    }

    /// Takes in what the journal's thread has told.
    fn hear(&mut self) {
        while let State::Coming(keeper) | State::Ready(keeper, _) | State::Leaving(keeper) = &self.state {
            match keeper.told() {
                Some(told) => self.learn(told),
                None => return,
            }
        }
    }

    fn learn(&mut self, told: Told) {
        match (told, mem::replace(&mut self.state, State::gone())) {
            (Told::Made(Ok((medium, layout))), State::Coming(keeper)) => {
                self.state = State::Ready(keeper, Book::new(medium, layout));
            }
            (Told::Made(Ok((mut medium, _))), _) => {
                let _ = medium.remove(); // the log has closed meanwhile; the next start would remove it as well
            }
            (Told::Made(Err(error)), _) => self.state = self.absent(&error),
            (Told::Freed(result), state) => {
                self.state = state;
                match (&mut self.state, result) {
                    (State::Ready(_, book), Ok(())) => book.spare = true,
                    (_, Ok(())) => {}
                    (_, Err(error)) => {
                        self.report(&format!("a log segment cannot be made durable: {error}"));
                        self.leave();
                    }
                }
            }
            (Told::Left(None), _) => self.state = State::Absent(Instant::now() + self.setup.pause),
            (Told::Left(wreck), _) => {
                self.report("rows are durable in the log's journal only; the next start copies them to their segments");
                self.state = State::Stuck { _wreck: wreck };
            }
            (Told::Died, state) => {
                self.report("the thread of the log's journal has died; the next start replays the journal");
                let wreck = if let State::Ready(_, book) = state { Some((book.medium, book.debts)) } else { None };
                self.state = State::Stuck { _wreck: wreck };
            }
        }
    }

    /// Writes to the journal no more.
    fn leave(&mut self) {
        self.state = match mem::replace(&mut self.state, State::gone()) {
            State::Ready(mut keeper, book) => {
                keeper.leave(book.medium, book.debts);
                State::Leaving(keeper)
            }
            other => other,
        };
    }

    fn absent(&self, error: &io::Error) -> State {
        tracing::warn!(%error, "no journal of the log can be made; segments are synced instead");
        State::Absent(Instant::now() + self.setup.pause)
    }

    fn report(&self, text: &str) {
        tracing::error!("{text}");
        self.queue.status().failed(text.into());
    }
}

impl State {
    fn gone() -> Self {
        Self::Stuck { _wreck: None }
    }
}

/// Where in a journal the next record goes.
struct Book {
    medium: Box<dyn Medium>,
    layout: Layout,
    seq: u64,
    half: usize,
    /// Bytes of the half that hold records.
    used: u64,
    /// Of the segments that the half has records of.
    debts: Vec<Arc<Debt>>,
    /// Whether the other half is free.
    spare: bool,
}

impl Book {
    fn new(medium: Box<dyn Medium>, layout: Layout) -> Self {
        Self { medium, layout, seq: 0, half: 0, used: 0, debts: Vec::new(), spare: true }
    }

    /// Whether the record is in the journal, durably: no where there is no room. An error where that is not known.
    fn write(
        &mut self,
        keeper: &Keeper,
        debt: &Arc<Debt>,
        (offset, bytes): (u64, &[u8]),
        pages: &mut Pages,
    ) -> io::Result<bool> {
        let record = Record { seq: self.seq, offset, path: debt.path(), bytes };
        let size = record.size().map_or(u64::MAX, |size| size as u64);
        if size > self.layout.half || size > self.layout.half - self.used && !self.turn(keeper) {
            return Ok(false);
        }
        record.encode(self.layout.salt, pages);
        let at = self.layout.range(self.half).start + self.used;
        if let Err(error) = self.medium.write(pages, at) {
            // Perhaps it is there all the same, and its commit will be refused: better if no start ever finds it.
            pages.put(&[&[0; PAGE]]);
            let _ = self.medium.write(pages, at);
            return Err(error);
        }
        self.seq += 1;
        self.used += size;
        debt.owe();
        if !self.debts.iter().any(|known| Arc::ptr_eq(known, debt)) {
            self.debts.retain(|known| !known.is_settled());
            self.debts.push(debt.clone());
        }
        Ok(true)
    }

    /// Goes on in the other half, if it is free.
    fn turn(&mut self, keeper: &Keeper) -> bool {
        if !self.spare {
            return false;
        }
        self.spare = false;
        keeper.work(Work::Free(mem::take(&mut self.debts)));
        self.half = 1 - self.half;
        self.used = 0;
        true
    }
}
