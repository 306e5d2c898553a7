"""The error catalogue: every error a caller can meet. The data plane's own list must equal it as a set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    code: str
    """Stable machine name."""
    http: int
    grpc: str
    """Canonical gRPC status name."""
    when: str
    """When it is answered."""
    hint: str
    """What to do."""


ERRORS: tuple[ErrorSpec, ...] = (
    ErrorSpec("malformed_request", 400, "INVALID_ARGUMENT", "the body is not the JSON that the route takes", "see the position in the message; NaN and Infinity are not JSON"),
    ErrorSpec("unknown_input", 400, "INVALID_ARGUMENT", "the request names an input that the model does not have", "GET /v2/models/NAME lists the inputs"),
    ErrorSpec("missing_input", 400, "INVALID_ARGUMENT", "an input of the model is not in the request", "GET /v2/models/NAME lists the inputs"),
    ErrorSpec("unknown_output", 400, "INVALID_ARGUMENT", "the request asks for an output that the model does not have", "GET /v2/models/NAME lists the outputs"),
    ErrorSpec("wrong_datatype", 400, "INVALID_ARGUMENT", "an input's datatype is not the signature's", "send the datatype that the model's metadata names"),
    ErrorSpec("wrong_shape", 400, "INVALID_ARGUMENT", "an input's shape is not the signature's, or does not fit its data", "the first dimension is the number of rows"),
    ErrorSpec("value_out_of_range", 400, "INVALID_ARGUMENT", "a number cannot be held by the input's datatype", "send a wider datatype if the model takes it"),
    ErrorSpec("unsupported", 501, "UNIMPLEMENTED", "a protocol extension that this server does not have", "GET /v2 lists the extensions"),
    ErrorSpec("validation_failed", 422, "INVALID_ARGUMENT", "rows break the signature and the endpoint's validation is `reject`", "each field is named in `details`"),
    ErrorSpec("too_many_rows", 413, "INVALID_ARGUMENT", "more rows than the server takes in one request", "split the request"),
    ErrorSpec("body_too_large", 413, "INVALID_ARGUMENT", "the body is larger than the server's limit", "split the request"),
    ErrorSpec("request_timeout", 408, "DEADLINE_EXCEEDED", "the body did not arrive in time", "send it faster, or raise the server's limit"),
    ErrorSpec("unknown_endpoint", 404, "NOT_FOUND", "no endpoint of that name", "GET /v1/endpoints lists them"),
    ErrorSpec("unknown_version", 404, "NOT_FOUND", "the endpoint has no such version", "GET /v2/models/NAME lists the versions"),
    ErrorSpec("unknown_route", 404, "NOT_FOUND", "no such path", "GET /openapi.json lists the paths"),
    ErrorSpec("method_not_allowed", 405, "UNIMPLEMENTED", "the path exists, but not for this method", "see the Allow header"),
    ErrorSpec("unsupported_media_type", 415, "INVALID_ARGUMENT", "the body's content type or encoding is not understood", "send application/json, or text/csv to /invocations, not compressed"),
    ErrorSpec("queue_full", 429, "RESOURCE_EXHAUSTED", "the endpoint's queue is full", "retry after the time in Retry-After, or add replicas"),
    ErrorSpec("not_ready", 503, "UNAVAILABLE", "the endpoint's model cannot answer now", "GET /v2/models/NAME/ready tells when it can"),
    ErrorSpec("draining", 503, "UNAVAILABLE", "the server is shutting down", "retry; another replica answers"),
    ErrorSpec("log_unavailable", 503, "UNAVAILABLE", "the prediction log cannot be written and the endpoint promises that it is", "free disk space; the endpoint recovers by itself"),
    ErrorSpec("log_backlog", 503, "UNAVAILABLE", "rows arrive faster than the log's disk takes them", "retry after the time in Retry-After"),
    ErrorSpec("deadline_exceeded", 504, "DEADLINE_EXCEEDED", "the answer was not ready in time", "ask for a longer deadline, or add replicas"),
    ErrorSpec("model_failed", 500, "INTERNAL", "the model raised an error on this batch", "the message has the model's own words"),
    ErrorSpec("worker_died", 500, "INTERNAL", "the worker process ended while it held this batch", "the request may be sent again; the worker is restarted"),
    ErrorSpec("worker_timeout", 504, "DEADLINE_EXCEEDED", "the model took longer than its engine's timeout; its worker was killed", "raise engine.timeout_ms or send fewer rows"),
    ErrorSpec("snapshot_invalid", 400, "INVALID_ARGUMENT", "a snapshot does not hold together; the last good one stays", "the message names the field"),
    ErrorSpec("snapshot_stale", 409, "FAILED_PRECONDITION", "a snapshot's generation is not newer than the one in force", "raise `generation`"),
    ErrorSpec("bundle_missing", 400, "NOT_FOUND", "a bundle that is referred to is not there", "check the path"),
    ErrorSpec("bundle_corrupt", 400, "DATA_LOSS", "a bundle's file is not what its manifest says", "`fairlead verify` names the file; fetch the bundle again"),
    ErrorSpec("bundle_untrusted", 403, "PERMISSION_DENIED", "loading the bundle would unpickle, and that was not allowed", "serve with --trust-pickle if you made the bundle"),
    ErrorSpec("model_invalid", 400, "INVALID_ARGUMENT", "the model file cannot be loaded, or does not fit the signature", "pack the model again"),
    ErrorSpec("internal", 500, "INTERNAL", "a fault of the server", "please report it with the server's log"),
)
