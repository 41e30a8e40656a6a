"""The control plane as one object."""

from __future__ import annotations

from types import TracebackType
from typing import cast
from urllib.parse import quote

from .client_executions import Executions
from .client_sessions import Sessions
from .contract.types import AgentResource, HealthResponse, WorkflowResource
from .http import Http


class ParleyClient:
    """A client of the Parley control plane. Every method raises ``ParleyError``: the server's own, or ``unavailable``
    when there was no answer.

    >>> async with ParleyClient() as parley:                                                # doctest: +SKIP
    ...     session = await parley.sessions.start("support.voice")
    ...     async for event in parley.sessions.tail(session["session_id"]):
    ...         print(event["type"])

    ``url`` defaults to ``PARLEY_URL``, else ``http://127.0.0.1:7700``; ``key`` to ``PARLEY_KEY``. A try of a request
    may take ``timeout_ms``; one that may be repeated is repeated ``retries`` times after a retryable error, unless the
    server asks for a pause longer than ``retry_after_max_ms``.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout_ms: int = 30_000,
        retries: int = 2,
        retry_after_max_ms: int = 10_000,
        answer_bytes_max: int = 32 * 1024 * 1024,
    ) -> None:
        self._http = Http(
            url,
            key,
            timeout_ms=timeout_ms,
            retries=retries,
            retry_after_max_ms=retry_after_max_ms,
            answer_bytes_max=answer_bytes_max,
        )
        self.sessions = Sessions(self._http)
        self.executions = Executions(self._http)

    async def health(self) -> HealthResponse:
        """How the control plane is, and its version."""
        return cast(HealthResponse, await self._http.json("GET", "/health"))

    async def ready(self) -> HealthResponse:
        """Whether it takes work. Raises ParleyError ``unavailable`` when it does not."""
        return cast(HealthResponse, await self._http.json("GET", "/ready"))

    async def agents(self) -> list[AgentResource]:
        return cast("list[AgentResource]", (await self._http.json("GET", "/api/v1/agents"))["agents"])

    async def agent(self, name: str) -> AgentResource:
        return cast(AgentResource, await self._http.json("GET", f"/api/v1/agents/{quote(name, safe='')}"))

    async def workflow(self, workflow_id: str) -> WorkflowResource:
        """The tree of executions of a workflow."""
        path = f"/api/v1/workflows/{quote(workflow_id, safe='')}/dag"
        return cast(WorkflowResource, await self._http.json("GET", path))

    async def close(self) -> None:
        await self._http.close()

    async def __aenter__(self) -> ParleyClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
