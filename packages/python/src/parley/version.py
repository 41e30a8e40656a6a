"""How this SDK names itself when it registers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("parley")
except PackageNotFoundError:
    # It runs from a checkout.
    VERSION = "0.0.0"

SDK = {"language": "python", "version": VERSION}
