"""One HTTP exchange with the control plane: headers, deadline, retries, and errors of the one shape."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from .backoff import retry_after_ms
from .contract.types import ErrorCode
from .errors import ParleyError
from .json_text import dumps, loads, plain
from .version import VERSION

_BACKOFF_MIN_MS = 250

_CODE_OF_STATUS: dict[int, ErrorCode] = {
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "aborted",
    429: "resource_exhausted",
    501: "unimplemented",
    502: "unavailable",
    503: "unavailable",
    504: "deadline_exceeded",
}


class Http:
    def __init__(
        self,
        url: str | None,
        key: str | None,
        *,
        timeout_ms: int,
        retries: int,
        retry_after_max_ms: int,
        answer_bytes_max: int,
    ) -> None:
        base = _checked_url(url or os.environ.get("PARLEY_URL") or "http://127.0.0.1:7700")
        key = key or os.environ.get("PARLEY_KEY") or None
        self.timeout_ms = timeout_ms
        self._retries = retries
        self._retry_after_max_ms = retry_after_max_ms
        self._answer_bytes_max = answer_bytes_max
        self.origin = base.rstrip("/")
        headers = {"Accept": "application/json", "User-Agent": f"parley-python/{VERSION}"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        # Keys must not travel through a proxy that the environment names by chance.
        self._client = httpx.AsyncClient(base_url=self.origin, headers=headers, trust_env=False, timeout=None)

    async def close(self) -> None:
        await self._client.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool = False,
        timeout_ms: int | None = None,
    ) -> Any:
        """Sends a request and reads the JSON answer; repeats what may be repeated. Raises ParleyError."""
        again = method == "GET" or repeatable or idempotency_key is not None
        attempt = 0
        while True:
            try:
                sent = {**(headers or {}), "Idempotency-Key": idempotency_key}
                once = self._once(method, path, body, query, sent)
                limit_ms = timeout_ms or self.timeout_ms
                return await asyncio.wait_for(once, limit_ms / 1000)
            except asyncio.TimeoutError as late:
                error = ParleyError("deadline_exceeded", f"{method} {path} had no answer within {limit_ms} ms")
                error.__cause__ = late
            except ParleyError as refused:
                error = refused
            pause_ms = max(error.retry_after_ms or 0, _BACKOFF_MIN_MS * 2**attempt)
            hopeless = not again or not error.retryable or attempt >= self._retries
            if hopeless or pause_ms > self._retry_after_max_ms:
                raise error
            attempt += 1
            await asyncio.sleep(pause_ms / 1000)

    @asynccontextmanager
    async def lines(self, path: str, query: Mapping[str, Any], silence_ms: int) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of a stream of server-sent events; one that is silent for ``silence_ms`` is given up."""
        timeout = httpx.Timeout(self.timeout_ms / 1000, read=silence_ms / 1000)
        try:
            async with self._client.stream(
                "GET", path, params=_present(query), headers={"Accept": "text/event-stream"}, timeout=timeout
            ) as response:
                if response.status_code >= 400:
                    raise self._problem("GET", path, response, await self._read("GET", path, response))
                yield response.aiter_lines()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str | None],
    ) -> Any:
        content = None if body is None else dumps(plain(body, "the body"))
        sent = {name: value for name, value in headers.items() if value is not None}
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with self._client.stream(
                method, path, content=content, params=_present(query or {}), headers=sent
            ) as response:
                text = await self._read(method, path, response)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise self._problem(method, path, response, text)
        if not text:
            return {}
        try:
            return loads(text)
        except ValueError as error:
            words = f"{method} {path} must answer with JSON, got {_excerpt(text)}"
            raise ParleyError("internal", words) from error

    async def _read(self, method: str, path: str, response: httpx.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._answer_bytes_max:
                words = f"the answer to {method} {path} is longer than {self._answer_bytes_max} bytes"
                raise ParleyError("resource_exhausted", words, retryable=False)
            chunks.append(chunk)
        return b"".join(chunks)

    def _problem(self, method: str, path: str, response: httpx.Response, text: bytes) -> ParleyError:
        request_id = response.headers.get("x-request-id")
        try:
            body = loads(text)
        except ValueError:
            # A proxy's HTML page is an expected answer here.
            body = None
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            error = ParleyError.of(body)
            error.request_id = error.request_id or request_id
            return error
        status = response.status_code
        return ParleyError(
            _CODE_OF_STATUS.get(status, "internal" if status >= 500 else "invalid_argument"),
            f"{method} {path} answered {status} without a Parley error body: {_excerpt(text)}",
            retry_after_ms=retry_after_ms(response.headers.get("Retry-After", "")),
            request_id=request_id,
        )

    def _unreachable(self, error: httpx.HTTPError) -> ParleyError:
        why = str(error) or type(error).__name__
        return ParleyError("unavailable", f"no answer from {self.origin}: {why}")


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not parts.hostname:
        words = f"url must start with http:// or https://, got {scheme or 'something that is no URL'}"
        raise ParleyError("invalid_argument", words)
    if parts.username or parts.password:
        raise ParleyError("invalid_argument", "url must not hold credentials; pass them as key")
    return f"{scheme}://{parts.netloc}{parts.path}"


def _present(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _excerpt(text: bytes) -> str:
    line = " ".join(text.decode(errors="replace").split())
    if not line:
        return "an empty body"
    return f"{line[:120]}…" if len(line) > 120 else line
