"""The functions of an agent whose call is held here: no control plane stands between the session and its tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from parley.call import AgentParts
from parley.connection import Connection
from parley.context import Context
from parley.contract import TIMES
from parley.declaration import parse_target
from parley.errors import ParleyError
from parley.executions import Execution, Executions
from parley.ids import new_id
from parley.json_text import payload
from parley.log import Log
from parley.signals import Signal
from parley.threads import Threads

_RUNNING_MAX = 128
_WAITING_MAX = 1024

#: ``status``, and ``output`` or ``error``.
RunEnd = dict[str, Any]


class LocalFunctions:
    """Runs functions; takes the place of the link that executions of a control plane come over."""

    def __init__(
        self, agent: AgentParts, *, session_id: str, workflow_id: str, threads: Threads, log: Log, cancel_ms: int
    ) -> None:
        self._agent = agent
        self._within = {"session_id": session_id, "workflow_id": workflow_id}
        self._log = log
        self._ends: dict[str, asyncio.Future[RunEnd]] = {}
        self._executions = Executions(
            agent.functions,
            self,
            self,
            threads=threads,
            log=log,
            running_max=_RUNNING_MAX,
            waiting_max=_WAITING_MAX,
            cancel_ms=cancel_ms,
        )

    async def run(self, run: Mapping[str, Any]) -> RunEnd:
        """Runs a function (``execution_id``, ``target``, ``input``, ``timeout_ms``, ``parent_execution_id``) to its
        end, and says what that was. Raises nothing but the cancellation of whoever waits, which cancels it."""
        agent, name = parse_target(run["target"])
        if agent != self._agent.name:
            words = f"{run['target']} is a function of another agent, which needs a control plane to be reached"
            return {"status": "failed", "error": ParleyError("not_found", words).to_object()}
        execution_id: str = run["execution_id"]
        end: asyncio.Future[RunEnd] = asyncio.get_running_loop().create_future()
        self._ends[execution_id] = end
        self._executions.dispatch({**self._within, **run, "function": name}, None)
        try:
            return await end
        except asyncio.CancelledError:
            self.cancel(execution_id, "nobody waits for it any more")
            raise
        finally:
            self._ends.pop(execution_id, None)

    async def call(self, frame: Mapping[str, Any], parent_execution_id: str, until: Signal) -> Any:
        """A call of one function by another one, or by a handler. Raises the ParleyError that it ended with."""
        until.raise_if_set()
        _, name = parse_target(frame["target"])
        known = self._agent.functions.get(name)
        timeout_ms = known.declaration.get("timeout_ms") if known is not None else None
        run = {
            "execution_id": new_id("execution"),
            "target": frame["target"],
            "input": frame["input"],
            "timeout_ms": TIMES["execution_timeout_ms"] if timeout_ms is None else timeout_ms,
            "parent_execution_id": parent_execution_id,
        }
        execution_id: str = run["execution_id"]
        deaf = until.listen(lambda reason: self.cancel(execution_id, reason.message))
        try:
            ended = await self.run(run)
        finally:
            deaf()
        until.raise_if_set()
        if "error" in ended:
            raise ParleyError.of(ended["error"])
        return ended.get("output")

    def cancel(self, execution_id: str, reason: str) -> None:
        self._executions.cancel(execution_id, reason)

    def close(self, reason: ParleyError) -> None:
        self._executions.cancel_all(reason)

    # --- what executions ask for

    def keep(self, result: dict[str, Any], _over: Connection | None) -> None:
        end = self._ends.get(result["execution_id"])
        if end is not None and not end.done():
            end.set_result({key: value for key, value in result.items() if key != "execution_id"})

    def __contains__(self, _execution_id: str) -> bool:
        # Ids are new for each run, so none is dispatched twice.
        return False

    def repeat(self, execution_id: str) -> None: ...

    def settled(self, execution_id: str) -> None: ...

    def resumed(self, wanted: set[str]) -> None: ...

    def ids(self) -> list[str]:
        return []

    def accepted(self, execution: Execution) -> None: ...

    def changed(self) -> None: ...

    def context_of(self, execution: Execution) -> Context:
        log = self._log.bind(execution_id=execution.id, function=execution.dispatch["function"])

        async def request(frame: dict[str, Any]) -> Any:
            call = self.call(frame, execution.id, execution.end)
            return await self._executions.waiting_for(execution, call)

        def note(text: str, data: Any) -> None:
            payload(data, "the data of a note", "invalid_argument")
            log.debug("note", chars=len(text))

        return Context(
            execution.dispatch, agent=self._agent.name, request=request, note=note, end=execution.end, log=log
        )
