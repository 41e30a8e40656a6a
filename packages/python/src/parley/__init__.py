"""Agents for Parley, the control plane for realtime AI sessions."""

# an agent, its sessions and its functions
from .agent import Agent, AgentHandle, FunctionOptions

# the same for a plain def
from .blocking import BlockingContext, BlockingSession

# a call that an agent joined by itself
from .call import AgentCall, CallEnd, JoinedCall

# the control plane over HTTP
from .client import ParleyClient

# what a function is given
from .context import Context

# errors, from the contract
from .errors import ParleyError

# one agent for each call
from .launcher import (
    AgentLauncher,
    AgentRequest,
    LaunchContext,
    LaunchedSession,
    LauncherOptions,
    Notice,
    connect_launcher,
)
from .runner import Runner, ServeOptions

# what a handler is given
from .session import RealtimeSession, Spoken

# a stored log and a stored workflow, folded offline; more of it in parley.session_log
from .session_log import SessionState, append, fold, step
from .settings import AgentOptions

# the sound of an answer to a turn
from .sound import turn_sound
from .turns import Turn
from .version import VERSION as __version__
from .worker import AgentStatus
from .workflow import fold_workflow, is_terminal

__all__ = [
    "Agent",
    "AgentCall",
    "AgentHandle",
    "AgentLauncher",
    "AgentOptions",
    "AgentRequest",
    "AgentStatus",
    "BlockingContext",
    "BlockingSession",
    "CallEnd",
    "Context",
    "FunctionOptions",
    "JoinedCall",
    "LaunchContext",
    "LaunchedSession",
    "LauncherOptions",
    "Notice",
    "ParleyClient",
    "ParleyError",
    "RealtimeSession",
    "Runner",
    "ServeOptions",
    "SessionState",
    "Spoken",
    "Turn",
    "__version__",
    "append",
    "connect_launcher",
    "fold",
    "fold_workflow",
    "is_terminal",
    "step",
    "turn_sound",
]
