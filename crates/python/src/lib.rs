//! `fairlead._core`: the Python binding of the data plane. It converts values and maps errors; it decides nothing.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

use fairlead_dataplane::error::{CATALOGUE, Error};
use fairlead_dataplane::wire::bundle::{Manifest, Signature};
use fairlead_dataplane::wire::check;
use fairlead_dataplane::wire::options::ServeOptions;
use fairlead_dataplane::wire::snapshot::Snapshot;
use fairlead_dataplane::{metrics, serve as server};

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
    py.detach(|| server::serve(&options, tell)).map_err(|error| raise(&error))
}

/// Structured JSON logs on stderr, at `filter` (`info`, `fairlead=debug`, ...).
#[pyfunction]
fn init_logging(filter: &str) {
    server::init_logging(filter);
}

fn checked<T>(json: &str, check: impl Fn(&T) -> check::Verdict) -> PyResult<serde_json::Value>
where
    T: serde::de::DeserializeOwned + serde::Serialize,
{
    let document: T = parse(json)?;
    check(&document).map_err(PyValueError::new_err)?;
    serde_json::to_value(document).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Parses a document as the data plane does and gives it back as canonical JSON.
#[pyfunction]
fn check_document(kind: &str, json: &str) -> PyResult<String> {
    let value = match kind {
        "snapshot" => checked::<Snapshot>(json, check::snapshot),
        "signature" => checked::<Signature>(json, check::signature),
        "manifest" => checked::<Manifest>(json, check::manifest),
        "serve_options" => checked::<ServeOptions>(json, check::serve_options),
        other => return Err(PyValueError::new_err(format!("no document kind {other}"))),
    }?;
    // A serde_json map is sorted by key: the text of a Value is canonical.
    Ok(value.to_string())
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
