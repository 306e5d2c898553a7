//! How the workers of a model are run: command, limits, and when a dead one is started again.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::super::frame::MAX_BODY;
use crate::wire::bundle::{PythonEngine, Signature, TensorSpec};

/// How to run the workers of one model; shared by all of its pool.
#[derive(Clone, Debug)]
pub struct WorkerSpec {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Set on top of the server's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// A batch that takes longer is failed and its worker killed.
    pub timeout: Duration,
    /// A worker that is not ready by then is killed.
    pub start_timeout: Duration,
    pub backoff: Backoff,
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    /// Largest body of a request or an answer, in bytes.
    pub max_body: usize,
}

impl WorkerSpec {
    /// The workers of an unpacked bundle, run by the interpreter `python`, which must be able to import `fairlead`.
    pub fn for_bundle(
        python: &Path,
        bundle: &Path,
        trust_pickle: bool,
        engine: &PythonEngine,
        signature: &Signature,
    ) -> Self {
        // -P: the folder that the server happens to be started in must not shadow the modules of a model.
        let mut command: Vec<OsString> = vec![python.into()];
        command.extend(["-P", "-m", "fairlead.worker", "--bundle"].map(OsString::from));
        command.push(bundle.into());
        if trust_pickle {
            command.push("--trust-pickle".into());
        }
        // Empty is no limit, whatever the server's own environment says.
        let memory = engine.memory_mb.map_or_else(String::new, |mb| mb.to_string());
        Self {
            command,
            environment: vec![("FAIRLEAD_WORKER_MEMORY_MB".into(), memory.into())],
            timeout: Duration::from_millis(engine.timeout_ms),
            start_timeout: Duration::from_mins(2),
            backoff: Backoff::default(),
            inputs: signature.inputs.clone(),
            outputs: signature.outputs.clone(),
            max_body: MAX_BODY,
        }
    }

    /// Tells the numeric libraries of a worker how many threads to use, in place of one for each core and worker.
    #[must_use]
    pub fn with_threads(mut self, threads: u32) -> Self {
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            self.environment.push((name.into(), threads.to_string().into()));
        }
        self
    }
}

/// When a dead worker is started again: after `first`, doubled for each failure in a row, at most `max`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
    /// A life this long ends the row of failures.
    pub healthy_after: Duration,
    /// So do this many good batches in one life.
    pub healthy_batches: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(10),
            healthy_after: Duration::from_mins(1),
            healthy_batches: 16,
        }
    }
}

impl Backoff {
    /// The wait before the start that follows `failures` failures in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.max)
    }

    /// True where a life of this length and with this many good batches is no failure to start.
    pub fn healthy(&self, life: Duration, batches: u64) -> bool {
        life >= self.healthy_after || batches >= self.healthy_batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bundle::{PythonKind, Runtime};

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let backoff = Backoff::default();
        let millis: Vec<u128> = (0..10).map(|failures| backoff.delay(failures).as_millis()).collect();
        assert_eq!(millis, [100, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(backoff.delay(u32::MAX), backoff.max);
        assert!(backoff.healthy(Duration::from_mins(1), 0) && backoff.healthy(Duration::ZERO, 16));
        assert!(!backoff.healthy(Duration::from_secs(59), 15));
    }

    #[test]
    fn a_bundle_makes_the_command() {
        let engine = PythonEngine {
            kind: PythonKind::Python,
            runtime: Runtime::Callable,
            entry: None,
            file: None,
            format: None,
            workers: 1,
            timeout_ms: 250,
            memory_mb: Some(512),
        };
        let signature = Signature { inputs: Vec::new(), features: Vec::new(), outputs: Vec::new(), decision: None };
        let spec = WorkerSpec::for_bundle("python".as_ref(), "b".as_ref(), true, &engine, &signature).with_threads(2);
        assert_eq!(spec.command, ["python", "-P", "-m", "fairlead.worker", "--bundle", "b", "--trust-pickle"]);
        assert_eq!(spec.timeout, Duration::from_millis(250));
        assert!(spec.environment.contains(&("FAIRLEAD_WORKER_MEMORY_MB".into(), "512".into())));
        assert!(spec.environment.contains(&("OMP_NUM_THREADS".into(), "2".into())));
    }
}
