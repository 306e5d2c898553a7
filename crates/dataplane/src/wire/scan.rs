//! A pull scanner for JSON over bytes: strict RFC 8259, a position in every error, and nothing built that is not asked for.
//!
//! It reads one token after the other as its caller asks for them; `number` reads the digits once and leaves the
//! conversion to the type that the caller wants.

#![expect(clippy::inline_always, reason = "measured: a third of the time to read a request of 30 numbers")]

use std::borrow::Cow;

use crate::error::{Code, Error};

mod number;
#[cfg(test)]
mod tests;

pub use number::{NotAnInteger, Number};

/// Deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: u32 = 64;

/// Longest piece of the input that an error repeats, in characters.
const QUOTED: usize = 16;

pub type Scan<T> = std::result::Result<T, Fault>;

/// An error on its way out of a reader; boxed, so that the result of reading one element stays in registers.
#[derive(Debug)]
pub struct Fault(Box<Error>);

impl Fault {
    #[cold]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Error::new(code, message)))
    }

    /// The same message under another code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.0.code = code;
        self
    }

    /// The same error, with what it is about before its message.
    #[cold]
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        *fault.0
    }
}

/// What `key_like` found.
#[derive(Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The guess was right.
    Guessed,
    Other(Cow<'a, str>),
    /// The object ended.
    End,
}

/// A position in a JSON document. Cloning it is the way to come back to a value later.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// An array or object was opened and nothing of it was read yet.
    fresh: bool,
    /// `NaN` and the infinite numbers are read too, as Python's `json` writes them.
    python: bool,
}

impl<'a> Scanner<'a> {
    /// A scanner before the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, fresh: false, python: false }
    }

    /// As `new`, for what Python's `json` module wrote: `NaN` is read as null, and `infinity` finds the infinite numbers.
    pub fn of_python(bytes: &'a [u8]) -> Self {
        Self { python: true, ..Self::new(bytes) }
    }

    /// Offset of the next byte to be read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that were not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What was read since `start`, a former `position`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is not white space, without consuming it; 0 at the end of the input.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        loop {
            let byte = self.byte();
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    #[inline(always)]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Enters an object; `key` is called until it gives `None`, and after each key its value is read or skipped.
    #[inline]
    pub fn object(&mut self) -> Scan<()> {
        self.open(b'{', "an object")
    }

    /// Enters an array; `element` is called until it gives false, and after each true one value is read or skipped.
    #[inline]
    pub fn array(&mut self) -> Scan<()> {
        self.open(b'[', "an array")
    }

    fn open(&mut self, bracket: u8, expected: &str) -> Scan<()> {
        if self.peek() != bracket {
            return Err(self.expected(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.fault(&format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// True before the next item of an array or object, false after its end.
    #[inline(always)]
    fn more(&mut self, close: u8, expected: &str) -> Scan<bool> {
        let byte = self.peek();
        if byte == b',' && !self.fresh {
            self.at += 1;
            return Ok(true);
        }
        let fresh = std::mem::replace(&mut self.fresh, false);
        if byte == close {
            self.at += 1;
            self.depth = self.depth.saturating_sub(1);
            return Ok(false);
        }
        if fresh { Ok(true) } else { Err(self.expected(expected)) }
    }

    /// True if the array has one more element, which is next; false if it ended.
    #[inline(always)]
    pub fn element(&mut self) -> Scan<bool> {
        self.more(b']', "`,` or `]`")
    }

    /// The next member's name, its value being next; `None` if the object ended.
    pub fn key(&mut self) -> Scan<Option<Cow<'a, str>>> {
        if !self.more(b'}', "`,` or `}`")? {
            return Ok(None);
        }
        let key = self.name()?;
        self.colon()?;
        Ok(Some(key))
    }

    /// As `key`, for a caller who guesses the name: `quoted` is the name as JSON text, with its quotation marks.
    #[inline]
    pub fn key_like(&mut self, quoted: &[u8]) -> Scan<Key<'a>> {
        if !self.more(b'}', "`,` or `}`")? {
            return Ok(Key::End);
        }
        self.peek();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let key = if !quoted.is_empty() && rest.starts_with(quoted) {
            self.at += quoted.len();
            Key::Guessed
        } else {
            Key::Other(self.name()?)
        };
        self.colon()?;
        Ok(key)
    }

    fn name(&mut self) -> Scan<Cow<'a, str>> {
        if self.peek() == b'"' { self.string() } else { Err(self.expected("a member name")) }
    }

    #[inline]
    fn colon(&mut self) -> Scan<()> {
        if self.peek() != b':' {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// Consumes a `null` if it is next, and tells whether it was.
    #[inline]
    pub fn null(&mut self) -> Scan<bool> {
        match self.peek() {
            b'n' => self.word(b"null", "`null`")?,
            b'N' if self.python => self.word(b"NaN", "`NaN`")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Consumes an infinite number as Python writes it, if it is next, and tells whether it was.
    #[inline]
    pub fn infinity(&mut self) -> bool {
        if !self.python {
            return false;
        }
        self.peek();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let sign = usize::from(rest.starts_with(b"-"));
        let found = rest[sign..].starts_with(b"Infinity");
        if found {
            self.at += sign + b"Infinity".len();
        }
        found
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Scan<bool> {
        match self.peek() {
            b't' => self.word(b"true", "`true`").map(|()| true),
            b'f' => self.word(b"false", "`false`").map(|()| false),
            _ => Err(self.expected("true or false")),
        }
    }

    fn word(&mut self, word: &[u8], expected: &str) -> Scan<()> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.expected(expected));
        }
        self.at += word.len();
        Ok(())
    }

    /// A number, checked and not yet converted.
    #[inline(always)]
    pub fn number(&mut self) -> Scan<Number<'a>> {
        self.peek();
        match Number::read(self.bytes, self.at) {
            Ok(number) => {
                self.at += number.text().len();
                Ok(number)
            }
            Err((at, expected)) => {
                self.at = at;
                Err(self.expected(expected))
            }
        }
    }

    /// A string, borrowed from the input if it has no escape.
    pub fn string(&mut self) -> Scan<Cow<'a, str>> {
        if self.peek() != b'"' {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        self.at = plain(self.bytes, start);
        if self.byte() != b'"' {
            return self.escaped(start).map(Cow::Owned);
        }
        let text = self.text(start)?;
        self.at += 1;
        Ok(Cow::Borrowed(text))
    }

    /// The bytes from `start` to here as text.
    fn text(&self, start: usize) -> Scan<&'a str> {
        std::str::from_utf8(self.since(start)).map_err(|error| {
            let at = start + error.valid_up_to();
            Fault::new(Code::MalformedRequest, format!("at byte {at}: a string that is not UTF-8"))
        })
    }

    /// The rest of a string that began at `start` and has something special here.
    #[cold]
    fn escaped(&mut self, mut start: usize) -> Scan<String> {
        let mut text = String::new();
        loop {
            text.push_str(self.text(start)?);
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => text.push(self.escape()?),
                _ if self.at >= self.bytes.len() => return Err(self.expected("the end of the string")),
                _ => return Err(self.fault("a control character in a string; write it as an escape")),
            }
            start = self.at;
            self.at = plain(self.bytes, start);
        }
    }

    /// The character that the escape here stands for.
    fn escape(&mut self) -> Scan<char> {
        let start = self.at;
        self.at += 2;
        Ok(match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                self.at = start;
                return Err(self.expected("an escape of JSON"));
            }
        })
    }

    /// The character of a `\uXXXX` escape that began at `start`, with its second half if it needs one.
    fn unicode(&mut self, start: usize) -> Scan<char> {
        let first = self.hex(start)?;
        let mut point = first;
        if (0xD800..0xDC00).contains(&first) && self.since_is(b"\\u") {
            self.at += 2;
            let second = self.hex(start)?;
            if (0xDC00..0xE000).contains(&second) {
                point = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            }
        }
        char::from_u32(point).ok_or_else(|| {
            self.at = start;
            self.fault("half of a surrogate pair")
        })
    }

    fn since_is(&self, wanted: &[u8]) -> bool {
        self.bytes.get(self.at..).unwrap_or_default().starts_with(wanted)
    }

    /// Four hexadecimal digits of an escape that began at `start`.
    fn hex(&mut self, start: usize) -> Scan<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.byte()).to_digit(16) else {
                self.at = start;
                return Err(self.expected("four hexadecimal digits after `\\u`"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// Reads over one value of any kind, which is checked all the same.
    pub fn skip_value(&mut self) -> Scan<()> {
        if self.infinity() {
            return Ok(());
        }
        match self.peek() {
            b'{' => {
                self.object()?;
                while self.key()?.is_some() {
                    self.skip_value()?;
                }
                Ok(())
            }
            b'[' => {
                self.array()?;
                while self.element()? {
                    self.skip_value()?;
                }
                Ok(())
            }
            b'"' => self.string().map(drop),
            b't' | b'f' => self.boolean().map(drop),
            b'n' => self.null().map(drop),
            b'N' if self.python => self.null().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => Err(self.expected("a value")),
        }
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Scan<()> {
        self.peek();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.expected("the end of the document")) }
    }

    /// A `malformed_request` at this position, in the words "expected ..., found ...".
    #[cold]
    #[inline(never)]
    pub fn expected(&self, expected: &str) -> Fault {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let until = |ends: &[u8]| rest.iter().skip(1).position(|byte| ends.contains(byte));
        let length = match rest.first() {
            Some(b',' | b':' | b'[' | b']' | b'{' | b'}') => 1,
            Some(b'"') => until(b"\"").map_or(rest.len(), |others| others + 2),
            _ => until(b",:[]{}\" \t\r\n").map_or(rest.len(), |others| others + 1),
        };
        let found = excerpt(&rest[..length], QUOTED);
        if found.is_empty() {
            return self.fault(&format!("expected {expected}, found the end of the input"));
        }
        self.fault(&format!("expected {expected}, found `{found}`"))
    }

    /// A `malformed_request` at this position.
    #[cold]
    #[inline(never)]
    pub fn fault(&self, what: &str) -> Fault {
        Fault::new(Code::MalformedRequest, format!("at byte {}: {what}", self.at))
    }
}

/// At most `limit` characters of the beginning of `bytes`; what is not UTF-8 is replaced.
pub fn excerpt(bytes: &[u8], limit: usize) -> String {
    // A character has at most four bytes, so a cut here loses nothing that is shown.
    let window = &bytes[..bytes.len().min(limit * 4)];
    String::from_utf8_lossy(window).chars().take(limit).collect()
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Offset of the first byte from `at` on that ends or interrupts a string: `"`, `\`, a control character, or the end.
#[inline]
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        let word = u64::from_le_bytes(chunk);
        let zero = |word: u64| word.wrapping_sub(EACH) & !word;
        let control = word.wrapping_sub(EACH * 0x20) & !word;
        let special = (zero(word ^ (EACH * u64::from(b'"'))) | zero(word ^ (EACH * u64::from(b'\\'))) | control) & HIGH;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}
