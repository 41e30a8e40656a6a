"""Where each provider is, and its key, as the environment says it. A key is a variable, or a file that one names
(``OPENAI_API_KEY_FILE``), as secrets are mounted in containers. Nothing here is ever logged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from parley.errors import ParleyError

from .openai.model import OpenAIModel
from .port import ModelConfig, RealtimeModel


class _Variables(NamedTuple):
    key: str
    base_url: str
    default_base_url: str | None = None
    key_optional: bool = False
    #: Sent where no key is set: some servers want one, and take any.
    any_key: str | None = None


#: Those that speak OpenAI Realtime as OpenAI does. The others are translated by a control plane.
_PROVIDERS = {
    "openai": _Variables("OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "openai_compatible": _Variables("OPENAI_COMPATIBLE_API_KEY", "OPENAI_COMPATIBLE_BASE_URL", key_optional=True),
    "simulator": _Variables("PARLEY_SIMULATOR_KEY", "PARLEY_SIMULATOR_URL", key_optional=True, any_key="simulator"),
}


def config_from_env(provider: str, env: Mapping[str, str] | None = None) -> ModelConfig:
    """The address and key of a provider.

    Raises ParleyError ``failed_precondition`` naming the variable that is missing, ``unimplemented`` for a provider
    that only a control plane speaks to.
    """
    given = os.environ if env is None else env
    row = _PROVIDERS.get(provider)
    if row is None:
        known = ", ".join(sorted(_PROVIDERS))
        words = f"a call that is held in this process speaks to {known}; for {provider} use a control plane"
        raise ParleyError("unimplemented", words, details={"provider": provider})
    key = _key(given, row.key) or row.any_key
    base_url = given.get(row.base_url) or row.default_base_url
    missing = [
        name
        for name, lacks in ((row.key, key is None and not row.key_optional), (row.base_url, base_url is None))
        if lacks
    ]
    if missing or base_url is None:
        words = (
            f"provider {provider} is not set up: set {' and '.join(missing)}, or use the provider simulator, "
            "which needs no key"
        )
        raise ParleyError("failed_precondition", words, details={"provider": provider})
    return ModelConfig(base_url, key)


def model_from_env(provider: str, env: Mapping[str, str] | None = None) -> RealtimeModel:
    """The model of a provider that the environment sets up. Raises as ``config_from_env``."""
    return OpenAIModel(provider, config_from_env(provider, env))


def _key(env: Mapping[str, str], name: str) -> str | None:
    if env.get(name):
        return env[name]
    path = env.get(f"{name}_FILE")
    if not path:
        return None
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        words = f"{name}_FILE names {path}, which cannot be read: {error.strerror}"
        raise ParleyError("failed_precondition", words) from error
    if not key:
        raise ParleyError("failed_precondition", f"{name}_FILE names {path}, which is empty")
    return key
