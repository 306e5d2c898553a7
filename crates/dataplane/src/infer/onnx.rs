//! ONNX Runtime: one session for each thread that runs it, so that no call waits for another.

use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::CPU;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use crate::error::{Code, Error, Result};
use crate::tensor::{Data, Datatype, Tensor};
use crate::wire::bundle::{GraphOptimization, OnnxEngine, Signature, TensorSpec};

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// Loads the ONNX Runtime library at `path` (absolute), once for the process.
pub fn initialize(path: &Path) -> Result<&'static Environment> {
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let fail = |error: String| Error::new(Code::Internal, format!("ONNX Runtime at {}: {error}", path.display()));
    let builder = ort::init_from(path).map_err(|error| fail(error.to_string()))?;
    let environment = builder.with_name("fairlead").with_telemetry(false).build().map_err(|e| fail(e.to_string()))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// A model ready to run on one thread.
pub struct OnnxSession {
    session: Session,
    outputs: Vec<TensorSpec>,
    /// `order[i]` is the position among the graph's inputs of the signature's input `i`.
    order: Vec<usize>,
}

impl OnnxSession {
    /// Loads `model` and checks that the graph has the inputs and outputs of `signature`.
    pub fn load(model: &[u8], engine: &OnnxEngine, threads: u32, signature: &Signature) -> Result<Self> {
        let environment =
            ENVIRONMENT.get().ok_or_else(|| Error::new(Code::Internal, "ONNX Runtime was not initialized"))?;
        let session = build(environment, model, engine, threads)
            .map_err(|error| Error::new(Code::ModelInvalid, format!("{}: {error}", engine.file)))?;
        let order = check_inputs(&session, &signature.inputs)?;
        for spec in &signature.outputs {
            let outlet = session.outputs().iter().find(|outlet| outlet.name() == spec.name);
            check_outlet("output", spec, outlet.map(ort::value::Outlet::dtype))?;
        }
        Ok(Self { session, outputs: signature.outputs.clone(), order })
    }

    /// Runs one batch; inputs and outputs in the order of the signature.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let rows = inputs.first().map_or(0, Tensor::rows);
        let fail = |error: ort::Error| Error::new(Code::ModelFailed, error.to_string());
        let mut values: Vec<Option<SessionInputValue<'_>>> = inputs.iter().map(|_| None).collect();
        for (tensor, &position) in inputs.iter().zip(&self.order) {
            values[position] = Some(view(tensor).map_err(fail)?);
        }
        let values: Vec<SessionInputValue<'_>> = values.into_iter().flatten().collect();
        let answers = self.session.run(&values[..]).map_err(fail)?;
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for spec in &self.outputs {
            let value = answers
                .get(&spec.name)
                .ok_or_else(|| Error::new(Code::ModelFailed, format!("the model gave no output {}", spec.name)))?;
            outputs.push(extract(spec, value, rows)?);
        }
        Ok(outputs)
    }
}

fn build(environment: &Environment, model: &[u8], engine: &OnnxEngine, threads: u32) -> ort::Result<Session> {
    let level = match engine.graph_optimization {
        GraphOptimization::Disable => GraphOptimizationLevel::Disable,
        GraphOptimization::Basic => GraphOptimizationLevel::Level1,
        GraphOptimization::Extended => GraphOptimizationLevel::Level2,
        GraphOptimization::All => GraphOptimizationLevel::All,
    };
    Session::builder(environment)?
        .with_optimization_level(level)?
        .with_intra_threads(threads as usize)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_config_entry("session.use_device_allocator_for_initializers", "1")?
        .with_execution_providers([CPU::default().with_arena_allocator(engine.arena).build()])?
        .with_memory_pattern(engine.arena)?
        .commit_from_memory(model)
}

fn check_inputs(session: &Session, specs: &[TensorSpec]) -> Result<Vec<usize>> {
    if let Some(extra) = session.inputs().iter().find(|outlet| specs.iter().all(|spec| spec.name != outlet.name())) {
        let message = format!("the graph takes an input {} that the signature does not have", extra.name());
        return Err(Error::new(Code::ModelInvalid, message));
    }
    let mut order = Vec::with_capacity(specs.len());
    for spec in specs {
        let position = session.inputs().iter().position(|outlet| outlet.name() == spec.name);
        check_outlet("input", spec, position.map(|position| session.inputs()[position].dtype()))?;
        order.extend(position);
    }
    Ok(order)
}

fn check_outlet(kind: &str, spec: &TensorSpec, value: Option<&ValueType>) -> Result<()> {
    let wrong = |what: String| Err(Error::new(Code::ModelInvalid, format!("{kind} {}: {what}", spec.name)));
    let Some(value) = value else { return wrong("not in the graph".to_owned()) };
    let Some(element) = value.tensor_type() else { return wrong(format!("the graph has {value}, not a tensor")) };
    if element_type(spec.datatype) != element {
        return wrong(format!("the graph has {element:?}, the signature {}", spec.datatype.name()));
    }
    Ok(())
}

fn element_type(datatype: Datatype) -> TensorElementType {
    match datatype {
        Datatype::Bool => TensorElementType::Bool,
        Datatype::Uint8 => TensorElementType::Uint8,
        Datatype::Uint16 => TensorElementType::Uint16,
        Datatype::Uint32 => TensorElementType::Uint32,
        Datatype::Uint64 => TensorElementType::Uint64,
        Datatype::Int8 => TensorElementType::Int8,
        Datatype::Int16 => TensorElementType::Int16,
        Datatype::Int32 => TensorElementType::Int32,
        Datatype::Int64 => TensorElementType::Int64,
        Datatype::Fp32 => TensorElementType::Float32,
        Datatype::Fp64 => TensorElementType::Float64,
        Datatype::Bytes => TensorElementType::String,
    }
}

/// The tensor as ONNX Runtime sees it; numbers are not copied.
fn view(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let dims = tensor.dims.as_slice();
    Ok(match &tensor.data {
        Data::Bool(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Uint8(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Uint16(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Uint32(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Uint64(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Int8(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Int16(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Int32(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Int64(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Fp32(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Fp64(v) => TensorRef::from_array_view((dims, v.as_slice()))?.into(),
        Data::Bytes(v) => {
            // `ort` takes owned strings only, and copies them again for their terminating zero.
            let text: Vec<String> = v.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
            ort::value::Tensor::from_string_array((dims, text.as_slice()))?.into()
        }
    })
}

fn extract(spec: &TensorSpec, value: &DynValue, rows: usize) -> Result<Tensor> {
    let fail = |error: ort::Error| Error::new(Code::ModelFailed, format!("output {}: {error}", spec.name));
    macro_rules! numbers {
        ($variant:ident, $t:ty) => {{
            let (shape, data) = value.try_extract_tensor::<$t>().map_err(fail)?;
            (shape.to_vec(), Data::$variant(data.to_vec()))
        }};
    }
    let (shape, data) = match spec.datatype {
        Datatype::Bool => numbers!(Bool, bool),
        Datatype::Uint8 => numbers!(Uint8, u8),
        Datatype::Uint16 => numbers!(Uint16, u16),
        Datatype::Uint32 => numbers!(Uint32, u32),
        Datatype::Uint64 => numbers!(Uint64, u64),
        Datatype::Int8 => numbers!(Int8, i8),
        Datatype::Int16 => numbers!(Int16, i16),
        Datatype::Int32 => numbers!(Int32, i32),
        Datatype::Int64 => numbers!(Int64, i64),
        Datatype::Fp32 => numbers!(Fp32, f32),
        Datatype::Fp64 => numbers!(Fp64, f64),
        Datatype::Bytes => {
            let (shape, strings) = value.try_extract_strings().map_err(fail)?;
            (shape.to_vec(), Data::Bytes(strings.into_iter().map(|s| s.into_bytes().into()).collect()))
        }
    };
    let dims: Vec<usize> = shape.iter().map(|&d| d.max(0) as usize).collect();
    let fixed = |(&dim, &want): (&usize, &i64)| want < 0 || i64::try_from(dim) == Ok(want);
    let fits = dims.len() == spec.shape.len() && dims.iter().zip(&spec.shape).all(fixed);
    if !fits || dims.first() != Some(&rows) {
        let message =
            format!("output {} has shape {dims:?} for {rows} rows, the signature says {:?}", spec.name, spec.shape);
        return Err(Error::new(Code::ModelFailed, message));
    }
    Ok(Tensor { dims, data, missing: Vec::new() })
}
