"""What the HTTP server of a runner can be told."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from parley.errors import ParleyError
from parley.launcher import LaunchedSession

if TYPE_CHECKING:
    from aiohttp import web

#: Decides about one request. What it returns is who asks, and is kept with the session that is started; False, or a
#: raised ParleyError (``unauthenticated``, ``permission_denied``), refuses. The session is the one that is asked about.
PermissionHook = Callable[["web.Request", "LaunchedSession | None"], "Any | Awaitable[Any]"]

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?", re.IGNORECASE)


@dataclass
class ServeOptions:
    """Options of ``Runner.serve``."""

    #: Your own aiohttp application: the routes are added to it, and it is the one that listens.
    app: web.Application | None = None
    #: Before every path. Default none; ``/v1`` answers as well.
    prefix: str = ""
    #: Origins whose pages may ask, besides pages of this machine: ``https://shop.example``. ``*`` is every one.
    cors_allow_origins: Sequence[str] = ()
    can_start_session: PermissionHook | None = None
    can_view_session: PermissionHook | None = None
    can_close_session: PermissionHook | None = None
    can_view_metrics: PermissionHook | None = None
    #: A key that every request but the probes must bear. Default ``PARLEY_SERVE_KEY``; needed off this machine where no
    #: hook guards the start.
    key: str | None = field(default=None, repr=False)
    #: Bytes of a request's body.
    body_bytes_max: int = 1024 * 1024
    #: How long ``?wait=active`` may wait at most.
    wait_ms_max: int = 60_000

    def wanted_key(self) -> str | None:
        return self.key or os.environ.get("PARLEY_SERVE_KEY") or None

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may ask."""
        if "*" in self.cors_allow_origins or origin in self.cors_allow_origins:
            return True
        try:
            return is_loopback(urlsplit(origin).hostname or "")
        except ValueError:
            return False

    def check_exposure(self, host: str) -> None:
        """Raises ParleyError ``failed_precondition`` where others could start sessions and nothing guards that."""
        if is_loopback(host) or self.can_start_session is not None or self.wanted_key() is not None:
            return
        words = f"{host} can be reached from other machines: set PARLEY_SERVE_KEY or can_start_session"
        raise ParleyError("failed_precondition", words)


def is_loopback(host: str) -> bool:
    """Whether an address, or the host of a URL, is this machine."""
    return _LOOPBACK.fullmatch(host) is not None
