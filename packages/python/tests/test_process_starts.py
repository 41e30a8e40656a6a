"""Sessions in processes that are hard to begin, or to end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from house import until

from parley import Agent, AgentLauncher, LaunchContext, ParleyError
from parley.launcher.isolated_environment import ISOLATED
from parley.launcher.process_place import framed
from parley.launcher.unit import UnitOrder

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


def test_a_process_ends_with_a_launcher_that_was_cut_off_in_the_middle_of_a_word() -> None:
    load = {"type": "load", "module": {"path": str(PROGRAM)}, "options": {"blocked_ms": 0, "close_ms": 100}}
    order = UnitOrder("sess_1", "waits", "default", None, {}, None, None, None)
    begin = framed({"type": "begin", "order": asdict(order)})
    child = subprocess.Popen(
        [sys.executable, "-c", "from parley.launcher.process import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, ISOLATED: "1"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(framed({**load, "launcher": 0, "log_level": 20}) + begin)
        child.stdin.flush()
        # It is in its call.
        told = b""
        while b'"active"' not in told:
            more = os.read(child.stdout.fileno(), 4_096)
            assert more, f"it ended after {told!r}"
            told += more
        child.stdin.write(framed({"type": "close", "reason": "closed"})[:-4])
        child.stdin.close()
        assert child.wait(20) == 1
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
