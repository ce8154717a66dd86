"""A sampler's prior from measured similarities: which stage suits which target. No torch.

Read from the table that ``taskorder similarity`` writes; the search measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spaces.errors import InputError
from spaces.study import Study

if TYPE_CHECKING:
    import pandas as pd

#: (stage, target) to how well they suit each other; the target is ``AVERAGE`` for all of them.
Prior = Mapping[tuple[str, str], float]

#: Stands for the average over targets, where that is the study's objective.
AVERAGE = ""


_KIND = "source_target"
_COLUMNS = ("kind", "source", "target", "measure", "value")


def read_prior(study: Study) -> Prior | None:
    """Read a study's table of similarities.

    Returns:
        As ``similarity_prior``; ``None`` if the study names no table.

    Raises:
        InputError: The table cannot be read, or has nothing on the study's stages and targets.
    """
    if study.search.similarity is None:
        return None
    path = Path(study.search.similarity).expanduser()
    frame = _load(path)
    targets = [target.name for target in study.targets]
    known = (
        (frame["kind"] == _KIND)
        & frame["source"].isin(study.intermediate.tasks)
        & frame["target"].isin(targets)
        & frame["value"].notna()
    )
    if not known.any():
        raise InputError(
            f"search.similarity: {path} says nothing on the study's stages and targets. Write it "
            "with `taskorder similarity` for this study."
        )
    return similarity_prior(frame, study)


def similarity_prior(
    frame: pd.DataFrame, study: Study, *, measures: Sequence[str] | None = None
) -> dict[tuple[str, str], float]:
    """Return one standardised similarity for each stage and target of a study.

    Each measure is standardised over the stages, target by target, so that only a stage's place
    among the others counts; the mean over measures is standardised again. Where nothing is known,
    or all stages are alike, the prior is 0: it says nothing.

    Args:
        frame: Measured values: ``kind``, ``source``, ``target``, ``measure``, ``value``.
        study: The study.
        measures: The measures to take, all of the frame's if not given; those that the frame
            lacks are passed over.

    Returns:
        (stage, target) to its prior, of mean 0 and standard deviation 1 over the stages of a
        target (or all 0). Under the target ``AVERAGE``, the mean over targets, standardised
        likewise.
    """
    stages = study.intermediate.tasks
    targets = [target.name for target in study.targets]
    known = frame[frame["kind"] == _KIND]
    if measures is not None:
        known = known[known["measure"].isin(list(measures))]
    keys = zip(known["measure"], known["source"], known["target"], strict=True)
    values = dict(zip(keys, known["value"].tolist(), strict=True))
    columns = {}
    for target in targets:
        scores = [
            _standardised([values.get((measure, stage, target), np.nan) for stage in stages])
            for measure in dict.fromkeys(known["measure"])
        ]
        columns[target] = _standardised(np.sum(scores, axis=0) if scores else np.zeros(len(stages)))
    columns[AVERAGE] = _standardised(np.sum([columns[target] for target in targets], axis=0))
    return {
        (stage, target): float(score)
        for target, column in columns.items()
        for stage, score in zip(stages, column, strict=True)
    }


def _load(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  (only where a study names a table)

    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"search.similarity: {path} cannot be read: {reason}. Give the table that "
            "`taskorder similarity` writes."
        ) from None
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(
            f"search.similarity: {path} has no column {', '.join(missing)}. Give the table that "
            "`taskorder similarity` writes."
        )
    return frame


def _standardised(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values of mean 0 and standard deviation 1; unknown ones, and equal ones, are 0."""
    found = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    if known.sum() < 2:
        return np.zeros(len(found))
    centred = np.where(known, found - found[known].mean(), 0.0)
    deviation = float(centred[known].std())
    # Rounding leaves a little of equal values.
    is_constant = deviation <= 1e-9 * max(1.0, float(np.abs(found[known]).max()))
    return np.zeros(len(found)) if is_constant else centred / deviation
