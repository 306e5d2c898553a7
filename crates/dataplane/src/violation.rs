//! A value that breaks the signature: which row, which field, how.

use crate::error::Detail;

/// How a value breaks the signature. The order is the order of `Kind::ALL`, which metrics index by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Absent or null where the signature does not allow it.
    Missing,
    /// Not of the feature's type.
    WrongType,
    BelowMinimum,
    AboveMaximum,
    UnknownCategory,
    /// NaN or infinite in a tensor.
    NotFinite,
    /// A field that the signature does not have.
    UnknownField,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Missing,
        Self::WrongType,
        Self::BelowMinimum,
        Self::AboveMaximum,
        Self::UnknownCategory,
        Self::NotFinite,
        Self::UnknownField,
    ];

    /// The name in metrics, logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::BelowMinimum => "below_minimum",
            Self::AboveMaximum => "above_maximum",
            Self::UnknownCategory => "unknown_category",
            Self::NotFinite => "not_finite",
            Self::UnknownField => "unknown_field",
        }
    }
}

/// The field that a violation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Index into the signature's features.
    Feature(u16),
    /// A name that the signature does not know.
    Unknown(Box<str>),
}

/// One violation in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Row within the request.
    pub row: u32,
    pub field: Field,
    pub kind: Kind,
    /// The offending value as text, at most some tens of characters.
    pub got: Box<str>,
}

impl Violation {
    /// The violation as an error detail, `name` being the field's name and `expected` what the signature wants.
    pub fn detail(&self, name: &str, expected: String) -> Detail {
        Detail { row: self.row as usize, field: name.to_owned(), expected, got: self.got.to_string() }
    }
}
