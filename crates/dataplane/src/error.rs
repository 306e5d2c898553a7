//! The error catalogue of the data plane. One enum, one table; its codes equal `fairlead.schema.catalogue` as a set.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Everything that can go wrong in front of a caller. The documentation of each is in the Python catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    MalformedRequest,
    UnknownInput,
    MissingInput,
    UnknownOutput,
    WrongDatatype,
    WrongShape,
    ValueOutOfRange,
    Unsupported,
    ValidationFailed,
    TooManyRows,
    BodyTooLarge,
    RequestTimeout,
    UnknownEndpoint,
    UnknownVersion,
    UnknownRoute,
    MethodNotAllowed,
    UnsupportedMediaType,
    QueueFull,
    NotReady,
    Draining,
    LogUnavailable,
    LogBacklog,
    DeadlineExceeded,
    ModelFailed,
    WorkerDied,
    WorkerTimeout,
    SnapshotInvalid,
    SnapshotStale,
    BundleMissing,
    BundleCorrupt,
    BundleUntrusted,
    ModelInvalid,
    Internal,
}

/// `(code, name, HTTP status, gRPC status)`, one row for each code.
pub const CATALOGUE: [(Code, &str, u16, &str); 33] = [
    (Code::MalformedRequest, "malformed_request", 400, "INVALID_ARGUMENT"),
    (Code::UnknownInput, "unknown_input", 400, "INVALID_ARGUMENT"),
    (Code::MissingInput, "missing_input", 400, "INVALID_ARGUMENT"),
    (Code::UnknownOutput, "unknown_output", 400, "INVALID_ARGUMENT"),
    (Code::WrongDatatype, "wrong_datatype", 400, "INVALID_ARGUMENT"),
    (Code::WrongShape, "wrong_shape", 400, "INVALID_ARGUMENT"),
    (Code::ValueOutOfRange, "value_out_of_range", 400, "INVALID_ARGUMENT"),
    (Code::Unsupported, "unsupported", 501, "UNIMPLEMENTED"),
    (Code::ValidationFailed, "validation_failed", 422, "INVALID_ARGUMENT"),
    (Code::TooManyRows, "too_many_rows", 413, "INVALID_ARGUMENT"),
    (Code::BodyTooLarge, "body_too_large", 413, "INVALID_ARGUMENT"),
    (Code::RequestTimeout, "request_timeout", 408, "DEADLINE_EXCEEDED"),
    (Code::UnknownEndpoint, "unknown_endpoint", 404, "NOT_FOUND"),
    (Code::UnknownVersion, "unknown_version", 404, "NOT_FOUND"),
    (Code::UnknownRoute, "unknown_route", 404, "NOT_FOUND"),
    (Code::MethodNotAllowed, "method_not_allowed", 405, "UNIMPLEMENTED"),
    (Code::UnsupportedMediaType, "unsupported_media_type", 415, "INVALID_ARGUMENT"),
    (Code::QueueFull, "queue_full", 429, "RESOURCE_EXHAUSTED"),
    (Code::NotReady, "not_ready", 503, "UNAVAILABLE"),
    (Code::Draining, "draining", 503, "UNAVAILABLE"),
    (Code::LogUnavailable, "log_unavailable", 503, "UNAVAILABLE"),
    (Code::LogBacklog, "log_backlog", 503, "UNAVAILABLE"),
    (Code::DeadlineExceeded, "deadline_exceeded", 504, "DEADLINE_EXCEEDED"),
    (Code::ModelFailed, "model_failed", 500, "INTERNAL"),
    (Code::WorkerDied, "worker_died", 500, "INTERNAL"),
    (Code::WorkerTimeout, "worker_timeout", 504, "DEADLINE_EXCEEDED"),
    (Code::SnapshotInvalid, "snapshot_invalid", 400, "INVALID_ARGUMENT"),
    (Code::SnapshotStale, "snapshot_stale", 409, "FAILED_PRECONDITION"),
    (Code::BundleMissing, "bundle_missing", 400, "NOT_FOUND"),
    (Code::BundleCorrupt, "bundle_corrupt", 400, "DATA_LOSS"),
    (Code::BundleUntrusted, "bundle_untrusted", 403, "PERMISSION_DENIED"),
    (Code::ModelInvalid, "model_invalid", 400, "INVALID_ARGUMENT"),
    (Code::Internal, "internal", 500, "INTERNAL"),
];

impl Code {
    fn row(self) -> &'static (Code, &'static str, u16, &'static str) {
        &CATALOGUE[self as usize]
    }

    /// Stable machine name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// HTTP status.
    pub fn http(self) -> u16 {
        self.row().2
    }
}

/// One field of one row that an error is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    pub row: usize,
    pub field: String,
    pub expected: String,
    pub got: String,
}

/// An error on its way to a caller: what, where, and when to come again.
#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub details: Vec<Detail>,
    pub retry_after: Option<Duration>,
    /// For `method_not_allowed`: the methods that are, as the Allow header has them.
    pub allowed: Option<&'static str>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), retry_after: None, allowed: None }
    }

    #[must_use]
    pub fn with_details(mut self, details: Vec<Detail>) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The JSON body of the error: `error` as the Open Inference Protocol has it, then ours.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
            details: &'a [Detail],
        }
        let body = Body { error: &self.message, code: self.code.name(), details: &self.details };
        serde_json::to_vec(&body).unwrap_or_else(|_| b"{\"error\":\"internal\"}".to_vec())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_its_codes() {
        for (index, row) in CATALOGUE.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.1);
        }
        assert_eq!(Code::Internal as usize + 1, CATALOGUE.len());
    }

    #[test]
    fn a_body_names_code_and_details() {
        let detail = Detail { row: 3, field: "amount".into(), expected: ">= 0".into(), got: "-5".into() };
        let error = Error::new(Code::ValidationFailed, "1 value").with_details(vec![detail]);
        let body: serde_json::Value = serde_json::from_slice(&error.body()).expect("json");
        assert_eq!(body["code"], "validation_failed");
        assert_eq!(body["details"][0]["field"], "amount");
    }
}
