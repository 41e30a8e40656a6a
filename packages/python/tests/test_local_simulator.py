"""The simulator that is started for whoever named none, and who gives it back."""

from __future__ import annotations

import asyncio

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
