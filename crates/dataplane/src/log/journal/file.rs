//! The journal as a file.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::names;
use super::super::segment::sync_directory;
use super::record::Layout;

/// Names tried for one journal before giving up.
const NAMES_TRIED: usize = 100;
/// Bytes written at once where the file is filled.
const BLOCK: usize = 1024 * 1024;

/// What a journal is written to. A file in production; tests put a failing one in its place.
pub(in super::super) trait Medium: Send {
    /// Puts `bytes` at `offset`, in place of what is there.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when what was written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Removes it.
    fn remove(&mut self) -> io::Result<()>;
}

/// A journal's file. While it lives it holds an advisory lock, by which recovery tells it from a dead process's.
pub(in super::super) struct JournalFile {
    file: File,
    path: PathBuf,
}

impl JournalFile {
    /// A new journal of `process` with two halves of `half` bytes, locked and all zeros: so that overwriting it
    /// changes nothing but its data, and a sync has nothing else to write.
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
                return Ok(Self { file, path });
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
        self.file.write_all_at(&layout.encode(), 0)?;
        self.file.sync_all()
    }
}

impl Medium for JournalFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // A removed file takes bytes without complaint, and no recovery will ever find them.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} was removed", self.path.display())));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn remove(&mut self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
