//! What a segment owes to those who were answered on the word of the journal: that its content becomes durable.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;

/// Makes what was appended to a segment durable; on any thread, also while more is appended.
pub(in super::super) type Syncer = Box<dyn Fn() -> io::Result<()> + Send>;

/// The durability of one segment, shared by whoever appends to it, closes it, or wants its half of the journal free.
///
/// The system tells of a page that it could not write once, to whoever syncs next, and then holds the page for clean.
/// So all syncs of a segment come through here, one at a time, and after one that failed none is believed.
pub(in super::super) struct Debt {
    path: String,
    /// None once nothing is owed any more: the segment is closed, or gone.
    sync: Mutex<Option<Syncer>>,
    /// Rows of it have been acknowledged that perhaps only the journal has.
    owes: AtomicBool,
    failed: AtomicBool,
}

impl Debt {
    /// That of the segment at `path`, relative to the log's folder.
    pub(in super::super) fn new(path: String, sync: Syncer) -> Self {
        let (owes, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { path, sync: Mutex::new(Some(sync)), owes, failed }
    }

    /// The segment's path, relative to the log's folder.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// To be called once rows of the segment are in the journal.
    pub(super) fn owe(&self) {
        self.owes.store(true, SeqCst);
    }

    /// Returns when all that was appended before survives a power cut.
    pub(in super::super) fn pay(&self) -> io::Result<()> {
        match &*self.sync.lock() {
            Some(_) if self.is_failed() => Err(defaulted()),
            Some(sync) => sync().inspect_err(|_| self.fail()),
            None => Ok(()),
        }
    }

    /// Runs `seal`, which makes the segment durable for good. Not where a sync has failed: the segment must stay open
    /// then, so that the next start writes it again from the journal.
    pub(in super::super) fn settle(&self, seal: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut sync = self.sync.lock();
        if self.is_failed() {
            return Err(defaulted());
        }
        let sealed = seal();
        match &sealed {
            Ok(()) => *sync = None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => *sync = None, // nobody will ever read it
            Err(_) => self.fail(),
        }
        sealed
    }

    pub(super) fn is_settled(&self) -> bool {
        self.sync.try_lock().is_some_and(|sync| sync.is_none())
    }

    /// Whether acknowledged rows of the segment may be in the journal alone, for good.
    pub(in super::super) fn is_failed(&self) -> bool {
        self.failed.load(SeqCst)
    }

    fn fail(&self) {
        self.failed.fetch_or(self.owes.load(SeqCst), SeqCst);
    }
}

fn defaulted() -> io::Error {
    io::Error::other("a sync of this segment has failed; the next start writes it again from the journal")
}
