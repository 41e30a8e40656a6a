"""One agent for each call: started within limits, warmed, timed out, drained and watched."""

from .context import AgentRequest, LaunchContext
from .control_plane import connect_launcher
from .launcher import AgentLauncher
from .notice import Notice
from .options import LauncherOptions
from .session import LaunchedSession

__all__ = [
    "AgentLauncher",
    "AgentRequest",
    "LaunchContext",
    "LaunchedSession",
    "LauncherOptions",
    "Notice",
    "connect_launcher",
]
