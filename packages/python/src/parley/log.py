"""Where the SDK says what it does: the logger ``parley`` of the standard library. Never audio, transcripts, keys or
tokens."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

LOGGER = logging.getLogger("parley")

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    # Python 3.10 does not take the parameter when it runs.
    _Adapter = logging.LoggerAdapter


class Log(_Adapter):
    """A logger with fields: ``log.info("registered", link_id=…)``. They are in ``record.fields``."""

    def __init__(self, **fields: object) -> None:
        super().__init__(LOGGER, {})
        self._fields = fields

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        own = {key: kwargs.pop(key) for key in ("exc_info", "stack_info", "stacklevel") if key in kwargs}
        fields = {**self._fields, **kwargs}
        return msg, {**own, "extra": {"fields": fields}}

    def bind(self, **fields: object) -> Log:
        """The same log with fields added to every entry."""
        return Log(**{**self._fields, **fields})


class JsonLines(logging.Formatter):
    """One line of JSON for each entry."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "level": record.levelname.lower().replace("warning", "warn"),
            "time": int(record.created * 1000),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["stack"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def log_to_stderr(level: int = logging.INFO) -> None:
    """JSON lines on stderr, unless the program has arranged its logging already."""
    if LOGGER.hasHandlers():
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
