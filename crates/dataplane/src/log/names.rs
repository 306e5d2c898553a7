//! Names of the log's files: segments are `BUNDLE12-yyyymmddThhmmss-PROCESS-N.arrow`, with `.open` at the end while one
//! is written; a process's journal is `PROCESS.journal`.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How the name of a closed segment ends.
pub(super) const CLOSED: &str = ".arrow";
/// How the name of a segment that is being written ends.
pub(super) const OPEN: &str = ".arrow.open";

/// How the name of a journal ends.
const JOURNAL: &str = ".journal";

const BUNDLE_DIGITS: usize = 12;
const STAMP_LENGTH: usize = "yyyymmddThhmmss".len();

/// The name, without ending, of segment `number` of `process`, begun at `time`.
pub(super) fn stem(bundle: &str, time: SystemTime, process: &str, number: u64) -> String {
    let bundle = bundle.get(..BUNDLE_DIGITS).unwrap_or(bundle);
    format!("{bundle}-{}-{process}-{number}", stamp(time))
}

/// The name of a journal of `process`, which has more than one only where an earlier one could not be removed.
pub(super) fn journal(process: &str, number: usize) -> String {
    if number == 0 { format!("{process}{JOURNAL}") } else { format!("{process}~{number}{JOURNAL}") }
}

/// The process whose journal this is; `None` for any other file.
pub(super) fn journal_process(path: &Path) -> Option<&str> {
    let stem = path.file_name()?.to_str()?.strip_suffix(JOURNAL)?;
    Some(stem.split_once('~').map_or(stem, |(process, _)| process)) // no safe name has this character
}

/// Whether this is the name of an open segment of `process`, or may be.
pub(super) fn is_open_of(path: &Path, process: &str) -> bool {
    let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(OPEN));
    stem.and_then(|stem| stem.rsplit_once('-')).is_some_and(|(stem, _)| stem.ends_with(&format!("-{process}")))
}

/// `time` as `yyyymmddThhmmss` in UTC; text order is time order.
pub(super) fn stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
}

/// The stamp in the name of a closed segment; `None` for any other file.
pub(super) fn closed_stamp(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    if !name.ends_with(CLOSED) {
        return None;
    }
    let stamp = name.get(BUNDLE_DIGITS + 1..=BUNDLE_DIGITS + STAMP_LENGTH)?;
    let well_formed =
        stamp.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'T' } else { byte.is_ascii_digit() });
    (well_formed && name.as_bytes().get(BUNDLE_DIGITS) == Some(&b'-')).then_some(stamp)
}

/// `text` with every character that does not belong in a file name replaced.
pub(super) fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar. Counting years from March puts the
/// leap day at the end, so that a month's first day is a linear formula.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01 to 1970-01-01
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn stamps_are_utc() {
        assert_eq!(stamp(at(0)), "19700101T000000");
        assert_eq!(stamp(at(951_782_399)), "20000228T235959");
        assert_eq!(stamp(at(951_782_400)), "20000229T000000");
        assert_eq!(stamp(at(1_735_689_599)), "20241231T235959");
        assert_eq!(stamp(at(4_107_542_400)), "21000301T000000");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(0);
        for day in 1..80_000 {
            let next = civil(day);
            let same_month = next == (last.0, last.1, last.2 + 1);
            let new_month = next == (last.0, last.1 + 1, 1) && last.2 >= 28;
            let new_year = next == (last.0 + 1, 1, 1) && (last.1, last.2) == (12, 31);
            assert!(same_month || new_month || new_year, "{last:?} then {next:?}");
            last = next;
        }
    }

    #[test]
    fn only_closed_segments_have_a_stamp() {
        let stem = stem(&"ab".repeat(32), at(0), "p-1", 7);
        assert_eq!(stem, "abababababab-19700101T000000-p-1-7");
        assert_eq!(closed_stamp(Path::new(&format!("x/{stem}{CLOSED}"))), Some("19700101T000000"));
        assert_eq!(closed_stamp(Path::new(&format!("x/{stem}{OPEN}"))), None);
        for other in ["notes.arrow", "", "é.arrow", "abababababab-1970010XT00000-1.arrow"] {
            assert_eq!(closed_stamp(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn journals_and_open_segments_name_their_process() {
        for number in [0, 7] {
            let name = journal("p-1", number);
            assert_eq!(journal_process(&Path::new("log").join(name)), Some("p-1"));
        }
        for other in ["notes", "x.arrow", "x.arrow.open", "x.journal.bak"] {
            assert_eq!(journal_process(Path::new(other)), None, "{other}");
        }
        let open = format!("{}{OPEN}", stem(&"ab".repeat(32), at(0), "p-1", 7));
        assert!(is_open_of(Path::new(&open), "p-1"));
        assert!(!is_open_of(Path::new(&open), "p-2") && !is_open_of(Path::new("p-1-7.arrow"), "p-1"));
    }

    #[test]
    fn unsafe_characters_are_replaced() {
        assert_eq!(safe("../host a:1"), ".._host_a_1");
    }
}
