//! A worker that needs no Python package, for tests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::frame::MAX_BODY;
use super::{Backoff, WorkerSpec};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::TensorSpec;

pub struct Fake {
    pub spec: WorkerSpec,
    folder: tempfile::TempDir,
}

impl Fake {
    pub fn new(start: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let x = TensorSpec { name: "x".into(), datatype: Datatype::Fp32, shape: vec![-1] };
        let mut command = ["python3", "-I", "-S", "-c", include_str!("fake.py"), start].map(Into::into).to_vec();
        command.push(folder.path().join("notes").into());
        let spec = WorkerSpec {
            command,
            environment: Vec::new(),
            timeout: Duration::from_secs(20),
            start_timeout: Duration::from_secs(20),
            backoff: Backoff { first: Duration::from_millis(10), ..Backoff::default() },
            inputs: vec![x.clone()],
            outputs: vec![x],
            max_body: MAX_BODY,
        };
        Self { spec, folder }
    }

    pub fn arc(&self) -> Arc<WorkerSpec> {
        Arc::new(self.spec.clone())
    }

    /// What the processes noted so far.
    pub fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The last process id that was noted.
    pub fn noted_pid(&self) -> u32 {
        self.notes().iter().rev().find_map(|line| line.parse().ok()).expect("a noted pid")
    }
}

pub fn batch(values: &[f32]) -> Vec<Tensor> {
    vec![Tensor { dims: vec![values.len()], data: Data::Fp32(values.to_vec()), missing: Vec::new() }]
}

/// Returns once `condition` holds; fails after twenty seconds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(20), async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

/// True where no such process runs. An orphan that nobody has reaped yet does not run.
pub fn gone(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['Z', 'X'])))
}
