//! The administration listener: snapshots, state, metrics. Loopback by default; never on the way of predictions.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::error::{Code, Error, Result};
use crate::wire::snapshot::Snapshot;

use super::http::{self, Answer};
use super::state::State;

/// Largest snapshot taken.
const SNAPSHOT_BYTES: usize = 64 * 1024 * 1024;

/// Serves the administration routes for ever.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            // A caller that breaks off has nothing left to be told.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> std::result::Result<Answer, Infallible> {
    let head_only = request.method() == Method::HEAD;
    let mut answer = match dispatch(&state, request).await {
        Ok(answer) => answer,
        Err(error) => http::refuse(&error),
    };
    if head_only {
        http::bare(&mut answer);
    }
    Ok(answer)
}

async fn dispatch(state: &Arc<State>, request: Request<Incoming>) -> Result<Answer> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    match (path, method) {
        ("/snapshot", &Method::PUT) => {
            let bytes = http::read_body(body, SNAPSHOT_BYTES).await?;
            put_snapshot(state, &bytes).await
        }
        ("/snapshot", &Method::GET) => {
            let snapshot = serde_json::to_vec(&state.plan.load().snapshot);
            snapshot.map(|body| http::json(StatusCode::OK, body)).map_err(|e| Error::new(Code::Internal, e.to_string()))
        }
        ("/debug/state", &Method::GET) => Ok(http::value(&describe(state))),
        ("/metrics", &Method::GET) => Ok(http::metrics(state)),
        ("/health", &Method::GET) => {
            let ready = state.ready();
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            Ok(http::json(status, serde_json::json!({"live": true, "ready": ready}).to_string().into_bytes()))
        }
        ("/snapshot", method) => Err(http::not_allowed(method, "GET, HEAD, PUT")),
        ("/debug/state" | "/metrics" | "/health", method) => Err(http::not_allowed(method, http::READ)),
        _ => Err(Error::new(Code::UnknownRoute, format!("no route {} {path}", head.method))),
    }
}

async fn put_snapshot(state: &Arc<State>, bytes: &[u8]) -> Result<Answer> {
    let snapshot: Snapshot = serde_json::from_slice(bytes).map_err(|error| {
        state.metrics.count_snapshot(Code::SnapshotInvalid.name());
        Error::new(Code::SnapshotInvalid, error.to_string())
    })?;
    let generation = snapshot.generation;
    let builder = Arc::clone(state);
    let built = tokio::task::spawn_blocking(move || builder.apply(&snapshot)).await;
    built.map_err(|error| Error::new(Code::Internal, error.to_string()))??;
    Ok(http::value(&serde_json::json!({"generation": generation})))
}

fn describe(state: &State) -> serde_json::Value {
    let plan = state.plan.load();
    let endpoints: serde_json::Map<String, serde_json::Value> = plan
        .endpoints
        .iter()
        .map(|(name, endpoint)| {
            let variants: Vec<_> = endpoint.variants.iter().map(|variant| variant.describe()).collect();
            let (rows, waiting) = (endpoint.admission.rows(), endpoint.admission.waiting());
            let told = serde_json::json!({"rows_in_flight": rows, "requests_waiting": waiting, "variants": variants});
            (name.to_string(), told)
        })
        .collect();
    let log = state.log.status();
    serde_json::json!({
        "generation": plan.generation,
        "ready": state.ready(),
        "draining": state.draining.load(std::sync::atomic::Ordering::Relaxed),
        "requests_in_flight": state.in_flight(),
        "endpoints": endpoints,
        "log": {"written_rows": log.written_rows, "written_bytes": log.written_bytes, "queued_rows": log.queued_rows,
            "lost_rows": log.lost_rows, "failing": log.failing, "last_error": log.last_error.as_deref()},
    })
}
