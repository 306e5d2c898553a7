//! HTTP/1.1 and HTTP/2: paths to answers. An adapter; what an answer is stands in `answer`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::answer::Call;
use crate::error::{Code, Error, Result};
use crate::route::Wish;

use super::desk::Desk;
use super::docs;
use super::scoring;
use super::state::State;

pub type Answer = Response<Full<Bytes>>;

const TIMEOUT: HeaderName = HeaderName::from_static("fairlead-timeout-ms");
const UNIT: HeaderName = HeaderName::from_static("fairlead-unit");
pub(super) const VARIANT: HeaderName = HeaderName::from_static("fairlead-variant");
const BINARY: HeaderName = HeaderName::from_static("inference-header-content-length");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Infer {
        model: &'a str,
        version: Option<&'a str>,
    },
    ModelReady {
        model: &'a str,
        version: Option<&'a str>,
    },
    ModelMetadata {
        model: &'a str,
        version: Option<&'a str>,
    },
    Predict {
        endpoint: &'a str,
    },
    /// `MLflow`'s scoring protocol; without a name, of the only endpoint.
    Invocations {
        endpoint: Option<&'a str>,
    },
    Ping,
    Version,
    Endpoints,
    Server,
    Live,
    Ready,
    Metrics,
    OpenApi,
    Docs,
}

/// Finds the route of a path; names are as they stand in it, still percent-encoded.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    if let Some(rest) = path.strip_prefix("/v2/models/") {
        return model_route(rest);
    }
    if let Some(rest) = path.strip_prefix("/v1/endpoints/") {
        let named = |name: &&str| !name.is_empty() && !name.contains('/');
        let predict = rest.strip_suffix(":predict").filter(named).map(|endpoint| Route::Predict { endpoint });
        let invocations = || rest.strip_suffix("/invocations").filter(named);
        return predict.or_else(|| invocations().map(|name| Route::Invocations { endpoint: Some(name) }));
    }
    Some(match path {
        "/v2" | "/v2/" => Route::Server,
        "/v2/health/live" => Route::Live,
        "/v2/health/ready" => Route::Ready,
        "/v1/endpoints" => Route::Endpoints,
        "/invocations" => Route::Invocations { endpoint: None },
        "/ping" | "/health" => Route::Ping,
        "/version" => Route::Version,
        "/metrics" => Route::Metrics,
        "/openapi.json" => Route::OpenApi,
        "/docs" | "/" => Route::Docs,
        _ => return None,
    })
}

fn model_route(rest: &str) -> Option<Route<'_>> {
    let mut parts = rest.split('/');
    let model = parts.next().filter(|name| !name.is_empty())?;
    let mut next = parts.next();
    let mut version = None;
    if next == Some("versions") {
        version = Some(parts.next().filter(|version| !version.is_empty())?);
        next = parts.next();
    }
    if parts.next().is_some() {
        return None;
    }
    match next {
        Some("infer") => Some(Route::Infer { model, version }),
        Some("ready") => Some(Route::ModelReady { model, version }),
        None | Some("") => Some(Route::ModelMetadata { model, version }),
        Some(_) => None,
    }
}

/// Answers one request; never fails.
pub(super) async fn handle(desk: Arc<Desk>, request: Request<Incoming>) -> std::result::Result<Answer, Infallible> {
    let received = Instant::now();
    let head_only = request.method() == Method::HEAD;
    let mut answer = match dispatch(&desk, request, received).await {
        Ok(answer) => answer,
        Err(error) => refuse(&error),
    };
    if desk.state.draining.load(Ordering::Relaxed) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if head_only {
        bare(&mut answer);
    }
    Ok(answer)
}

/// Takes the body out of an answer to HEAD, which tells its length all the same.
pub(super) fn bare(answer: &mut Answer) {
    let length = std::mem::take(answer.body_mut()).size_hint().exact().unwrap_or(0);
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

async fn dispatch(desk: &Desk, request: Request<Incoming>, received: Instant) -> Result<Answer> {
    let state = &*desk.state;
    let (head, body) = request.into_parts();
    let decoded = head.uri.path().contains('%').then(|| percent_decode(head.uri.path()));
    let path = decoded.as_deref().unwrap_or_else(|| head.uri.path());
    let unknown = || Error::new(Code::UnknownRoute, format!("no route {} {path}", head.method));
    let (endpoint, version, infer) = match counted(state, route(path).ok_or_else(unknown))? {
        Route::Infer { model, version } => (model, version, true),
        Route::Predict { endpoint } => (endpoint, None, false),
        Route::Invocations { endpoint } => return Ok(scoring::answer(desk, endpoint, &head, body, received).await),
        other => return counted(state, read_only(state, &other, &head.method)),
    };
    let bytes = counted(state, accept(state, &head.method, &head.headers, body).await)?;
    let _in_flight = desk.enter();
    let plan = desk.plan();
    counted(state, plan.endpoint(endpoint).and_then(|endpoint| endpoint.variant(version).map(drop)))?;
    let call = Call { version, ..counted(state, call(endpoint, &head.headers, &bytes, received))? };
    let body = if infer { desk.answerer.infer(&plan, call).await? } else { desk.answerer.predict(&plan, call).await? };
    Ok(json(StatusCode::OK, body))
}

/// A request as its headers describe it.
pub(super) fn call<'a>(
    endpoint: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
    received: Instant,
) -> Result<Call<'a>> {
    Ok(Call {
        endpoint,
        version: None,
        body,
        received,
        timeout: timeout(headers)?,
        unit: headers.get(UNIT).and_then(|unit| unit.to_str().ok()),
        wish: headers.get(VARIANT).and_then(|wish| wish.to_str().ok()).map(Wish::read),
    })
}

/// Counts what is refused before an endpoint is known; from there on the endpoint's own counters do.
pub(super) fn counted<T>(state: &State, result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        state.metrics.count_rejected(error.code.name());
    }
    result
}

/// The body of a prediction request, if the request may have one.
pub(super) async fn accept(state: &State, method: &Method, headers: &HeaderMap, body: Incoming) -> Result<Bytes> {
    if method != Method::POST {
        return Err(not_allowed(method, "POST"));
    }
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        return Err(Error::new(Code::UnsupportedMediaType, format!("content-encoding {encoding:?} is not understood")));
    }
    if headers.contains_key(BINARY) {
        let message = "the binary tensor data extension (Inference-Header-Content-Length) is not there";
        return Err(Error::new(Code::Unsupported, message));
    }
    let late =
        |_| Error::new(Code::RequestTimeout, format!("the body was not there after {} ms", state.patience.as_millis()));
    // The timer starts only where the body has not arrived with the head.
    tokio::time::timeout(state.patience, read_body(body, state.body_bytes)).await.map_err(late)?
}

/// Reads a whole body of at most `limit` bytes; a body in one piece is not copied.
pub(super) async fn read_body(mut body: Incoming, limit: usize) -> Result<Bytes> {
    let too_large =
        |size: u64| Error::new(Code::BodyTooLarge, format!("the body has {size} bytes or more, the limit is {limit}"));
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(announced));
    }
    let broken = |error| Error::new(Code::MalformedRequest, format!("the body ended early: {error}"));
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let size = first.len() + rest.as_ref().map_or(0, BytesMut::len) + data.len();
        if size > limit {
            return Err(too_large(size as u64));
        }
        if first.is_empty() && rest.is_none() {
            first = data;
        } else {
            let joined = rest.get_or_insert_with(|| BytesMut::with_capacity(announced as usize));
            if !first.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&data);
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

/// What the client asks for; 0 means that it sets no limit of its own, as in the bodies.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let millis: Option<u64> = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || {
        let message = format!("header {TIMEOUT}: expected a whole number of milliseconds, got {value:?}");
        Error::new(Code::MalformedRequest, message)
    };
    let millis = millis.ok_or_else(wrong)?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

fn percent_decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = (bytes[index] == b'%')
            .then(|| path.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(hex.unwrap_or(bytes[index]));
        index += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Answer {
    content(status, JSON, body)
}

pub(super) fn content(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// The answer for an error, with its status, and when to come again.
pub(super) fn refuse(error: &Error) -> Answer {
    refuse_with(error, error.body())
}

/// As `refuse`, with the error in another protocol's words.
pub(super) fn refuse_with(error: &Error, body: Vec<u8>) -> Answer {
    let status = StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json(status, body);
    if let Some(after) = error.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    if let Some(allowed) = error.allowed {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}

/// Methods of a route that only tells.
pub(super) const READ: &str = "GET, HEAD";

/// The 405 answer of a route that takes `allowed`.
pub(super) fn not_allowed(method: &Method, allowed: &'static str) -> Error {
    let mut error = Error::new(Code::MethodNotAllowed, format!("{method}: this route takes {allowed}"));
    error.allowed = Some(allowed);
    error
}

/// The metrics exposition as an answer.
pub(super) fn metrics(state: &State) -> Answer {
    content(StatusCode::OK, METRICS, state.metrics_text().into_bytes())
}

fn read_only(state: &State, route: &Route<'_>, method: &Method) -> Result<Answer> {
    if method != Method::GET && method != Method::HEAD {
        return Err(not_allowed(method, READ));
    }
    let plan = state.plan.load_full();
    Ok(match route {
        Route::Live => json(StatusCode::OK, b"{\"live\":true}".to_vec()),
        Route::Ready => readiness(state.ready(), &serde_json::json!({"ready": state.ready()})),
        Route::Server => value(&docs::server_metadata()),
        Route::ModelReady { model, version } => {
            let ready = plan.endpoint(model)?.variant(*version)?.core.ready();
            readiness(ready, &serde_json::json!({"name": model, "ready": ready}))
        }
        Route::ModelMetadata { model, version } => {
            let endpoint = plan.endpoint(model)?;
            value(&docs::model_metadata(endpoint, endpoint.variant(*version)?))
        }
        Route::Endpoints => value(&docs::endpoints(&plan)),
        Route::Metrics => metrics(state),
        Route::OpenApi => value(&docs::openapi(&plan)),
        Route::Docs => content(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), docs::PAGE.into()),
        Route::Ping => scoring::ping(state.ready()),
        Route::Version => json(StatusCode::OK, env!("CARGO_PKG_VERSION").into()),
        Route::Infer { .. } | Route::Predict { .. } | Route::Invocations { .. } => {
            return Err(Error::new(Code::Internal, "a prediction route is not read-only"));
        }
    })
}

fn readiness(ready: bool, body: &serde_json::Value) -> Answer {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, body.to_string().into_bytes())
}

pub(super) fn value(value: &serde_json::Value) -> Answer {
    json(StatusCode::OK, value.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_protocol_says() {
        let infer = |version| Some(Route::Infer { model: "fraud", version });
        assert_eq!(route("/v2/models/fraud/infer"), infer(None));
        assert_eq!(route("/v2/models/fraud/versions/7/infer"), infer(Some("7")));
        assert_eq!(route("/v2/models/fraud"), Some(Route::ModelMetadata { model: "fraud", version: None }));
        assert_eq!(
            route("/v2/models/fraud/versions/7"),
            Some(Route::ModelMetadata { model: "fraud", version: Some("7") })
        );
        assert_eq!(route("/v2/models/fraud/ready"), Some(Route::ModelReady { model: "fraud", version: None }));
        assert_eq!(route("/v1/endpoints/fraud:predict"), Some(Route::Predict { endpoint: "fraud" }));
        let invocations = |endpoint| Some(Route::Invocations { endpoint });
        assert_eq!(route("/v1/endpoints/fraud/invocations"), invocations(Some("fraud")));
        assert_eq!(route("/invocations"), invocations(None));
        for path in [
            "/v2/models/",
            "/v2/models/a/b",
            "/v2/models/a/versions//infer",
            "/v2/models/a/infer/x",
            "/v1/endpoints/:predict",
            "/v1/endpoints/a/b:predict",
            "/v1/endpoints//invocations",
            "/v1/endpoints/a/b/invocations",
            "/invocations/",
            "/v3",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }

    #[test]
    fn percent_codes_are_decoded_and_bad_ones_kept() {
        assert_eq!(percent_decode("/a%20b%2"), "/a b%2");
        assert_eq!(percent_decode("/%zz%41"), "/%zzA");
        assert_eq!(percent_decode("/\u{e9}%"), "/\u{e9}%");
    }
}
