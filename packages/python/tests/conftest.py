from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from house import Cable, House, Plane, Process


@pytest.fixture(scope="session")
def simulator() -> Iterator[Process]:
    process = Process("packages/cli/dist/main.js", "simulator")
    yield process
    process.end()


@pytest.fixture(scope="session")
def plane(simulator: Process) -> Iterator[Plane]:
    process = Plane(simulator)
    yield process
    process.end()


@pytest.fixture
async def house(plane: Plane) -> AsyncIterator[House]:
    house = House(plane.url)
    yield house
    await house.close()


@pytest.fixture
async def cable(plane: Plane) -> AsyncIterator[Cable]:
    cable = Cable(plane.url)
    await cable.open()
    yield cable
    await cable.close()
