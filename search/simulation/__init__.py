"""The search under a virtual clock: the real coordinator, ledger and sampler, simulated workers."""

from __future__ import annotations

from search.simulation.costs import CostModel, FaultModel
from search.simulation.engine import Simulation, simulate
from search.simulation.incumbents import Incumbent
from search.simulation.result import SimulationResult

__all__ = ["CostModel", "FaultModel", "Incumbent", "Simulation", "SimulationResult", "simulate"]
