"""A stream of card payments with fraud, late labels and, if asked for, a Black Friday.

The world is drawn in steps, each in its own module: who pays and where (`population`), what an ordinary payment looks
like (`behaviour`, `choice`, `arrivals`), what the event changes (`event`), what thieves do (`fraud`), when the truth
becomes known (`labels`), and the finished columns (`stream`).
"""

from fairlead.scenarios.payments.catalogue import CATEGORIES, FRAUD_KINDS
from fairlead.scenarios.payments.config import PaymentsScenario
from fairlead.scenarios.payments.stream import Stream, generate

__all__ = ["CATEGORIES", "FRAUD_KINDS", "PaymentsScenario", "Stream", "generate"]
