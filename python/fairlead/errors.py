"""Every exception that Fairlead raises on purpose.

    FairleadError
    ├── BadInputError      what the user gave is wrong: a flag, a file, a column
    ├── BundleError        a bundle cannot be made, or is not what its manifest says
    ├── ConversionError    a model cannot be expressed as ONNX
    ├── LogError           the prediction log cannot be read, or a query on it failed
    ├── EndpointError      an endpoint answered with an error, or did not answer
    ├── StoreError         the state database or bundle storage cannot be used
    └── ControlError       the control plane refuses what was asked of it

The errors that an *endpoint* answers with have codes of their own: `fairlead.schema.catalogue`; those of the control
plane are in `fairlead.schema.control_catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class FairleadError(Exception):
    """Base of all. `message` says what is wrong and where; `hint`, if any, what to do about it."""

    exit_code: ClassVar[int] = 1
    """What the command line exits with."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInputError(FairleadError):
    """Raised when what the user gave (a flag, a file, a column, a document) is wrong."""

    exit_code = 2


class BundleError(FairleadError):
    """Raised when a bundle cannot be made, opened or verified."""


class ConversionError(FairleadError):
    """Raised when a model cannot be converted to ONNX."""


class LogError(FairleadError):
    """Raised when the prediction log cannot be read, or a query on it is refused or fails."""


class EndpointError(FairleadError):
    """Raised when an endpoint answers with an error, or cannot be reached.

    `status` is the HTTP status, or None where no answer came. `code` is the code of the error catalogue, or
    `unreachable`, `timeout` and `bad_answer` for what the client itself saw. `details` has one mapping
    (`row`, `field`, `expected`, `got`) for each value that is wrong. `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | None = None,
        details: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.details = tuple(details)
        self.retry_after = retry_after


class StoreError(FairleadError):
    """Raised when the state database or bundle storage cannot be used.

    `code` is `database_unavailable` or `storage_unavailable` where waiting may help, else None.
    """

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ControlError(FairleadError):
    """Raised when the control plane refuses what was asked of it, or cannot be reached.

    `code` is a code of `fairlead.schema.control_catalogue`, or `unreachable` where no control plane answered.
    `details` has one mapping for each thing that is wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str | None = None,
        details: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.details = tuple(details)
        self.retry_after = retry_after
