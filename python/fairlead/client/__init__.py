"""Call an endpoint, or the control plane. Light: httpx and numpy only."""

from fairlead.client.answers import Inference, Prediction, Predictions
from fairlead.client.client import Client
from fairlead.client.control import ControlClient

__all__ = ["Client", "ControlClient", "Inference", "Prediction", "Predictions"]
