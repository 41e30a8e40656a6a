"""The application with the routes on it: its own, or yours.

P1  Your application keeps its own middlewares, routes and errors: ours hold for our routes only.
P2  A page of a foreign origin is answered only where ``cors_allow_origins`` has it.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from parley.errors import ParleyError
from parley.ids import new_id
from parley.launcher import AgentLauncher
from parley.log import Log
from parley.runner.serve_options import ServeOptions, is_loopback

from .routes import Route, Routes
from .schemas import Schema

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def app_for(launcher: AgentLauncher, options: ServeOptions) -> web.Application:
    """Adds the routes to your application, or to a new one."""
    # Bodies are read within their own bound.
    app = options.app if options.app is not None else web.Application(middlewares=[_in_one_shape])
    gate = _Gate(options)
    table = Routes(launcher, options).table()
    document = openapi_of(table, options.prefix)

    async def openapi(_request: web.Request) -> web.StreamResponse:
        return web.json_response(document)

    async def preflight(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    told: set[str] = set()
    for base in ("", "/v1"):
        for route in [*table, Route("GET", "/openapi.json", "This document.", openapi, {}, open=True)]:
            if base and route.path == "/openapi.json":
                continue
            path = f"{options.prefix}{base}{route.path}"
            app.router.add_route(route.method, path, gate.before(route.handle, open=route.open))
            if path not in told:
                told.add(path)
                app.router.add_route("OPTIONS", path, gate.before(preflight, open=True))
    return app


class _Gate:
    """What every request of ours goes through."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options

    def before(self, handle: Handler, *, open: bool) -> Handler:
        async def answered(request: web.Request) -> web.StreamResponse:
            request_id = new_id("request")
            try:
                self._check(request, open=open)
                answer = await handle(request)
            except web.HTTPException:
                raise
            except Exception as thrown:  # noqa: BLE001 - every refusal has the one shape
                answer = _refusal(thrown, request_id)
            if not answer.prepared:
                answer.headers["X-Request-ID"] = request_id
                self._allow(request, answer)
            return answer

        return answered

    def _check(self, request: web.Request, *, open: bool) -> None:
        options = self._options
        key = options.wanted_key()
        # Without a key or a hook only this machine is served, and no page may pretend to be it by its name.
        unguarded = key is None and options.can_start_session is None
        if unguarded and not is_loopback(re.sub(r":\d+$", "", request.host)):
            raise ParleyError("permission_denied", "this server answers to the names of its own machine only")
        origin = request.headers.get("Origin")
        if origin is not None and not options.allows(origin):
            raise ParleyError("permission_denied", f"pages of {origin[:128]} may not ask: see cors_allow_origins")
        if key is None or open:
            return
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), key.encode()):
            raise ParleyError("unauthenticated", "this server needs its key as `Authorization: Bearer …`")

    def _allow(self, request: web.Request, answer: web.StreamResponse) -> None:
        origin = request.headers.get("Origin")
        if origin is None or not self._options.allows(origin):
            return
        answer.headers.update({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
        if request.method == "OPTIONS":
            answer.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            answer.headers["Access-Control-Allow-Headers"] = "authorization, content-type, idempotency-key"
            answer.headers["Access-Control-Max-Age"] = "600"


def _refusal(thrown: BaseException, request_id: str) -> web.Response:
    if isinstance(thrown, asyncio.TimeoutError):
        thrown = ParleyError("deadline_exceeded", "it took too long")
    error = ParleyError.of(thrown, "internal")
    if error.code in ("internal", "unknown"):
        Log(request_id=request_id).error("a request failed", exc_info=thrown)
    body = {"error": {**error.to_object(), "request_id": request_id}}
    headers = {}
    if error.retry_after_ms is not None:
        # In whole seconds, as HTTP has it.
        headers["Retry-After"] = str(-(-int(error.retry_after_ms) // 1000))
    return web.json_response(body, status=error.http_status, headers=headers)


@web.middleware
async def _in_one_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the router refuses, in the shape of every other refusal."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as refused:
        details: dict[str, Any] = {}
        if isinstance(refused, web.HTTPMethodNotAllowed):
            details["allow"] = sorted(refused.allowed_methods)
        error = ParleyError("not_found", f"no route {request.method} {request.path[:256]}", details=details or None)
        return _refusal(error, new_id("request"))


def openapi_of(table: list[Route], prefix: str) -> dict[str, Any]:
    """The OpenAPI document of the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        in_path = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", route.path)
        ]
        asked: Schema = (route.query or {}).get("properties", {})
        in_query = [{"name": name, "in": "query", "schema": schema} for name, schema in asked.items()]
        body = {} if route.body is None else {"requestBody": _json(route.body)}
        paths.setdefault(f"{prefix}{route.path}", {})[route.method.lower()] = {
            "summary": route.summary,
            "parameters": [*in_path, *in_query],
            **body,
            "responses": {
                str(status): {"description": route.summary, **_json(schema)} for status, schema in route.answers.items()
            },
        }
    return {"openapi": "3.1.0", "info": {"title": "Parley agent runner", "version": "1"}, "paths": paths}


def _json(schema: Schema) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
