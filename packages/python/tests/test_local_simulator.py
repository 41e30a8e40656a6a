"""The simulator that is started for whoever named none, and who gives it back."""

from __future__ import annotations

import asyncio
import threading

import pytest
from house import until

from parley.local import lease_simulator, simulator


async def test_a_lease_that_nobody_waits_for_any_more_is_given_back() -> None:
    impatient = asyncio.ensure_future(lease_simulator({}))
    # Its simulator is being started.
    await until(simulator._SHARED._lock.locked)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    lease = await lease_simulator({})
    running = simulator._SHARED._running
    assert running is not None
    assert running.url == lease.url
    lease.release()
    await until(lambda: not running.alive)


async def test_the_loop_goes_on_while_a_simulator_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    went_on, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    end = simulator._Child.end
    seen: list[bool] = []

    def slow(child: simulator._Child) -> None:
        seen.append(went_on.wait(5))
        end(child)
        loop.call_soon_threadsafe(ended.set)

    lease = await lease_simulator({})
    monkeypatch.setattr(simulator._Child, "end", slow)
    lease.release()
    went_on.set()
    await asyncio.wait_for(ended.wait(), 20)
    assert seen == [True]
