"""What a launcher is asked for twice, or in the wrong moment."""

from __future__ import annotations

import asyncio
from typing import Any

from virtual import in_virtual_time, now_ms

from parley import Agent, AgentLauncher, AgentRequest, LaunchContext


async def stays(_agent: Agent, _type: str, _id: str, session: LaunchContext) -> None:
    session.joined()
    await asyncio.Event().wait()


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
