"""Sessions in threads and in processes, and what they cannot do to their neighbours."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import warmed_agent
from house import runs, until

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext, LaunchedSession, Notice, ParleyError
from parley.launcher import LauncherOptions
from parley.launcher.isolate import Report
from parley.launcher.thread_place import ThreadPlace

PROGRAM = Path(__file__).with_name("launched_agent.py")


def blocks_the_loop() -> None:
    time.sleep(1.5)


def never_returns() -> None:
    count = 0
    while True:
        count += 1


async def join(_agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
    session.joined()
    if call_id == "blocks":
        await asyncio.sleep(0)
        blocks_the_loop()
    if call_id == "counts":
        await asyncio.sleep(0)
        never_returns()
    if call_id == "throws":
        raise RuntimeError("the line is cut")
    if call_id == "exits":
        sys.exit(3)
    await asyncio.Event().wait()


def launcher_of(isolation: str, join_call: Callable[..., Awaitable[None]] = join, **options: Any) -> AgentLauncher:
    more = {"module": PROGRAM, **options} if isolation == "process" else options
    return AgentLauncher(create_agent=lambda: Agent("desk"), join_call=join_call, isolation=isolation, **more)


async def ended(session: LaunchedSession) -> ParleyError:
    await asyncio.wait_for(session.finished(), 30)
    assert session.error is not None
    return session.error


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_session_that_blocks_its_loop_ends_with_its_place_in_the_code_and_its_neighbour_goes_on(
    isolation: str,
) -> None:
    launcher = launcher_of(isolation, blocked_ms=400)
    neighbour = await launcher.launch("neighbour")
    await neighbour.active()
    blocks = await launcher.launch("blocks")
    error = await ended(blocks)
    name = "blocks_everything" if isolation == "process" else "blocks_the_loop"
    assert blocks.reason == "blocked"
    assert error.details is not None
    assert error.details["culprit"] == blocks.id
    assert error.details["blocked_ms"] >= 400
    file = PROGRAM if isolation == "process" else Path(__file__)
    assert error.details["at"].startswith(f"{name} ({file}:")
    assert neighbour.status == "active"
    await launcher.stop()
    assert neighbour.reason == "stopped"


async def test_a_thread_that_computes_without_end_is_stopped_in_the_middle_and_gives_its_place_back() -> None:
    launcher = launcher_of("thread", blocked_ms=300, close_ms=100, max_concurrent_sessions=1)
    counts = await launcher.launch("counts")
    waiting = await launcher.launch("waits", queue=True)
    error = await ended(counts)
    assert error.details is not None
    assert error.details["at"].startswith("never_returns (")
    await asyncio.wait_for(waiting.active(), 30)
    # It told of its end with its last breath.
    await until(lambda: counts.id not in [thread.name for thread in threading.enumerate()])
    await launcher.stop()


async def test_a_thread_that_waits_for_nothing_and_hears_no_cancellation_gives_its_place_back() -> None:
    async def deaf(_agent: Agent, _type: str, call_id: str, session: LaunchContext) -> None:
        session.joined()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if call_id == "hears":
                    raise

    launcher = launcher_of("thread", deaf, close_ms=100, max_concurrent_sessions=1)
    session = await launcher.launch("is-deaf")
    await session.active()
    await session.close()
    following = await launcher.launch("hears", queue=True)
    await asyncio.wait_for(following.active(), 15)
    await launcher.stop()


async def test_a_thread_that_sleeps_holds_its_place_until_it_returns() -> None:
    launcher = launcher_of("thread", blocked_ms=300, close_ms=100, max_concurrent_sessions=1)
    await ended(await launcher.launch("blocks"))
    with pytest.raises(ParleyError, match="at its limit of 1 sessions"):
        await launcher.launch("next")
    following = await launcher.launch("next", queue=True)
    await asyncio.wait_for(following.active(), 30)
    await launcher.stop()


@pytest.mark.parametrize("isolation", ["shared", "thread"])
@pytest.mark.parametrize(
    ("call_id", "words"), [("throws", "the line is cut"), ("exits", "it called for the end of the process (3)")]
)
async def test_what_a_session_raises_ends_it_alone(isolation: str, call_id: str, words: str) -> None:
    launcher = launcher_of(isolation)
    neighbour, one = await launcher.launch("neighbour"), await launcher.launch(call_id)
    assert (await ended(one)).message == words
    await neighbour.active()
    assert neighbour.status == "active"
    await launcher.stop()


@pytest.mark.parametrize(
    ("call_id", "words"),
    [("throws", "the line is cut"), ("exits", "it ended with 7"), ("dies", "it was ended by signal 9")],
)
async def test_a_process_may_crash_in_every_way(call_id: str, words: str) -> None:
    launcher = launcher_of("process")
    neighbour, one = await launcher.launch("neighbour"), await launcher.launch(call_id)
    assert words in (await ended(one)).message
    await neighbour.active()
    assert neighbour.status == "active"
    await launcher.stop()


async def test_a_killed_process_is_a_failed_session_and_a_free_place(tmp_path: Path) -> None:
    launcher = launcher_of("process", max_concurrent_sessions=1)
    path = tmp_path / "pid"
    session = await launcher.launch("says-pid", input={"path": str(path)})
    await session.active()
    await until(lambda: path.exists() and path.read_text())
    pid = int(path.read_text())
    assert pid != os.getpid()
    os.kill(pid, signal.SIGKILL)
    assert "it was ended by signal 9" in (await ended(session)).message
    following = await launcher.launch("next", queue=True)
    await asyncio.wait_for(following.active(), 30)
    await launcher.stop()


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_session_elsewhere_is_told_closed_and_drained_as_one_here(isolation: str) -> None:
    seen: list[Notice] = []
    bye = threading.Event()

    async def polite(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
        session.joined()
        await until(bye.is_set)

    def notice(_agent: Agent, notice: Notice) -> None:
        seen.append(notice)
        bye.set()

    launcher = launcher_of(isolation, polite, on_notice=notice)
    closed, drained = await launcher.launch("closed"), await launcher.launch("polite")
    await asyncio.gather(closed.active(), drained.active())
    await asyncio.wait_for(closed.close("changed_my_mind"), 30)
    assert (closed.status, closed.reason) == ("ended", "changed_my_mind")
    await asyncio.wait_for(launcher.drain(20_000), 30)
    assert (drained.status, drained.reason) == ("ended", "task_completed")
    if isolation == "thread":
        assert seen == [Notice("draining", 20_000)]


async def test_a_module_that_makes_no_launcher_is_told_and_so_is_what_cannot_be_said_to_a_process(
    tmp_path: Path,
) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text("print('nothing here')\n", encoding="utf-8")
    launcher = launcher_of("process", module=empty)
    error = await ended(await launcher.launch())
    assert error.code == "failed_precondition"
    assert "made no AgentLauncher" in error.message
    unsaid = await ended(await launcher.launch(input=object()))
    assert "input is a object, which JSON cannot say, so it cannot be given to a process" in unsaid.message
    await launcher.stop()


async def test_in_a_shared_loop_the_watchdog_names_the_session_the_function_and_the_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    launcher = launcher_of("shared", blocked_ms=300)
    unwatch = launcher.watch()
    try:
        blocks = await launcher.launch("blocks")
        await blocks.active()
        # The loop is blocked here, and turns again afterwards.
        await asyncio.sleep(0.01)
    finally:
        unwatch()
    (line,) = [one for one in caplog.records if one.getMessage() == "the event loop is blocked"]
    fields = line.__dict__["fields"]
    assert fields["culprit"] == blocks.id
    assert fields["at"].startswith(f"blocks_the_loop ({__file__}:")
    assert blocks.status == "active"
    await launcher.stop()


@pytest.fixture
def born(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The processes in which agents were made in advance, besides this one."""
    path = tmp_path / "born"
    path.touch()
    monkeypatch.setenv("WARMED_PIDS", str(path))
    return lambda: [pid for pid in map(int, path.read_text().split()) if pid != os.getpid()]


def warm_launcher(isolation: str, *configurations: str, **options: Any) -> AgentLauncher:
    more = {"warm_configurations": configurations, "module": warmed_agent.__file__, **options}
    return warmed_agent.launcher.changed(isolation=isolation, **more)


def warm_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "parley-warm"]


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_agents_elsewhere_are_made_in_advance_for_one_configuration_and_end_with_the_launcher(
    isolation: str, born: Callable[[], list[int]]
) -> None:
    launcher = warm_launcher(isolation, "red")
    await launcher.start()
    assert launcher.warm_agents == 1
    sessions = [await launcher.launch("tells", input=colour) for colour in ("red", "blue")]
    told = [(await ended(session)).message for session in sessions]
    assert told == ["in-advance, red", "for-its-session, blue"]
    # The next ones are made meanwhile, of both.
    await until(lambda: launcher.warm_agents == 2)
    assert len(born()) == (3 if isolation == "process" else 0)
    assert len(warm_threads()) == (2 if isolation == "thread" else 0)
    await launcher.drain()
    assert launcher.warm_agents == 0
    assert [pid for pid in born() if runs(pid)] == []
    await until(lambda: not warm_threads())


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_session_in_a_warm_place_can_be_closed_at_once_and_later(
    isolation: str, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = warm_launcher(isolation, "red", warm_agents=2)
    await launcher.start()
    closed, stays = await launcher.launch("stays", input="red"), await launcher.launch("stays", input="red")
    # Before it can have heard of its session.
    await asyncio.wait_for(closed.close("changed_my_mind"), 30)
    assert (closed.status, closed.reason) == ("ended", "changed_my_mind")
    await stays.active()
    await asyncio.wait_for(launcher.stop(), 30)
    assert stays.reason == "stopped"
    # It was not given up.
    assert [one.getMessage() for one in caplog.records if one.name == "parley" and one.levelname == "WARNING"] == []


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_warm_place_that_ends_before_its_session_came_is_told_and_forgotten(
    isolation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, born: Callable[[], list[int]]
) -> None:
    doom = tmp_path / "doom"
    launcher = warm_launcher(isolation, str(doom))
    await launcher.start()
    assert launcher.warm_agents == 1
    doom.touch()
    await until(lambda: launcher.warm_agents == 0)
    doom.unlink()
    (line,) = [one for one in caplog.records if one.getMessage() == "a warm place ended before its session came"]
    assert line.levelname == "WARNING"
    session = await launcher.launch("tells", input=str(doom))
    assert (await ended(session)).message == f"for-its-session, {doom}"
    # The next one is made, or being made.
    await launcher.stop()
    assert not any(map(runs, born()))
    await until(lambda: not warm_threads())


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_place_that_cannot_be_warmed_is_told_to_who_starts_the_launcher_and_leaves_nothing(
    isolation: str, born: Callable[[], list[int]]
) -> None:
    launcher = warm_launcher(isolation, "red", "unmakeable")
    with pytest.raises(ParleyError, match="no agent is made of this"):
        await launcher.start()
    # The other one is made, or being made.
    await launcher.stop()
    await until(lambda: not warm_threads() and not any(map(runs, born())))


async def test_a_warm_process_ends_with_a_launcher_that_was_killed(born: Callable[[], list[int]]) -> None:
    arguments = [sys.executable, str(warmed_agent.__file__)]
    program = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert program.stdout is not None
        assert await asyncio.wait_for(program.stdout.readline(), 30) == b"1 warm\n"
        (warm,) = [pid for pid in born() if pid != program.pid]
        assert runs(warm)
    finally:
        program.kill()
        await program.communicate()
    await until(lambda: not runs(warm))


async def test_a_thread_that_is_ended_before_it_has_a_loop_ends_as_soon_as_it_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Nobody:
        def report(self, report: Report) -> None: ...

        def crashed(self, why: str) -> None: ...

    async def make(_request: AgentRequest) -> Agent:
        return Agent("desk")

    gate, new_loop = threading.Event(), asyncio.events.new_event_loop

    def late() -> asyncio.AbstractEventLoop:
        gate.wait(10)
        return new_loop()

    monkeypatch.setattr(asyncio.events, "new_event_loop", late)
    place = ThreadPlace(Nobody(), LauncherOptions(make, join, close_ms=200), make)
    await place.prepare(None)
    killing = asyncio.ensure_future(place.kill())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait_for(killing, 10)
    await until(lambda: not warm_threads())
