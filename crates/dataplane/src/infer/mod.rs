//! Engines: what turns a batch of inputs into a batch of outputs.

pub mod frame;
pub mod onnx;
pub mod process;
pub mod raw;
pub mod worker;

use crate::error::Result;
use crate::tensor::Tensor;

use onnx::OnnxSession;
use worker::Worker;

/// One running instance of a model, owned by one executor.
pub enum Engine {
    Onnx(OnnxSession),
    Worker(Worker),
}

impl Engine {
    /// Returns when the engine can take a batch.
    pub async fn ready(&mut self) {
        match self {
            Self::Onnx(_) => {}
            Self::Worker(worker) => worker.ready().await,
        }
    }

    /// Runs one batch; inputs and outputs in the order of the signature.
    pub async fn infer(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Self::Onnx(session) => session.run(inputs),
            Self::Worker(worker) => worker.infer(inputs).await,
        }
    }
}
