"""The figures of a launcher, as JSON and for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from parley.launcher import AgentLauncher

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIGURES: list[tuple[str, str, str, Callable[[AgentLauncher], int]]] = [
    ("active_sessions", "active_sessions", "Sessions that hold a place.", lambda of: of.active_sessions),
    ("queued_sessions", "queued_sessions", "Starts that wait for a place.", lambda of: of.queued_sessions),
    (
        "sessions_limit",
        "sessions_limit",
        "Sessions that may run at the same time.",
        lambda of: of.options.max_concurrent_sessions,
    ),
    (
        "total_sessions_started",
        "sessions_started_total",
        "Sessions that were started.",
        lambda of: of.totals["started"],
    ),
    (
        "total_sessions_failed",
        "sessions_failed_total",
        "Sessions that ended with an error.",
        lambda of: of.totals["failed"],
    ),
    (
        "total_sessions_ended",
        "sessions_ended_total",
        "Sessions that ended without one.",
        lambda of: of.totals["ended"],
    ),
    ("total_starts_refused", "starts_refused_total", "Starts that met a limit.", lambda of: of.totals["refused"]),
    ("warm_agents", "warm_agents", "Agents that are kept ready.", lambda of: of.warm_agents),
]
_FLAGS: list[tuple[str, str, Callable[[AgentLauncher], bool]]] = [
    ("warmed_up", "1 once it is warm.", lambda of: of.warmed_up),
    ("running", "1 while it takes starts.", lambda of: of.phase == "running"),
]


def figures(launcher: AgentLauncher) -> dict[str, int | bool]:
    """As JSON."""
    counted: dict[str, int | bool] = {name: value(launcher) for name, _, _, value in _FIGURES}
    return {**counted, **{name: value(launcher) for name, _, value in _FLAGS}}


def prometheus(launcher: AgentLauncher) -> str:
    """The same in the text format of Prometheus."""
    lines = [(name, text, value(launcher)) for _, name, text, value in _FIGURES]
    lines += [(name, text, int(value(launcher))) for name, text, value in _FLAGS]
    return "".join(
        f"# HELP parley_launcher_{name} {text}\n"
        f"# TYPE parley_launcher_{name} {'counter' if name.endswith('_total') else 'gauge'}\n"
        f"parley_launcher_{name} {value}\n"
        for name, text, value in lines
    )
