//! What the server says of itself: protocol metadata, the `OpenAPI` document, the page that shows it.

use serde_json::{Map, Value, json};

use crate::model::Model;
use crate::plan::{Endpoint, Plan, Variant};
use crate::tensor::Data;
use crate::wire::bundle::{FeatureSpec, FeatureType, TensorSpec};

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
    json!({
        "name": &*core.endpoint,
        "versions": versions,
        "platform": variant.platform(),
        "inputs": tensors(&core.model.signature.inputs),
        "outputs": tensors(&core.model.signature.outputs),
        "properties": {"bundle": &*core.sha256, "version": &*core.version, "variant": core.role},
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

fn operation(summary: &str, tag: &str, request: Option<Value>) -> Value {
    let error = json!({"description": "Error", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let mut operation = json!({"summary": summary, "tags": [tag], "responses": {
        "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}, "default": error}});
    if let Some(schema) = request {
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    operation
}

fn records_schema(features: &[FeatureSpec]) -> Value {
    let properties: Map<String, Value> = features.iter().map(|f| (f.name.clone(), feature_schema(f))).collect();
    let required: Vec<&str> = features.iter().filter(|f| !f.nullable).map(|f| f.name.as_str()).collect();
    json!({"type": "object", "required": ["records"], "additionalProperties": false, "properties": {
        "records": {"type": "array", "minItems": 1, "items": {"type": "object", "required": required, "properties": properties}},
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
    ] {
        paths.insert(path.into(), json!({"get": operation(summary, "server", None)}));
    }
    let mut metrics = operation("Prometheus metrics", "server", None);
    metrics["responses"]["200"]["content"] = json!({"application/openmetrics-text": {"schema": {"type": "string"}}});
    paths.insert("/metrics".into(), json!({"get": metrics}));
    let mut all: Vec<&Endpoint> = plan.endpoints.values().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for endpoint in all {
        let name = &endpoint.name;
        let model = &endpoint.variants[endpoint.champion].core.model;
        let signature = &model.signature;
        if !signature.features.is_empty() {
            let predict = operation("Predict named records", name, Some(records_schema(&signature.features)));
            paths.insert(format!("/v1/endpoints/{name}:predict"), json!({"post": predict}));
        }
        let infer = operation("Infer (Open Inference Protocol)", name, Some(infer_schema(model)));
        paths.insert(format!("/v2/models/{name}/infer"), json!({"post": infer}));
        paths.insert(format!("/v2/models/{name}"), json!({"get": operation("Model metadata", name, None)}));
        paths.insert(format!("/v2/models/{name}/ready"), json!({"get": operation("Model readiness", name, None)}));
    }
    let detail = json!({"type": "object", "properties": {"row": {"type": "integer"}, "field": {"type": "string"},
        "expected": {"type": "string"}, "got": {"type": "string"}}});
    let error = json!({"type": "object", "required": ["error", "code"], "properties": {
        "error": {"type": "string"}, "code": {"type": "string"}, "details": {"type": "array", "items": detail}}});
    json!({"openapi": "3.1.0", "info": {"title": "Fairlead", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths, "components": {"schemas": {"Error": error}}})
}
