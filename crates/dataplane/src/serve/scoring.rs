//! `MLflow`'s scoring protocol: its paths, its content types, its words for an error. What an answer is stands in `answer`.

use std::time::Instant;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::answer::{Asked, Invoked};
use crate::error::{Code, Detail, Error, Result};
use crate::plan::Plan;
use crate::wire::oip;
use crate::wire::records::Wanted;

use super::desk::Desk;
use super::http::{self, Answer};

const PREDICTION_ID: HeaderName = HeaderName::from_static("fairlead-prediction-id");
const VERSION: HeaderName = HeaderName::from_static("fairlead-version");

/// The endpoint that answers `/invocations` among several.
const DEFAULT: &str = "default";

/// Endpoints that an error names at most.
const NAMED: usize = 32;

/// Answers a scoring request of the named endpoint, or of the only one.
pub(super) async fn answer(
    desk: &Desk,
    endpoint: Option<&str>,
    head: &hyper::http::request::Parts,
    body: Incoming,
    received: Instant,
) -> Answer {
    scored(desk, endpoint, head, body, received).await.unwrap_or_else(|error| http::refuse_with(&error, words(&error)))
}

async fn scored(
    desk: &Desk,
    endpoint: Option<&str>,
    head: &hyper::http::request::Parts,
    body: Incoming,
    received: Instant,
) -> Result<Answer> {
    let state = &*desk.state;
    let bytes = http::counted(state, http::accept(state, &head.method, &head.headers, body).await)?;
    let asked = http::counted(state, asked(&head.headers, head.uri.query()))?;
    let _in_flight = desk.enter();
    let plan = desk.plan();
    let endpoint = http::counted(state, chosen(&plan, endpoint))?;
    let call = http::counted(state, http::call(endpoint, &head.headers, &bytes, received))?;
    Ok(told(desk.answerer.invoke(&plan, call, asked).await?))
}

/// The answer, with what its body has no place for in headers.
fn told(invoked: Invoked) -> Answer {
    let mut answer = http::json(StatusCode::OK, invoked.body);
    let mut id = Vec::with_capacity(36);
    oip::write_uuid(&mut id, invoked.first_id);
    let list = |words: Vec<&str>| words.join(", ").into_bytes();
    let roles = list(invoked.answered_by.iter().map(|(role, _)| *role).collect());
    let versions = list(invoked.answered_by.iter().map(|(_, version)| &**version).collect());
    for (name, value) in [(PREDICTION_ID, id), (http::VARIANT, roles), (VERSION, versions)] {
        // A version with a character that a header cannot have is in `full` answers only.
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// What the content type and the query ask for.
fn asked(headers: &HeaderMap, query: Option<&str>) -> Result<Asked> {
    let mut asked = Asked { csv: is_csv(headers)?, wanted: Wanted::default() };
    for pair in query.unwrap_or_default().split('&') {
        if let Some(word) = pair.strip_prefix("predictions=") {
            asked.wanted = Wanted::read(word).ok_or_else(|| {
                let message = format!("query `predictions`: expected decision, score or full, got {word:.40}");
                Error::new(Code::MalformedRequest, message)
            })?;
        }
    }
    Ok(asked)
}

/// Whether the body is CSV; JSON where no content type is given.
fn is_csv(headers: &HeaderMap) -> Result<bool> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let refuse = |what: &str| {
        let message = format!("content-type {given:?}: {what}");
        Error::new(Code::UnsupportedMediaType, message)
    };
    let text = given.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
            Some(("charset", "utf-8" | "utf8")) => {}
            Some(("charset", _)) => return Err(refuse("expected charset utf-8")),
            _ => return Err(refuse("no parameter but charset is understood")),
        }
    }
    match kind {
        "application/json" => Ok(false),
        "text/csv" => Ok(true),
        _ => Err(refuse("expected application/json or text/csv")),
    }
}

/// The endpoint that is meant: the named one, the only one, or the one that is named `default`.
pub(super) fn chosen<'a>(plan: &'a Plan, named: Option<&str>) -> Result<&'a str> {
    if let Some(name) = named {
        return plan.endpoint(name).map(|endpoint| &*endpoint.name);
    }
    let mut all: Vec<&str> = plan.endpoints.keys().map(|name| &**name).collect();
    all.sort_unstable();
    if let ([only], _) | (_, Some(only)) = (&all[..], all.iter().find(|name| **name == DEFAULT)) {
        return Ok(only);
    }
    let listed = all[..all.len().min(NAMED)].join(", ");
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    let message = match all.len() {
        0 => "there is no endpoint".to_owned(),
        _ => format!("which endpoint? There are {listed}{more}: POST /v1/endpoints/NAME/invocations"),
    };
    Err(Error::new(Code::UnknownEndpoint, message))
}

/// The answer to `/ping` and `/health`: nothing but its status.
pub(super) fn ping(ready: bool) -> Answer {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    http::json(status, b"\n".to_vec())
}

/// An error as `MLflow`'s clients know it, with our own code and details beside.
fn words(error: &Error) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error_code: &'a str,
        message: &'a str,
        code: &'a str,
        #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
        details: &'a [Detail],
    }
    let body = Body {
        error_code: error_code(error.code),
        message: &error.message,
        code: error.code.name(),
        details: &error.details,
    };
    serde_json::to_vec(&body).unwrap_or_else(|_| b"{\"error_code\":\"INTERNAL_ERROR\"}".to_vec())
}

/// `MLflow`'s name for an error of this status. The statuses stay those of every other route.
fn error_code(code: Code) -> &'static str {
    match code.http() {
        404 if code == Code::UnknownEndpoint => "ENDPOINT_NOT_FOUND",
        404 => "RESOURCE_DOES_NOT_EXIST",
        422 => "INVALID_PARAMETER_VALUE",
        429 => "RESOURCE_EXHAUSTED",
        501 => "NOT_IMPLEMENTED",
        503 => "TEMPORARILY_UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL_ERROR",
        _ => "BAD_REQUEST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CATALOGUE;

    fn kind(text: &'static str) -> Result<bool> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
        is_csv(&headers)
    }

    #[test]
    fn content_types_are_read_as_mlflow_does() {
        for text in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
            assert!(!kind(text).expect(text));
        }
        for text in ["text/csv", "text/csv; charset=utf-8", "text/csv; charset=\"UTF-8\""] {
            assert!(kind(text).expect(text));
        }
        for text in ["text/plain", "", "application/json; charset=latin-1", "application/json; format=pandas-split"] {
            assert_eq!(kind(text).expect_err(text).code, Code::UnsupportedMediaType, "{text}");
        }
        assert!(!is_csv(&HeaderMap::new()).expect("none is JSON"));
    }

    #[test]
    fn every_error_has_a_name_of_mlflows() {
        for (code, name, status, _) in CATALOGUE {
            let found = error_code(code);
            assert_eq!(found == "INTERNAL_ERROR", status == 500, "{name}");
            assert_eq!(found == "TEMPORARILY_UNAVAILABLE", status == 503, "{name}");
        }
    }
}
