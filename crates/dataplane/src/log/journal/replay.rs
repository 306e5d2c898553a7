//! After a crash: what a dead process's journal holds goes back into the segments that lack it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::claim::{Claim, claim};
use super::super::names;
use super::record::{Layout, Record, records};

/// What was done with the journals of dead processes. While it lives nobody else touches those that it has replayed.
#[derive(Default)]
pub(in super::super) struct Replay {
    /// Commits that their segments lacked.
    pub(in super::super) commits: u64,
    /// Journals and segments that could not be read or written; they are left as they are.
    pub(in super::super) failed: u64,
    /// Journals that are not needed any more.
    done: Vec<(File, PathBuf)>,
    /// Segments that lack rows still, and processes of which no segment is known to have all: to be left open.
    lacking: Vec<PathBuf>,
    unread: Vec<String>,
}

/// Replays every journal in `directory` whose process is dead. Fails only where the folder cannot be listed.
pub(in super::super) fn replay(directory: &Path) -> io::Result<Replay> {
    let mut replay = Replay::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(process) = names::journal_process(&path).filter(|_| path.is_file())
            && let Err(error) = replay.one(directory, &path)
        {
            tracing::error!(path = %path.display(), %error, "cannot replay a log's journal");
            replay.failed += 1;
            replay.unread.push(process.to_owned());
        }
    }
    Ok(replay)
}

impl Replay {
    /// Whether an open segment may lack rows that a journal still has.
    pub(in super::super) fn is_lacking(&self, segment: &Path) -> bool {
        self.lacking.iter().any(|path| path == segment)
            || self.unread.iter().any(|process| names::is_open_of(segment, process))
    }

    /// Removes the journals whose rows are all in their segments, durably. Gives how many there were.
    pub(in super::super) fn finish(self) -> u64 {
        let done = self.done.len() as u64;
        for (lock, path) in self.done {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a replayed journal cannot be removed");
            }
            drop(lock);
        }
        done
    }

    fn one(&mut self, directory: &Path, path: &Path) -> io::Result<()> {
        let Claim::Ours(mut file) = claim(path, OpenOptions::new().read(true).write(true))? else {
            return Ok(()); // a living process writes it
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let (mut commits, mut complete) = (0, true);
        if let Some(layout) = layout(&content)? {
            for (segment, records) in chains(&content, layout)? {
                let segment = directory.join(segment);
                match restore(&segment, &records) {
                    Ok(restored) => commits += restored,
                    Err(error) => {
                        tracing::error!(path = %segment.display(), %error, "a log segment lacks rows of its journal");
                        self.failed += 1;
                        self.lacking.push(segment);
                        complete = false;
                    }
                }
            }
        }
        tracing::info!(path = %path.display(), commits, "replayed a log's journal");
        self.commits += commits;
        if complete {
            self.done.push((file, path.to_path_buf()));
        }
        Ok(())
    }
}

/// How the file is cut; `None` where its process died before it was whole.
fn layout(content: &[u8]) -> io::Result<Option<Layout>> {
    let first = &content[..content.len().min(super::record::PAGE)];
    if first.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    Layout::decode(first)
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its first page is damaged"))
}

/// For each segment its records, each beginning behind the one before. A commit that was rolled back has left a record
/// as well; it gives way to the one that came in its place.
fn chains(content: &[u8], layout: Layout) -> io::Result<BTreeMap<&str, Vec<Record<'_>>>> {
    let half = |half| {
        let range = layout.range(half);
        let cut = |at: u64| usize::try_from(at).map_or(content.len(), |at| at.min(content.len()));
        records(&content[cut(range.start)..cut(range.end)], layout.salt)
    };
    let mut all = [half(0), half(1)].concat();
    all.sort_unstable_by_key(|record| record.seq);
    let mut chains: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for record in all {
        if !record.is_of_a_segment() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{:?} is no open segment", record.path)));
        }
        let chain = chains.entry(record.path).or_default();
        while chain.pop_if(|last| last.end() > record.offset).is_some() {}
        chain.push(record);
    }
    Ok(chains)
}

/// Puts the records where they belong in an open segment, durably. Gives how many it did not have.
fn restore(path: &Path, records: &[Record]) -> io::Result<u64> {
    let file = match claim(path, OpenOptions::new().read(true).write(true))? {
        Claim::Ours(file) => file,
        Claim::Gone => return Ok(0), // closed, then it lacked nothing; or removed
        Claim::Held => return Err(io::Error::new(io::ErrorKind::WouldBlock, "somebody else holds it")),
    };
    let mut restored = 0;
    let result = records.iter().try_for_each(|record| {
        restored += u64::from(put(&file, record)?);
        Ok(())
    });
    file.sync_all().and(result).map(|()| restored)
}

/// Whether the record was missing. It is written in any case: what the system has shown us need not be on the disk.
fn put(file: &File, record: &Record) -> io::Result<bool> {
    let end = file.metadata()?.len();
    if record.offset > end {
        let text = format!("it ends at {end}, and what comes next in the journal begins at {}", record.offset);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut present = vec![0; record.bytes.len()];
    let missing =
        record.end() > end || file.read_exact_at(&mut present, record.offset).is_err() || present != record.bytes;
    file.write_all_at(record.bytes, record.offset)?;
    if missing {
        file.set_len(record.end())?; // what is behind it was never written as a whole
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::super::recovery::{RecoveryReport, recover};
    use super::super::record::{PAGE, Pages};
    use super::*;

    const LAYOUT: Layout = Layout { half: 4 * PAGE as u64, salt: 5 };
    const SEGMENT: &str = "fraud/abababababab-19700101T000000-p-1-7.arrow.open";

    /// A dead process's folder: its journal with these records in each half, and one open segment.
    fn crashed(halves: [&[Record]; 2], segment: &[u8]) -> TempDir {
        let folder = tempfile::tempdir().expect("folder");
        let mut content = LAYOUT.encode();
        for (half, records) in halves.iter().enumerate() {
            content.resize(LAYOUT.range(half).start as usize, 0);
            for record in *records {
                let mut pages = Pages::default();
                record.encode(LAYOUT.salt, &mut pages);
                content.extend(pages.bytes());
            }
        }
        content.resize(LAYOUT.range(1).end as usize, 0);
        fs::write(folder.path().join("p-1.journal"), content).expect("journal");
        fs::create_dir(folder.path().join("fraud")).expect("folder");
        fs::write(folder.path().join(SEGMENT), segment).expect("segment");
        folder
    }

    fn record(seq: u64, offset: u64, bytes: &[u8]) -> Record<'_> {
        Record { seq, offset, path: SEGMENT, bytes }
    }

    fn segment(folder: &TempDir) -> Vec<u8> {
        fs::read(folder.path().join(SEGMENT)).expect("segment")
    }

    #[test]
    fn what_came_in_place_of_a_rolled_back_commit_wins() {
        let (old, new, last) = (record(0, 4, b"old and long"), record(1, 4, b"new"), record(2, 7, b"last"));
        // Whatever of them the segment has, and whichever half comes first in the file.
        for content in ["head", "headold and long", "headnew", "headnewlast", "head\0\0\0\0\0\0\0"] {
            for halves in [[&[old, new, last][..], &[]], [&[last], &[old, new]], [&[new, last], &[old]]] {
                let folder = crashed(halves, content.as_bytes());
                let replay = replay(folder.path()).expect("replay");
                assert_eq!((replay.failed, segment(&folder)), (0, b"headnewlast".to_vec()), "{content}");
                assert_eq!(replay.commits == 0, content == "headnewlast");
                assert_eq!(replay.finish(), 1);
                assert!(!folder.path().join("p-1.journal").exists());
            }
        }
    }

    #[test]
    fn replaying_twice_is_replaying_once() {
        let folder =
            crashed([&[record(8, 0, b"one"), record(9, 3, b"two")], &[]], b"onetwo, and what nobody waited for");
        for _ in 0..2 {
            assert_eq!(replay(folder.path()).expect("replay").commits, 0);
            assert_eq!(segment(&folder), b"onetwo, and what nobody waited for");
        }
    }

    #[test]
    fn a_gap_stops_it_and_everything_is_left_as_it_is() {
        let folder = crashed([&[record(0, 0, b"one"), record(1, 9, b"three")], &[]], b"");
        let report = recover(folder.path()).expect("report");
        assert_eq!((report.failed, report.segments, report.removed), (1, 0, 0));
        assert_eq!(segment(&folder), b"one");
        assert!(folder.path().join("p-1.journal").exists());
    }

    #[test]
    fn closed_and_removed_segments_are_passed_over() {
        let folder = crashed([&[record(0, 0, b"one")], &[]], b"");
        fs::remove_file(folder.path().join(SEGMENT)).expect("removed");
        let report = recover(folder.path()).expect("report");
        assert_eq!((report.journals, report.replayed, report.failed), (1, 0, 0));
        assert!(!folder.path().join(SEGMENT).exists());
    }

    #[test]
    fn a_segment_that_somebody_holds_keeps_its_journal() {
        let folder = crashed([&[record(0, 0, b"one")], &[]], b"");
        let held = File::open(folder.path().join(SEGMENT)).expect("segment");
        held.lock().expect("lock");
        assert_eq!(recover(folder.path()).expect("report").journals, 0);
        assert_eq!(segment(&folder), b"");
        drop(held);
        assert_eq!(recover(folder.path()).expect("report").replayed, 1);
    }

    #[test]
    fn a_damaged_journal_keeps_its_segments_open() {
        let folder = crashed([&[record(0, 0, b"one")], &[]], b"");
        let journal = folder.path().join("p-1.journal");
        let mut content = fs::read(&journal).expect("journal");
        content[9] ^= 1;
        fs::write(&journal, &content).expect("journal");
        assert_eq!(recover(folder.path()).expect("report"), RecoveryReport { failed: 1, ..RecoveryReport::default() });
        assert!(journal.exists() && folder.path().join(SEGMENT).exists());
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_followed() {
        let folder = crashed([&[Record { path: "../x.arrow.open", ..record(0, 0, b"one") }], &[]], b"");
        assert_eq!(recover(folder.path()).expect("report").failed, 1);
    }

    #[test]
    fn a_journal_that_was_never_finished_is_removed() {
        for content in [&[][..], &[0; 10], &[0; 3 * PAGE]] {
            let folder = tempfile::tempdir().expect("folder");
            fs::write(folder.path().join("p-1.journal"), content).expect("journal");
            fs::create_dir(folder.path().join("endpoint.journal")).expect("folder");
            let report = recover(folder.path()).expect("report");
            assert_eq!(report, RecoveryReport { journals: 1, ..RecoveryReport::default() });
            assert!(!folder.path().join("p-1.journal").exists() && folder.path().join("endpoint.journal").is_dir());
        }
    }
}
