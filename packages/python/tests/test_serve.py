"""A served agent, as the program that an operator runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import Plane, Process, runs, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

PROGRAM = Path(__file__).with_name("launched_agent.py")


class Served:
    def __init__(self, process: asyncio.subprocess.Process, http: httpx.AsyncClient, url: str) -> None:
        self.process, self.http, self.url = process, http, url

    async def start(self, call_id: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post("/sessions?wait=active", json={"call_id": call_id, **body})
        assert answer.status_code == 201, answer.text
        session: dict[str, Any] = answer.json()
        return session

    async def until(self, session: dict[str, Any], status: str) -> dict[str, Any]:
        end_s = time.monotonic() + 30
        while True:
            one: dict[str, Any] = (await self.http.get(f"/sessions/{session['session_id']}")).json()
            if one.get("status") == status:
                return one
            assert time.monotonic() < end_s, one
            await asyncio.sleep(0.02)

    async def until_ready(self, status: int) -> None:
        for _ in range(2_000):
            if (await self.http.get("/ready")).status_code == status:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"/ready is not {status}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, list[dict[str, Any]], str]:
        """Its exit code, what it logged, and what else it said."""
        assert self.process.stderr is not None
        said = (await self.process.stderr.read()).decode()
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return await asyncio.wait_for(self.process.wait(), 30), lines, said


@asynccontextmanager
async def served(env: dict[str, str] | None = None, *arguments: str, **options: Any) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "serve", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LAUNCHER_OPTIONS": json.dumps(options), **(env or {})},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
    assert url.startswith("http://"), (await process.stderr.read()).decode()
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
            agent = Served(process, http, url)
            await agent.until_ready(200)
            yield agent
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_sigterm_makes_it_unready_at_once_gives_goodbyes_and_closes_what_is_left_at_the_deadline() -> None:
    async with served(drain_ms=4_000, close_ms=200) as agent:
        polite, stubborn = await agent.start("polite"), await agent.start("stubborn")
        agent.signal(signal.SIGTERM)
        await agent.until_ready(503)
        ready = (await agent.http.get("/ready")).json()
        assert (ready["reason"], ready["draining"]) == ("draining", True)
        assert (await agent.http.get("/live")).status_code == 200
        refused = await agent.http.post("/sessions", json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "2"
        assert (await agent.until(polite, "ended"))["reason"] == "task_completed"
        assert (await agent.http.get(f"/sessions/{stubborn['session_id']}")).json()["status"] == "active"
        code, lines, said = await agent.ended()
        assert code == 0
        assert "told polite: draining in 4000 ms" in said
        assert "told stubborn: draining in 4000 ms" in said
        ends = {line["session_id"]: line["reason"] for line in lines if line["msg"] == "session ended"}
        assert ends == {polite["session_id"]: "task_completed", stubborn["session_id"]: "draining"}


async def test_a_second_signal_does_not_wait() -> None:
    async with served(drain_ms=600_000, close_ms=200) as agent:
        session = await agent.start("stubborn")
        agent.signal(signal.SIGINT)
        await agent.until_ready(503)
        agent.signal(signal.SIGINT)
        code, lines, _ = await agent.ended()
        assert code == 0
        assert [line["reason"] for line in lines if line["msg"] == "session ended"] == ["stopped"]
        assert session["status"] == "active"


async def test_a_client_joins_the_call_of_a_session_with_its_token_and_is_answered(simulator: Process) -> None:
    async with served({"PARLEY_SIMULATOR_URL": f"{simulator.url}/v1"}) as agent:
        session = await agent.start("call-1", call_type="voice")
        address = agent.url.replace("http", "ws", 1) + session["realtime_path"]
        with pytest.raises(InvalidStatus, match="401"):
            await connect(address, subprotocols=[Subprotocol("realtime")], proxy=None)
        token = Subprotocol(f"parley.token.{session['client_token']}")
        async with connect(address, subprotocols=[Subprotocol("realtime"), token], proxy=None) as client:
            assert client.subprotocol == "realtime"
            await say(client, "42")
            assert await answer(client) == "42 is on its way"
        ended = await agent.until(session, "ended")
        assert ended["reason"] == "client_left"
        metrics = (await agent.http.get(f"/sessions/{session['session_id']}/metrics")).json()
        assert (metrics["turns"], metrics["responses"]) == (1, 1)
        assert metrics["response_latency"]["count"] == 1


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_an_isolated_session_answers_its_client_too_and_counts(simulator: Process, isolation: str) -> None:
    async with served({"PARLEY_SIMULATOR_URL": f"{simulator.url}/v1"}, isolation=isolation) as agent:
        session = await agent.start("call-1", call_type="voice")
        address = agent.url.replace("http", "ws", 1) + session["realtime_path"]
        header = {"Authorization": f"Bearer {session['client_token']}"}
        async with connect(address, additional_headers=header, proxy=None) as client:
            await say(client, "42")
            assert await answer(client) == "42 is on its way"
        assert (await agent.until(session, "ended"))["reason"] == "client_left"
        metrics = (await agent.http.get(f"/sessions/{session['session_id']}/metrics")).json()
        assert (metrics["turns"], metrics["responses"]) == (1, 1)


async def test_a_blocked_or_killed_session_in_a_process_fails_alone_and_sigterm_ends_the_rest() -> None:
    async with served(isolation="process", blocked_ms=400, drain_ms=200, close_ms=200) as agent:
        neighbour = await agent.start("neighbour")
        blocked, killed = await agent.start("blocks"), await agent.http.post("/sessions", json={"call_id": "dies"})
        told = (await agent.until(blocked, "failed"))["error"]
        assert told["details"]["at"].startswith(f"blocks_everything ({PROGRAM}:")
        assert "signal 9" in (await agent.until(killed.json(), "failed"))["error"]["message"]
        assert (await agent.http.get(f"/sessions/{neighbour['session_id']}")).json()["status"] == "active"
        agent.signal(signal.SIGTERM)
        code, _, said = await agent.ended()
        assert code == 0
        # What a session prints is not the launcher's answer.
        assert "in call neighbour" in said


async def test_a_session_in_a_process_does_not_outlive_a_launcher_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    async with served(isolation="process") as agent:
        await agent.start("says-pid", input={"path": str(path)})
        await until(lambda: path.exists() and path.read_text())
        pid = int(path.read_text())
        os.kill(pid, 0)
        agent.signal(signal.SIGKILL)
    await until(lambda: not runs(pid))


async def test_in_a_shared_loop_the_log_names_the_session_and_the_line_that_block_it() -> None:
    async with served(blocked_ms=300) as agent:
        started = await agent.http.post("/sessions", json={"call_id": "counts"})
        assert agent.process.stderr is not None
        async for line in agent.process.stderr:
            if b"the event loop is blocked" in line:
                told = json.loads(line)
                break
        assert told["culprit"] == started.json()["session_id"]
        assert told["at"].startswith(f"counts_for_ever ({PROGRAM}:")
        assert told["blocked_ms"] >= 300


async def test_a_port_in_use_and_an_unguarded_address_are_told_with_an_exit_code() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, words in (
            (["--port", str(taken.getsockname()[1])], "is in use: choose another with --port"),
            (["--port", "0", "--host", "0.0.0.0"], "can be reached from other machines"),
        ):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(PROGRAM), "serve", *arguments), stderr=asyncio.subprocess.PIPE
            )
            assert process.stderr is not None
            assert words in (await process.stderr.read()).decode()
            assert await process.wait() == 1


async def test_a_served_agent_registers_and_is_given_sessions_and_a_drain_tells_the_control_plane_first(
    plane: Plane, simulator: Process
) -> None:
    environment = {"PARLEY_URL": plane.url, "PARLEY_SIMULATOR_URL": f"{simulator.url}/v1"}
    async with (
        served(environment, drain_ms=1_000, max_concurrent_sessions=3) as agent,
        httpx.AsyncClient(base_url=plane.url, trust_env=False, timeout=30) as control,
    ):
        await told(control, ["connected"])
        started = await control.post("/api/v1/sessions/desk.voice/start", json={"metadata": {"call_id": "call-9"}})
        assert started.status_code == 201, started.text
        session = started.json()
        session_id = session["session_id"]
        address = plane.url.replace("http", "ws", 1) + session["urls"]["realtime"]
        token = Subprotocol(f"parley.token.{session['client_token']}")
        async with connect(address, subprotocols=[Subprotocol("realtime"), token], proxy=None) as client:
            placed = await agent.until({"session_id": session_id}, "active")
            assert placed["call_id"] == "call-9"
            # Sessions that were started here hold places too.
            await agent.start("neighbour")
            assert (await agent.http.get("/ready")).json()["capacity"]["active"] == 2
            await say(client, "42")
            assert await answer(client) == "42 is on its way"
            agent.signal(signal.SIGTERM)
            await told(control, ["draining"])
            assert (await agent.http.get("/ready")).json()["reason"] == "draining"
            code, lines, _ = await agent.ended()
        assert code == 0
        ends = {line["session_id"]: line["reason"] for line in lines if line["msg"] == "session ended"}
        assert ends[session_id] == "draining"
        log = (await control.get(f"/api/v1/sessions/{session_id}/events")).json()
        assert next(one["reason"] for one in log["events"] if one["type"] == "session.closing") == "draining"


async def told(control: httpx.AsyncClient, statuses: list[str]) -> None:
    """Returns when the control plane knows the agent so."""
    known: list[str] = []
    for _ in range(2_000):
        agents = (await control.get("/api/v1/agents")).json()["agents"]
        known = [one["status"] for one in agents if one["agent"] == "desk"]
        if known == statuses:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the agent is {known}, not {statuses}")


async def say(client: ClientConnection, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send(json.dumps({"type": "conversation.item.create", "item": item}))


async def answer(client: ClientConnection) -> str:
    async for frame in client:
        told = json.loads(frame)
        if told["type"] == "response.output_text.done":
            return str(told["text"])
    raise AssertionError("the call ended without an answer")
