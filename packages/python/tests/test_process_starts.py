"""Sessions in processes that are hard to begin, or to end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from parley import Agent, AgentLauncher, LaunchContext, ParleyError

PROGRAM = Path(__file__).with_name("launched_agent.py")


async def never(_agent: Agent, _type: str, _id: str, _session: LaunchContext) -> None:
    raise AssertionError("this runs in the process of its session only")


def launcher_of(**options: Any) -> AgentLauncher:
    given = {"create_agent": lambda: Agent("desk"), "join_call": never, "isolation": "process", "module": PROGRAM}
    return AgentLauncher(**{**given, **options})


async def ended(launcher: AgentLauncher, call_id: str) -> ParleyError:
    session = await launcher.launch(call_id)
    await asyncio.wait_for(session.finished(), 60)
    assert session.error is not None
    return session.error


async def test_what_the_factory_raises_before_there_is_a_process_is_told_at_once() -> None:
    def create() -> Agent:
        raise RuntimeError("no voice model on this disk")

    launcher = launcher_of(create_agent=create, start_timeout_ms=3_000)
    assert (await ended(launcher, "x")).message == "no voice model on this disk"
    await launcher.stop()


async def test_a_simulator_that_could_not_be_started_is_started_for_the_next_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def declares() -> Agent:
        app = Agent("desk")
        app.session("voice", provider="simulator", transport="websocket")
        return app

    script = tmp_path / "script.json"
    monkeypatch.delenv("PARLEY_SIMULATOR_URL", raising=False)
    monkeypatch.setenv("PARLEY_SIMULATOR_SCRIPT", str(script))
    launcher = launcher_of(create_agent=declares)
    assert "which cannot be read" in (await ended(launcher, "throws")).message
    script.write_text('{"rules": []}', encoding="utf-8")
    assert (await ended(launcher, "throws")).message == "the line is cut"
    await launcher.stop()
