"""Three ways to run the same file: one call at a terminal, many over HTTP, and a command line for both."""

from .runner import Runner
from .serve_options import PermissionHook, ServeOptions

__all__ = ["PermissionHook", "Runner", "ServeOptions"]
