"""The routes of a runner, and what they promise: hooks, pages, bodies, figures, other people's applications."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web

from parley import Agent, AgentLauncher, LaunchContext, LaunchedSession, ParleyError, Runner, ServeOptions


async def join(_agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
    if call_id == "throws":
        raise ParleyError("failed_precondition", "the line is cut")
    if call_id == "slow":
        await asyncio.sleep(600)
    session.joined()
    await asyncio.Event().wait()


@asynccontextmanager
async def served(options: ServeOptions | None = None, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    launcher = AgentLauncher(create_agent=lambda: Agent("desk"), join_call=join, drain_ms=0, close_ms=100, **limits)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.ensure_future(
        Runner(launcher, options).serve(port=0, on_listening=listening.set_result, stop=stop)
    )
    try:
        async with httpx.AsyncClient(base_url=await listening, trust_env=False) as client:
            yield client
    finally:
        stop.set()
        await serving


async def test_the_list_is_filtered_and_paged_and_a_call_has_its_sessions_below_its_own_path() -> None:
    async with served() as client:
        ids = []
        for call_id in ("a", "b", "a"):
            started = await client.post(f"/calls/{call_id}/sessions?wait=active", json={})
            assert started.headers["location"] == f"/sessions/{started.json()['session_id']}"
            ids.append(started.json()["session_id"])

        async def shown(query: str) -> list[str]:
            return [one["session_id"] for one in (await client.get(query)).json()["sessions"]]

        assert await shown("/sessions") == ids
        assert await shown("/v1/calls/a/sessions?status=active") == [ids[0], ids[2]]
        assert await shown("/sessions?limit=2") == ids[:2]
        assert await shown(f"/sessions?limit=2&after={ids[1]}") == ids[2:]
        assert await shown("/sessions?call_id=b") == ids[1:2]
        assert await shown("/sessions?status=failed") == []
        assert (await client.get(f"/calls/b/sessions/{ids[0]}")).status_code == 404
        closed = await client.post(f"/calls/a/sessions/{ids[0]}/close", content="")
        assert closed.status_code == 202
        # What it waits for is there at once: its code ends in the next turn.
        one = (await client.get(f"/sessions/{ids[0]}")).json()
        assert (one["status"], one["reason"]) in (("ended", "closed"), ("closing", "closed"))
        assert (await client.delete(f"/sessions/{ids[0]}")).json()["reason"] == "closed"


@pytest.mark.parametrize(
    ("path", "body", "words", "field"),
    [
        ("/sessions", "{", "the body is not JSON", None),
        ("/sessions", "[]", "the body must be object", ""),
        ("/sessions", '{"call_id": ""}', "call_id must NOT have fewer than 1 characters", "call_id"),
        ("/sessions", '{"callid": "x"}', "the body has an unknown field 'callid'", "callid"),
        ("/sessions", '{"call_type": "No Such"}', "call_type must match", "call_type"),
        ("/sessions", '{"queue": "yes"}', "queue must be boolean", "queue"),
        ("/sessions?wait=ended", "{}", "wait must be equal to constant", "wait"),
        ("/sessions?wait=active&timeout_ms=soon", "{}", "timeout_ms must match pattern", "timeout_ms"),
        ("/calls/a/sessions", '{"call_id": "b"}', "call_id is 'a' in the path and another in the body", None),
    ],
)
async def test_what_is_wrong_with_a_start_is_said_by_the_name_of_its_field(
    path: str, body: str, words: str, field: str | None
) -> None:
    async with served() as client:
        refused = await client.post(path, content=body)
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert (error["code"], error["retryable"]) == ("invalid_argument", False)
        assert words in error["message"].replace("one of the allowed values", "constant")
        assert error.get("details", {}).get("path") == field
        assert error["request_id"] == refused.headers["x-request-id"] or error["request_id"].startswith("req_")
        assert (await client.get("/metrics")).json()["total_sessions_started"] == 0


async def test_unknown_routes_and_sessions_and_bodies_that_are_too_long_have_the_one_shape() -> None:
    async with served(ServeOptions(body_bytes_max=100)) as client:
        for answer, status, code in (
            (await client.get("/nowhere"), 404, "not_found"),
            (await client.put("/sessions", json={}), 404, "not_found"),
            (await client.get("/sessions/sess_unknown"), 404, "not_found"),
            (await client.post("/sessions", json={"input": "x" * 200}), 429, "resource_exhausted"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_start_that_fails_or_is_late_says_which_session_it_is() -> None:
    async with served() as client:
        failed = await client.post("/sessions?wait=active", json={"call_id": "throws"})
        assert failed.json()["error"]["code"] == "failed_precondition"
        session_id = failed.json()["error"]["details"]["session_id"]
        assert (await client.get(f"/sessions/{session_id}")).json()["error"]["message"] == "the line is cut"
        late = await client.post("/sessions?wait=active&timeout_ms=50", json={"call_id": "slow"})
        assert (late.status_code, late.json()["error"]["details"]["status"]) == (504, "starting")


async def test_racing_starts_over_http_keep_the_limit_and_a_key_makes_two_of_them_one() -> None:
    async with served(max_concurrent_sessions=5) as client:
        answers = await asyncio.gather(*(client.post("/sessions", json={}) for _ in range(30)))
        assert [one.status_code for one in answers].count(201) == 5
        refused = next(one for one in answers if one.status_code == 429)
        assert refused.json()["error"]["details"] == {"reason": "node_at_capacity", "limit": 5, "current": 5}
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "node_at_capacity")
        queued = [
            (await client.post("/sessions", json={"queue": True}, headers={"idempotency-key": "k"})) for _ in range(2)
        ]
        assert [one.status_code for one in queued] == [202, 202]
        assert queued[0].json()["session_id"] == queued[1].json()["session_id"]


async def test_hooks_decide_about_each_thing_and_what_they_return_is_kept() -> None:
    asked: list[tuple[str, str | None]] = []

    def hook(what: str, allowed: bool = True) -> Any:
        async def decide(request: web.Request, session: LaunchedSession | None) -> Any:
            asked.append((what, None if session is None else session.call_id))
            return {"id": request.headers.get("x-user", "nobody")} if allowed else False

        return decide

    options = ServeOptions(
        can_start_session=hook("start"),
        can_view_session=hook("view"),
        can_close_session=hook("close", allowed=False),
        can_view_metrics=hook("metrics"),
    )
    async with served(options) as client:
        started = await client.post("/sessions", json={"call_id": "c"}, headers={"x-user": "ada"})
        path = f"/sessions/{started.json()['session_id']}"
        assert started.json()["owner"] == "ada"
        await client.get(path)
        assert (await client.delete(path)).status_code == 403
        await client.get(f"{path}/metrics")
        await client.get("/metrics")
        assert asked == [("start", None), ("view", "c"), ("close", "c"), ("metrics", "c"), ("metrics", None)]
        assert (await client.get("/health")).json() == {"status": "ok", "warmed_up": True, "running": True}


async def test_a_hook_that_breaks_refuses_and_shows_nothing_but_that() -> None:
    def broken(_request: web.Request, _session: LaunchedSession | None) -> Any:
        raise KeyError("users")

    async with served(ServeOptions(can_start_session=broken)) as client:
        refused = await client.post("/sessions", json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "internal")


async def test_pages_of_listed_origins_may_ask_and_their_browsers_are_told_so() -> None:
    async with served(ServeOptions(cors_allow_origins=["https://shop.example"])) as client:
        shop, evil = {"origin": "https://shop.example"}, {"origin": "https://evil.example"}
        asked = await client.options("/sessions", headers={**shop, "access-control-request-method": "POST"})
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-methods"] == "GET, POST, DELETE"
        assert (await client.get("/sessions", headers=evil)).status_code == 403
        assert (await client.get("/sessions", headers={"origin": "http://localhost:5173"})).status_code == 200
        assert (await client.get("/sessions", headers={"host": "evil.example"})).status_code == 403


async def test_figures_are_json_and_prometheus_text_and_every_route_is_in_the_document() -> None:
    async with served() as client:
        await client.post("/sessions?wait=active", json={})
        figures = (await client.get("/metrics")).json()
        assert {name: figures[name] for name in ("active_sessions", "total_sessions_started")} == {
            "active_sessions": 1,
            "total_sessions_started": 1,
        }
        assert (figures["warmed_up"], figures["running"]) == (True, True)
        text = await client.get("/metrics?format=prometheus")
        assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE parley_launcher_sessions_started_total counter" in text.text
        assert re.search(r"^parley_launcher_active_sessions 1$", text.text, re.MULTILINE)
        document = (await client.get("/openapi.json")).json()
        assert document["openapi"] == "3.1.0"
        for path, methods in document["paths"].items():
            for method in methods:
                asked = path.replace("{session_id}", "s").replace("{call_id}", "c")
                answer = await client.request(method.upper(), asked, content="")
                assert "no route" not in answer.text


async def test_somebodys_own_application_serves_the_sessions_and_keeps_its_own_routes_and_errors() -> None:
    seen: list[str] = []

    @web.middleware
    async def own(request: web.Request, handler: Any) -> web.StreamResponse:
        seen.append(request.path)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def hello(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    app = web.Application(middlewares=[own])
    app.router.add_get("/hello", hello)
    async with served(ServeOptions(app=app, prefix="/agents")) as client:
        assert (await client.get("/hello")).text == "hello"
        started = await client.post("/agents/sessions", json={})
        assert started.status_code == 201
        assert started.json()["realtime_path"] == f"/agents/sessions/{started.json()['session_id']}/realtime"
        assert (await client.get(started.headers["location"])).status_code == 200
        assert (await client.get("/sessions")).text == "404: Not Found"
        assert "/agents/sessions" in seen
        assert "/agents/sessions" in (await client.get("/agents/openapi.json")).json()["paths"]
