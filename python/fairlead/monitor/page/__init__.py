"""A comparison as one HTML page that needs nothing else: no script, no network, light and dark."""

from fairlead.monitor.page.document import page_of

__all__ = ["page_of"]
