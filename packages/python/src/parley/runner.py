"""Runs a launcher: sessions are started over HTTP, and placed here by a control plane.

The HTTP server is aiohttp's, which the extra ``serve`` brings: ``pip install parley[serve]``.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import inspect
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ParleyError
from .launcher import AgentLauncher, LaunchedSession
from .log import log_to_stderr

if TYPE_CHECKING:
    from aiohttp import web

#: Decides about one request. What it returns is who asks, and is kept with the session that is started; False, or a
#: raised ParleyError, refuses.
PermissionHook = Callable[["web.Request", "LaunchedSession | None"], "Any | Awaitable[Any]"]

BODY_BYTES_MAX = 1024 * 1024
LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?")
START_FIELDS = {"call_id": str, "call_type": str, "metadata": dict, "queue": bool}


@dataclass
class ServeOptions:
    """What the HTTP server of a runner can be told."""

    #: Your own aiohttp application: the routes are added to it, and it is the one that listens.
    app: web.Application | None = None
    cors_allow_origins: Sequence[str] = ()
    can_start_session: PermissionHook | None = None
    can_view_session: PermissionHook | None = None
    can_close_session: PermissionHook | None = None
    can_view_metrics: PermissionHook | None = None
    #: A key that every request but the probes must bear. Default ``PARLEY_SERVE_KEY``.
    key: str | None = None

    def wanted_key(self) -> str | None:
        return self.key or os.environ.get("PARLEY_SERVE_KEY") or None


class Runner:
    """Runs a launcher.

    >>> runner = Runner(launcher)                                                          # doctest: +SKIP
    >>> runner.cli()                                   # python agent.py serve --port 8000
    """

    def __init__(self, launcher: AgentLauncher, options: ServeOptions | None = None) -> None:
        self.launcher = launcher
        self.options = options or ServeOptions()

    def app(self) -> web.Application:
        """The aiohttp application with the routes on it: yours, where one was given."""
        try:
            from aiohttp import web
        except ImportError as missing:
            raise ParleyError("failed_precondition", "serving needs aiohttp: pip install parley[serve]") from missing
        app = self.options.app
        if app is None:
            app = web.Application(client_max_size=BODY_BYTES_MAX)
        routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]], bool]] = [
            ("GET", "/health", self._health, True),
            ("GET", "/live", self._live, True),
            ("GET", "/ready", self._ready, True),
            ("GET", "/metrics", self._metrics, False),
        ]
        for base in ("/sessions", "/calls/{call_id}/sessions"):
            routes += [
                ("POST", base, self._start, False),
                ("GET", base, self._list, False),
                ("GET", base + "/{session_id}", self._view, False),
                ("DELETE", base + "/{session_id}", self._close, False),
                ("POST", base + "/{session_id}/close", self._close, False),
            ]
        for method, path, handler, probe in routes:
            app.router.add_route(method, path, self._guarded(handler, probe=probe))
        return app

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        on_listening: Callable[[str], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Serves until the process is told to stop or ``stop`` is set: then it drains. A second signal stops at once.

        Raises ParleyError ``failed_precondition`` for an address that others can reach where nothing guards the start.
        """
        if not LOOPBACK.fullmatch(host) and not self.options.can_start_session and not self.options.wanted_key():
            words = f"{host} can be reached from other machines: set PARLEY_SERVE_KEY or can_start_session"
            raise ParleyError("failed_precondition", words)
        app = self.app()
        from aiohttp import web

        leave = stop or asyncio.Event()
        told = 0
        stopping: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()

        def tell() -> None:
            nonlocal told
            told += 1
            leave.set()
            if told == 2:
                stopping.append(loop.create_task(self.launcher.stop()))

        signals = [signal.SIGINT, signal.SIGTERM]
        try:
            for number in signals:
                loop.add_signal_handler(number, tell)
        except (NotImplementedError, RuntimeError, ValueError):
            # Windows, and threads other than the main one.
            signals = []
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0][1]
            if on_listening is not None:
                on_listening(f"http://{host}:{bound}")
            # It answers /ready with 503 until it is warm.
            await self.launcher.start()
            await leave.wait()
            await self.launcher.drain()
        finally:
            await self.launcher.stop()
            await runner.cleanup()
            for number in signals:
                loop.remove_signal_handler(number)

    def cli(self, argv: Sequence[str] | None = None) -> None:
        """Does what the command line says: ``serve``. A failure is told on stderr, and is the exit code."""
        parser = argparse.ArgumentParser(description="Run this agent.")
        verbs = parser.add_subparsers(dest="verb", required=True)
        serve = verbs.add_parser("serve", help="start agents over HTTP")
        serve.add_argument("--host", default="127.0.0.1")
        serve.add_argument("--port", type=int, default=8000, help="0 takes a free one")
        given = parser.parse_args(argv)
        log_to_stderr()
        try:
            asyncio.run(self.serve(given.host, given.port, on_listening=lambda url: print(url, flush=True)))
        except ParleyError as error:
            print(f"agent: {error.code}: {error}", file=sys.stderr)
            raise SystemExit(1) from error

    # --- what every request goes through

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], *, probe: bool
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        from aiohttp import web

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._check(request, probe=probe)
                answer = await handler(request)
            except web.HTTPException:
                raise
            except Exception as thrown:  # noqa: BLE001 - every refusal has the one shape
                error = ParleyError.of(thrown, "internal")
                answer = web.json_response({"error": error.to_object()}, status=error.http_status)
                if error.retry_after_ms is not None:
                    answer.headers["Retry-After"] = str(-(-int(error.retry_after_ms) // 1000))
            origin = request.headers.get("Origin")
            if origin is not None and self._allows(origin):
                answer.headers.update({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
            return answer

        return guarded

    def _check(self, request: web.Request, *, probe: bool) -> None:
        key = self.options.wanted_key()
        origin = request.headers.get("Origin")
        if origin is not None and not self._allows(origin):
            raise ParleyError("permission_denied", f"pages of {origin[:128]} may not ask: see cors_allow_origins")
        open_to_all = key is None and self.options.can_start_session is None
        if open_to_all and not LOOPBACK.fullmatch(re.sub(r":\d+$", "", request.host)):
            raise ParleyError("permission_denied", "this server answers to the names of its own machine only")
        if key is None or probe:
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise ParleyError("unauthenticated", "this server needs its key as `Authorization: Bearer …`")

    def _allows(self, origin: str) -> bool:
        host = re.sub(r"^https?://|:\d+$", "", origin)
        return origin in self.options.cors_allow_origins or bool(LOOPBACK.fullmatch(host))

    async def _permitted(
        self, hook: PermissionHook | None, request: web.Request, session: LaunchedSession | None
    ) -> Any:
        principal = hook(request, session) if hook else None
        if inspect.isawaitable(principal):
            principal = await principal
        if principal is False:
            raise ParleyError("permission_denied", "you may not do that")
        return principal

    async def _found(self, request: web.Request, hook: PermissionHook | None) -> LaunchedSession:
        session = self.launcher.get(request.match_info["session_id"])
        if session is None or request.match_info.get("call_id", session.call_id) != session.call_id:
            raise ParleyError("not_found", f"no session '{request.match_info['session_id'][:64]}'")
        await self._permitted(hook, request, session)
        return session

    # --- the routes

    async def _start(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        body = await _body(request)
        in_path = request.match_info.get("call_id")
        if in_path is not None and body.get("call_id", in_path) != in_path:
            raise ParleyError("invalid_argument", f"call_id is '{in_path}' in the path and another in the body")
        principal = await self._permitted(self.options.can_start_session, request, None)
        session = await self.launcher.launch(
            in_path or body.get("call_id"),
            body.get("call_type", "default"),
            input=body.get("input"),
            metadata=body.get("metadata"),
            principal=principal,
            queue=body.get("queue", False),
        )
        if request.query.get("wait") == "active":
            await session.active()
        status = 202 if session.status == "queued" else 201
        return web.json_response(session.to_dict(), status=status, headers={"Location": f"/sessions/{session.id}"})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        await self._permitted(self.options.can_view_session, request, None)
        call_id = request.match_info.get("call_id") or request.query.get("call_id")
        shown = []
        for session in self.launcher.sessions(call_id, request.query.get("status")):
            try:
                await self._permitted(self.options.can_view_session, request, session)
            except ParleyError as error:
                if error.code != "permission_denied":
                    raise
                # Sessions that a caller may not see are left out of a list.
                continue
            shown.append(session.to_dict())
        return web.json_response({"sessions": shown})

    async def _view(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        return web.json_response((await self._found(request, self.options.can_view_session)).to_dict())

    async def _close(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        session = await self._found(request, self.options.can_close_session)
        self.launcher.close(session)
        return web.json_response(session.to_dict(), status=200 if session.over else 202)

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        running = self.launcher.phase == "running"
        return web.json_response({"status": "ok", "warmed_up": self.launcher.warmed_up, "running": running})

    async def _live(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        launcher = self.launcher
        limit, active = launcher.max_concurrent_sessions, launcher.active_sessions
        capacity = {"limit": limit, "active": active, "free": limit - active, "queued": launcher.queued_sessions}
        body = {
            "ready": launcher.unready is None,
            "reason": launcher.unready,
            "capacity": capacity,
            "draining": launcher.phase in ("draining", "stopped"),
            "warmed_up": launcher.warmed_up,
        }
        return web.json_response(body, status=200 if launcher.unready is None else 503)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        await self._permitted(self.options.can_view_metrics, request, None)
        launcher = self.launcher
        figures: dict[str, int | bool] = {
            "active_sessions": launcher.active_sessions,
            "queued_sessions": launcher.queued_sessions,
            "total_sessions_started": launcher.totals["started"],
            "total_sessions_failed": launcher.totals["failed"],
            "total_sessions_ended": launcher.totals["ended"],
            "total_starts_refused": launcher.totals["refused"],
            "warmed_up": launcher.warmed_up,
            "running": launcher.phase == "running",
        }
        if "text/plain" not in request.headers.get("Accept", ""):
            return web.json_response(figures)
        lines = [f"parley_launcher_{name} {int(value)}\n" for name, value in figures.items()]
        return web.Response(text="".join(lines), content_type="text/plain")


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.text()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise ParleyError("invalid_argument", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise ParleyError("invalid_argument", f"the body must be an object, got {type(body).__name__}")
    for name, value in body.items():
        if name == "input":
            continue
        kind = START_FIELDS.get(name)
        if kind is None:
            raise ParleyError("invalid_argument", f"the body has an unknown field '{name}'", details={"path": name})
        if not isinstance(value, kind):
            words = f"{name} must be a {kind.__name__}, got {type(value).__name__}"
            raise ParleyError("invalid_argument", words, details={"path": name})
    return body
