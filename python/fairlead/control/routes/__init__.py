"""The routes under /api/v1, one module for each subject; each is an adapter, and decides nothing."""

from fairlead.control.routes import (
    bundles,
    decisions,
    endpoints,
    health,
    keys,
    outcomes,
    replicas,
    roles,
    rollouts,
    snapshot,
    telemetry,
    webhooks,
)

ROUTERS = (
    health.router,
    bundles.router,
    endpoints.router,
    roles.router,
    outcomes.router,
    rollouts.router,
    snapshot.router,
    telemetry.router,
    replicas.router,
    decisions.router,
    keys.router,
    webhooks.router,
)
