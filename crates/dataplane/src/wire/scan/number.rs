//! A JSON number: its digits are read once; the type that is wanted decides how they are converted.

/// Why a number is no integer that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnInteger {
    /// It has a fractional part.
    Fraction,
    /// It is outside of ±2^126 or so, far beyond every integer type.
    TooLarge,
}

/// A number that keeps to JSON's grammar.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    text: &'a [u8],
    negative: bool,
    /// Its significant digits are all in `mantissa`; the value is `mantissa * 10^exponent`.
    exact: bool,
    mantissa: u64,
    exponent: i64,
}

/// Where the text stops being a number, and what was expected there.
type Stop = (usize, &'static str);

/// Digits that always fit a `u64`.
const EXACT_DIGITS: usize = 19;

/// Exponents saturate here: far beyond every type, and far from an overflow of the sums made with it.
const MAX_EXPONENT: i64 = 1 << 52;

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const SCALES: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl<'a> Number<'a> {
    /// The number that begins at `start`.
    #[inline(always)]
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Result<Self, Stop> {
        let negative = byte(bytes, start) == b'-';
        let whole = start + usize::from(negative);
        let (mut at, mut mantissa) = digits(bytes, whole, 0);
        if at == whole {
            return Err((if negative { at } else { start }, if negative { "a digit" } else { "a number" }));
        }
        if byte(bytes, whole) == b'0' && at > whole + 1 {
            return Err((start, "a number without leading zeros"));
        }
        let mut count = at - whole;
        let mut exponent = 0;
        if byte(bytes, at) == b'.' {
            let fraction = at + 1;
            (at, mantissa) = digits(bytes, fraction, mantissa);
            if at == fraction {
                return Err((at, "a digit"));
            }
            count += at - fraction;
            exponent = -places(at - fraction);
        }
        let mantissa_end = at;
        if byte(bytes, at) | 0x20 == b'e' {
            let (end, power) = read_exponent(bytes, at + 1)?;
            at = end;
            exponent += power;
        }
        let exact = count <= EXACT_DIGITS || significant(&bytes[whole..mantissa_end]) <= EXACT_DIGITS;
        Ok(Self { text: &bytes[start..at], negative, exact, mantissa, exponent })
    }

    /// The number that `text` is from its first byte to its last.
    pub fn whole(text: &'a [u8]) -> Option<Self> {
        Self::read(text, 0).ok().filter(|number| number.text.len() == text.len())
    }

    /// The number as it was written.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The nearest double; infinite where it is beyond the largest.
    #[inline(always)]
    pub fn to_f64(&self) -> f64 {
        if self.exact
            && self.mantissa <= 1 << 53
            && let Some(power) = POWERS.get(self.exponent.unsigned_abs() as usize)
        {
            // Both operands are exact, so the one operation rounds correctly.
            let value = self.mantissa as f64;
            return self.signed(if self.exponent < 0 { value / power } else { value * power });
        }
        fast_float2::parse(self.text).unwrap_or(f64::NAN)
    }

    /// The nearest single; infinite where it is beyond the largest.
    #[inline(always)]
    pub fn to_f32(&self) -> f32 {
        if self.exact
            && let Some(power) = POWERS.get(self.exponent.unsigned_abs() as usize)
        {
            // The quotient or product is within 2 units in the last place of the true value, and between 1e-22 and
            // 2e41. Rounding it again gives the nearest single, unless a midpoint of two singles (low 29 bits
            // 1000...0) may lie between it and the true value.
            let value = self.mantissa as f64;
            let value = if self.exponent < 0 { value / power } else { value * power };
            let low = value.to_bits() & 0x1FFF_FFFF;
            if low.abs_diff(0x1000_0000) > 8 {
                return self.signed(value) as f32;
            }
        }
        fast_float2::parse(self.text).unwrap_or(f32::NAN)
    }

    #[inline(always)]
    fn signed(&self, magnitude: f64) -> f64 {
        if self.negative { -magnitude } else { magnitude }
    }

    /// The value if it is exactly an integer, however it is written (`1000`, `1e3`, `1000.0`).
    #[inline(always)]
    pub fn to_integer(&self) -> Result<i128, NotAnInteger> {
        let magnitude = if self.exact && self.exponent == 0 { i128::from(self.mantissa) } else { self.magnitude()? };
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    /// The integer without its sign, by its digits.
    #[cold]
    fn magnitude(&self) -> Result<i128, NotAnInteger> {
        let end = self.text.iter().position(|byte| byte | 0x20 == b'e').unwrap_or(self.text.len());
        let digits = || self.text[..end].iter().filter(|byte| byte.is_ascii_digit());
        let zeros = digits().rev().take_while(|&&byte| byte == b'0').count();
        let total = digits().count();
        if zeros == total {
            return Ok(0);
        }
        // `exponent` belongs to the last digit; without its trailing zeros the number ends `zeros` places earlier.
        let point = self.exponent + places(zeros);
        if point < 0 {
            return Err(NotAnInteger::Fraction);
        }
        let mut value: i128 = 0;
        let padding = std::iter::repeat_n(&b'0', usize::try_from(point.min(64)).unwrap_or(0));
        for &digit in digits().take(total - zeros).chain(padding) {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i128::from(digit - b'0')))
                .ok_or(NotAnInteger::TooLarge)?;
        }
        Ok(value)
    }
}

#[inline(always)]
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Reads decimal digits from `at` on; gives their end and `value` with them appended (modulo 2^64).
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (usize, u64) {
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        // Each byte becomes its digit; a byte that is none gets its high bit set in `others`.
        let word = u64::from_le_bytes(chunk) ^ 0x3030_3030_3030_3030;
        let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
        let count = (others.trailing_zeros() / 8) as usize;
        if count == 0 {
            return (at, value);
        }
        at += count;
        value = value.wrapping_mul(SCALES[count]).wrapping_add(eight(word << (64 - 8 * count)));
        if count < 8 {
            return (at, value);
        }
    }
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&d| d < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (at, value)
}

/// The value of eight digits, the first in the lowest byte: pairs, then fours, then all, each by one multiplication.
#[inline(always)]
fn eight(word: u64) -> u64 {
    const MASK: u64 = 0x0000_00FF_0000_00FF;
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & MASK).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & MASK).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

/// The exponent whose sign or first digit is at `at`.
fn read_exponent(bytes: &[u8], at: usize) -> Result<(usize, i64), Stop> {
    let sign = byte(bytes, at);
    let start = at + usize::from(sign == b'-' || sign == b'+');
    let mut end = start;
    let mut power: i64 = 0;
    while let Some(digit) = bytes.get(end).map(|b| b.wrapping_sub(b'0')).filter(|&d| d < 10) {
        power = (power * 10 + i64::from(digit)).min(MAX_EXPONENT);
        end += 1;
    }
    if end == start {
        return Err((end, "a digit"));
    }
    Ok((end, if sign == b'-' { -power } else { power }))
}

fn places(digits: usize) -> i64 {
    i64::try_from(digits).unwrap_or(MAX_EXPONENT)
}

/// Digits of a decimal number without those zeros that stand before the first other digit.
#[cold]
fn significant(text: &[u8]) -> usize {
    text.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|&&byte| byte == b'0').count()
}
