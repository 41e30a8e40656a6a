"""The examples of docstrings hold: those that can run are run, those that need a call are held against the types."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import parley
from parley.session_log import SessionState

# What an example takes as given.
GIVEN = {
    "app": "Agent",
    "support": "Agent",
    "session": "RealtimeSession",
    "launcher": "AgentLauncher",
}


def modules() -> list[ModuleType]:
    found = [parley]
    for module in pkgutil.walk_packages(parley.__path__, "parley."):
        if not module.name.endswith("__main__"):
            found.append(importlib.import_module(module.name))
    return found


def test_examples_that_can_run_say_what_comes_of_them() -> None:
    attempted = 0
    for module in modules():
        names: dict[str, Any] = {"SessionState": SessionState, **vars(parley), **vars(module)}
        result = doctest.testmod(module, extraglobs=names)
        assert result.failed == 0, module.__name__
        attempted += result.attempted
    assert attempted > 15


def shown() -> list[str]:
    """Each docstring's examples as the body of a coroutine, where one of them is not run."""
    programs = []
    for module in modules():
        for test in doctest.DocTestFinder(exclude_empty=True).find(module):
            lines = [example.source for example in test.examples if doctest.SKIP in example.options]
            if not lines:
                continue
            programs.append(f"# {test.name}\n{''.join(lines)}")
    return programs


def given(body: str) -> str:
    """What a program takes as given and does not make itself, as parameters."""
    names = [node for node in ast.walk(ast.parse(f"async def example():\n{body}")) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    used = {node.id for node in names} - made
    return ", ".join(f"{name}: {of}" for name, of in GIVEN.items() if name in used)


def typed(folder: Path, programs: list[str]) -> str:
    """What mypy says of the programs."""
    file = folder / "examples.py"
    bodies = [
        f"async def example_{n}({given(body)}) -> None:\n{body}"
        for n, body in enumerate(textwrap.indent(program, "    ") for program in programs)
    ]
    file.write_text("\n\n".join([f"from parley import {', '.join(sorted(parley.__all__))}", *bodies]))
    # Not strict: an example has no annotations where they would say nothing.
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--check-untyped-defs",
        "--no-error-summary",
        "--config-file",
        "",
        str(file),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder).stdout


def test_examples_that_need_a_call_fit_the_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    programs = shown()
    assert len(programs) > 4
    assert typed(tmp_path, programs) == ""


def test_an_example_that_is_no_longer_true_is_found(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert 'has no attribute "shout"' in typed(tmp_path, ["await session.shout('hello')"])
