"""The agents of a launcher: one is made for each session, or was kept ready before anybody called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parley.errors import ParleyError
from parley.log import Log
from parley.once import Once

from .context import AgentRequest
from .options import LauncherOptions, told
from .warm import WarmPool

if TYPE_CHECKING:
    from parley.agent import Agent


class Agents:
    def __init__(self, options: LauncherOptions, log: Log) -> None:
        self._options = options
        # What runs elsewhere is made there, and kept there.
        self._pool: WarmPool[Agent] = WarmPool(
            options.warm_agents if options.isolation == "shared" else 0,
            options.warm_configurations_max,
            lambda of: self.make(AgentRequest(of, None)),
            log,
        )
        self._probe = Once(self._seen)

    def __len__(self) -> int:
        """Agents that are ready."""
        return len(self._pool)

    async def make(self, request: AgentRequest) -> Agent:
        """An agent, made and warmed. Raises what an author's code raised, ParleyError where it made something else."""
        from parley.agent import Agent

        agent = await told(self._options.create_agent, request)
        if not isinstance(agent, Agent):
            words = f"create_agent must return an Agent, got {type(agent).__name__}"
            raise ParleyError("invalid_argument", words)
        if self._options.warm_up is not None:
            await told(self._options.warm_up, agent)
        return agent

    async def take(self, request: AgentRequest) -> Agent:
        """One for a session: a ready one of its configuration, or a new one. Raises what making it raised."""
        return self._pool.take(request.configuration) or await self.make(request)

    async def probe(self) -> Agent:
        """One that is in no call: what it declares is what all of them do."""
        return await self._probe.get()

    async def warm(self) -> None:
        """Returns when as many are ready as are to be kept. Raises what making one raised."""
        await asyncio.gather(*(self._pool.warm(one) for one in warm_configurations(self._options)))

    def close(self) -> None:
        self._pool.close()

    async def _seen(self) -> Agent:
        configuration = next(iter(warm_configurations(self._options)), None)
        return await self.make(AgentRequest(configuration, None))


def warm_configurations(options: LauncherOptions) -> Sequence[Any]:
    """Those that are warmed at the start."""
    if options.warm_configurations is not None:
        return options.warm_configurations
    return [None if options.configure is None else options.configure(None, "default")]
