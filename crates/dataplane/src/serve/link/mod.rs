//! The link to the control plane: the newest snapshot by long poll, and reports of what was counted. Serving never
//! waits for it: while the control plane is away, the last snapshot stays in force and counts go on growing.

mod call;
mod report;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::error::{Code, Error, Result};
use crate::wire::options::ControlLink;
use crate::wire::snapshot::Snapshot;

use super::state::State;
use call::Control;
use report::Reporter;

/// How long the control plane may hold a poll.
const POLL: Duration = Duration::from_secs(25);
/// Shortest and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Checks the link's address, and starts following (where it is wanted) and reporting on the current runtime.
pub(super) fn start(link: &ControlLink, region: Option<&str>, state: &Arc<State>) -> Result<()> {
    let control = Arc::new(Control::new(link)?);
    let query = region.map(|region| format!("&region={}", call::percent_encoded(region))).unwrap_or_default();
    if link.follow {
        tokio::spawn(follow(Arc::clone(&control), query, Arc::clone(state)));
    }
    let reporter = Reporter::new(link, region);
    let pace = Duration::from_millis(link.report_ms);
    tokio::spawn(report(control, reporter, pace, Arc::clone(state)));
    Ok(())
}

/// Applies every snapshot that is newer than the one in force, for ever.
async fn follow(control: Arc<Control>, query: String, state: Arc<State>) {
    let (mut refused, mut pause) = (None, PAUSES.0);
    loop {
        let have = state.generation().max(refused);
        let after = have.map_or(-1, u64::cast_signed);
        let path = format!("/api/v1/snapshot?after={after}&wait={}{query}", POLL.as_secs());
        match next(&control, &path).await {
            Ok(None) => pause = PAUSES.0,
            Ok(Some(snapshot)) => {
                pause = PAUSES.0;
                let generation = snapshot.generation;
                let applier = Arc::clone(&state);
                // A refusal is logged and counted by `apply`; the next generation may mend it.
                match tokio::task::spawn_blocking(move || applier.apply(&snapshot)).await {
                    Ok(Ok(())) => {}
                    _ => refused = Some(generation),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the control plane gives no snapshot; the last one stays in force");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

async fn next(control: &Control, path: &str) -> Result<Option<Snapshot>> {
    let (status, body) = control.get(path, POLL + call::PATIENCE).await?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| Error::new(Code::SnapshotInvalid, format!("the control plane's snapshot: {error}"))),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Ok(None),
        other => Err(call::refused(other, &body)),
    }
}

/// Sends a report at every tick. One that is lost is made good by the next, which holds everything again.
async fn report(control: Arc<Control>, mut reporter: Reporter, pace: Duration, state: Arc<State>) {
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let body = reporter.report(&state);
        let sent = control
            .post("/api/v1/telemetry", body)
            .await
            .and_then(|(status, body)| if status.is_success() { Ok(()) } else { Err(call::refused(status, &body)) });
        match sent {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "a report did not reach the control plane; the next one makes it good");
            }
            Err(_) => {}
        }
    }
}
