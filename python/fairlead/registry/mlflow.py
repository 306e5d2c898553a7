"""An MLflow model registry, as much of it as the mirror needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from fairlead.errors import BadInputError
from fairlead.schema.registry import BundleRecord, RegistryRole

SHA256_TAG = "fairlead.sha256"
RUN_TAG = "mlflow.run_id"
"""A bundle's tag that names the MLflow run it comes from."""
MIRRORED = (RegistryRole.CHAMPION, RegistryRole.CHALLENGER)


class Remote(Protocol):
    """What the mirror asks of the other side."""

    def ensure_model(self, name: str) -> dict[str, str]:
        """Make the registered model if it is not there, and return its aliases: version by alias."""
        ...

    def versions(self, name: str) -> dict[str, str]:
        """Return the versions that are bundles of ours: version by sha256."""
        ...

    def add_version(self, record: BundleRecord, source: str) -> str:
        """Register a bundle as a new version and return its number."""
        ...

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it."""
        ...


def alias_of(endpoint: str, model: str, role: RegistryRole) -> str:
    """Return the alias for a role: the role itself, behind the endpoint where that is not called like the model.

    MLflow takes letters, digits, `_` and `-` only.
    """
    if endpoint == model:
        return role.value
    return f"{endpoint.replace('.', '_')}-{role.value}"


class MlflowServer:
    """`Remote` over MLflow's own client."""

    def __init__(self, uri: str) -> None:
        """Take the tracking server's address. Raises `BadInputError` where the client is not installed."""
        # A server that is away must not hold the mirror for MLflow's default of several minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError:
            raise BadInputError(
                "MLFLOW_TRACKING_URI is set, but mlflow is not installed", hint="pip install 'fairlead[mlflow]'"
            ) from None
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def ensure_model(self, name: str) -> dict[str, str]:
        """Make the registered model if it is not there, and return its aliases."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            found = self._client.create_registered_model(name, tags={"fairlead": "mirrored"})
        return {alias: str(version) for alias, version in found.aliases.items()}

    def versions(self, name: str) -> dict[str, str]:
        """Return version by sha256."""
        found: dict[str, str] = {}
        token = None
        while True:
            page = self._client.search_model_versions(f"name='{name}'", max_results=1_000, page_token=token)
            found |= {one.tags[SHA256_TAG]: str(one.version) for one in page if SHA256_TAG in one.tags}
            token = page.token
            if not token:
                return found

    def add_version(self, record: BundleRecord, source: str) -> str:
        """Register a bundle as a new version."""
        made = self._client.create_model_version(
            record.name, source, run_id=record.tags.get(RUN_TAG), tags=dict(_tags(record))
        )
        return str(made.version)

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it."""
        if version is None:
            self._client.delete_registered_model_alias(name, alias)
        else:
            self._client.set_registered_model_alias(name, alias, version)


def _tags(record: BundleRecord) -> Mapping[str, str]:
    return {
        SHA256_TAG: record.sha256,
        "fairlead.version": str(record.version),
        "fairlead.engine": record.engine,
        "fairlead.pushed_by": record.pushed_by,
    }
