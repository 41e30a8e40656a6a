"""The routes, as a table: what it says is what answers, and what the OpenAPI document shows."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import web

from parley.errors import ParleyError
from parley.launcher import AgentLauncher, LaunchedSession
from parley.launcher.session import owner_of
from parley.runner.serve_options import PermissionHook, ServeOptions

from . import schemas
from .metrics import CONTENT_TYPE, figures, prometheus
from .schemas import Schema, fitted
from .sockets import ClientTokens, accept_call

_PAGE = 100
_PAGE_MAX = 1_000


class Route(NamedTuple):
    method: str
    path: str
    summary: str
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    answers: dict[int, Schema]
    #: A probe is asked by machines that have no key; the client of a call has its token.
    open: bool = False
    body: Schema | None = None
    query: Schema | None = None


class Routes:
    def __init__(self, launcher: AgentLauncher, options: ServeOptions) -> None:
        self._launcher = launcher
        self._options = options
        self._tokens = ClientTokens()

    def table(self) -> list[Route]:
        properties = {name: of for name, of in schemas.START_BODY["properties"].items() if name != "call_id"}
        scoped = {**schemas.START_BODY, "properties": properties}
        return [
            *self._sessions("/sessions", schemas.START_BODY),
            *self._sessions("/calls/{call_id}/sessions", scoped),
            Route("GET", "/health", "Whether it runs and is warm.", self._health, {200: schemas.OBJECT}, open=True),
            Route("GET", "/live", "Whether the process answers.", self._live, {200: schemas.OBJECT}, open=True),
            Route(
                "GET",
                "/ready",
                "Whether it takes a start now: 503 while it warms up, drains, or has no place left.",
                self._ready,
                {200: schemas.OBJECT, 503: schemas.OBJECT},
                open=True,
            ),
            Route(
                "GET",
                "/metrics",
                "Figures as JSON; as Prometheus text for who accepts text/plain, or asks with ?format=prometheus.",
                self._metrics,
                {200: schemas.OBJECT},
            ),
        ]

    def _sessions(self, base: str, body: Schema) -> list[Route]:
        one = base + "/{session_id}"
        found = {200: schemas.SESSION, 404: schemas.ERROR}
        started = {code: schemas.SESSION for code in (201, 202)} | {code: schemas.ERROR for code in (400, 429, 503)}
        end = "End a session. Again changes nothing."
        ended = {200: schemas.SESSION, 202: schemas.SESSION, 404: schemas.ERROR}
        return [
            Route("POST", base, "Start an agent for a call.", self._start, started, False, body, schemas.START_QUERY),
            Route(
                "GET",
                base,
                "The sessions that run, wait, or ended not long ago.",
                self._list,
                {200: schemas.LIST},
                query=schemas.LIST_QUERY,
            ),
            Route("GET", one, "One session.", self._view, found),
            Route("DELETE", one, end, self._close, ended),
            Route("POST", one + "/close", end, self._close, ended),
            Route(
                "GET",
                one + "/metrics",
                "What a call was like: turns, tools, waiting times.",
                self._call_metrics,
                {200: schemas.OBJECT, 404: schemas.ERROR},
            ),
            Route(
                "GET",
                one + "/realtime",
                "The call itself: a WebSocket of OpenAI Realtime, with the client_token of the session.",
                self._realtime,
                {101: schemas.OBJECT, 401: schemas.ERROR},
                open=True,
            ),
        ]

    # --- sessions

    async def _start(self, request: web.Request) -> web.StreamResponse:
        body = fitted(schemas.START_BODY, await self._body(request), "the body")
        query = fitted(schemas.START_QUERY, dict(request.query), "the query")
        in_path = request.match_info.get("call_id")
        if in_path is not None and body.get("call_id", in_path) != in_path:
            raise ParleyError("invalid_argument", f"call_id is '{in_path[:128]}' in the path and another in the body")
        principal = await self._permitted(self._options.can_start_session, request, None)
        key = request.headers.get("Idempotency-Key")
        session = await self._launcher.launch(
            in_path if in_path is not None else body.get("call_id"),
            body.get("call_type", "default"),
            input=body.get("input"),
            metadata=body.get("metadata"),
            principal=principal,
            queue=body.get("queue", False),
            # Of one caller: the key of somebody else is another key.
            idempotency_key=None if key is None else repr((owner_of(principal) or repr(principal), key)),
        )
        if query.get("wait") == "active":
            most = self._options.wait_ms_max
            await _in_time(session, min(int(query.get("timeout_ms", most)), most))
        base = request.path if in_path is None else request.path.replace(f"/calls/{in_path}", "", 1)
        path = f"{base.rstrip('/')}/{session.id}"
        answer = {**session.to_dict(), "client_token": self._tokens.of(session), "realtime_path": f"{path}/realtime"}
        status = 202 if session.status == "queued" else 201
        return web.json_response(answer, status=status, headers={"Location": path})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = fitted(schemas.LIST_QUERY, dict(request.query), "the query")
        hook = self._options.can_view_session
        await self._permitted(hook, request, None)
        call_id = request.match_info.get("call_id") or query.get("call_id")
        every = self._launcher.sessions(call_id, query.get("status"))
        places = [place for place, one in enumerate(every, 1) if one.id == query.get("after")]
        limit = min(int(query.get("limit", _PAGE)), _PAGE_MAX)
        shown: list[dict[str, Any]] = []
        for session in every[places[0] if places else 0 :]:
            if len(shown) >= limit:
                break
            try:
                await self._permitted(hook, request, session)
            except ParleyError as error:
                # Sessions that a caller may not see are left out of a list.
                if error.code == "permission_denied":
                    continue
                raise
            shown.append(session.to_dict())
        return web.json_response({"sessions": shown})

    async def _view(self, request: web.Request) -> web.StreamResponse:
        return web.json_response((await self._found(request, self._options.can_view_session)).to_dict())

    async def _close(self, request: web.Request) -> web.StreamResponse:
        session = await self._found(request, self._options.can_close_session)
        self._launcher.close(session)
        return web.json_response(session.to_dict(), status=200 if session.over else 202)

    async def _call_metrics(self, request: web.Request) -> web.StreamResponse:
        session = await self._found(request, self._options.can_view_metrics)
        return web.json_response({"session_id": session.id, **session.report()})

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        self._tokens.check(session, request)
        return await accept_call(request, self._launcher, session)

    # --- the process

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        launcher = self._launcher
        answer = {"status": "ok", "warmed_up": launcher.warmed_up, "running": launcher.phase == "running"}
        return web.json_response(answer)

    async def _live(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.StreamResponse:
        launcher = self._launcher
        limit, active = launcher.options.max_concurrent_sessions, launcher.active_sessions
        capacity = {"limit": limit, "active": active, "free": limit - active, "queued": launcher.queued_sessions}
        answer = {
            "ready": launcher.unready is None,
            "reason": launcher.unready,
            "capacity": capacity,
            "draining": launcher.phase in ("draining", "stopped"),
            "warmed_up": launcher.warmed_up,
        }
        return web.json_response(answer, status=200 if launcher.unready is None else 503)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        await self._permitted(self._options.can_view_metrics, request, None)
        accepted, wanted = request.headers.get("Accept", ""), request.query.get("format")
        text = wanted == "prometheus" if wanted else "text/plain" in accepted or "openmetrics" in accepted
        if not text:
            return web.json_response(figures(self._launcher))
        return web.Response(text=prometheus(self._launcher), headers={"Content-Type": CONTENT_TYPE})

    # --- what they share

    async def _body(self, request: web.Request) -> Any:
        most = self._options.body_bytes_max
        raw = b""
        async for chunk in request.content.iter_any():
            raw += chunk
            if len(raw) > most:
                words = f"the body is longer than {most} bytes"
                raise ParleyError("resource_exhausted", words, retryable=False, details={"limit": most})
        try:
            return json.loads(raw) if raw else {}
        except (ValueError, RecursionError) as error:
            raise ParleyError("invalid_argument", "the body is not JSON") from error

    def _session(self, request: web.Request) -> LaunchedSession:
        session_id = request.match_info["session_id"]
        session = self._launcher.get(session_id)
        if session is None or request.match_info.get("call_id", session.call_id) != session.call_id:
            raise ParleyError("not_found", f"no session '{session_id[:64]}'")
        return session

    async def _found(self, request: web.Request, hook: PermissionHook | None) -> LaunchedSession:
        session = self._session(request)
        await self._permitted(hook, request, session)
        return session

    async def _permitted(
        self, hook: PermissionHook | None, request: web.Request, session: LaunchedSession | None
    ) -> Any:
        principal = None if hook is None else hook(request, session)
        if inspect.isawaitable(principal):
            principal = await principal
        if principal is False:
            raise ParleyError("permission_denied", "you may not do that")
        return principal


async def _in_time(session: LaunchedSession, ms: int) -> None:
    """Waits until the agent is in its call. A session that failed answers with its own error, and with its id."""
    try:
        await asyncio.wait_for(session.active(), ms / 1000)
    except asyncio.TimeoutError as late:
        details = {"session_id": session.id, "status": session.status}
        words = f"the agent was not in its call within {ms} ms"
        raise ParleyError("deadline_exceeded", words, details=details) from late
    except ParleyError as error:
        details = {**(error.details or {}), "session_id": session.id}
        raise ParleyError(error.code, error.message, retryable=error.retryable, details=details) from error
