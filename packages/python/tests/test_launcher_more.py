"""What an author's code can do to a launcher."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext, ParleyError


async def stays(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
    session.joined()
    await asyncio.Event().wait()


async def test_a_crash_in_the_factory_while_joining_or_in_the_middle_ends_that_session_and_no_other() -> None:
    crash = asyncio.Event()

    def create(request: AgentRequest) -> Agent:
        if request.session is not None and request.session.call_id == "factory":
            raise ParleyError("failed_precondition", "no voice model on this disk")
        return Agent("desk")

    async def join(agent: Agent, kind: str, call_id: str, session: LaunchContext) -> None:
        if call_id == "join":
            raise RuntimeError("the line is cut")
        if call_id == "exit":
            sys.exit(3)
        session.joined()
        if call_id == "middle":
            await crash.wait()
            raise ZeroDivisionError("division by zero")
        await asyncio.Event().wait()

    launcher = AgentLauncher(create_agent=create, join_call=join)
    names = ["neighbour", "factory", "join", "exit", "middle"]
    sessions = {name: await launcher.launch(name) for name in names}
    await sessions["middle"].active()
    crash.set()
    for name in names[1:]:
        await sessions[name].finished()
    told = {name: session.error and (session.error.code, session.error.message) for name, session in sessions.items()}
    assert told == {
        "neighbour": None,
        "factory": ("failed_precondition", "no voice model on this disk"),
        "join": ("unknown", "the line is cut"),
        "exit": ("unknown", "it called for the end of the process (3)"),
        "middle": ("unknown", "division by zero"),
    }
    assert sessions["neighbour"].status == "active"
    assert (launcher.active_sessions, launcher.totals["failed"]) == (1, 4)
    await launcher.stop()


async def test_a_warm_up_that_raises_is_told_and_can_be_tried_again() -> None:
    tries = 0

    async def warm_up(_agent: Agent) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("the model is still being fetched")

    launcher = AgentLauncher(create_agent=lambda: Agent("desk"), join_call=stays, warm_up=warm_up, warm_agents=2)
    with pytest.raises(RuntimeError, match="still being fetched"):
        await launcher.start()
    assert launcher.unready == "starting"
    await launcher.start()
    assert launcher.unready is None
    assert launcher.warm_agents == 2
    await launcher.stop()


async def test_input_is_checked_by_its_type_or_its_schema_before_anything_begins() -> None:
    @dataclass
    class Wanted:
        voice: str
        speed: float = 1.0

    seen: list[Any] = []

    async def join(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
        seen.append(session.input)

    typed = AgentLauncher(create_agent=lambda: Agent("desk"), join_call=join, input=Wanted)
    await (await typed.launch(input={"voice": "high"})).finished()
    assert seen == [Wanted("high", 1.0)]
    with pytest.raises(ParleyError, match="the input of a start is not valid: voice: Field required"):
        await typed.launch(input={})
    schema = {"type": "object", "required": ["voice"]}
    by_schema = AgentLauncher(create_agent=lambda: Agent("desk"), join_call=join, input=schema)
    with pytest.raises(ParleyError, match="must have required property 'voice'"):
        await by_schema.launch(input={})
    assert typed.totals["started"] == 1


async def test_one_agent_that_was_declared_once_is_in_many_calls() -> None:
    app = Agent("desk")
    app.session("voice", provider="simulator", transport="websocket")
    seen: list[Agent] = []

    async def join(agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
        seen.append(agent)
        await stays(agent, _type, _id, session)

    launcher = AgentLauncher(create_agent=lambda: app, join_call=join)
    sessions = [await launcher.launch() for _ in range(3)]
    await asyncio.gather(*(session.active() for session in sessions))
    assert len({id(agent) for agent in seen}) == 3
    assert all(agent.parts == app.parts for agent in seen)
    await launcher.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_sessions_per_call": 0}, "max_sessions_per_call must be a whole number of at least 1, got 0"),
        ({"drain_ms": -1}, "drain_ms must be a whole number of at least 0, got -1"),
        ({"warning_ms": 1.5}, "warning_ms must be a whole number of at least 0, got 1.5"),
        ({"isolation": "pod"}, "isolation must be 'shared', 'thread' or 'process', got pod"),
        ({"join_call": None}, "join_call must be a function, got NoneType"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParleyError, match=words):
        AgentLauncher(**{"create_agent": lambda: Agent("desk"), "join_call": stays, **options})


def test_an_option_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_sesions'"):
        AgentLauncher(create_agent=lambda: Agent("desk"), join_call=stays, max_sesions=1)


async def test_a_factory_that_makes_no_agent_is_told_what_it_made() -> None:
    launcher = AgentLauncher(create_agent=lambda: "desk", join_call=stays)
    with pytest.raises(ParleyError, match="create_agent must return an Agent, got str"):
        await launcher.start()
