//! What the log as a whole promises.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use tempfile::TempDir;

use super::samples::{
    Disk, Told, answer, append, awaited, batch, files, ids, ids_of, is_closed, options, read, slow, stream, wait_until,
};
use super::{Log, LogError, RecoveryReport, Refused, Stream};
use crate::wire::options::LogOptions;

fn folder() -> TempDir {
    tempfile::tempdir().expect("folder")
}

fn open(options: &LogOptions) -> Log {
    Log::open(options, "test").expect("log")
}

#[test]
fn close_writes_what_is_queued_and_is_idempotent() {
    let folder = folder();
    let (log, stream) = (open(&slow(folder.path())), stream("fraud"));
    for at in 0..10 {
        append(&log, batch(&stream, at * 3..at * 3 + 3));
    }
    assert_eq!(log.status().queued_rows, 30);
    log.close();
    log.close();
    let status = log.status();
    assert_eq!((status.queued_rows, status.written_rows, status.lost_rows), (0, 30, 0));
    assert_eq!((status.closed_segments, status.commits), (1, 1));
    assert_eq!(ids(folder.path()), (0..30).collect::<Vec<_>>());
    assert!(files(folder.path()).iter().all(|path| is_closed(path)));
    let (refused, batch) = log.append(batch(&stream, 0..1)).expect_err("closed");
    assert!(matches!(refused, Refused::Unavailable(_)) && batch.rows.len() == 1);
}

#[test]
fn buffered_rows_reach_the_file_by_themselves() {
    let folder = folder();
    let log = open(&options(folder.path()));
    append(&log, batch(&stream("fraud"), 0..5));
    wait_until(|| log.status().written_rows == 5);
    assert_eq!(ids(folder.path()), [0, 1, 2, 3, 4]);
    assert!(files(folder.path())[0].to_string_lossy().ends_with(".arrow.open"));
}

#[test]
fn many_buffered_rows_do_not_wait_for_the_tick() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let stream = stream("fraud");
    for at in 0..9 {
        append(&log, batch(&stream, at * 1_000..at * 1_000 + 1_000));
    }
    wait_until(|| log.status().written_rows == 9_000);
}

#[test]
fn a_caller_is_told_only_when_its_rows_can_be_read() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let stream = stream("fraud");
    for at in 0..5 {
        let (tell, told) = mpsc::channel();
        let mut batch = batch(&stream, at..at + 1);
        let directory = folder.path().to_path_buf();
        batch.on_durable = Some(Box::new(move |result| {
            tell.send(result.map(|()| ids(&directory))).expect("somebody listens");
        }));
        append(&log, batch);
        let seen = told.recv_timeout(Duration::from_secs(20)).expect("told").expect("durable");
        assert_eq!(seen, (0..=at).collect::<Vec<_>>());
    }
    assert_eq!(log.status().syncs, 5);
}

#[test]
fn those_who_wait_together_share_a_sync() {
    let folder = folder();
    let disk = Disk::new();
    let log = Log::open_on(&slow(folder.path()), "test", disk.files()).expect("log");
    let stream = stream("fraud");
    let gate = (disk.gate.lock(), disk.journal_gate.lock());
    let appenders: Vec<_> = (0..16)
        .map(|n| {
            let (log, stream) = (log.clone(), stream.clone());
            thread::spawn(move || {
                let told: Vec<Told> = (0..20)
                    .map(|at| {
                        let first = n * 1_000 + at * 2;
                        let (batch, told) = awaited(batch(&stream, first..first + 2));
                        append(&log, batch);
                        told
                    })
                    .collect();
                for told in told {
                    answer(&told).expect("durable");
                }
            })
        })
        .collect();
    wait_until(|| log.status().queued_rows == 16 * 20 * 2); // all wait behind the first sync
    drop(gate);
    for appender in appenders {
        appender.join().expect("appender");
    }
    let syncs = disk.syncs.load(SeqCst) + disk.journal_writes.load(SeqCst);
    assert!(syncs <= 3, "{syncs} syncs for 320 appends");
    let expected: Vec<u128> = (0..16).flat_map(|n| n * 1_000..n * 1_000 + 40).collect();
    assert_eq!(ids(folder.path()), expected);
}

#[test]
fn segments_end_by_size_and_by_age() {
    for (bytes, seconds) in [(1, 300), (u64::MAX, 0)] {
        let folder = folder();
        let log = open(&LogOptions { segment_bytes: bytes, segment_seconds: seconds, ..slow(folder.path()) });
        let stream = stream("fraud");
        for at in 0..3 {
            let (batch, told) = awaited(batch(&stream, at..at + 1));
            append(&log, batch);
            answer(&told).expect("durable");
        }
        log.close();
        assert_eq!((files(folder.path()).len(), log.status().closed_segments), (3, 3));
        assert_eq!(ids(folder.path()), [0, 1, 2]);
    }
}

#[test]
fn retention_follows_rotation() {
    let folder = folder();
    let log = open(&LogOptions { segment_bytes: 1, retention_bytes: Some(1), ..slow(folder.path()) });
    let stream = stream("fraud");
    for at in 0..3 {
        let (batch, told) = awaited(batch(&stream, at..at + 1));
        append(&log, batch);
        answer(&told).expect("durable");
    }
    log.close();
    assert_eq!((files(folder.path()).len(), log.status().closed_segments), (0, 3));
}

#[test]
fn variants_have_segments_of_their_own() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let champion = stream("fraud");
    let mut spec = champion.spec().clone();
    (spec.version, spec.variant) = ("2".into(), "challenger".into());
    let challenger = Arc::new(Stream::new(spec).expect("stream"));
    let same = Arc::new(Stream::new(champion.spec().clone()).expect("stream"));
    append(&log, batch(&champion, 0..1));
    append(&log, batch(&challenger, 1..2));
    append(&log, batch(&same, 2..3));
    append(&log, batch(&stream("churn"), 3..4));
    log.close();
    assert_eq!(files(folder.path()).len(), 3);
    for path in files(folder.path()) {
        for batch in read(&path) {
            let version = batch["version"].as_dictionary::<Int8Type>();
            let version = version.values().as_string::<i32>().value(version.key(0).expect("key")).to_owned();
            let id = ids_of(std::slice::from_ref(&batch))[0];
            assert_eq!(version, if id == 1 { "2" } else { "1" });
        }
    }
    assert_eq!(ids(folder.path()), [0, 1, 2, 3]);
}

#[test]
fn a_full_disk_refuses_those_who_wait_and_keeps_the_others() {
    let folder = folder();
    let disk = Disk::new();
    let log = Log::open_on(&options(folder.path()), "test", disk.files()).expect("log");
    let stream = stream("fraud");
    append(&log, batch(&stream, 0..10));
    wait_until(|| log.status().written_rows == 10);

    disk.room.store(100, SeqCst); // less than a commit: the write is torn
    append(&log, batch(&stream, 10..20));
    wait_until(|| log.status().failing);
    assert_eq!(log.status().queued_rows, 10);
    assert_eq!(ids(folder.path()), (0..10).collect::<Vec<_>>(), "the torn tail is gone");
    let (doomed, told) = awaited(batch(&stream, 100..101));
    append(&log, doomed);
    assert!(matches!(answer(&told), Err(LogError::Storage(text)) if text.contains("disk full")));
    assert!(log.status().failing && log.status().last_error.is_some());

    disk.room.store(u64::MAX, SeqCst);
    let (good, told) = awaited(batch(&stream, 20..21));
    append(&log, good);
    answer(&told).expect("the next commit probes");
    wait_until(|| log.status().queued_rows == 0 && !log.status().failing);
    log.close();
    assert_eq!(ids(folder.path()), (0..21).collect::<Vec<_>>());
    assert_eq!((log.status().lost_rows, log.status().refused_rows), (0, 1));
}

#[test]
fn buffered_rows_are_tried_again_without_anybody_asking() {
    let folder = folder();
    let disk = Disk::new();
    disk.room.store(0, SeqCst);
    let log = Log::open_on(&options(folder.path()), "test", disk.files()).expect("log");
    append(&log, batch(&stream("fraud"), 0..10));
    wait_until(|| log.status().failing);
    disk.room.store(u64::MAX, SeqCst);
    wait_until(|| log.status().written_rows == 10);
    log.close();
    assert_eq!(ids(folder.path()), (0..10).collect::<Vec<_>>());
    assert_eq!(log.status().closed_segments, 1);
}

#[test]
fn a_full_queue_refuses_and_says_why() {
    let folder = folder();
    let disk = Disk::new();
    let small = LogOptions { queue_rows: 10, ..slow(folder.path()) };
    let log = Log::open_on(&small, "test", disk.files()).expect("log");
    let stream = stream("fraud");
    assert!(log.has_room(1_000), "an empty queue takes anything");
    append(&log, batch(&stream, 0..8));
    assert!(log.has_room(2) && !log.has_room(3));
    let (refused, given_back) = log.append(batch(&stream, 8..11)).expect_err("full");
    assert_eq!((refused, given_back.rows.len()), (Refused::Backlog, 3));

    disk.room.store(0, SeqCst);
    let (doomed, told) = awaited(batch(&stream, 50..51));
    append(&log, doomed);
    assert!(answer(&told).is_err());
    wait_until(|| log.status().failing);
    let (refused, _) = log.append(batch(&stream, 8..11)).expect_err("full");
    assert!(matches!(refused, Refused::Unavailable(text) if text.contains("disk full")));
    log.close();
    assert_eq!((log.status().lost_rows, log.status().queued_rows), (8, 0), "lost aloud, at the end");
    assert_eq!(files(folder.path()).len(), 0, "no empty segment stays");
}

#[test]
fn after_a_failed_sync_the_file_is_not_trusted_again() {
    let folder = folder();
    let disk = Disk::new();
    let log = Log::open_on(&slow(folder.path()), "test", disk.files()).expect("log");
    let stream = stream("fraud");
    for (at, fails) in [(0, false), (1, true), (2, false)] {
        disk.sync_fails.store(fails, SeqCst);
        disk.journal_fails.store(fails, SeqCst);
        let (batch, told) = awaited(batch(&stream, at..at + 1));
        append(&log, batch);
        assert_eq!(answer(&told).is_err(), fails);
    }
    log.close();
    assert_eq!(files(folder.path()).len(), 2);
    assert_eq!(ids(folder.path()), [0, 2], "what was refused is not there");
}

#[test]
fn a_removed_folder_is_made_again() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let stream = stream("fraud");
    for at in 0..2 {
        let (batch, told) = awaited(batch(&stream, at..at + 1));
        append(&log, batch);
        answer(&told).expect("durable");
        if at == 0 {
            fs::remove_dir_all(folder.path().join("fraud")).expect("removed");
        }
    }
    log.close();
    assert_eq!(ids(folder.path()), [1]);
    assert!(files(folder.path()).iter().all(|path| is_closed(path)));
}

#[test]
fn rows_that_cannot_be_written_do_not_take_others_with_them() {
    let folder = folder();
    let disk = Disk::new();
    let log = Log::open_on(&slow(folder.path()), "test", disk.files()).expect("log");
    let stream = stream("fraud");
    disk.panics.store(2, SeqCst); // all three together, then the first alone
    append(&log, batch(&stream, 0..1));
    append(&log, batch(&stream, 1..2));
    let (last, told) = awaited(batch(&stream, 2..3));
    append(&log, last);
    answer(&told).expect("durable");
    assert_eq!((log.status().lost_rows, log.status().queued_rows), (1, 0));

    disk.panics.store(1, SeqCst);
    let (alone, told) = awaited(batch(&stream, 3..4));
    append(&log, alone);
    assert!(matches!(answer(&told), Err(LogError::Rows(_))));
    let mut rude = batch(&stream, 4..5);
    rude.on_durable = Some(Box::new(|_| panic!("a caller's fault")));
    append(&log, rude);
    log.close();
    assert_eq!(ids(folder.path()), [1, 2, 4]);
    assert_eq!((log.status().queued_rows, log.status().refused_rows), (0, 1));
}

#[test]
fn close_tries_once_more_whatever_the_pause() {
    let folder = folder();
    let disk = Disk::new();
    let log = Log::open_on(&slow(folder.path()), "test", disk.files()).expect("log");
    let stream = stream("fraud");
    disk.room.store(0, SeqCst);
    append(&log, batch(&stream, 0..3));
    let (doomed, told) = awaited(batch(&stream, 3..4));
    append(&log, doomed);
    assert!(answer(&told).is_err());
    disk.room.store(u64::MAX, SeqCst);
    log.close();
    assert_eq!((ids(folder.path()), log.status().lost_rows), (vec![0, 1, 2], 0));
}

#[test]
fn two_logs_share_a_folder() {
    let folder = folder();
    let stream = stream("fraud");
    let first = Log::open(&slow(folder.path()), "one").expect("log");
    let (opening, told) = awaited(batch(&stream, 0..1));
    append(&first, opening);
    answer(&told).expect("durable");
    let second = Log::open(&slow(folder.path()), "two").expect("log");
    assert_eq!(second.recovery(), RecoveryReport::default(), "the first one's open segment is not a dead process's");
    append(&second, batch(&stream, 1..2));
    append(&first, batch(&stream, 2..3));
    first.close();
    second.close();
    assert_eq!(files(folder.path()).len(), 2);
    assert_eq!(ids(folder.path()), [0, 1, 2]);
}

#[test]
fn a_restart_closes_what_a_crash_left_open() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let (batch, told) = awaited(batch(&stream("fraud"), 0..4));
    append(&log, batch);
    answer(&told).expect("durable");
    let crashed = tempfile::tempdir().expect("folder"); // as the disk looks when the process is killed now
    for path in files(folder.path()) {
        fs::create_dir_all(crashed.path().join("fraud")).expect("folder");
        fs::copy(&path, crashed.path().join("fraud").join(path.file_name().expect("name"))).expect("copy");
    }
    let restarted = open(&options(crashed.path()));
    assert_eq!(restarted.recovery(), RecoveryReport { segments: 1, rows: 4, ..RecoveryReport::default() });
    assert_eq!(ids(crashed.path()), [0, 1, 2, 3]);
}

#[test]
fn what_does_not_fit_is_given_back_and_nothing_is_durable_at_once() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let stream = stream("fraud");
    let mut short = batch(&stream, 0..2);
    short.rows.pop();
    assert!(matches!(log.append(short), Err((Refused::Invalid(_), _))));
    let mut label = batch(&stream, 0..1);
    label.rows[0].decision = Some(2);
    assert!(matches!(log.append(label), Err((Refused::Invalid(_), _))));
    let (empty, told) = awaited(batch(&stream, 0..0));
    append(&log, empty);
    answer(&told).expect("no rows are durable");
    assert_eq!(log.status().queued_rows, 0);
    assert!(Log::open(&options(folder.path()), "").is_err());
}

#[test]
fn the_last_clone_may_go_in_a_callback() {
    let folder = folder();
    let log = open(&slow(folder.path()));
    let (tell, told) = mpsc::channel();
    let mut batch = batch(&stream("fraud"), 0..1);
    let (handed, taken) = mpsc::channel::<Log>();
    batch.on_durable = Some(Box::new(move |_| {
        let last = taken.recv().expect("the log");
        drop(last);
        tell.send(()).expect("somebody listens");
    }));
    append(&log, batch);
    handed.send(log).expect("the callback waits for it");
    told.recv_timeout(Duration::from_secs(20)).expect("no deadlock");
    wait_until(|| files(folder.path()).iter().all(|path| is_closed(path)));
    assert_eq!(ids(folder.path()), [0]);
}
