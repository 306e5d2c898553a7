//! CSV with a header, as `DataFrame.to_csv` writes it, into the same rows as named records.
//!
//! What a cell is, its feature's type says: `007` is a number for a number's column and a text for a text's.

use std::borrow::Cow;

use super::invocation::Place;
use super::store::{self, Outcome};
use super::{EXCERPT, Members, Reader, RecordPlan, RecordsRequest};
use crate::error::{Code, Error, Result};
use crate::violation::{Field, Kind};
use crate::wire::scan::excerpt;

/// Reads a header and at least one row. A first column without a name is an index, and read over.
///
/// Errors: `malformed_request` (not UTF-8, a quotation mark that does not end, a column named twice, more than 2^18
/// violations), `wrong_shape` (no row, a row with more or fewer cells than the header), `too_many_rows`, `unsupported`
/// (the signature has no features).
pub fn parse_csv(body: &[u8], plan: &RecordPlan, max_rows: usize) -> Result<RecordsRequest> {
    if let Some(error) = &plan.unusable {
        return Err(error.clone());
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("at byte {}: text that is not UTF-8", error.valid_up_to())))?;
    let mut lines = Cells { text: text.trim_start_matches('\u{feff}').as_bytes(), at: 0, line: 1 };
    let mut reader = Reader::new(plan, max_rows);
    let header = lines.next()?.ok_or_else(|| malformed("the CSV has no header".to_owned()))?;
    let places = places(&reader, &header)?;
    loop {
        let line = lines.line;
        let Some(cells) = lines.next()? else { break };
        if cells.len() != places.len() {
            let message = format!("line {line}: {} cells, the header has {}", cells.len(), places.len());
            return Err(Error::new(Code::WrongShape, message));
        }
        reader.cells(&cells, &places, line)?;
    }
    Ok(reader.finish("the CSV", Members::default())?)
}

fn places(reader: &Reader<'_>, header: &[Cow<'_, [u8]>]) -> Result<Vec<Place>> {
    let mut places = Vec::with_capacity(header.len());
    for (column, name) in header.iter().enumerate() {
        let name = String::from_utf8_lossy(name);
        let index = column == 0 && name.is_empty() && header.len() > 1;
        places.push(if index { Place::Index } else { reader.place(&name, &places).map_err(malformed)? });
    }
    Ok(places)
}

impl Reader<'_> {
    fn cells(&mut self, cells: &[Cow<'_, [u8]>], places: &[Place], line: usize) -> Result<()> {
        let row = self.begin()?;
        let mut valued = 0;
        for (cell, place) in cells.iter().zip(places) {
            let noted = match place {
                Place::Index => Ok(()),
                Place::Unknown(name) => {
                    let field = Field::Unknown(excerpt(name.as_bytes(), EXCERPT).into());
                    self.note(cell, row, (field, Kind::UnknownField))
                }
                Place::Slot(slot) => match self.cell(cell, *slot, row) {
                    Outcome::Stored => {
                        valued += 1;
                        Ok(())
                    }
                    Outcome::Null => Ok(()),
                    Outcome::Refused(kind) => self.note(cell, row, (Field::Feature(*slot as u16), kind)),
                },
            };
            noted.map_err(|what| malformed(format!("line {line}: {what}")))?;
        }
        self.end(row, valued);
        Ok(())
    }

    fn cell(&mut self, cell: &[u8], index: usize, row: usize) -> Outcome {
        let slot = &self.plan.slots[index];
        if let (true, false, Some(unit)) = (slot.unit, cell.is_empty(), self.units.get_mut(row)) {
            *unit = Some(String::from_utf8_lossy(cell).into());
        }
        let Some(target) = slot.feature else { return Outcome::Null };
        let element = row * self.plan.tensors[target.tensor].width + target.column;
        let outcome = store::cell(cell, target.kind, &mut self.tensors[target.tensor].data, element);
        if outcome == Outcome::Stored {
            self.marks[index].valued = self.rows;
        }
        outcome
    }
}

/// Lines of cells (RFC 4180); lines with nothing on them are read over.
struct Cells<'a> {
    text: &'a [u8],
    at: usize,
    /// Of the next cell, from 1.
    line: usize,
}

impl<'a> Cells<'a> {
    /// The cells of the next line; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<Cow<'a, [u8]>>>> {
        while matches!(self.peek(), Some(b'\n' | b'\r')) {
            self.end_of_line();
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let mut cells = Vec::new();
        loop {
            cells.push(if self.peek() == Some(b'"') { self.quoted()? } else { self.plain() });
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'\n' | b'\r') => {
                    self.end_of_line();
                    return Ok(Some(cells));
                }
                None => return Ok(Some(cells)),
                Some(_) => return Err(malformed(format!("line {}: text behind a quotation mark", self.line))),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn end_of_line(&mut self) {
        self.at += if self.text[self.at..].starts_with(b"\r\n") { 2 } else { 1 };
        self.line += 1;
    }

    fn plain(&mut self) -> Cow<'a, [u8]> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += length;
        Cow::Borrowed(&rest[..length])
    }

    /// A cell in quotation marks, two of which stand for one inside.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>> {
        let opened = self.line;
        self.at += 1;
        let mut joined: Option<Vec<u8>> = None;
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.iter().position(|byte| *byte == b'"') else {
                return Err(malformed(format!("line {opened}: a quotation mark that does not end")));
            };
            let piece = &rest[..length];
            self.line += piece.split(|byte| *byte == b'\n').skip(1).count();
            self.at += length + 1;
            if self.peek() != Some(b'"') {
                return Ok(match joined {
                    None => Cow::Borrowed(piece),
                    Some(mut all) => {
                        all.extend_from_slice(piece);
                        Cow::Owned(all)
                    }
                });
            }
            let all = joined.get_or_insert_with(Vec::new);
            all.extend_from_slice(piece);
            all.push(b'"');
            self.at += 1;
        }
    }
}

#[cold]
fn malformed(message: String) -> Error {
    Error::new(Code::MalformedRequest, message)
}
