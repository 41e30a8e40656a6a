"""A call that is held here, with a model and listeners that do not behave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from house import TEXT

from parley import Agent, ParleyError, RealtimeSession
from parley.local import LocalHost, LocalOptions
from parley.providers.port import MediaCounts, ModelClosed, ModelEvent, ModelSessionOptions


class Media:
    def send(self, frame: str) -> None: ...

    def on_frame(self, listener: Callable[[str, bool], None]) -> None: ...

    def counts(self) -> MediaCounts:
        return MediaCounts()


class Connection:
    """Hears commands, and tells nothing by itself."""

    def __init__(self) -> None:
        self.provider_session_id: str | None = None
        self.media = Media()
        self.closed: asyncio.Future[ModelClosed] = asyncio.get_running_loop().create_future()
        self.sent: list[Mapping[str, Any]] = []

    def send(self, command: Mapping[str, Any]) -> None:
        self.sent.append(command)

    def on_event(self, listener: Callable[[ModelEvent], None]) -> None: ...

    def close(self, reason: str = "closed") -> None:
        if not self.closed.done():
            self.closed.set_result(ModelClosed(1000, reason, recoverable=False))


class Model:
    provider = "simulator"

    def __init__(self) -> None:
        self.connection = Connection()
        self.dialled = asyncio.Event()
        self.accepts = asyncio.Event()

    async def connect(self, options: ModelSessionOptions) -> Connection:
        self.dialled.set()
        try:
            await self.accepts.wait()
        except asyncio.CancelledError:
            # It was accepted in the moment in which nobody wanted it any more: `asyncio.wait_for` before Python 3.12
            # returns it then.
            return self.connection
        return self.connection


def seated(app: Agent, model: Model, listener: Callable[[Mapping[str, Any]], None] | None = None) -> Agent:
    async def lease(_provider: str) -> Any:
        return model, lambda: None

    return app.seated(LocalHost(LocalOptions(lease_model=lease, listener=listener)))


def desk() -> Agent:
    app = Agent("desk")
    app.session("voice", **TEXT)
    return app


async def test_a_connection_that_comes_when_its_call_has_ended_is_closed() -> None:
    model = Model()
    agent = seated(desk(), model)
    async with agent.join(agent.create_call("default", "call-1")):
        await agent.simple_response("Hello?")
        await asyncio.wait_for(model.dialled.wait(), 20)
    assert model.connection.closed.done()
    assert model.connection.closed.result().reason == "agent_left"


async def test_a_listener_that_raises_does_not_hold_up_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def listener(entry: Mapping[str, Any]) -> None:
        raise RuntimeError(f"no room for {entry['type']}")

    model = Model()
    model.accepts.set()
    agent = seated(desk(), model, listener)
    call = await agent.join(agent.create_call("default", "call-1"))
    await agent.simple_response("Hello?")
    await asyncio.wait_for(call.leave(), 20)
    assert (await call.ended()).reason == "agent_left"
    assert model.connection.closed.done()
    assert "a listener of the log raised" in [one.getMessage() for one in caplog.records]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda session: session.say(""), "text must not be empty"),
        (lambda session: session.say("a" * 16_385), "text must have at most 16384 characters"),
        (lambda session: session.say(None), "text must be a string, got null"),
        (lambda session: session.update(instructions=7), "instructions must be a string, got number"),
    ],
)
async def test_what_a_handler_may_not_ask_of_a_control_plane_it_may_not_ask_here(
    ask: Callable[[RealtimeSession], Any], words: str
) -> None:
    log: list[str] = []
    model = Model()
    model.accepts.set()
    agent = seated(desk(), model, lambda entry: log.append(entry["type"]))
    async with agent.join(agent.create_call("default", "call-1")) as joined:
        before = len(log)
        with pytest.raises(ParleyError, match=words) as refused:
            await asyncio.wait_for(ask(joined.session), 20)
        assert refused.value.code == "invalid_argument"
        assert len(log) == before
