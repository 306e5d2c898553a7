"""The errors that the control plane answers with, apart from those of the data plane (`catalogue.py`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ControlErrorSpec:
    code: str
    """Stable machine name."""
    http: int
    when: str
    """When it is answered."""
    hint: str
    """What to do."""


CONTROL_ERRORS: tuple[ControlErrorSpec, ...] = (
    ControlErrorSpec("invalid_request", 422, "a parameter or the body is not what the route takes", "each field is named in `details`"),
    ControlErrorSpec("unauthenticated", 401, "no API key was sent, or none that is valid", "send `Authorization: Bearer KEY`; `fairlead key create` makes one"),
    ControlErrorSpec("forbidden", 403, "the key's role may not do this", "ask for the role that the message names"),
    ControlErrorSpec("unknown_path", 404, "no such path", "GET /api/openapi.json lists the paths"),
    ControlErrorSpec("wrong_method", 405, "the path exists, but not for this method", "see the Allow header"),
    ControlErrorSpec("bundle_unknown", 404, "no bundle of that sha256 is in the registry", "`fairlead registry list` lists them; `push` adds one"),
    ControlErrorSpec("bundle_ambiguous", 409, "several bundles begin with these digits", "give more digits of the sha256"),
    ControlErrorSpec("bundle_refused", 400, "what was pushed is no sound bundle", "`fairlead verify` names what is wrong with it"),
    ControlErrorSpec("bundle_too_large", 413, "the bundle is larger than the control plane takes", "raise the limit, or give bundle storage the files directly"),
    ControlErrorSpec("file_unknown", 404, "the bundle has no such file", "its manifest lists the files"),
    ControlErrorSpec("endpoint_unknown", 404, "no endpoint of that name", "`fairlead endpoint set` makes one"),
    ControlErrorSpec("role_vacant", 404, "the endpoint has no bundle in that role, or had none at that time", "`fairlead registry history` shows who had it when"),
    ControlErrorSpec("move_refused", 409, "the rules of roles forbid this move", "the message says which rule"),
    ControlErrorSpec("signature_incompatible", 409, "the bundle's signature is not the champion's", "`details` lists the differences; a new endpoint takes any signature"),
    ControlErrorSpec("rollout_unknown", 404, "no rollout of that name", "`fairlead rollout list` lists them"),
    ControlErrorSpec("rollout_active", 409, "a rollout is active on the endpoint, and what was asked would come between", "wait for its end, or `fairlead rollout abort NAME`"),
    ControlErrorSpec("rollout_refused", 409, "the rollout's document does not fit the endpoint, or its state forbids the step", "the message says why"),
    ControlErrorSpec("rollout_moved", 409, "somebody else changed the rollout at the same moment", "look at it again, and repeat what is still wanted"),
    ControlErrorSpec("outcome_refused", 422, "an outcome's label is none of the endpoint's, or its time lies in the future", "each is named in `details`; nothing of the batch was kept"),
    ControlErrorSpec("name_taken", 409, "the name is in use, or was", "choose another name"),
    ControlErrorSpec("key_unknown", 404, "no API key of that name", "`fairlead key list` lists them"),
    ControlErrorSpec("webhook_unknown", 404, "no webhook of that number", "GET /api/v1/webhooks lists them"),
    ControlErrorSpec("database_unavailable", 503, "the state database does not answer", "retry after the time in Retry-After; the control plane recovers by itself"),
    ControlErrorSpec("storage_unavailable", 503, "bundle storage does not answer", "retry after the time in Retry-After"),
    ControlErrorSpec("control_fault", 500, "a fault of the control plane", "please report it with its log"),
)
