"""One error shape everywhere: on HTTP, in frames, in the log, and in three languages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from .contract import CATALOG
from .contract.types import ErrorCode, ErrorObject

#: number in gRPC, HTTP status and default retryability of each code.
ERROR_CODES: Mapping[str, Mapping[str, Any]] = CATALOG["error_codes"]


class ParleyError(Exception):
    """The one exception of Parley.

    ``code`` is one of the sixteen codes of gRPC; what is special to a case stands in ``details``.

    >>> ParleyError("resource_exhausted", "agent support is at its limit", retry_after_ms=2000).retryable
    True
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after_ms: float | None = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.retryable: bool = ERROR_CODES[code]["retryable"] if retryable is None else retryable
        #: Milliseconds to wait before another try.
        self.retry_after_ms = retry_after_ms
        self.details: dict[str, Any] | None = None if details is None else dict(details)
        self.request_id = request_id

    @property
    def http_status(self) -> int:
        return int(ERROR_CODES[self.code]["http"])

    @property
    def close_code(self) -> int:
        """WebSocket close code: ``4000 + n`` when retryable, ``4500 + n`` when not."""
        return close_code_of(self.code, self.retryable)

    def to_object(self) -> ErrorObject:
        """The inner object of the wire shape, as it stands in frames and in the log."""
        error: ErrorObject = {"code": self.code, "message": self.message, "retryable": self.retryable}
        if self.retry_after_ms is not None:
            error["retry_after_ms"] = self.retry_after_ms
        if self.details is not None:
            error["details"] = self.details
        if self.request_id is not None:
            error["request_id"] = self.request_id
        return error

    @staticmethod
    def of(value: object, fallback: ErrorCode = "unknown") -> ParleyError:
        """Makes a ParleyError of anything.

        A ParleyError is returned as it is, an error body or error object is read, a cancelled task becomes
        ``cancelled``, a timeout ``deadline_exceeded``, and the rest the fallback code.
        """
        if isinstance(value, ParleyError):
            return value
        read = _error_object_in(value)
        if read is not None:
            return read
        if isinstance(value, BaseException):
            code = fallback
            if isinstance(value, asyncio.CancelledError):
                code = "cancelled"
            elif isinstance(value, (TimeoutError, asyncio.TimeoutError)):
                code = "deadline_exceeded"
            error = ParleyError(code, str(value) or type(value).__name__)
            error.__cause__ = value
            return error
        return ParleyError(fallback, value if isinstance(value, str) else "unknown error")


def close_code_of(code: str, retryable: bool | None = None) -> int:
    """Close code of a WebSocket that ends with this error."""
    row = ERROR_CODES[code]
    again = row["retryable"] if retryable is None else retryable
    return int(row["close_retryable"] if again else row["close_fatal"])


def error_code_of_close(close_code: int) -> tuple[ErrorCode, bool] | None:
    """The code and retryability that a WebSocket close code tells; None when it is not one of ours."""
    for code, row in ERROR_CODES.items():
        if close_code in (row["close_retryable"], row["close_fatal"]):
            return cast(ErrorCode, code), close_code == row["close_retryable"]
    return None


def _error_object_in(value: object) -> ParleyError | None:
    inner = value["error"] if isinstance(value, dict) and "error" in value else value
    if not isinstance(inner, dict):
        return None
    code, message = inner.get("code"), inner.get("message")
    if not isinstance(code, str) or code not in ERROR_CODES or not isinstance(message, str):
        return None
    retryable, wait = inner.get("retryable"), inner.get("retry_after_ms")
    details, request_id = inner.get("details"), inner.get("request_id")
    timed = isinstance(wait, (int, float)) and not isinstance(wait, bool) and wait >= 0
    return ParleyError(
        cast(ErrorCode, code),
        message,
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after_ms=wait if timed else None,
        details=details if isinstance(details, dict) else None,
        request_id=request_id if isinstance(request_id, str) else None,
    )
