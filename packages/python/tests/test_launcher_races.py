"""What a launcher is asked for twice, or in the wrong moment."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from virtual import in_virtual_time, now_ms

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext, ParleyError
from parley.call import AgentCall, AgentParts, CallEnd, HostedCall
from parley.frames import FrameSocket


async def stays(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
    session.joined()
    await asyncio.Event().wait()


class Elsewhere:
    """Holds the calls of agents that do not join them."""

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
        raise AssertionError("nobody joins")


def launcher_of(**options: Any) -> AgentLauncher:
    return AgentLauncher(**{"create_agent": lambda: Agent("desk"), "join_call": stays, **options})


async def test_a_key_goes_with_its_session_though_that_ended_before_its_start_returned() -> None:
    def configure(_input: Any, _type: str) -> Any:
        raise RuntimeError("no such voice")

    launcher = launcher_of(configure=configure, retain_max=0)
    first = await launcher.launch(idempotency_key="k")
    assert (first.status, launcher.get(first.id)) == ("failed", None)
    assert await launcher.launch(idempotency_key="k") is not first
    await launcher.stop()


def test_who_comes_into_its_call_during_a_drain_is_told_the_time_that_is_left() -> None:
    async def test() -> None:
        told: list[tuple[int, int]] = []

        async def create(_request: AgentRequest) -> Agent:
            await asyncio.sleep(4)
            return Agent("desk")

        launcher = launcher_of(
            create_agent=create,
            on_notice=lambda _agent, notice: told.append((now_ms(), notice.left_ms)),
            agent_idle_timeout_ms=0,
            drain_ms=30_000,
        )
        session = await launcher.launch()
        await launcher.drain(10_000)
        assert told == [(4_000, 6_000)]
        assert (now_ms(), session.reason) == (10_000, "draining")

    in_virtual_time(test)


async def test_what_an_agent_declares_is_seen_on_one_agent_however_many_ask_at_once() -> None:
    made, tries = 0, 0

    async def create() -> Agent:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return Agent("desk")

    async def warm_up(_agent: Agent) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("the model is still being fetched")

    launcher = launcher_of(create_agent=create, warm_up=warm_up)
    failed = await asyncio.gather(*(launcher.probe() for _ in range(5)), return_exceptions=True)
    assert [str(one) for one in failed] == ["the model is still being fetched"] * 5
    assert made == 1
    # One that gives up does not take the agent from the others.
    impatient, *patient = (asyncio.ensure_future(launcher.probe()) for _ in range(5))
    await asyncio.sleep(0)
    impatient.cancel()
    probes = await asyncio.gather(*patient)
    assert made == 2
    assert all(one is probes[0] for one in probes)
    await launcher.stop()


async def test_a_session_that_is_launched_already_is_not_launched_a_second_time() -> None:
    launcher = launcher_of()
    host = Elsewhere()
    first = await launcher.launch_at(host, "sess_1", "call", "voice")
    with pytest.raises(ParleyError) as refused:
        await launcher.launch_at(host, "sess_1", "call", "voice")
    assert refused.value.code == "already_exists"
    assert launcher.get("sess_1") is first
    await first.close()
    again = await launcher.launch_at(host, "sess_1", "call", "voice")
    assert (launcher.get("sess_1"), launcher.sessions()) == (again, [again])
    await asyncio.wait_for(launcher.stop(), 20)
    assert (first.status, again.status, launcher.active_sessions) == ("ended", "ended", 0)


@pytest.mark.parametrize("isolation", ["shared", "thread"])
async def test_a_launcher_that_stopped_while_it_was_being_warmed_keeps_nothing_warm(isolation: str) -> None:
    gate, probing, made = asyncio.Event(), asyncio.Event(), 0

    async def create() -> Agent:
        nonlocal made
        made += 1
        probing.set()
        await gate.wait()
        return Agent("desk")

    launcher = launcher_of(create_agent=create, isolation=isolation, warm_agents=2)
    starting = asyncio.ensure_future(launcher.start())
    await probing.wait()
    await launcher.stop()
    gate.set()
    await asyncio.gather(starting, return_exceptions=True)
    assert (made, launcher.warm_agents, launcher.unready) == (1, 0, "stopped")


def test_a_session_that_is_closed_before_its_first_step_ends_at_once() -> None:
    async def test() -> None:
        launcher = launcher_of(close_ms=2_000)
        session = await launcher.launch()
        await session.close("changed_my_mind")
        assert (now_ms(), session.status, session.reason) == (0, "ended", "changed_my_mind")
        await launcher.stop()

    in_virtual_time(test)


async def test_a_call_that_cannot_be_left_fails_its_session_and_gives_its_place_back() -> None:
    class Call:
        def __init__(self) -> None:
            self.session: Any = None
            self.ended: asyncio.Future[CallEnd] = asyncio.get_running_loop().create_future()

        async def leave(self, reason: str) -> CallEnd:
            raise ParleyError("unavailable", "the exchange does not answer")

        def attach(self, client: FrameSocket) -> None:
            raise AssertionError("nobody attaches")

    class Exchange:
        async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
            return Call()

    def create() -> Agent:
        app = Agent("desk")
        app.session("voice", provider="simulator", transport="websocket")
        return app

    async def join(agent: Agent, call_type: str, call_id: str) -> None:
        await agent.join(agent.create_call(call_type, call_id))

    launcher = launcher_of(create_agent=create, join_call=join)
    session = await launcher.launch_at(Exchange(), "sess_1", "call", "voice")
    await asyncio.wait_for(session.finished(), 20)
    assert session.error is not None
    assert (session.status, session.error.message) == ("failed", "the exchange does not answer")
    assert launcher.active_sessions == 0
    await launcher.stop()


async def test_sessions_are_listed_in_the_order_of_their_starts_though_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = launcher_of()
    late = datetime(2026, 11, 21, tzinfo=timezone.utc)
    monkeypatch.setattr("parley.launcher.session._now", lambda: late)
    first = await launcher.launch()
    monkeypatch.setattr("parley.launcher.session._now", lambda: late - timedelta(hours=1))
    second = await launcher.launch()
    await second.close()
    assert launcher.sessions() == [first, second]
    await launcher.stop()
