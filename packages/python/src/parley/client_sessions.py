"""Sessions over HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import quote

from .contract import TIMES
from .contract.types import (
    ExecutionResource,
    SayResponse,
    SessionList,
    SessionResource,
    StartResponse,
    TurnResponse,
    WorkflowResource,
)
from .errors import ParleyError
from .http import Http
from .json_text import loads
from .sound import sound_format

#: A function may work for as long as an execution may, and the answer still has to travel.
_CALL_TIMEOUT_MS = TIMES["execution_timeout_ms"] + 5_000
_SAY_TIMEOUT_MS = 120_000
_TURN_TIMEOUT_MS = TIMES["turn_ms"] + 10_000
_SILENCE_MS = 45_000


class Sessions:
    """Sessions over HTTP: start, look, speak, follow, end."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def start(self, target: str, *, idempotency_key: str | None = None, **request: Any) -> StartResponse:
        """Starts a session of ``target`` (``agent.session``); ``request`` has the fields of ``StartRequest``.

        With an ``idempotency_key`` a failed request is retried, and is one start. Raises ParleyError ``not_found`` when
        no agent declares it, ``failed_precondition``, ``invalid_argument``, ``resource_exhausted``.
        """
        path = f"/api/v1/sessions/{quote(target, safe='')}/start"
        return cast(StartResponse, await self._http.json("POST", path, body=request, idempotency_key=idempotency_key))

    async def list(self, **filter: Any) -> SessionList:
        """One page of sessions, newest first: by ``status``, ``agent``, ``target``; ``limit``, ``cursor``."""
        return cast(SessionList, await self._http.json("GET", "/api/v1/sessions", query=filter))

    async def get(self, session_id: str) -> SessionResource:
        return cast(SessionResource, await self._http.json("GET", _session(session_id)))

    async def say(self, session_id: str, text: str, *, idempotency_key: str | None = None) -> SayResponse:
        """Has the provider speak; returns when it was heard or cut, so it may take as long as the speech.

        With an ``idempotency_key`` it is asked again after a lost answer, and said once.
        """
        path = _session(session_id, "say")
        body = {"text": text}
        answer = await self._http.json(
            "POST", path, body=body, idempotency_key=idempotency_key, timeout_ms=_SAY_TIMEOUT_MS
        )
        return cast(SayResponse, answer)

    async def inject(
        self, session_id: str, text: str, *, respond: bool | None = None, idempotency_key: str | None = None
    ) -> None:
        """Puts text into the conversation without speaking it; ``respond`` asks for an answer to it."""
        more = {} if respond is None else {"respond": respond}
        path = _session(session_id, "inject")
        await self._http.json("POST", path, body={"text": text, **more}, idempotency_key=idempotency_key)

    async def update(self, session_id: str, *, idempotency_key: str | None = None, **change: Any) -> SessionResource:
        """Changes what the model is told; ``change`` has the fields of ``UpdateRequest``."""
        path = _session(session_id, "update")
        answer = await self._http.json("POST", path, body=change, idempotency_key=idempotency_key)
        return cast(SessionResource, answer)

    async def close(self, session_id: str, reason: str | None = None) -> SessionResource:
        """Ends a session. Ending one that has ended changes nothing."""
        body = {} if reason is None else {"reason": reason}
        answer = await self._http.json("POST", _session(session_id, "close"), body=body, repeatable=True)
        return cast(SessionResource, answer)

    async def tool(
        self, session_id: str, tool: str, input: Any = None, *, idempotency_key: str | None = None
    ) -> ExecutionResource:
        """Calls a tool of the session, as its model could: the allowlist holds. Returns the execution once it ended."""
        answer = await self._http.json(
            "POST",
            _session(session_id, f"tools/{quote(tool, safe='')}"),
            body={} if input is None else {"input": input},
            idempotency_key=idempotency_key,
            timeout_ms=_CALL_TIMEOUT_MS,
        )
        return cast(ExecutionResource, answer)

    async def turn(
        self,
        session_id: str,
        *,
        text: str | None = None,
        audio: bytes | None = None,
        reply_format: str | None = None,
        timeout_ms: int | None = None,
        idempotency_key: str | None = None,
    ) -> TurnResponse:
        """Says a whole turn and returns the answer to it: for sessions that are declared with ``audio_turns``.

        ``audio`` is a WAV file, or Opus in an Ogg file; ``reply_format`` is ``wav`` (as when it is left out), ``pcm16``
        or ``none``.
        The sound of the answer is ``turn_sound(answer)``. Cancelling the task ends the answer at the provider. Raises
        ParleyError ``aborted`` while another turn is answered, ``failed_precondition`` for a session of another
        transport, ``deadline_exceeded``, and what the provider failed with.
        """
        body: dict[str, Any] = {"text": text, "reply_format": reply_format, "timeout_ms": timeout_ms}
        if audio is not None:
            body["audio"] = {"format": sound_format(audio), "data": base64.b64encode(audio).decode()}
        answer = await self._http.json(
            "POST",
            _session(session_id, "turns"),
            body={name: value for name, value in body.items() if value is not None},
            idempotency_key=idempotency_key,
            timeout_ms=_TURN_TIMEOUT_MS,
        )
        return cast(TurnResponse, answer)

    async def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> dict[str, Any]:
        """One page of the log after entry ``after``: ``events``, ``last_seq``, ``has_more``."""
        query = {"after": after, "limit": limit}
        return cast("dict[str, Any]", await self._http.json("GET", _session(session_id, "events"), query=query))

    async def workflow(self, session_id: str) -> WorkflowResource:
        """The workflow whose root this session is."""
        return cast(WorkflowResource, await self._http.json("GET", _session(session_id, "workflow")))

    async def tail(self, session_id: str, *, after: int = 0, attempts_max: int = 10) -> AsyncIterator[dict[str, Any]]:
        """Follows the log live until ``session.closed``, reconnecting after the last entry that came.

        Raises ParleyError ``not_found``, ``permission_denied`` …, or the last error after ``attempts_max`` fruitless
        tries.
        """
        seq, fruitless = after, 0
        while True:
            error = ParleyError("unavailable", f"the log of {session_id} broke off {attempts_max} times in a row")
            try:
                path = _session(session_id, "events")
                async with self._http.lines(path, {"after": seq}, _SILENCE_MS) as lines:
                    async for line in lines:
                        event = _entry(line)
                        # A server may send again what was on its way when a connection broke.
                        if event is None or event["seq"] <= seq:
                            continue
                        seq, fruitless = event["seq"], 0
                        yield event
                        if event["type"] == "session.closed":
                            return
                session = await self.get(session_id)
                if session["status"] == "closed" and session["last_seq"] <= seq:
                    return
            except ParleyError as broken:
                if not broken.retryable:
                    raise
                error = broken
            fruitless += 1
            if fruitless >= attempts_max:
                raise error
            wait_ms = min(TIMES["backoff_max_ms"], TIMES["backoff_min_ms"] * 2 ** (fruitless - 1))
            await asyncio.sleep(max(error.retry_after_ms or 0, wait_ms) / 1000)


def _session(session_id: str, rest: str = "") -> str:
    path = f"/api/v1/sessions/{quote(session_id, safe='')}"
    return f"{path}/{rest}" if rest else path


def _entry(line: str) -> dict[str, Any] | None:
    """An entry of the log from a line of the stream: each entry is one ``data`` line."""
    if not line.startswith("data:"):
        return None
    try:
        event = loads(line[5:])
    except ValueError as error:
        raise ParleyError("data_loss", "an entry of the log is not JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("seq"), int):
        raise ParleyError("data_loss", "an entry of the log has no seq")
    return event
