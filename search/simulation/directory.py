"""The run directory of a simulation, which the analysis reads as any other."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from search.rundir import RunDirectory
from search.simulation.result import SimulationResult
from search.tables import write_tables
from spaces.study import RESOLVED, Study

#: Stands in a simulated run's ``study.yaml`` for the semantics it was trained under, so that it is
#: not resumed as a real one: there are no checkpoints to go on from.
SIMULATED = "simulated"


def create_run(study: Study, folder: Path) -> None:
    """Make the run directory of a simulation.

    Args:
        study: The study.
        folder: New or empty.

    Raises:
        RunDirectoryError: It holds a run already, or something else.
    """
    directory = RunDirectory(folder)
    directory.create(study, None)
    content = yaml.safe_load(directory.study_file.read_text(encoding="utf-8"))
    content[RESOLVED]["training_semantics"] = SIMULATED
    directory.study_file.write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def write_run(result: SimulationResult, folder: Path) -> None:
    """Write what a simulation came to: its tables and ``simulation.json``.

    Beside the tables of any run there are ``incumbents.parquet`` and ``workers.parquet``, the
    result's own frames. Points in time are virtual, from the start of the year 2000.

    Args:
        result: The simulation.
        folder: What ``create_run`` made.
    """
    directory = RunDirectory(folder)
    write_tables(directory.tables, result.records)
    result.incumbent_frame().to_parquet(directory.tables / "incumbents.parquet", index=False)
    result.worker_frame().to_parquet(directory.tables / "workers.parquet", index=False)
    figures = {**result.summary(), "decision_latency": result.decision_latency()}
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    (folder / "simulation.json").write_text(text + "\n", encoding="utf-8")
    directory.note_finished()
