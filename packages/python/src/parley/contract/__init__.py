"""The contract as data: what ``schemas/v1`` says, in one file that is generated and shipped with the package."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

_DATA: dict[str, Any] = json.loads(files(__name__).joinpath("contract.gen.json").read_text(encoding="utf-8"))

#: Error codes, id prefixes, patterns, limits, times, frame and event types, defaults.
CATALOG: dict[str, Any] = _DATA["catalog"]
#: One row for each provider, by its name.
CAPABILITIES: dict[str, dict[str, Any]] = {row["provider"]: row for row in _DATA["capabilities"]["providers"]}
#: Every schema of the contract, by its name.
SCHEMAS: dict[str, dict[str, Any]] = _DATA["schemas"]

LIMITS: dict[str, int] = CATALOG["limits"]
TIMES: dict[str, int] = CATALOG["times"]
