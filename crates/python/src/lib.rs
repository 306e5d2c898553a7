//! `fairlead._core`: the Python binding of the data plane. It converts values and maps errors; it decides nothing.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use fairlead_dataplane::error::{CATALOGUE, Error};
use fairlead_dataplane::wire::bundle::{Manifest, Signature};
use fairlead_dataplane::wire::options::ServeOptions;
use fairlead_dataplane::wire::snapshot::Snapshot;
use fairlead_dataplane::{metrics, model, plan, serve as server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

create_exception!(_core, CoreError, PyException, "The data plane refused or failed; `args` are (code, message).");

fn raise(error: &Error) -> PyErr {
    CoreError::new_err((error.code.name(), error.message.clone()))
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> PyResult<T> {
    serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Serves until SIGTERM or SIGINT; `started(port, admin_port, seconds)` is called once requests can be answered.
#[pyfunction]
fn serve(py: Python<'_>, options: &str, started: Py<PyAny>) -> PyResult<bool> {
    let options: ServeOptions = parse(options)?;
    let tell = move |ready: server::Started| {
        Python::attach(|py| {
            let seconds = ready.elapsed.as_secs_f64();
            if let Err(error) = started.call1(py, (ready.port, ready.admin_port, seconds)) {
                error.print(py);
            }
        });
    };
    py.detach(|| server::serve(options, tell)).map_err(|error| raise(&error))
}

/// Structured JSON logs on stderr, at `filter` (`info`, `fairlead=debug`, ...).
#[pyfunction]
fn init_logging(filter: &str) {
    server::init_logging(filter);
}

/// Parses a document as the data plane does and gives it back as canonical JSON.
#[pyfunction]
fn check_document(kind: &str, json: &str) -> PyResult<String> {
    let value = match kind {
        "snapshot" => {
            let snapshot: Snapshot = parse(json)?;
            plan::check(&snapshot).map_err(|error| PyValueError::new_err(error.message))?;
            serde_json::to_value(snapshot)
        }
        "signature" => {
            let signature: Signature = parse(json)?;
            model::Model::new(signature.clone()).map_err(|error| PyValueError::new_err(error.message))?;
            serde_json::to_value(signature)
        }
        "manifest" => serde_json::to_value(parse::<Manifest>(json)?),
        "serve_options" => serde_json::to_value(parse::<ServeOptions>(json)?),
        other => return Err(PyValueError::new_err(format!("no document kind {other}"))),
    };
    // serde_json's map is sorted by key: to_string of a Value is canonical.
    value.map(|value| value.to_string()).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// `[{"code", "http", "grpc"}]` as JSON.
#[pyfunction]
fn error_catalogue() -> String {
    let rows: Vec<_> = CATALOGUE
        .iter()
        .map(|(_, code, http, grpc)| serde_json::json!({"code": code, "http": http, "grpc": grpc}))
        .collect();
    serde_json::Value::Array(rows).to_string()
}

/// `[{"name", "type", "help", "labels"}]` as JSON.
#[pyfunction]
fn metric_catalogue() -> String {
    let rows: Vec<_> = metrics::CATALOGUE
        .iter()
        .map(|spec| serde_json::json!({"name": spec.name, "type": spec.kind, "help": spec.help, "labels": spec.labels}))
        .collect();
    serde_json::Value::Array(rows).to_string()
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CoreError", module.py().get_type::<CoreError>())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(init_logging, module)?)?;
    module.add_function(wrap_pyfunction!(check_document, module)?)?;
    module.add_function(wrap_pyfunction!(error_catalogue, module)?)?;
    module.add_function(wrap_pyfunction!(metric_catalogue, module)?)?;
    Ok(())
}
