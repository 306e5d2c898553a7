//! Taking over the files of dead processes: who writes a file of the log holds its lock for as long as it lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file of a process that may be dead.
pub(super) enum Claim {
    /// Its process is dead: ours now, locked.
    Ours(File),
    /// A living process writes it.
    Held,
    /// It is not there any more, or not under this name.
    Gone,
}

/// Opens `path` and takes its lock.
pub(super) fn claim(path: &Path, how: &OpenOptions) -> io::Result<Claim> {
    let file = match how.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claim::Gone),
        other => other?,
    };
    match file.try_lock() {
        // Its writer, or another recovery, may have closed it between `open` and the lock.
        Ok(()) => Ok(if is_at(&file, path) { Claim::Ours(file) } else { Claim::Gone }),
        Err(TryLockError::WouldBlock) => Ok(Claim::Held),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `path` still names `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
