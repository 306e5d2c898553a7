//! ONNX Runtime: one session, one thread, one FP32 input.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{TensorElementType, TensorRef};

pub enum Values<'a> {
    F32(&'a [f32]),
    I64(&'a [i64]),
}

/// One output tensor, `[rows]` (`flat`) or `[rows, width]`.
pub struct Output<'a> {
    pub name: &'a str,
    pub values: Values<'a>,
    pub width: usize,
    pub flat: bool,
}

struct OutputKind {
    name: String,
    float: bool,
}

pub struct Model {
    session: Session,
    kinds: Vec<OutputKind>,
    pub columns: usize,
}

impl Model {
    pub fn load(library: &Path, model: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let environment = ort::init_from(library)?.build()?;
        let session = Session::builder(&environment)?
            .with_intra_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .commit_from_file(model)?;
        let shape = session.inputs()[0].dtype().tensor_shape().ok_or("the model's input is not a tensor")?;
        let columns = usize::try_from(shape[shape.len() - 1])?;
        let mut kinds = Vec::new();
        for output in session.outputs() {
            let float = match output.dtype().tensor_type() {
                Some(TensorElementType::Float32) => true,
                Some(TensorElementType::Int64) => false,
                other => return Err(format!("output {:?} is {other:?}, not FP32 or INT64", output.name()).into()),
            };
            kinds.push(OutputKind { name: output.name().to_owned(), float });
        }
        Ok(Self { session, kinds, columns })
    }

    /// Runs the rows in `matrix` and shows the outputs to `then`.
    pub fn run<R>(&mut self, matrix: &[f32], then: impl FnOnce(&[Output<'_>]) -> R) -> ort::Result<R> {
        let rows = matrix.len() / self.columns;
        let input = TensorRef::from_array_view(([rows, self.columns], matrix))?;
        let answers = self.session.run(ort::inputs![input])?;
        let mut outputs = Vec::with_capacity(self.kinds.len());
        for (index, kind) in self.kinds.iter().enumerate() {
            let value = &answers[index];
            let (dimensions, values, length) = if kind.float {
                let (shape, values) = value.try_extract_tensor::<f32>()?;
                (shape.len(), Values::F32(values), values.len())
            } else {
                let (shape, values) = value.try_extract_tensor::<i64>()?;
                (shape.len(), Values::I64(values), values.len())
            };
            outputs.push(Output { name: &kind.name, values, width: length / rows, flat: dimensions == 1 });
        }
        Ok(then(&outputs))
    }
}
