"""Runs of functions over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from .contract import TIMES
from .contract.types import BatchStatusResponse, ExecutionResource
from .errors import ParleyError
from .http import Http

#: A function may work for as long as an execution may, and the answer still has to travel.
_CALL_TIMEOUT_MS = TIMES["execution_timeout_ms"] + 5_000
_POLL_MIN_S, _POLL_MAX_S = 0.1, 2.0
_BATCH_MAX = 1000
_TERMINAL = frozenset(("succeeded", "failed", "cancelled", "timed_out", "unknown"))


class Executions:
    """Runs of functions over HTTP."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def execute(
        self,
        target: str,
        input: Any = None,
        *,
        timeout_ms: int | None = None,
        idempotency_key: str | None = None,
        session_id: str | None = None,
        parent_execution_id: str | None = None,
    ) -> ExecutionResource:
        """Runs a function (``agent.function``) and waits for its end, whatever that is: read ``status``.

        Raises ParleyError when it could not be admitted: ``not_found``, ``invalid_argument``, ``resource_exhausted`` …
        """
        answer = await self._http.json(
            "POST",
            f"/api/v1/execute/{quote(target, safe='')}",
            body=_run(input, timeout_ms),
            headers=_within(session_id, parent_execution_id),
            idempotency_key=idempotency_key,
            timeout_ms=_CALL_TIMEOUT_MS if timeout_ms is None else timeout_ms + 5_000,
        )
        return cast(ExecutionResource, answer)

    async def execute_async(
        self,
        target: str,
        input: Any = None,
        *,
        timeout_ms: int | None = None,
        idempotency_key: str | None = None,
        session_id: str | None = None,
        parent_execution_id: str | None = None,
    ) -> ExecutionResource:
        """Queues a function and returns at once with its execution."""
        answer = await self._http.json(
            "POST",
            f"/api/v1/execute/async/{quote(target, safe='')}",
            body=_run(input, timeout_ms),
            headers=_within(session_id, parent_execution_id),
            idempotency_key=idempotency_key,
        )
        return cast(ExecutionResource, answer)

    async def get(self, execution_id: str) -> ExecutionResource:
        return cast(ExecutionResource, await self._http.json("GET", _execution(execution_id)))

    async def wait(self, execution_id: str) -> ExecutionResource:
        """Waits until an execution has ended."""
        pause_s = _POLL_MIN_S
        while True:
            execution = await self.get(execution_id)
            if execution["status"] in _TERMINAL:
                return execution
            await asyncio.sleep(pause_s)
            pause_s = min(_POLL_MAX_S, pause_s * 1.5)

    async def cancel(self, execution_id: str, reason: str | None = None) -> ExecutionResource:
        """Asks an execution to stop. One that has ended stays as it is."""
        body = {} if reason is None else {"reason": reason}
        answer = await self._http.json("POST", _execution(execution_id, "cancel"), body=body, repeatable=True)
        return cast(ExecutionResource, answer)

    async def note(self, execution_id: str, text: str, data: Any = None) -> None:
        """Adds a note to an execution, for whoever reads it later."""
        body = {"text": text} if data is None else {"text": text, "data": data}
        await self._http.json("POST", _execution(execution_id, "notes"), body=body)

    async def batch(self, execution_ids: Sequence[str]) -> BatchStatusResponse:
        """The state of up to 1000 executions in one request."""
        if not 1 <= len(execution_ids) <= _BATCH_MAX:
            words = f"a batch has 1 to {_BATCH_MAX} execution ids, got {len(execution_ids)}"
            raise ParleyError("invalid_argument", words)
        body = {"execution_ids": list(execution_ids)}
        answer = await self._http.json("POST", "/api/v1/executions/batch-status", body=body, repeatable=True)
        return cast(BatchStatusResponse, answer)


def _run(input: Any, timeout_ms: int | None) -> Mapping[str, Any]:
    given = {} if input is None else {"input": input}
    return given if timeout_ms is None else {**given, "timeout_ms": timeout_ms}


def _within(session_id: str | None, parent_execution_id: str | None) -> Mapping[str, str | None]:
    """Headers that say what an execution belongs to."""
    return {"X-Session-ID": session_id, "X-Parent-Execution-ID": parent_execution_id}


def _execution(execution_id: str, rest: str = "") -> str:
    path = f"/api/v1/executions/{quote(execution_id, safe='')}"
    return f"{path}/{rest}" if rest else path
