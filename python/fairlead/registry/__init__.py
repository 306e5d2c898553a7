"""Versions, roles and tags of bundles: who may move what, and what follows from it."""

from fairlead.registry.assign import assign, put_endpoint, set_tag
from fairlead.registry.compare import compare, differences, incompatibilities
from fairlead.registry.desired import Publisher
from fairlead.registry.lookup import champion_at, endpoint_record, resolve, view
from fairlead.registry.push import push
from fairlead.registry.rules import Actor

__all__ = [
    "Actor",
    "Publisher",
    "assign",
    "champion_at",
    "compare",
    "differences",
    "endpoint_record",
    "incompatibilities",
    "push",
    "put_endpoint",
    "resolve",
    "set_tag",
    "view",
]
