"""The search under a virtual clock: the real coordinator, ledger and sampler, simulated workers."""

from __future__ import annotations

from search.simulation.costs import CostModel, Fault, FaultModel
from search.simulation.directory import create_run, write_run
from search.simulation.engine import Simulation, simulate
from search.simulation.incumbents import Incumbent
from search.simulation.options import task_seconds
from search.simulation.report import render_simulation
from search.simulation.result import SimulationResult
from search.simulation.seeds import simulate_seeds
from search.simulation.trainable import SimulatedTrainable

__all__ = [
    "CostModel",
    "Fault",
    "FaultModel",
    "Incumbent",
    "SimulatedTrainable",
    "Simulation",
    "SimulationResult",
    "create_run",
    "render_simulation",
    "simulate",
    "simulate_seeds",
    "task_seconds",
    "write_run",
]
