"""Call an endpoint. Light: httpx and numpy only."""

from fairlead.client.answers import Inference, Prediction, Predictions
from fairlead.client.client import Client

__all__ = ["Client", "Inference", "Prediction", "Predictions"]
