"""What a launcher does as time passes, under a clock of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual import in_virtual_time, now_ms

from parley import Agent, AgentLauncher, LaunchContext, Notice, ParleyError


async def stays(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
    session.joined()
    await asyncio.Event().wait()


def launcher_of(**options: Any) -> AgentLauncher:
    return AgentLauncher(**{"create_agent": lambda: Agent("desk"), "join_call": stays, **options})


def test_an_agent_that_is_alone_is_warned_and_then_its_call_ends() -> None:
    async def test() -> None:
        told: list[tuple[int, Notice]] = []
        launcher = launcher_of(on_notice=lambda _agent, notice: told.append((now_ms(), notice)))
        session = await launcher.launch()
        await session.finished()
        assert told == [(50_000, Notice("idle_timeout", 10_000))]
        assert (now_ms(), session.status, session.reason) == (60_000, "ended", "idle_timeout")

    in_virtual_time(test)


def test_company_and_what_happens_put_the_end_off_and_a_timeout_of_nothing_never_comes() -> None:
    async def test() -> None:
        contexts: dict[str, LaunchContext] = {}

        async def join(agent: Agent, kind: str, call_id: str, session: LaunchContext) -> None:
            contexts[call_id] = session
            await stays(agent, kind, call_id, session)

        launcher = launcher_of(join_call=join)
        accompanied, busy = await launcher.launch("accompanied"), await launcher.launch("busy")
        await asyncio.gather(accompanied.active(), busy.active())
        contexts["accompanied"].touch(others=1)
        await asyncio.sleep(55)
        contexts["busy"].touch()
        await busy.finished()
        assert now_ms() == 115_000
        await asyncio.sleep(86_400)
        assert accompanied.status == "active"
        contexts["accompanied"].touch(others=0)
        await accompanied.finished()
        assert accompanied.reason == "idle_timeout"
        forever = launcher_of(agent_idle_timeout_ms=0)
        alone = await forever.launch()
        await asyncio.sleep(86_400)
        assert alone.status == "active"
        await forever.stop()

    in_virtual_time(test)


def test_the_longest_duration_is_warned_of_and_a_notice_that_raises_saves_nobody() -> None:
    async def test() -> None:
        def raises(_agent: Agent, _notice: Notice) -> None:
            raise RuntimeError("no goodbye")

        launcher = launcher_of(agent_idle_timeout_ms=0, max_session_duration_ms=3_600_000, on_notice=raises)
        session = await launcher.launch()
        await session.finished()
        assert (now_ms(), session.reason) == (3_600_000, "max_duration")

    in_virtual_time(test)


def test_a_start_that_waits_too_long_and_an_agent_that_never_joins_say_so_and_leave_no_place_taken() -> None:
    async def test() -> None:
        async def never(_agent: Agent, _type: str, _id: str) -> None:
            await asyncio.Event().wait()

        launcher = launcher_of(join_call=never, max_concurrent_sessions=1, start_timeout_ms=40_000)
        joining = await launcher.launch()
        waiting = await launcher.launch(queue=True)
        with pytest.raises(ParleyError, match="was not in its call within 40000 ms"):
            await joining.active()
        assert (now_ms(), joining.reason) == (40_000, "start_timeout")
        # It had a place from then on.
        await waiting.finished()
        assert (now_ms(), waiting.reason) == (80_000, "start_timeout")
        # In the next turn, in which their code has heard of it.
        await asyncio.sleep(0.1)
        assert launcher.active_sessions == 0
        held = launcher_of(max_concurrent_sessions=1, agent_idle_timeout_ms=0, queue_timeout_ms=5_000)
        await held.launch()
        late = await held.launch(queue=True)
        await late.finished()
        assert late.error is not None
        assert (late.reason, late.error.code, held.queued_sessions) == ("queue_timeout", "deadline_exceeded", 0)
        await held.stop()

    in_virtual_time(test)


def test_a_session_that_does_not_end_when_it_is_told_to_is_given_up() -> None:
    async def test() -> None:
        async def deaf(agent: Agent, kind: str, call_id: str, session: LaunchContext) -> None:
            session.joined()
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if now_ms() > 10_000_000:
                        raise

        launcher = launcher_of(join_call=deaf, agent_idle_timeout_ms=0, close_ms=2_000)
        session = await launcher.launch()
        await session.active()
        await session.close("enough")
        assert (now_ms(), session.status, session.reason) == (2_000, "ended", "enough")
        await asyncio.sleep(10_000)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    in_virtual_time(test)


def test_a_drain_gives_every_session_its_time_for_a_goodbye_and_ends_with_the_last() -> None:
    async def test() -> None:
        told: dict[str, int] = {}
        bye = asyncio.Event()

        async def join(agent: Agent, kind: str, call_id: str, session: LaunchContext) -> None:
            session.joined()
            await (bye.wait() if call_id == "polite" else asyncio.Event().wait())
            await asyncio.sleep(5)

        def notice(_agent: Agent, notice: Notice, session: LaunchContext) -> None:
            told[session.call_id] = notice.left_ms
            bye.set()

        launcher = launcher_of(join_call=join, on_notice=notice, agent_idle_timeout_ms=0, drain_ms=30_000)
        polite, stubborn = await launcher.launch("polite"), await launcher.launch("stubborn")
        waiting = [await launcher.launch("x", queue=True) for _ in range(1)]
        await asyncio.gather(polite.active(), stubborn.active())
        draining = asyncio.ensure_future(launcher.drain())
        await polite.finished()
        assert (now_ms(), polite.reason) == (5_000, "task_completed")
        await draining
        assert (now_ms(), stubborn.reason) == (30_000, "draining")
        assert told == {"polite": 30_000, "stubborn": 30_000, "x": 30_000}
        assert waiting[0].reason == "draining"

    in_virtual_time(test)


def test_what_ended_can_be_read_for_a_while_and_the_oldest_goes_first() -> None:
    async def test() -> None:
        async def over(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
            session.joined()

        launcher = launcher_of(join_call=over, retain_ms=600_000, retain_max=2)
        first, second, third = [await launcher.launch() for _ in range(3)]
        await third.finished()
        assert launcher.get(first.id) is None
        assert launcher.get(second.id) is second
        await asyncio.sleep(601)
        assert launcher.sessions() == []
        again = await launcher.launch(idempotency_key="k")
        assert await launcher.launch(idempotency_key="k") is again
        await asyncio.sleep(601)
        assert await launcher.launch(idempotency_key="k") is not again
        await launcher.stop()

    in_virtual_time(test)
