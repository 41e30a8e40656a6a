"""The server of a launcher, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from parley import Agent, AgentLauncher, LaunchContext, LaunchedSession, ParleyError, Runner, ServeOptions


async def stays(_agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
    if call_id == "throws":
        raise RuntimeError("the line is cut")
    session.joined()
    await asyncio.Event().wait()


@asynccontextmanager
async def served(options: ServeOptions | None = None, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    launcher = AgentLauncher(create_agent=lambda _configuration: Agent("desk"), join_call=stays, drain_ms=0, **limits)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.ensure_future(
        Runner(launcher, options).serve(port=0, on_listening=listening.set_result, stop=stop)
    )
    async with httpx.AsyncClient(base_url=await listening, trust_env=False) as client:
        yield client
    stop.set()
    await serving


async def test_a_session_is_started_read_and_closed() -> None:
    async with served() as client:
        started = await client.post("/sessions?wait=active", json={"call_id": "c-1"})
        assert started.status_code == 201
        assert started.json()["status"] == "active"
        path = started.headers["location"]
        assert (await client.get(path)).json()["call_id"] == "c-1"
        assert (await client.get("/calls/c-1/sessions")).json()["sessions"] == [(await client.get(path)).json()]
        assert (await client.delete(path)).status_code in (200, 202)
        assert (await client.get("/calls/other" + path)).status_code == 404
        assert (await client.get("/metrics")).json()["total_sessions_started"] == 1
        text = (await client.get("/metrics", headers={"accept": "text/plain"})).text
        assert "parley_launcher_sessions_started_total 1" in text


async def test_over_a_limit_it_is_429_with_the_limit_or_202_with_a_place() -> None:
    async with served(max_concurrent_sessions=1) as client:
        await client.post("/sessions", json={})
        refused = await client.post("/sessions", json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert refused.json()["error"]["details"] == {"reason": "node_at_capacity", "limit": 1, "current": 1}
        queued = await client.post("/sessions", json={"queue": True})
        assert (queued.status_code, queued.json()["place"]) == (202, 1)


async def test_a_failed_join_can_be_read() -> None:
    async with served() as client:
        waited = await client.post("/sessions?wait=active", json={"call_id": "throws"})
        assert waited.json()["error"]["message"] == "the line is cut"
        (session,) = (await client.get("/sessions?status=failed")).json()["sessions"]
        assert session["error"]["message"] == "the line is cut"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "not JSON"),
        ("[]", "the body must be object"),
        ('{"call_id": 5}', "call_id must be string"),
        ('{"callid": "x"}', "unknown field 'callid'"),
        ('{"call_id": " "}', "without white space"),
    ],
)
async def test_a_wrong_body_is_refused_by_name(body: str, words: str) -> None:
    async with served() as client:
        refused = await client.post("/sessions", content=body)
        assert refused.status_code == 400
        assert words in refused.json()["error"]["message"]


async def test_what_a_hook_returns_is_kept_and_hooks_decide_by_it() -> None:
    def who(request: Any, _session: LaunchedSession | None) -> dict[str, str]:
        name = request.headers.get("x-user")
        if name is None:
            raise ParleyError("unauthenticated", "say who you are")
        return {"id": name}

    def mine(request: Any, session: LaunchedSession | None) -> bool:
        return session is None or session.principal == who(request, session)

    async with served(ServeOptions(can_start_session=who, can_view_session=mine)) as client:
        assert (await client.post("/sessions", json={})).status_code == 401
        ada, bob = {"x-user": "ada"}, {"x-user": "bob"}
        started = (await client.post("/sessions", json={}, headers=ada)).json()
        assert started["owner"] == "ada"
        assert (await client.get(f"/sessions/{started['session_id']}", headers=bob)).status_code == 403
        assert (await client.get("/sessions", headers=bob)).json() == {"sessions": []}
        assert len((await client.get("/sessions", headers=ada)).json()["sessions"]) == 1


async def test_a_foreign_page_and_a_missing_key_are_refused_and_probes_are_open() -> None:
    async with served(ServeOptions(key="k1", cors_allow_origins=["https://shop.example"])) as client:
        assert (await client.get("/sessions")).status_code == 401
        bearer = {"authorization": "Bearer k1"}
        assert (await client.get("/sessions", headers=bearer)).status_code == 200
        assert (await client.get("/sessions", headers={**bearer, "origin": "https://evil.example"})).status_code == 403
        shop = await client.get("/sessions", headers={**bearer, "origin": "https://shop.example"})
        assert shop.headers["access-control-allow-origin"] == "https://shop.example"
        assert (await client.get("/live")).status_code == 200


async def test_other_machines_are_not_served_unguarded() -> None:
    launcher = AgentLauncher(create_agent=lambda _configuration: Agent("desk"), join_call=stays)
    with pytest.raises(ParleyError, match="can be reached from other machines"):
        await Runner(launcher).serve("0.0.0.0", 0)
