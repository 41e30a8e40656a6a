"""What can be set about a running agent, with its defaults. Everything that grows has its bound here."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from urllib.parse import urlsplit, urlunsplit

from .contract import TIMES
from .errors import ParleyError

_LINK_PATH = "/api/v1/agent-link"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True)
class AgentOptions:
    """Options of an agent; times in milliseconds."""

    #: Control plane: ``ws://``, ``wss://``, ``http://`` or ``https://``. Default ``PARLEY_URL``, else
    #: ``ws://127.0.0.1:7700``.
    url: str | None = None
    #: Key for the control plane; sent in a header only. Default ``PARLEY_KEY``; none is needed on loopback.
    key: str | None = None
    #: Executions that run at the same time.
    executions_max: int = 128
    #: Executions that wait for a place; one more is answered with resource_exhausted.
    executions_waiting_max: int = 1024
    #: Handlers that run at the same time.
    sessions_max: int = 256
    #: Turns that wait for one handler; past it the oldest is dropped.
    turns_max: int = 32
    #: Requests to the control plane without a reply.
    requests_max: int = 1024
    #: Frames that wait for a link, and their characters.
    outbox_frames_max: int = 1024
    outbox_bytes_max: int = 16 * 1024 * 1024
    #: Characters of results that the control plane has not confirmed.
    result_bytes_max: int = 64 * 1024 * 1024
    #: How long a function or handler that was cancelled may take to end by itself.
    cancel_ms: int = 2_000
    #: How long a drain may take before it becomes a stop.
    drain_ms: int = TIMES["drain_ms"]
    #: How long a stop waits for what it cancelled.
    stop_ms: int = 3_000
    #: How long dialling may take, and then registering.
    connect_ms: int = 10_000
    #: A result that was not confirmed is sent again after this.
    repeat_ms: int = 10_000
    #: The wait before another try to connect is random below a ceiling that doubles between these.
    backoff_min_ms: int = TIMES["backoff_min_ms"]
    backoff_max_ms: int = TIMES["backoff_max_ms"]
    #: Only a link that lived this long lets the ceiling begin again.
    backoff_reset_ms: int = TIMES["backoff_reset_ms"]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("url", "key"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                words = f"{field.name} must be a whole number of at least 1, got {value}"
                raise ParleyError("invalid_argument", words)

    def link_url(self) -> str:
        return link_url(self.url or os.environ.get("PARLEY_URL") or "ws://127.0.0.1:7700")

    def link_key(self) -> str | None:
        return self.key or os.environ.get("PARLEY_KEY") or None


def link_url(raw: str) -> str:
    """The address of the agent link at a control plane; an address without a path means the usual one."""
    try:
        url = urlsplit(raw)
    except ValueError:
        url = urlsplit("")
    scheme = _SCHEMES.get(url.scheme)
    if scheme is None or not url.hostname:
        # Only the scheme is shown: an address that is wrong may hold a secret.
        got = f"{url.scheme}:" if url.scheme else "something that is no URL"
        words = f"url must start with ws://, wss://, http:// or https://, got {got}"
        raise ParleyError("invalid_argument", words)
    if url.username or url.password:
        words = "url must not hold a user or a password; give the key as `key`"
        raise ParleyError("invalid_argument", words)
    path = _LINK_PATH if url.path in ("", "/") else url.path
    return urlunsplit((scheme, url.netloc, path, url.query, ""))
