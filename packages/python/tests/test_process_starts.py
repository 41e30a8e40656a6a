"""Sessions in processes that are hard to begin, or to end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from house import until

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


async def test_what_a_session_forked_does_not_hold_its_place(tmp_path: Path) -> None:
    launcher = launcher_of(max_concurrent_sessions=1)
    path = tmp_path / "pid"
    session = await launcher.launch("forks", input={"path": str(path)})
    try:
        await session.active()
        await until(lambda: path.exists() and path.read_text())
        await session.close()
        following = await launcher.launch("next", queue=True)
        await asyncio.wait_for(following.active(), 20)
        await launcher.stop()
    finally:
        os.kill(int(path.read_text()), signal.SIGKILL)


async def test_a_crash_is_told_though_what_the_session_forked_lives_on(tmp_path: Path) -> None:
    launcher = launcher_of()
    path = tmp_path / "pid"
    session = await launcher.launch("forks-and-exits", input={"path": str(path)})
    try:
        await asyncio.wait_for(session.finished(), 20)
        assert session.error is not None
        assert "it ended with 7" in session.error.message
        await launcher.stop()
    finally:
        os.kill(int(path.read_text()), signal.SIGKILL)
