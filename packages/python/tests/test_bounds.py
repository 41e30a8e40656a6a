"""What grows has a bound, and past it the caller gets an answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from parley import ParleyError
from parley.connection import Connection
from parley.link import Link
from parley.outbox import Outbox
from parley.requests import Requests
from parley.results import Results
from parley.signals import Signal


class Wire:
    """A connection that keeps what it was given."""

    def __init__(self) -> None:
        self.up = True
        self.reads = True
        self.frames: list[dict[str, Any]] = []

    def send(self, text: str) -> bool:
        if self.up and self.reads:
            self.frames.append(json.loads(text))
        return self.up and self.reads


class Line:
    """A link with whatever connection a test gives it."""

    def __init__(self) -> None:
        self.current: Wire | None = None


def outbox(line: Line, frames_max: int = 8, bytes_max: int = 1_000) -> Outbox:
    return Outbox(cast(Link, line), frames_max=frames_max, bytes_max=bytes_max)


SAY = {"type": "session.say", "session_id": "sess_1", "text": "hello"}


def test_frames_wait_for_a_link_in_order_and_too_many_are_refused() -> None:
    line = Line()
    out = outbox(line, frames_max=2)
    posted = [out.post({"n": n}) for n in range(2)]
    with pytest.raises(ParleyError, match="2 frames already wait for the agent link") as full:
        out.post({"n": 2})
    assert full.value.code == "resource_exhausted"
    assert out.withdraw(posted[0])
    out.post({"n": 3})
    line.current = Wire()
    out.flush()
    assert [frame["n"] for frame in line.current.frames] == [1, 3]


def test_a_server_that_does_not_read_keeps_frames_waiting() -> None:
    line = Line()
    line.current = Wire()
    line.current.reads = False
    out = outbox(line, bytes_max=20)
    out.post({"text": "x"})
    with pytest.raises(ParleyError):
        out.post({"text": "y" * 20})
    line.current.reads = True
    out.flush()
    assert line.current.frames == [{"text": "x"}]


async def test_open_requests_are_bounded_and_end_with_who_asked() -> None:
    requests, until = Requests(outbox(Line()), 1), Signal()
    waiting = asyncio.ensure_future(requests.send(SAY, None, until))
    await asyncio.sleep(0)
    with pytest.raises(ParleyError, match="1 requests to the control plane are open already"):
        await requests.send(SAY, None, Signal())
    until.set(ParleyError("cancelled", "the session ended"))
    with pytest.raises(ParleyError, match="the session ended"):
        await waiting


async def test_a_request_is_repeated_under_its_id_once_its_connection_is_gone() -> None:
    line = Line()
    first = line.current = Wire()
    requests = Requests(outbox(line), 8)
    waiting = asyncio.ensure_future(requests.send(SAY, None, Signal()))
    await asyncio.sleep(0)
    requests.repeat()
    assert len(first.frames) == 1
    first.up = False
    second = line.current = Wire()
    requests.repeat()
    assert second.frames == first.frames
    requests.reply({"request_id": second.frames[0]["request_id"], "result": {"interrupted": False, "spoken_text": "x"}})
    assert (await waiting)["spoken_text"] == "x"


async def test_another_server_is_not_asked_what_the_last_one_ran() -> None:
    line = Line()
    line.current = Wire()
    requests = Requests(outbox(line), 8)
    waiting = asyncio.ensure_future(requests.send(SAY, None, Signal()))
    await asyncio.sleep(0)
    line.current.up = False
    line.current = Wire()
    requests.forget()
    with pytest.raises(ParleyError) as unknown:
        await waiting
    assert (unknown.value.code, unknown.value.retryable) == ("unavailable", False)
    assert (unknown.value.details or {})["outcome"] == "unknown"
    assert line.current.frames == []


async def test_a_call_that_nobody_waits_for_is_cancelled_at_the_server() -> None:
    line = Line()
    wire = line.current = Wire()
    requests = Requests(outbox(line), 8)
    call = {"type": "function.call", "target": "a.b", "input": {}, "session_id": "sess_1"}
    waiting = asyncio.ensure_future(requests.send(call, None, Signal()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [frame["type"] for frame in wire.frames] == ["function.call", "function.cancel"]
    assert wire.frames[0]["request_id"] == wire.frames[1]["request_id"]


def test_results_are_repeated_until_settled_and_one_that_finds_no_room_says_so() -> None:
    wire = Wire()
    results = Results(lambda _: cast(Connection, wire), bytes_max=300)
    results.keep({"execution_id": "exec_1", "status": "succeeded", "output": "x"}, None)
    results.keep({"execution_id": "exec_2", "status": "succeeded", "output": "x" * 300}, None)
    assert wire.frames[1]["error"]["code"] == "resource_exhausted"
    results.repeat_all(10_000)
    assert len(wire.frames) == 2
    results.repeat_all(0)
    assert [frame["execution_id"] for frame in wire.frames[2:]] == ["exec_1", "exec_2"]
    results.settled("exec_1")
    assert results.ids() == ["exec_2"]
    wire.up = False
    results.resumed(set())
    assert len(results) == 0
