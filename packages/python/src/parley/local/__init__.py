"""Calls that are held in this process, straight with the model: no control plane is needed."""

from .host import LocalHost, LocalOptions
from .simulator import SimulatorLease, lease_simulator

__all__ = ["LocalHost", "LocalOptions", "SimulatorLease", "lease_simulator"]
