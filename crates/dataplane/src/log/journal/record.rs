//! The journal's format: a page that says how it is cut, then two halves of records, each on pages of its own.
//!
//! No page is written twice in a lap, so a write that is torn by a power cut can hurt no record but its own. All
//! numbers are little-endian.

use std::ops::Range;
use std::str;

use super::super::names;

/// Records begin at multiples of this: the unit in which the system writes.
pub(super) const PAGE: usize = 4096;
/// Bytes of memory kept from one record to the next.
const KEPT_MEMORY: usize = 1024 * 1024;
const FILE_MAGIC: [u8; 8] = *b"FLJRNL\0\x01";
const RECORD_MAGIC: [u8; 4] = *b"FLjr";
/// Bytes of the magic and the checksum, which the checksum does not cover.
const UNCHECKED: usize = 8;
/// Bytes of a record before its path.
const HEADER: usize = UNCHECKED + size_of::<u64>() * 3 + size_of::<u32>() + size_of::<u16>();

/// Memory for whole pages, aligned to pages as well: the system asks for that where a write is to pass its cache.
#[derive(Default)]
pub(in super::super) struct Pages {
    memory: Vec<u8>,
    start: usize,
}

impl Pages {
    /// Puts `parts` one after the other, and zeros up to the end of the page, in place of what is there.
    pub(super) fn put(&mut self, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>().next_multiple_of(PAGE);
        self.memory.clear();
        self.memory.shrink_to(KEPT_MEMORY);
        self.memory.reserve(PAGE + length); // from here on it stays where it is
        self.start = self.memory.as_ptr().align_offset(PAGE).min(PAGE);
        self.memory.resize(self.start, 0);
        for part in parts {
            self.memory.extend(*part);
        }
        self.memory.resize(self.start + length, 0);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

/// How a journal's file is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Layout {
    /// Bytes of a half, a multiple of `PAGE`.
    pub(super) half: u64,
    /// Drawn when the file is made and part of each record: bytes that a client sent can never pass for a record.
    pub(super) salt: u64,
}

impl Layout {
    /// Where a half begins and ends in the file.
    pub(super) fn range(self, half: usize) -> Range<u64> {
        let start = PAGE as u64 + half as u64 * self.half;
        start..start.saturating_add(self.half)
    }

    /// How the file's first page begins.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut page = FILE_MAGIC.to_vec();
        page.extend(self.half.to_le_bytes());
        page.extend(self.salt.to_le_bytes());
        page.extend(crc32fast::hash(&page).to_le_bytes());
        page
    }

    /// What the first page of a file says; `None` where it is not a journal's.
    pub(super) fn decode(page: &[u8]) -> Option<Self> {
        let (content, rest) = page.split_at_checked(FILE_MAGIC.len() + size_of::<u64>() * 2)?;
        let crc = u32::from_le_bytes(*rest.first_chunk()?);
        let (magic, numbers) = content.split_at(FILE_MAGIC.len());
        let (half, salt) = numbers.split_at(size_of::<u64>());
        let [half, salt] = [half, salt].map(|number| number.first_chunk().map(|number| u64::from_le_bytes(*number)));
        (magic == FILE_MAGIC && crc == crc32fast::hash(content)).then_some(Self { half: half?, salt: salt? })
    }
}

/// A commit as the journal keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// One more than that of the record before.
    pub(super) seq: u64,
    /// Where in the segment the bytes belong.
    pub(super) offset: u64,
    /// The segment, relative to the log's folder.
    pub(super) path: &'a str,
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes that it takes, padding included; `None` where the format cannot hold it.
    pub(super) fn size(&self) -> Option<usize> {
        let fits = u16::try_from(self.path.len()).is_ok() && u32::try_from(self.bytes.len()).is_ok();
        fits.then(|| (HEADER + self.path.len() + self.bytes.len()).next_multiple_of(PAGE))
    }

    /// Puts the record in place of what `pages` hold.
    pub(super) fn encode(&self, salt: u64, pages: &mut Pages) {
        let (length, path) = (self.bytes.len() as u32, self.path.len() as u16);
        let numbers = [salt, self.seq, self.offset].map(u64::to_le_bytes);
        let checked = [numbers.as_flattened(), &length.to_le_bytes(), &path.to_le_bytes()];
        let rest = [self.path.as_bytes(), self.bytes];
        let mut crc = crc32fast::Hasher::new();
        checked.iter().chain(&rest).for_each(|part| crc.update(part));
        let crc = crc.finalize().to_le_bytes();
        pages.put(&[&RECORD_MAGIC, &crc, checked[0], checked[1], checked[2], rest[0], rest[1]]);
    }

    /// The record at the start of `input`, if a whole one of this journal is there.
    pub(super) fn decode(input: &'a [u8], salt: u64) -> Option<Self> {
        let mut rest = input.strip_prefix(&RECORD_MAGIC)?;
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let checked = rest;
        let its_salt = u64::from_le_bytes(take(&mut rest)?);
        let seq = u64::from_le_bytes(take(&mut rest)?);
        let offset = u64::from_le_bytes(take(&mut rest)?);
        let length = u32::from_le_bytes(take(&mut rest)?);
        let path = u16::from_le_bytes(take(&mut rest)?);
        let (path, rest) = rest.split_at_checked(path.into())?;
        let (bytes, rest) = rest.split_at_checked(length as usize)?;
        let checked = &checked[..checked.len() - rest.len()];
        if its_salt != salt || crc32fast::hash(checked) != crc {
            return None;
        }
        Some(Self { seq, offset, path: str::from_utf8(path).ok()?, bytes })
    }

    /// The first byte after it in the segment.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }

    /// Whether the path is one that the log gives an open segment: a file in a folder of the log's folder.
    pub(super) fn is_of_a_segment(&self) -> bool {
        let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && names::safe(name) == name;
        let parts = self.path.split_once('/');
        parts.is_some_and(|(folder, file)| plain(folder) && plain(file) && file.ends_with(names::OPEN))
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*taken)
}

/// The records of one half, those of its last lap only: what an earlier lap left behind them does not continue their
/// numbers.
pub(super) fn records(half: &[u8], salt: u64) -> Vec<Record<'_>> {
    let mut found: Vec<Record> = Vec::new();
    let mut rest = half;
    while let Some(record) = Record::decode(rest, salt) {
        if found.last().is_some_and(|last| last.seq.checked_add(1) != Some(record.seq)) {
            break;
        }
        found.push(record);
        rest = record.size().and_then(|size| rest.get(size..)).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(record: &Record, salt: u64) -> Vec<u8> {
        let mut pages = Pages::default();
        pages.put(&[&[7; PAGE + 1]]); // what they held before does not matter
        record.encode(salt, &mut pages);
        assert_eq!(pages.bytes().as_ptr().align_offset(PAGE), 0);
        pages.bytes().to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_record_comes_back(
            (seq, offset, salt) in any::<(u64, u64, u64)>(),
            path in "\\PC{0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..9_000),
        ) {
            let record = Record { seq, offset, path: &path, bytes: &bytes };
            let encoded = encoded(&record, salt);
            prop_assert_eq!(Some(encoded.len()), record.size());
            prop_assert_eq!(encoded.len() % PAGE, 0);
            prop_assert_eq!(Record::decode(&encoded, salt), Some(record));
            prop_assert_eq!(Record::decode(&encoded, salt ^ 1), None);
        }

        /// Every bit of a record matters, and every byte of it must be there.
        #[test]
        fn a_damaged_record_is_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..6_000),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let record = Record { seq: 3, offset: 9, path: "fraud/x.arrow.open", bytes: &bytes };
            let mut encoded = encoded(&record, 5);
            let whole = HEADER + record.path.len() + bytes.len();
            let at = at.index(whole);
            prop_assert_eq!(Record::decode(&encoded[..at], 5), None);
            encoded[at] ^= flip;
            prop_assert_eq!(Record::decode(&encoded, 5), None);
        }

        #[test]
        fn arbitrary_bytes_are_no_record(mut bytes in prop::collection::vec(any::<u8>(), 0..200), marked in any::<bool>()) {
            if marked && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&RECORD_MAGIC);
            }
            prop_assert_eq!(Record::decode(&bytes, 5), None);
            prop_assert!(records(&bytes, 5).is_empty());
            prop_assert_eq!(Layout::decode(&bytes), None);
        }

        #[test]
        fn a_layout_comes_back_whole_or_not_at_all(half in any::<u64>(), salt in any::<u64>(), at in 0_usize..28, flip in 1_u8..) {
            let layout = Layout { half, salt };
            let mut page = layout.encode();
            prop_assert_eq!(Layout::decode(&page), Some(layout));
            prop_assert_eq!(Layout::decode(&page[..at]), None);
            page[at] ^= flip;
            prop_assert_eq!(Layout::decode(&page), None);
        }
    }

    #[test]
    fn only_the_last_lap_of_a_half_counts() {
        let record = |seq| Record { seq, offset: seq, path: "fraud/x.arrow.open", bytes: b"rows" };
        let half = |seqs: &[u64]| seqs.iter().flat_map(|seq| encoded(&record(*seq), 5)).collect::<Vec<_>>();
        let read = |half: &[u8]| records(half, 5).iter().map(|record| record.seq).collect::<Vec<_>>();
        assert_eq!(read(&half(&[1, 2, 3])), [1, 2, 3]);
        assert_eq!(read(&half(&[7, 8, 3, 4])), [7, 8], "what follows is of the lap before");
        assert_eq!(read(&half(&[7, 9])), [7]);
        assert_eq!(read(&half(&[u64::MAX, 0])), [u64::MAX]);
        let mut torn = half(&[7, 8]);
        torn[PAGE + 50] ^= 1;
        assert_eq!(read(&torn), [7]);
        assert_eq!(read(&[&half(&[7])[..], &[0; 2 * PAGE]].concat()), [7]);
    }

    #[test]
    fn only_open_segments_are_written_to() {
        let is = |path| Record { seq: 0, offset: 0, path, bytes: &[] }.is_of_a_segment();
        assert!(is("fraud/abababababab-19700101T000000-p-1.arrow.open"));
        for path in
            ["", "x.arrow.open", "/x.arrow.open", "../x.arrow.open", "a/../b.arrow.open", "a/.arrow.open", "a/x.arrow"]
        {
            assert!(!is(path), "{path}");
        }
    }
}
