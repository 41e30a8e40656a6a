"""A launcher as an agent of a control plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from house import TEXT, House

from parley import Agent, AgentLauncher, LaunchContext, RealtimeSession, connect_launcher


def desk(name: str) -> Agent:
    app = Agent(name)

    @app.session("voice", **TEXT)
    async def voice(session: RealtimeSession) -> None:
        async for turn in session:
            if turn.text == "bye":
                return
            await session.say(f"You said {turn.text}")

    app.session("alone", **TEXT)
    return app


async def in_its_call(agent: Agent, call_type: str, call_id: str) -> None:
    async with agent.join(agent.create_call(call_type, call_id)):
        await agent.finish()


@asynccontextmanager
async def placed_at(
    house: House, name: str, join_call: Callable[..., Awaitable[None]] = in_its_call, **options: Any
) -> AsyncIterator[AgentLauncher]:
    app = desk(name)
    launcher = AgentLauncher(create_agent=lambda: app, join_call=join_call, close_ms=200, **options)
    handle = await connect_launcher(launcher, url=house.url, stop_ms=200)
    await handle.ready()
    try:
        yield launcher
    finally:
        await launcher.stop()
        await handle.stop()


async def test_a_session_that_was_placed_here_is_a_launch_and_its_end_ends_both(house: House) -> None:
    async with placed_at(house, "placed") as launcher:
        session_id, client = await house.call("placed.voice", metadata={"call_id": "c-1", "team": "red"})
        await house.until(session_id, "handler.attached")
        await client.type("hello")
        assert await client.answer() == "You said hello"
        launched = launcher.get(session_id)
        assert launched is not None
        assert (launched.call_id, launched.call_type, launched.metadata) == ("c-1", "voice", {"team": "red"})
        assert (launched.status, launcher.active_sessions) == ("active", 1)
        await client.type("bye")
        await launched.finished()
        assert launched.reason == "handler_completed"
        assert (await house.until(session_id, "session.closing"))["reason"] == "handler_completed"


async def test_what_is_over_the_limit_or_raises_is_told_to_the_control_plane_with_its_words(house: House) -> None:
    async def closed(_agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
        if call_id == "held":
            session.joined()
            await asyncio.Event().wait()
        raise RuntimeError("the desk is closed")

    async with placed_at(house, "limited", closed, max_concurrent_sessions=1) as launcher:
        held = await launcher.launch("held")
        refused, _ = await house.call("limited.voice")
        error = (await house.until(refused, "handler.failed"))["error"]
        assert (error["code"], error["details"]["limit"], error["details"]["current"]) == ("resource_exhausted", 1, 1)
        await held.close()
        raised, _ = await house.call("limited.voice")
        assert (await house.until(raised, "handler.failed"))["error"]["message"] == "the desk is closed"


async def test_a_limit_that_is_reached_here_ends_the_session_there_with_its_reason(house: House) -> None:
    async with placed_at(house, "brief", max_session_duration_ms=50) as launcher:
        session_id, _ = await house.call("brief.voice")
        assert (await house.until(session_id, "session.closing"))["reason"] == "max_duration"
        launched = launcher.get(session_id)
        assert launched is not None
        await launched.finished()
        assert launched.reason == "max_duration"
