"""The log of a session, folded offline: the state after any entry, and what the control plane does about it.

Pure functions: no clock, no network, no files. What they are for: evaluate stored calls, replay one up to the moment
that matters, ask what would have happened instead, and turn a log from a bug report into a test.
"""

from .effects import (
    Effect,
    Event,
    ExecutionCancelEffect,
    ExecutionDispatchEffect,
    PerformedEffect,
    ProviderConnectEffect,
    ProviderSendEffect,
    Record,
    RecordEffect,
    SessionEndEffect,
    Timer,
    TimerClearEffect,
    TimerSetEffect,
)
from .fold import Appended, append, fold
from .state import (
    ActiveResponse,
    CreatingRespond,
    CreatingSay,
    Ending,
    Phase,
    PlayingResponse,
    RunningCall,
    Say,
    SessionState,
)
from .step import Step, step

__all__ = [
    "ActiveResponse",
    "Appended",
    "CreatingRespond",
    "CreatingSay",
    "Effect",
    "Ending",
    "Event",
    "ExecutionCancelEffect",
    "ExecutionDispatchEffect",
    "PerformedEffect",
    "Phase",
    "PlayingResponse",
    "ProviderConnectEffect",
    "ProviderSendEffect",
    "Record",
    "RecordEffect",
    "RunningCall",
    "Say",
    "SessionEndEffect",
    "SessionState",
    "Step",
    "Timer",
    "TimerClearEffect",
    "TimerSetEffect",
    "append",
    "fold",
    "step",
]
