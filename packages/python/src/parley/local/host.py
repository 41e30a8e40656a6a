"""Holds an agent's calls in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parley.call import AgentCall, AgentParts, CallListener, HostedCall
from parley.contract.types import SessionDeclaration
from parley.declaration import parse_declaration
from parley.errors import ParleyError
from parley.ids import new_id
from parley.log import Log
from parley.providers.environment import model_from_env
from parley.providers.port import RealtimeModel

from .session import LocalParts, LocalSession
from .simulator import lease_simulator

#: A model in use, and what gives it back.
ModelLease = tuple[RealtimeModel, Callable[[], None]]
#: Where models come from, by the name of their provider.
LeaseModel = Callable[[str], Awaitable[ModelLease]]


@dataclass(frozen=True)
class LocalOptions:
    """How calls are held here."""

    #: Default: a new one for each call.
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Instead of the one that the session declares.
    provider: str | None = None
    #: Default: the environment; for the simulator, one that is started.
    lease_model: LeaseModel | None = None
    #: Is told every entry of the log.
    listener: CallListener | None = None
    log: Log = field(default_factory=Log)


class LocalHost:
    def __init__(self, options: LocalOptions | None = None) -> None:
        self._options = options or LocalOptions()

    async def join(self, agent: AgentParts, call: AgentCall) -> HostedCall:
        options = self._options
        definition = agent.sessions.get(call.session)
        if definition is None:
            raise ParleyError("not_found", f"agent {agent.name} has no session '{call.session}'")
        declaration = held_here(definition.declaration, options.provider)
        model, release = await (options.lease_model or lease_model)(declaration["provider"])
        try:
            session = LocalSession(
                LocalParts(
                    options.session_id or new_id("session"),
                    agent,
                    declaration,
                    definition.handler,
                    model,
                    {**options.metadata, "call_id": call.id, "call_type": call.type},
                    options.log,
                ),
                options.listener,
            )
            session.ended.add_done_callback(lambda _: release())
        except BaseException:
            release()
            raise
        session.start()
        return session


async def lease_model(provider: str) -> ModelLease:
    """The model that the environment sets up; for the simulator one that is started where none is named.

    Raises ParleyError ``failed_precondition`` naming what is missing.
    """
    if provider != "simulator":
        return model_from_env(provider), lambda: None
    lease = await lease_simulator()
    try:
        return model_from_env("simulator", {"PARLEY_SIMULATOR_URL": lease.url}), lease.release
    except BaseException:
        lease.release()
        raise


def held_here(declaration: SessionDeclaration, provider: str | None) -> SessionDeclaration:
    """The session as it is held here: media flow through this process, whatever a control plane would do with them.
    Where another provider was asked for, its model and voice are that one's."""
    other = provider is not None and provider != declaration["provider"]
    if not other and declaration["transport"] == "websocket":
        return declaration
    kept = {key: value for key, value in declaration.items() if key != "media"}
    if other:
        kept = {key: value for key, value in kept.items() if key not in ("model", "voice")}
    wanted = provider or declaration["provider"]
    return parse_declaration({**kept, "provider": wanted, "transport": "websocket"})
