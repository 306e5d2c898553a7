//! Begins segments, and closes them on a thread of its own: syncing a large file takes long, and commits that somebody
//! waits for must not stand behind it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::journal::Journal;
use super::queue::Queue;
use super::segment::{Fault, Opener, Segment};
use super::stream::Stream;
use super::{Files, names, retention};
use crate::wire::options::LogOptions;

/// Names tried for one segment before giving up; a second try is already rare.
const NAMES_TRIED: usize = 1_000;

/// The source of new segments and the end of old ones.
pub(super) struct Segments {
    options: LogOptions,
    process: String,
    create: Opener,
    journal: Journal,
    number: u64,
    to_close: Sender<Segment>,
    closer: JoinHandle<()>,
}

impl Segments {
    /// Starts the closing thread. `process` goes into file names as it is.
    pub(super) fn new(options: LogOptions, process: String, files: Files, queue: Arc<Queue>) -> io::Result<Self> {
        let (to_close, closing) = mpsc::channel();
        let journal = Journal::new(files.journal, Path::new(&options.directory), &process, queue.clone());
        let of_closer = options.clone();
        let closer =
            thread::Builder::new().name("log-closer".into()).spawn(move || close_all(&closing, &of_closer, &queue))?;
        Ok(Self { options, process, create: files.create, journal, number: 0, to_close, closer })
    }

    /// A new, empty segment of `stream`.
    pub(super) fn begin(&mut self, stream: &Stream) -> Result<Segment, Fault> {
        let spec = stream.spec();
        let directory = Path::new(&self.options.directory).join(&*spec.endpoint);
        for _ in 0..NAMES_TRIED {
            let stem = names::stem(&spec.bundle, SystemTime::now(), &self.process, self.number);
            self.number += 1;
            match (self.create)(&directory, &stem) {
                Ok(sink) => {
                    let path = format!("{}/{stem}{}", spec.endpoint, names::OPEN);
                    return Segment::new(sink, path, stream.schema().clone());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Fault::Storage(error)),
            }
        }
        let text = format!("{NAMES_TRIED} names are taken in {}", directory.display());
        Err(Fault::Storage(io::Error::new(io::ErrorKind::AlreadyExists, text)))
    }

    /// Where commits go that somebody waits for.
    pub(super) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Whether `segment` is as large or as old as it may get.
    pub(super) fn is_full(&self, segment: &Segment) -> bool {
        segment.length() >= self.options.segment_bytes
            || segment.opened().elapsed() >= Duration::from_secs(self.options.segment_seconds)
    }

    /// Has `segment` closed in the background.
    pub(super) fn retire(&self, segment: Segment) {
        if let Err(mpsc::SendError(segment)) = self.to_close.send(segment) {
            tracing::error!(bytes = segment.length(), "a log segment stays open until the next start");
        }
    }

    /// Returns when all retired segments are closed and the journal is gone.
    pub(super) fn finish(self) {
        drop(self.to_close);
        if self.closer.join().is_err() {
            tracing::error!("the closer of log segments ended by a panic");
        }
        self.journal.finish();
    }
}

/// Closes what comes, and removes what is past its retention after each and at least once a segment's age.
fn close_all(closing: &Receiver<Segment>, options: &LogOptions, queue: &Queue) {
    let pause = Duration::from_secs(options.segment_seconds.clamp(1, 3_600));
    loop {
        match closing.recv_timeout(pause) {
            Ok(segment) => close(segment, queue),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        retention::apply_and_report(options);
    }
}

fn close(segment: Segment, queue: &Queue) {
    let (status, bytes) = (queue.status(), segment.length());
    match segment.finish() {
        Ok(closed) => {
            status.closed_segments.fetch_add(u64::from(closed), Relaxed);
        }
        Err(error) => {
            tracing::error!(%error, bytes, "cannot close a log segment; it stays open until the next start");
            status.failed(format!("closing a segment: {error}").into());
        }
    }
}
