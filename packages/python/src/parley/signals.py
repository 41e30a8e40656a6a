"""A cancellation with a reason, for what is not a task of its own: an execution, a turn, a session."""

from __future__ import annotations

from collections.abc import Callable

from .errors import ParleyError


class Signal:
    """Is set once, with a reason, and then tells everybody who asked to be told. Belongs to one event loop."""

    def __init__(self) -> None:
        self.reason: ParleyError | None = None
        self._listeners: dict[object, Callable[[ParleyError], None]] = {}

    def set(self, reason: ParleyError) -> None:
        if self.reason is not None:
            return
        self.reason = reason
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener(reason)

    def listen(self, listener: Callable[[ParleyError], None]) -> Callable[[], None]:
        """Calls ``listener`` when it is set, at once if it is already. Returns what stops listening."""
        key = object()
        if self.reason is not None:
            listener(self.reason)
        else:
            self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def raise_if_set(self) -> None:
        if self.reason is not None:
            raise self.reason
