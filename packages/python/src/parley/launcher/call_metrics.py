"""What one call was like, from the entries of its log: how much was said, and how long the user waited."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

_KEPT_MAX = 1_000


class CallMetrics:
    def __init__(self) -> None:
        self._counts = {
            "turns": 0,
            "responses": 0,
            "interruptions": 0,
            "tool_calls": 0,
            "tool_failures": 0,
            "user_audio_ms": 0.0,
            "reply_audio_ms": 0.0,
        }
        self._usage: dict[str, float] = {}
        self._waited = _Latencies()
        self._tools = _Latencies()
        self._turn_ended_ms: float | None = None
        self._reported: dict[str, Any] | None = None

    def entry(self, entry: Mapping[str, Any]) -> None:
        kind, at_ms, counts = entry["type"], entry["at_ms"], self._counts
        if kind == "turn.completed":
            counts["turns"] += 1
            counts["user_audio_ms"] += entry.get("audio_ms") or 0
            if self._turn_ended_ms is None:
                self._turn_ended_ms = at_ms
        elif kind == "speech.stopped" or (kind == "input.injected" and entry["respond"]):
            self._turn_ended_ms = at_ms
        elif kind == "response.started":
            counts["responses"] += 1
            if self._turn_ended_ms is not None:
                self._waited.add(at_ms - self._turn_ended_ms)
            self._turn_ended_ms = None
        elif kind == "response.completed":
            counts["reply_audio_ms"] += entry["audio_ms"]
            for name, value in (entry.get("usage") or {}).items():
                self._usage[name] = self._usage.get(name, 0) + value
        elif kind == "response.interrupted":
            counts["interruptions"] += 1
        elif kind == "tool.completed":
            counts["tool_calls"] += 1
            counts["tool_failures"] += entry["status"] != "succeeded"
            self._tools.add(entry["duration_ms"])

    def reported(self, report: dict[str, Any]) -> None:
        """Takes the report of a session that runs elsewhere."""
        self._reported = report

    def report(self) -> dict[str, Any]:
        """Counts, waiting times of the latest 1,000 answers and tools in milliseconds, and the provider's usage."""
        if self._reported is not None:
            return self._reported
        latencies = {"response_latency": self._waited.report(), "tool_latency": self._tools.report()}
        known = {name: report for name, report in latencies.items() if report is not None}
        return {**self._counts, **known, "usage": dict(self._usage)}


class _Latencies:
    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=_KEPT_MAX)
        self._count = 0
        self._sum = 0.0

    def add(self, ms: float) -> None:
        self._kept.append(ms)
        self._count += 1
        self._sum += ms

    def report(self) -> dict[str, float] | None:
        if not self._kept:
            return None
        ordered = sorted(self._kept)
        parts = {f"p{part}_ms": ordered[math.ceil(len(ordered) * part / 100) - 1] for part in (50, 95, 99)}
        return {"count": self._count, "last_ms": self._kept[-1], "avg_ms": self._sum / self._count, **parts}
