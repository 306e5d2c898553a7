//! What the journal promises to those who wait for the log.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use tempfile::TempDir;

use super::super::samples::{
    self, Disk, answer, append, awaited, files, ids, is_closed, options, slow, stream, wait_until,
};
use super::super::{Log, LogError, RecoveryReport, Stream};
use super::record::PAGE;
use crate::wire::options::LogOptions;

/// Four records of one row each.
const SMALL: u64 = 4 * PAGE as u64;

/// A log on a disk that can lose its power, and the ids that it has acknowledged.
struct Scene {
    folder: TempDir,
    disk: Arc<Disk>,
    log: Log,
    stream: Arc<Stream>,
    next: u128,
    acknowledged: Vec<u128>,
}

impl Scene {
    fn of(half: u64, adapt: impl Fn(LogOptions) -> LogOptions) -> Self {
        let (folder, disk) = (tempfile::tempdir().expect("folder"), Disk::new());
        let log = Log::open_on(&adapt(slow(folder.path())), "test", disk.files_with(half)).expect("log");
        Self { folder, disk, log, stream: stream("fraud"), next: 0, acknowledged: Vec::new() }
    }

    fn with_halves_of(half: u64) -> Self {
        Self::of(half, |options| options)
    }

    /// One whose journal is in use: the first commits pass it by, while it is being made.
    fn journaled(half: u64) -> Self {
        let mut scene = Self::with_halves_of(half);
        scene.until_journaled();
        scene
    }

    fn until_journaled(&mut self) {
        let before = self.writes();
        wait_until(|| self.log.status().queued_rows == 0);
        while self.writes() == before {
            self.commit(1).expect("acknowledged");
        }
    }

    /// Writes to journals.
    fn writes(&self) -> u64 {
        self.disk.journal_writes.load(SeqCst)
    }

    fn ids(&mut self, rows: u128) -> Range<u128> {
        self.next += rows;
        self.next - rows..self.next
    }

    /// Appends so many rows, and waits until they are acknowledged or refused.
    fn commit(&mut self, rows: u128) -> Result<(), LogError> {
        let ids = self.ids(rows);
        let (batch, told) = awaited(samples::batch(&self.stream, ids.clone()));
        append(&self.log, batch);
        answer(&told).inspect(|()| self.acknowledged.extend(ids))
    }

    /// The next start after a power cut now: what it did, and the ids that it finds.
    fn after_power_cut(&self) -> (RecoveryReport, Vec<u128>) {
        let folder = self.disk.after_power_cut(self.folder.path());
        restarted(folder.path())
    }

    #[track_caller]
    fn survives_a_power_cut(&self) {
        let (report, found) = self.after_power_cut();
        assert_eq!((report.failed, found), (0, self.acknowledged.clone()));
    }

    fn open_segment(&self) -> PathBuf {
        files(self.folder.path()).into_iter().find(|path| !is_closed(path)).expect("an open segment")
    }
}

fn restarted(folder: &Path) -> (RecoveryReport, Vec<u128>) {
    let log = Log::open(&options(folder), "next").expect("log");
    let report = log.recovery();
    assert!(report.failed > 0 || journals(folder).is_empty() && files(folder).iter().all(|path| is_closed(path)));
    (report, ids(folder))
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    paths.filter(|path| path.is_file()).collect()
}

fn cut(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).expect("file").set_len(length).expect("cut");
}

#[test]
fn an_acknowledged_commit_waits_for_nothing_but_the_journal() {
    let mut scene = Scene::journaled(1 << 20);
    let before = (scene.writes(), scene.disk.syncs.load(SeqCst));
    for _ in 0..20 {
        scene.commit(1).expect("acknowledged");
    }
    assert_eq!((scene.writes(), scene.disk.syncs.load(SeqCst)), (before.0 + 20, before.1));
    let (report, found) = scene.after_power_cut();
    assert_eq!((report.journals, report.replayed, report.failed), (1, scene.writes(), 0));
    assert_eq!(found, scene.acknowledged);
}

#[test]
fn wherever_the_power_cut_has_cut_the_segment_nothing_acknowledged_is_lost() {
    let mut scene = Scene::journaled(1 << 20);
    let mut lengths = vec![fs::metadata(scene.open_segment()).expect("segment").len()];
    for rows in [1, 3, 200] {
        scene.commit(rows).expect("acknowledged");
        lengths.push(fs::metadata(scene.open_segment()).expect("segment").len());
    }
    let lost = |spoil: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().expect("folder");
        for path in [vec![scene.open_segment()], journals(scene.folder.path())].concat() {
            let copy = folder.path().join(path.strip_prefix(scene.folder.path()).expect("prefix"));
            fs::create_dir_all(copy.parent().expect("parent")).expect("folder");
            fs::copy(&path, copy).expect("copy");
        }
        spoil(&files(folder.path())[0]);
        let (report, found) = restarted(folder.path());
        assert_eq!((report.failed, found), (0, scene.acknowledged.clone()));
        report.replayed
    };
    assert_eq!(lost(&|_| ()), 0, "after a mere kill the segment has it all");
    for (at, length) in lengths.iter().enumerate() {
        for length in [*length, length - 1, length - 100] {
            assert!(lost(&|path| cut(path, length)) >= 3 - at as u64);
            // As long as it was, but the pages of its end were never written.
            let zeroed = |path: &Path| {
                cut(path, length);
                cut(path, lengths[3]);
            };
            assert!(lost(&zeroed) >= 3 - at as u64);
        }
    }
}

#[test]
fn a_torn_last_record_takes_no_other_with_it() {
    let mut scene = Scene::journaled(1 << 20);
    for _ in 0..3 {
        scene.commit(1).expect("acknowledged");
    }
    let folder = scene.disk.after_power_cut(scene.folder.path());
    let journal = &journals(folder.path())[0];
    let mut bytes = fs::read(journal).expect("journal");
    bytes[scene.writes() as usize * PAGE + 100] ^= 1;
    fs::write(journal, bytes).expect("journal");
    scene.acknowledged.pop(); // it would not have been, with such a record
    assert_eq!(restarted(folder.path()).1, scene.acknowledged);
}

#[test]
fn laps_and_new_segments_lose_nothing() {
    let mut scene = Scene::of(SMALL, |options| LogOptions { segment_bytes: 30_000, ..options });
    for at in 0..120 {
        scene.commit(if at % 10 == 9 { 12 } else { 1 }).expect("acknowledged");
        if at % 7 == 0 || at > 100 {
            scene.survives_a_power_cut();
        }
    }
    assert!(scene.writes() >= 16, "the journal was used for more than a lap");
    wait_until(|| scene.log.status().closed_segments > 1);
    scene.survives_a_power_cut();
    scene.log.close();
    scene.survives_a_power_cut();
    assert!(journals(scene.folder.path()).is_empty());
}

#[test]
fn a_commit_larger_than_a_half_is_synced_in_its_segment() {
    let mut scene = Scene::journaled(SMALL);
    let before = scene.writes();
    scene.commit(1_000).expect("acknowledged");
    assert_eq!(scene.writes(), before);
    scene.commit(1).expect("acknowledged");
    assert_eq!(scene.writes(), before + 1);
    scene.survives_a_power_cut();
}

#[test]
fn rows_that_nobody_waits_for_make_no_gap() {
    let mut scene = Scene::of(1 << 20, |slow| LogOptions { flush_ms: 1, ..slow });
    scene.until_journaled();
    let ids = scene.ids(5);
    append(&scene.log, samples::batch(&scene.stream, ids.clone()));
    wait_until(|| scene.log.status().queued_rows == 0);
    let before = scene.writes();
    for _ in 0..2 {
        scene.commit(1).expect("acknowledged");
    }
    scene.acknowledged.extend(ids); // they came before, and are as durable as what came after
    scene.acknowledged.sort_unstable();
    assert_eq!(scene.writes(), before + 1, "the first synced its segment");
    scene.survives_a_power_cut();
}

#[test]
fn without_a_journal_segments_are_synced_until_there_is_one() {
    let mut scene = Scene::with_halves_of(1 << 20);
    scene.disk.journal_refused.store(true, SeqCst);
    for _ in 0..20 {
        scene.commit(1).expect("acknowledged");
    }
    assert_eq!((scene.writes(), scene.disk.syncs.load(SeqCst)), (0, 20));
    assert!(journals(scene.folder.path()).is_empty());
    scene.survives_a_power_cut();
    scene.disk.journal_refused.store(false, SeqCst);
    scene.until_journaled();
    scene.survives_a_power_cut();
}

#[test]
fn a_half_that_is_not_free_is_not_written_to() {
    let mut scene = Scene::journaled(SMALL);
    while scene.writes() < 4 {
        scene.commit(1).expect("acknowledged");
    }
    let disk = scene.disk.clone();
    let gate = disk.gate.lock();
    for _ in 0..4 {
        scene.commit(1).expect("acknowledged"); // the other half; the first one's segment waits for its sync
    }
    let length = || fs::metadata(scene.open_segment()).expect("segment").len();
    let before = length();
    let ids = scene.next..scene.next + 1;
    let (batch, told) = awaited(samples::batch(&scene.stream, ids.clone()));
    append(&scene.log, batch);
    wait_until(|| length() > before);
    assert!(told.try_recv().is_err(), "its segment must be synced first");
    assert_eq!(scene.writes(), 8);
    drop(gate);
    answer(&told).expect("acknowledged");
    scene.next = ids.end;
    scene.acknowledged.extend(ids);
    scene.until_journaled();
    scene.survives_a_power_cut();
}

#[test]
fn when_the_journal_fails_the_segment_is_synced_and_another_journal_begun() {
    let mut scene = Scene::journaled(1 << 20);
    scene.disk.journal_fails.store(true, SeqCst);
    for _ in 0..5 {
        scene.commit(1).expect("acknowledged");
    }
    scene.survives_a_power_cut();
    scene.disk.journal_fails.store(false, SeqCst);
    scene.until_journaled();
    scene.survives_a_power_cut();
    assert_eq!(scene.log.status().last_error, None);
    scene.log.close();
    assert!(journals(scene.folder.path()).is_empty());
}

#[test]
fn what_was_refused_is_not_replayed() {
    let mut scene = Scene::journaled(1 << 20);
    scene.disk.journal_fails.store(true, SeqCst);
    scene.disk.sync_fails.store(true, SeqCst);
    assert!(matches!(scene.commit(1), Err(LogError::Storage(_))));
    scene.survives_a_power_cut();
}

#[test]
fn a_removed_journal_is_noticed() {
    let mut scene = Scene::journaled(1 << 20);
    for path in journals(scene.folder.path()) {
        fs::remove_file(path).expect("removed");
    }
    scene.commit(1).expect("acknowledged");
    scene.survives_a_power_cut();
    scene.until_journaled();
    scene.survives_a_power_cut();
}

#[test]
fn after_a_failed_sync_in_the_background_the_journal_stays_for_the_next_start() {
    let mut scene = Scene::journaled(SMALL);
    scene.disk.sync_fails.store(true, SeqCst);
    while scene.commit(1).is_ok() {}
    let error = scene.log.status().last_error.expect("an error");
    assert!(error.contains("sync failed") || error.contains("sync of this segment has failed"), "{error}");
    scene.survives_a_power_cut();
    scene.disk.sync_fails.store(false, SeqCst);
    for _ in 0..10 {
        scene.commit(1).expect("acknowledged, in another segment");
    }
    scene.survives_a_power_cut();
    scene.log.close();
    assert_eq!(journals(scene.folder.path()).len(), 1, "it has what the segment may lack");
    assert!(!is_closed(&scene.open_segment()));
    assert_eq!(ids(scene.folder.path()), scene.acknowledged, "readers miss nothing");
    scene.survives_a_power_cut();
    let (report, found) = restarted(scene.folder.path());
    assert_eq!((report.journals, report.segments, report.failed), (1, 1, 0));
    assert_eq!(found, scene.acknowledged);
}

#[test]
fn two_dead_processes_have_a_journal_each_and_a_living_ones_is_left_alone() {
    let mut first = Scene::journaled(1 << 20);
    let log = Log::open_on(&slow(first.folder.path()), "second", first.disk.files()).expect("log");
    assert_eq!(log.recovery(), RecoveryReport::default(), "the first one lives");
    let stream = stream("fraud");
    let before = first.writes();
    let mut at = 1_000;
    while first.writes() < before + 3 {
        let (batch, told) = awaited(samples::batch(&stream, at..at + 1));
        append(&log, batch);
        answer(&told).expect("acknowledged");
        first.acknowledged.push(at);
        at += 1;
    }
    assert_eq!(journals(first.folder.path()).len(), 2);
    let (report, found) = first.after_power_cut();
    assert_eq!((report.journals, report.segments, report.failed), (2, 2, 0));
    assert_eq!(found, first.acknowledged);

    let folder = first.disk.after_power_cut(first.folder.path());
    let alive = folder.path().join("second.journal");
    let lock = fs::File::open(&alive).expect("journal");
    lock.lock().expect("lock");
    let segments = files(folder.path());
    let its_own = segments.iter().find(|path| path.to_string_lossy().contains("-second-")).expect("segment");
    let lock_of_segment = fs::File::open(its_own).expect("segment");
    lock_of_segment.lock().expect("lock");
    let log = Log::open(&options(folder.path()), "next").expect("log");
    assert_eq!((log.recovery().journals, log.recovery().segments), (1, 1));
    assert!(alive.exists() && its_own.exists());
}

#[test]
fn only_who_waits_has_a_journal_made() {
    let folder = tempfile::tempdir().expect("folder");
    let log = Log::open(&options(folder.path()), "test").expect("log");
    append(&log, samples::batch(&stream("fraud"), 0..5));
    wait_until(|| log.status().written_rows == 5);
    assert!(journals(folder.path()).is_empty());
    let (batch, told) = awaited(samples::batch(&stream("churn"), 5..6));
    append(&log, batch);
    answer(&told).expect("acknowledged");
    wait_until(|| fs::metadata(folder.path().join("test.journal")).is_ok_and(|meta| meta.len() > 16 << 20));
    log.close();
    assert!(journals(folder.path()).is_empty());
}
