"""Agents that stay in their call until they are told to leave it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext, Notice, ParleyError


async def stays(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
    session.joined()
    await asyncio.Event().wait()


def launcher_of(**options: Any) -> AgentLauncher:
    return AgentLauncher(**{"create_agent": lambda _configuration: Agent("desk"), "join_call": stays, **options})


async def test_twenty_starts_of_a_slow_factory_run_side_by_side() -> None:
    gate, all_begun, making = asyncio.Event(), asyncio.Event(), 0

    async def create(_configuration: object) -> Agent:
        nonlocal making
        making += 1
        if making == 20:
            all_begun.set()
        await gate.wait()
        return Agent("desk")

    launcher = launcher_of(create_agent=create)
    sessions = [await launcher.launch() for _ in range(20)]
    await all_begun.wait()
    gate.set()
    await asyncio.gather(*(session.active() for session in sessions))
    assert launcher.active_sessions == 20
    await launcher.stop()


async def test_racing_starts_keep_the_limits_exactly_and_are_told_them() -> None:
    launcher = launcher_of(max_concurrent_sessions=7, max_sessions_per_call=1)
    starts = await asyncio.gather(*(launcher.launch() for _ in range(50)), return_exceptions=True)
    refused = [one for one in starts if isinstance(one, ParleyError)]
    assert len(refused) == 43
    assert refused[0].code == "resource_exhausted"
    assert refused[0].details == {"reason": "node_at_capacity", "limit": 7, "current": 7}
    await launcher.sessions()[0].close()
    await launcher.launch("one")
    with pytest.raises(ParleyError) as one:
        await launcher.launch("one")
    assert one.value.details == {"reason": "call_limit", "limit": 1, "current": 1}
    await launcher.stop()


async def test_starts_that_wait_are_admitted_in_order_past_those_whose_call_is_full() -> None:
    launcher = launcher_of(max_concurrent_sessions=2, max_sessions_per_call=1, queue_max=2)
    first, second = await launcher.launch("a"), await launcher.launch("b")
    again, third = await launcher.launch("a", queue=True), await launcher.launch("c", queue=True)
    assert [again.to_dict()["place"], third.to_dict()["place"]] == [1, 2]
    with pytest.raises(ParleyError) as full:
        await launcher.launch("d", queue=True)
    assert full.value.details is not None
    assert full.value.details["queue_limit"] == 2
    await second.close()
    await third.active()
    assert again.status == "queued"
    await first.close()
    await again.active()
    await launcher.stop()


async def test_what_the_factory_or_join_call_raises_can_be_read_and_touches_no_neighbour() -> None:
    async def join(agent: Agent, call_type: str, call_id: str, session: LaunchContext) -> None:
        if call_id == "throws":
            raise RuntimeError("the line is cut")
        await stays(agent, call_type, call_id, session)

    launcher = launcher_of(join_call=join)
    neighbour, throws = await launcher.launch("stays"), await launcher.launch("throws")
    await throws.finished()
    assert launcher.get(throws.id) is throws
    assert throws.status == "failed"
    assert throws.to_dict()["error"]["message"] == "the line is cut"
    with pytest.raises(ParleyError, match="the line is cut"):
        await throws.active()
    assert neighbour.status == "active"
    await launcher.stop()
    assert (neighbour.status, neighbour.reason) == ("ended", "stopped")


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"agent_idle_timeout_ms": 20}, "idle_timeout"), ({"max_session_duration_ms": 20}, "max_duration")],
)
async def test_a_session_is_warned_before_it_is_closed(options: dict[str, int], reason: str) -> None:
    told: list[Notice] = []
    launcher = launcher_of(
        **{"agent_idle_timeout_ms": 0, "warning_ms": 5, **options},
        on_notice=lambda _agent, notice, _session: told.append(notice),
    )
    session = await launcher.launch()
    await session.finished()
    assert session.reason == reason
    assert told == [Notice(reason, 5)]  # type: ignore[arg-type]
    await launcher.stop()


async def test_a_drain_starts_nothing_tells_everybody_and_closes_what_is_left() -> None:
    told: list[int] = []
    launcher = launcher_of(on_notice=lambda _agent, notice, _session: told.append(notice.left_ms))
    await launcher.start()
    session = await launcher.launch()
    await session.active()
    draining = asyncio.ensure_future(launcher.drain(30))
    await asyncio.sleep(0)
    assert launcher.unready == "draining"
    with pytest.raises(ParleyError) as refused:
        await launcher.launch()
    assert refused.value.code == "unavailable"
    await draining
    assert (session.status, session.reason, told) == ("ended", "draining", [30])


async def test_warm_agents_are_kept_by_configuration() -> None:
    made: list[object] = []

    def create(request: AgentRequest) -> Agent:
        made.append(request.configuration)
        return Agent("desk")

    launcher = launcher_of(create_agent=create, warm_agents=1, configure=lambda given, _type: given)
    await launcher.start()
    # One that shows what is declared, and one that is kept ready.
    assert made == [None, None]
    await (await launcher.launch()).active()
    await (await launcher.launch(input={"voice": "high"})).active()
    assert made.count(None) == 3
    assert {"voice": "high"} in made
    await launcher.stop()


@pytest.mark.parametrize(
    ("call_id", "call_type", "path"), [("  ", "default", "call_id"), ("x", "No Such", "call_type")]
)
async def test_a_start_is_refused_by_the_name_of_its_field(call_id: str, call_type: str, path: str) -> None:
    with pytest.raises(ParleyError) as refused:
        await launcher_of().launch(call_id, call_type)
    assert refused.value.details == {"path": path}


async def test_a_launcher_refuses_a_limit_of_nothing() -> None:
    with pytest.raises(ParleyError, match="max_concurrent_sessions must be a whole number of at least 1, got 0"):
        launcher_of(max_concurrent_sessions=0)
