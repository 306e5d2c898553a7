//! The journal as a file.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::super::names;
use super::super::segment::sync_directory;
use super::record::{Layout, Pages};

/// Names tried for one journal before giving up.
const NAMES_TRIED: usize = 100;
/// Bytes written at once where the file is filled.
const BLOCK: usize = 1024 * 1024;

/// What a journal is written to. A file in production; tests put a failing one in its place.
pub(in super::super) trait Medium: Send {
    /// Puts `pages` at `offset`, in place of what is there; when it returns they survive a power cut.
    fn write(&mut self, pages: &Pages, offset: u64) -> io::Result<()>;
    /// Removes it.
    fn remove(&mut self) -> io::Result<()>;
}

/// A journal's file. While it lives it holds an advisory lock, by which recovery tells it from a dead process's.
pub(in super::super) struct JournalFile {
    /// Holds the lock.
    file: File,
    /// The same file; each write to it is durable.
    durable: File,
    path: PathBuf,
}

impl JournalFile {
    /// A new journal of `process` with two halves of `half` bytes, locked and all zeros: so that overwriting it
    /// changes nothing but its data, and there is nothing else to make durable.
    pub(in super::super) fn create(directory: &Path, process: &str, half: u64) -> io::Result<(Self, Layout)> {
        let mut journal = Self::begin(directory, process)?;
        let layout = Layout { half, salt: RandomState::new().build_hasher().finish() };
        match journal.fill(layout).and_then(|()| sync_directory(directory)) {
            Ok(()) => Ok((journal, layout)),
            Err(error) => {
                let _ = journal.remove(); // it has no record yet: recovery would do the same
                Err(error)
            }
        }
    }

    fn begin(directory: &Path, process: &str) -> io::Result<Self> {
        for number in 0..NAMES_TRIED {
            let path = directory.join(names::journal(process, number));
            let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            // Between creation and lock a recovering process may take the file for a dead one's and remove it.
            if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
                let durable = file.try_clone()?; // until it is filled
                return Ok(Self { file, durable, path });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{NAMES_TRIED} names of journals are taken")))
    }

    /// The first page comes last: where it is, the rest is whole.
    fn fill(&mut self, layout: Layout) -> io::Result<()> {
        let zeros = vec![0; BLOCK];
        let (mut at, end) = (0, layout.range(1).end);
        while at < end {
            let length = zeros.len().min((end - at) as usize);
            self.file.write_all_at(&zeros[..length], at)?;
            at += length as u64;
        }
        self.file.sync_all()?;
        let mut first = Pages::default();
        first.put(&[&layout.encode()]);
        self.durable = open_durable(&self.path, &first)?;
        Ok(())
    }
}

/// Opens a journal for durable writes and makes `first` its first page. Writes that pass the system's cache are cheapest:
/// a device can be told to keep one before it answers, and the rest of its cache need not be flushed. Where a file
/// system does not know them the others do.
fn open_durable(path: &Path, first: &Pages) -> io::Result<File> {
    let open = |flags: OFlags| {
        let file = OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        file.write_all_at(first.bytes(), 0).map(|()| file)
    };
    open(OFlags::DSYNC | OFlags::DIRECT).or_else(|_| open(OFlags::DSYNC))
}

impl Medium for JournalFile {
    fn write(&mut self, pages: &Pages, offset: u64) -> io::Result<()> {
        // A removed file takes bytes without complaint, and no recovery will ever find them.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} was removed", self.path.display())));
        }
        self.durable.write_all_at(pages.bytes(), offset)
    }

    fn remove(&mut self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
