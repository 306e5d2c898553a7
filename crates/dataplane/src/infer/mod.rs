//! Engines: what turns a batch of inputs into a batch of outputs.

pub mod forest;
pub mod frame;
pub mod graph;
pub mod onnx;
pub mod process;
pub mod raw;
pub mod worker;

use std::sync::Arc;

use crate::error::Result;
use crate::tensor::Tensor;

use forest::Forest;
use onnx::OnnxSession;
use worker::Worker;

/// A model that runs in this process, on the thread that calls it.
pub enum Native {
    Onnx(OnnxSession),
    Forest(Arc<Forest>),
}

impl Native {
    /// Runs one batch; inputs and outputs in the order of the signature.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Self::Onnx(session) => session.run(inputs),
            Self::Forest(forest) => forest.run(inputs),
        }
    }
}

/// One running instance of a model, owned by one executor.
pub enum Engine {
    Native(Native),
    Worker(Worker),
}

impl Engine {
    /// Returns when the engine can take a batch.
    pub async fn ready(&mut self) {
        match self {
            Self::Native(_) => {}
            Self::Worker(worker) => worker.ready().await,
        }
    }

    /// Runs one batch; inputs and outputs in the order of the signature.
    pub async fn infer(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        match self {
            Self::Native(native) => native.run(inputs),
            Self::Worker(worker) => worker.infer(inputs).await,
        }
    }
}
