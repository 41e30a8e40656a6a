"""The provider's errors in our codes. Messages are kept short and never hold what a client may not see."""

from __future__ import annotations

import re
from collections.abc import Callable

from parley.contract.types import ErrorCode, ErrorObject
from parley.errors import ERROR_CODES, close_code_of
from parley.frames import FrameClose

from .wire import Wire, number_in, text_in

BOUNDARY = "parley -> provider"
_MESSAGE_CHARS_MAX = 300

_CODE_OF: dict[str, ErrorCode] = {
    "invalid_api_key": "unauthenticated",
    "account_deactivated": "permission_denied",
    "insufficient_quota": "resource_exhausted",
    "billing_hard_limit_reached": "resource_exhausted",
    "credit_balance_exhausted": "resource_exhausted",
    "rate_limit_exceeded": "resource_exhausted",
    "session_expired": "deadline_exceeded",
    "conversation_already_has_active_response": "failed_precondition",
    "response_cancel_not_active": "failed_precondition",
    "input_audio_buffer_commit_empty": "failed_precondition",
    "item_retrieve_invalid_item_id": "not_found",
    "model_not_found": "invalid_argument",
    "rate_limit_error": "resource_exhausted",
    "authentication_error": "unauthenticated",
    "billing_error": "resource_exhausted",
    "permission_error": "permission_denied",
    "invalid_request_error": "invalid_argument",
    "server_error": "unavailable",
}
#: Codes that stay true however often one tries.
_LASTING = {"insufficient_quota", "billing_hard_limit_reached", "credit_balance_exhausted", "billing_error"}
#: A refused key, a retired protocol, the provider's own decision, a frame of ours that it does not take.
_FOR_GOOD = {1000, 1002, 1003, 1007, 1008, 1009, 3000, 4000}
_SECRETS = re.compile(r"\b(?:sk|ek|pk)[-_][\w*-]{4,}")

#: Takes secrets out of a provider's words.
Redact = Callable[[str], str]


def redactor(key: str | None, instructions: str | None) -> Redact:
    """For the key and the instructions of one connection; providers quote both."""
    opening = (instructions or "")[:24]

    def redact(text: str) -> str:
        clean = text.replace(key, "…") if key is not None and len(key) >= 6 else text
        clean = _SECRETS.sub("…", clean)
        quoted = clean.find(opening) if len(opening) >= 8 else -1
        if quoted >= 0:
            clean = f"{clean[:quoted]}…"
        return f"{clean[:_MESSAGE_CHARS_MAX]}…" if len(clean) > _MESSAGE_CHARS_MAX else clean

    return redact


def provider_error(error: Wire, redact: Redact) -> ErrorObject:
    """The ``error`` object of an error event or of a failed response."""
    kind = text_in(error, "type") or ""
    provider_code = text_in(error, "code") or kind or "unknown"
    code = _CODE_OF.get(provider_code) or _CODE_OF.get(kind) or "unknown"
    lasting = provider_code in _LASTING or kind in _LASTING
    details: dict[str, object] = {"boundary": BOUNDARY, "provider_code": provider_code}
    if text_in(error, "param") is not None:
        details["param"] = error["param"]
    told: ErrorObject = {
        "code": code,
        "message": redact(text_in(error, "message") or f"the provider failed with {provider_code}"),
        "retryable": ERROR_CODES[code]["retryable"] and not lasting,
        "details": details,
    }
    wait = number_in(error, "retry_after_ms")
    if wait is not None:
        told["retry_after_ms"] = wait
    return told


def is_recoverable(close: FrameClose, error: ErrorObject | None) -> bool:
    """Whether connecting again can help after the provider ended a connection so."""
    if close.code in _FOR_GOOD:
        return False
    # A session that came to its hour may be followed by another one.
    if close.code == 1001:
        return True
    return close.code != close_code_of("resource_exhausted", False) if error is None else error["retryable"]


def close_error(close: FrameClose, last: ErrorObject | None, redact: Redact) -> ErrorObject:
    """Why a connection ended, from its close code and whatever error the provider sent before."""
    if last is not None:
        return last
    code: ErrorCode = {3000: "unauthenticated", 4000: "failed_precondition"}.get(close.code, "unavailable")  # type: ignore[assignment]
    if close.code == close_code_of("resource_exhausted"):
        code = "resource_exhausted"
    why = f": {redact(close.reason)}" if close.reason else ""
    return {
        "code": code,
        "message": f"the provider ended the connection with {close.code}{why}",
        "retryable": is_recoverable(close, None),
        "details": {"boundary": BOUNDARY, "close_code": close.code},
    }
