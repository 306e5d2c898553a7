//! What the server says of itself: protocol metadata, the `OpenAPI` document, the page that shows it.

use serde_json::{Map, Value, json};

use crate::model::Model;
use crate::plan::{Endpoint, Plan, Variant};
use crate::tensor::Data;
use crate::wire::bundle::{FeatureSpec, FeatureType, TensorSpec};

use super::scoring;

/// The browsable page; reads `/openapi.json`, loads nothing from elsewhere.
pub(super) const PAGE: &str = include_str!("docs.html");

pub(super) fn server_metadata() -> Value {
    json!({"name": "fairlead", "version": env!("CARGO_PKG_VERSION"), "extensions": []})
}

fn tensors(specs: &[TensorSpec]) -> Value {
    specs.iter().map(|spec| json!({"name": spec.name, "datatype": spec.datatype, "shape": spec.shape})).collect()
}

pub(super) fn model_metadata(endpoint: &Endpoint, variant: &Variant) -> Value {
    let versions: Vec<&str> = endpoint.variants.iter().map(|variant| &*variant.core.version).collect();
    let core = &variant.core;
    // The protocol has text here, and nothing else.
    let mut properties = json!({"bundle": &*core.sha256, "version": &*core.version, "variant": core.role});
    if let Some(threshold) = core.model.threshold() {
        properties["threshold"] = threshold.to_string().into();
    }
    json!({
        "name": &*core.endpoint,
        "versions": versions,
        "platform": variant.platform(),
        "inputs": tensors(&core.model.signature.inputs),
        "outputs": tensors(&core.model.signature.outputs),
        "properties": properties,
    })
}

pub(super) fn endpoints(plan: &Plan) -> Value {
    let mut all: Vec<&Endpoint> = plan.endpoints.values().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let describe = |endpoint: &&Endpoint| {
        let variants: Vec<Value> = endpoint.variants.iter().map(|variant| variant.describe()).collect();
        let features = &endpoint.variants[endpoint.champion].core.model.signature.features;
        json!({"name": &*endpoint.name, "variants": variants, "features": features})
    };
    json!({"endpoints": all.iter().map(describe).collect::<Vec<Value>>()})
}

fn feature_schema(feature: &FeatureSpec) -> Value {
    let name = match feature.kind {
        FeatureType::Float => "number",
        FeatureType::Integer => "integer",
        FeatureType::Boolean => "boolean",
        FeatureType::String => "string",
    };
    let mut schema = Map::new();
    schema.insert("type".into(), if feature.nullable { json!([name, "null"]) } else { json!(name) });
    if let Some(low) = feature.minimum {
        schema.insert("minimum".into(), json!(low));
    }
    if let Some(high) = feature.maximum {
        schema.insert("maximum".into(), json!(high));
    }
    if let Some(categories) = &feature.categories {
        let mut values: Vec<Value> = categories.iter().map(|category| json!(category)).collect();
        values.extend(feature.nullable.then_some(Value::Null));
        schema.insert("enum".into(), Value::Array(values));
    }
    if let Some(example) = &feature.impute {
        schema.insert("example".into(), json!(example));
    }
    Value::Object(schema)
}

fn operation(summary: &str, tag: &str) -> Value {
    json!({"summary": summary, "tags": [tag], "responses": {
        "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}},
        "default": error("Error")}})
}

/// An error of this schema, and when to come again where that is known.
fn error(schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    json!({"description": "Error", "content": {"application/json": {"schema": {"$ref": reference}}},
        "headers": {"Retry-After": {"description": "Seconds, where coming again may help", "schema": {"type": "integer"}}}})
}

/// A prediction's operation: a JSON body, and the headers that every protocol takes.
fn prediction(summary: &str, tag: &str, schema: &Value) -> Value {
    let mut operation = operation(summary, tag);
    operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    operation["parameters"] = ["Unit", "Variant", "Timeout"].map(parameter).into();
    operation
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn parameters() -> Value {
    json!({
        "Unit": {"name": "Fairlead-Unit", "in": "header", "schema": {"type": "string"},
            "description": "The unit (card, customer) of rows that name none"},
        "Variant": {"name": "Fairlead-Variant", "in": "header", "schema": {"type": "string"},
            "description": "During a rollout that lets testers choose: champion, challenger, shadow or a version"},
        "Timeout": {"name": "Fairlead-Timeout-Ms", "in": "header", "schema": {"type": "integer", "minimum": 0},
            "description": "Longest time for the answer; 0: as the endpoint says"},
        "Predictions": {"name": "predictions", "in": "query", "schema": {"enum": ["decision", "score", "full"]},
            "description": "What is given for each row; `params.predictions` goes before it"},
    })
}

/// `/invocations`: `MLflow`'s forms of rows, its answer and its words for an error.
fn invocations(tag: &str, features: &[FeatureSpec]) -> Value {
    let records = json!({"type": "array", "minItems": 1, "items": record_schema(features)});
    let rows = json!({"type": "array", "minItems": 1});
    let columns = json!({"type": "object", "additionalProperties": {"type": "array"}});
    let split = json!({"type": "object", "required": ["data"], "additionalProperties": false, "properties": {
        "columns": {"type": "array"}, "index": {"type": "array"}, "data": {"type": "array", "items": {"type": "array"}}}});
    let params = json!({"type": ["object", "null"], "additionalProperties": false, "properties": {
        "predictions": {"enum": ["decision", "score", "full"]},
        "id": {"type": "string"}, "unit": {"type": "string"}, "timeout_ms": {"type": "number"}}});
    let forms = ["dataframe_split", "dataframe_records", "instances", "inputs"];
    let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
    let row: Vec<Value> = features.iter().map(plausible).collect();
    let schema = json!({"type": "object", "example": {"dataframe_split": {"columns": names, "data": [row]}}, "properties": {
            "dataframe_split": split, "dataframe_records": records, "instances": rows,
            "inputs": {"anyOf": [rows, columns]}, "params": params},
        "oneOf": forms.map(|form| json!({"required": [form]}))});
    let header = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    let mut operation = prediction("Score (MLflow)", tag, &schema);
    operation["requestBody"]["content"]["text/csv"] = json!({"schema": {"type": "string"}});
    operation["parameters"] = ["Unit", "Variant", "Timeout", "Predictions"].map(parameter).into();
    operation["responses"] = json!({
        "200": {"description": "OK", "headers": {
                "Fairlead-Prediction-Id": header("Prediction id of the first row"),
                "Fairlead-Variant": header("Who answered: a role, or several in the order of their first rows"),
                "Fairlead-Version": header("The version of each of them")},
            "content": {"application/json": {"schema": {
                "type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array"}}}}}},
        "default": error("ScoringError")});
    operation
}

/// A value that the feature can have.
fn plausible(feature: &FeatureSpec) -> Value {
    let category = feature.categories.as_ref().and_then(|all| all.first());
    match (&feature.impute, category, feature.kind) {
        (Some(value), ..) => json!(value),
        (None, Some(category), _) => json!(category),
        (None, None, FeatureType::Boolean) => json!(false),
        (None, None, FeatureType::String) => json!(""),
        (None, None, _) => json!(feature.minimum.or(feature.maximum.map(|high| high.min(0.0))).unwrap_or(0.0)),
    }
}

fn record_schema(features: &[FeatureSpec]) -> Value {
    let properties: Map<String, Value> = features.iter().map(|f| (f.name.clone(), feature_schema(f))).collect();
    let required: Vec<&str> = features.iter().filter(|f| !f.nullable).map(|f| f.name.as_str()).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn records_schema(features: &[FeatureSpec]) -> Value {
    json!({"type": "object", "required": ["records"], "additionalProperties": false, "properties": {
        "records": {"type": "array", "minItems": 1, "items": record_schema(features)},
        "id": {"type": "string"}, "unit": {"type": "string"}, "timeout_ms": {"type": "number"}}})
}

/// The elements of a tensor as the protocol's JSON has them, flat; NaN is null.
fn elements(data: &Data) -> Value {
    match data {
        Data::Bytes(v) => v.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect(),
        Data::Bool(v) => json!(v),
        Data::Uint8(v) => json!(v),
        Data::Uint16(v) => json!(v),
        Data::Uint32(v) => json!(v),
        Data::Uint64(v) => json!(v),
        Data::Int8(v) => json!(v),
        Data::Int16(v) => json!(v),
        Data::Int32(v) => json!(v),
        Data::Int64(v) => json!(v),
        Data::Fp32(v) => json!(v),
        Data::Fp64(v) => json!(v),
    }
}

fn infer_schema(model: &Model) -> Value {
    let inputs = &model.signature.inputs;
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let example: Vec<Value> = inputs
        .iter()
        .zip(model.sample_inputs(1))
        .map(|(input, tensor)| {
            json!({"name": input.name, "datatype": input.datatype, "shape": tensor.dims, "data": elements(&tensor.data)})
        })
        .collect();
    json!({"type": "object", "required": ["inputs"], "example": {"inputs": example}, "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "minItems": inputs.len(), "items": {"type": "object",
            "required": ["name", "shape", "datatype", "data"], "properties": {
                "name": {"enum": names}, "datatype": {"type": "string"},
                "shape": {"type": "array", "items": {"type": "integer"}}, "data": {"type": "array"}}}},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}}}})
}

/// The `OpenAPI` 3.1 document, with the records of every endpoint typed after its signature.
pub(super) fn openapi(plan: &Plan) -> Value {
    let mut paths = Map::new();
    for (path, summary) in [
        ("/v2", "Server metadata"),
        ("/v2/health/live", "Liveness"),
        ("/v2/health/ready", "Readiness"),
        ("/v1/endpoints", "Endpoints and their signatures"),
        ("/ping", "Readiness (MLflow)"),
        ("/health", "Readiness (MLflow)"),
        ("/version", "The server's version (MLflow)"),
    ] {
        paths.insert(path.into(), json!({"get": operation(summary, "server")}));
    }
    let mut metrics = operation("Prometheus metrics", "server");
    metrics["responses"]["200"]["content"] = json!({"application/openmetrics-text": {"schema": {"type": "string"}}});
    paths.insert("/metrics".into(), json!({"get": metrics}));
    let mut all: Vec<&Endpoint> = plan.endpoints.values().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for endpoint in all {
        describe(&mut paths, endpoint);
    }
    if let Ok(name) = scoring::chosen(plan, None)
        && let Ok(endpoint) = plan.endpoint(name)
    {
        let features = &endpoint.variants[endpoint.champion].core.model.signature.features;
        if !features.is_empty() {
            paths.insert("/invocations".into(), json!({"post": invocations(name, features)}));
        }
    }
    json!({"openapi": "3.1.0", "info": {"title": "Fairlead", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths, "components": {"schemas": errors(), "parameters": parameters()}})
}

/// The paths of one endpoint.
fn describe(paths: &mut Map<String, Value>, endpoint: &Endpoint) {
    let name = &endpoint.name;
    let model = &endpoint.variants[endpoint.champion].core.model;
    let features = &model.signature.features;
    if !features.is_empty() {
        let predict = prediction("Predict named records", name, &records_schema(features));
        paths.insert(format!("/v1/endpoints/{name}:predict"), json!({"post": predict}));
        paths.insert(format!("/v1/endpoints/{name}/invocations"), json!({"post": invocations(name, features)}));
    }
    let infer = prediction("Infer (Open Inference Protocol)", name, &infer_schema(model));
    paths.insert(format!("/v2/models/{name}/infer"), json!({"post": infer}));
    paths.insert(format!("/v2/models/{name}"), json!({"get": operation("Model metadata", name)}));
    paths.insert(format!("/v2/models/{name}/ready"), json!({"get": operation("Model readiness", name)}));
}

fn errors() -> Value {
    let detail = json!({"type": "object", "properties": {"row": {"type": "integer"}, "field": {"type": "string"},
        "expected": {"type": "string"}, "got": {"type": "string"}}});
    let details = json!({"type": "array", "items": detail});
    json!({
        "Error": {"type": "object", "required": ["error", "code"], "properties": {
            "error": {"type": "string"}, "code": {"type": "string"}, "details": details}},
        "ScoringError": {"type": "object", "required": ["error_code", "message", "code"], "properties": {
            "error_code": {"type": "string"}, "message": {"type": "string"}, "code": {"type": "string"}, "details": details}},
    })
}
