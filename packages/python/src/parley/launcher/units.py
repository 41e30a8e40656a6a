"""Where the sessions of a launcher run: in its event loop, or each in a thread or a process of its own."""

from __future__ import annotations

import asyncio
import os

from parley.call import CallHost
from parley.local.simulator import SimulatorLease, lease_simulator
from parley.log import Log
from parley.once import Once

from .agents import Agents, warm_configurations
from .isolated import Hearing, IsolatedUnit, Place
from .isolated_environment import is_isolated
from .options import LauncherOptions
from .process_place import ProcessPlace
from .shared import SharedUnit
from .thread_place import ThreadPlace
from .unit import Unit, UnitOrder, UnitPorts
from .warm_places import WarmPlaces


class Units:
    def __init__(self, options: LauncherOptions, agents: Agents, number: int, log: Log) -> None:
        """``number`` is the launcher's among those of its module."""
        self._options = options
        self._agents = agents
        self._number = number
        kept = 0 if options.isolation == "shared" or is_isolated() else options.warm_agents
        self._places = WarmPlaces(kept, options, self._place, log)
        #: Settle when nothing of a unit runs any more: some have ended long before.
        self._running: set[asyncio.Future[None]] = set()
        self._simulator: Once[SimulatorLease] = Once(lease_simulator)

    def __len__(self) -> int:
        """Threads or processes that are ready."""
        return len(self._places)

    async def warm(self) -> None:
        """Returns when as many are ready as are to be kept. Raises what making one raised."""
        await asyncio.gather(*(self._places.warm(one) for one in warm_configurations(self._options)))

    def open(self, order: UnitOrder, ports: UnitPorts, host: CallHost | None) -> Unit:
        """Begins to run a session; ``host`` holds its call where that is somewhere else."""
        unit = self._opened(order, ports, host)
        self._running.add(unit.gone)
        unit.gone.add_done_callback(self._running.discard)
        return unit

    async def gone(self) -> None:
        """Returns when nothing of those that ended runs any more. A process is gone in a moment; a thread that does not
        return is not waited for."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=self._options.close_ms / 1000)

    async def close(self) -> None:
        """Ends what was kept ready, and gives back what all of them shared."""
        await self._places.close()
        lease = await self._simulator.forget()
        if lease is not None:
            lease.release()

    def _opened(self, order: UnitOrder, ports: UnitPorts, host: CallHost | None) -> Unit:
        # What a control plane keeps comes over this process's link.
        if self._options.isolation == "shared" or host is not None:
            return SharedUnit(order, self._options, ports, self._agents.take, host)

        def place(unit: IsolatedUnit) -> Place:
            return self._places.take(order.configuration, unit) or self._place(unit)

        return IsolatedUnit(order, self._options, ports, place)

    def _place(self, hearing: Hearing) -> Place:
        if self._options.isolation == "thread":
            return ThreadPlace(hearing, self._options, self._agents.make)
        number = self._number if self._options.module is None else 0
        return ProcessPlace(hearing, self._options, number, self._simulator_url)

    async def _simulator_url(self) -> str | None:
        """The simulator of sessions in processes, where their agents need one and the environment names none."""
        sessions = (await self._agents.probe()).parts.sessions.values()
        declared = {one.declaration["provider"] for one in sessions}
        wanted = declared if self._options.provider is None else {self._options.provider}
        if "simulator" not in wanted or os.environ.get("PARLEY_SIMULATOR_URL"):
            return None
        return (await self._simulator.get()).url
