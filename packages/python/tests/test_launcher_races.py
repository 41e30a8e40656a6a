"""What a launcher is asked for twice, or in the wrong moment."""

from __future__ import annotations

import asyncio
from typing import Any

from parley import Agent, AgentLauncher, LaunchContext


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
