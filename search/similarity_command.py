"""What ``taskorder similarity`` shows and writes: values, and how well they predict observed gains.

Values are measured elsewhere (``trainables.similarity``) and come as a frame. ``similarity_text``
writes them for a terminal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.run_setup import launched_data_root
from search.rundir import RunDirectory
from spaces.errors import InputError
from spaces.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from analysis.observations import Source

#: The statistics by which a measure has to beat the mean-gain baseline, and their names in words.
DECISIVE = {"ndcg": "NDCG", "spearman": "rank correlation"}
#: Files of ``--out``.
VALUES, PREDICTIVE, ADVANTAGE = "similarity", "predictiveness", "advantage"


@dataclass(frozen=True)
class SimilarityReport:
    """Similarities of one study and, once there are results, what they were worth.

    Attributes:
        study: The study's name.
        about: For each measure its ``description``, ``paper`` and ``cost``.
        values: Tidy frame: ``kind``, ``source``, ``target``, ``measure``, ``value``, ``cost_s``,
            ``num_examples``, ``note``.
        predictive: Of each kind that results were there for, as
            ``analysis.predictiveness.similarity_predictiveness``, with the column ``kind`` first;
            empty without results.
        advantage: Likewise, over the mean gain on the other targets.
    """

    study: str
    about: Mapping[str, Mapping[str, str]]
    values: pd.DataFrame
    predictive: pd.DataFrame
    advantage: pd.DataFrame

    @property
    def has_results(self) -> bool:
        """Whether there were gains to hold the measures against."""
        return not self.predictive.empty

    def verdicts(self) -> list[tuple[str, str]]:
        """Say of each measure in words whether it beats ranking by the mean gain elsewhere.

        Returns:
            (kind, sentence).
        """
        if not self.has_results:
            return []
        level = self.predictive[self.predictive["target"] == "all"]
        levels = level.set_index(["kind", "measure", "statistic"])["value"].to_dict()
        is_measured = self.advantage["measure"].isin(set(self.values["measure"]))
        compared = self.advantage[is_measured & self.advantage["statistic"].isin(list(DECISIVE))]
        return [
            (str(kind), _sentence(str(measure), part.to_dict("records"), levels))
            for (kind, measure), part in compared.groupby(["kind", "measure"], sort=False)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able data; what is not available is null."""
        return {
            "study": self.study,
            "measures": {
                name: dict(self.about.get(name, {}))
                for name in dict.fromkeys(self.values["measure"])
            },
            "values": _records(self.values),
            "predictiveness": _records(self.predictive),
            "advantage": _records(self.advantage),
            "verdicts": [sentence for _, sentence in self.verdicts()],
        }


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a study's data and stages are.

    Attributes:
        data_root: Folder of the official files.
        run_dir: Where a ``scratch`` model is.
        store_url: The stage store; ``None`` for none.
    """

    data_root: Path | None
    run_dir: Path
    store_url: str | None


def find_sources(study: Study, run_dir: Path | None, data_root: Path | None) -> Sources:
    """Return where data and stages are: a run's own, if one is given.

    Args:
        study: The study.
        run_dir: A run of it.
        data_root: Folder of the official files; the run's for ``None``.

    Raises:
        RunDirectoryError: Not a run directory.
    """
    if run_dir is None:
        return Sources(data_root, Path("runs") / study.name, study.storage.stages)
    directory = RunDirectory(run_dir)
    launched, resolved = directory.read()
    return Sources(
        data_root or launched_data_root(resolved), run_dir, directory.store_url(launched)
    )


def make_report(
    study: str,
    values: pd.DataFrame,
    about: Mapping[str, Mapping[str, str]],
    results: Source | None = None,
) -> SimilarityReport:
    """Put values beside results.

    Args:
        study: The study's name.
        values: What was measured.
        about: For each measure its ``description``, ``paper`` and ``cost``.
        results: A run, or a recorded table as a frame; ``None`` without.
    """
    import pandas as pd  # noqa: PLC0415  (after the arguments were checked)

    predictive, advantage = [], []
    if results is not None:
        from analysis.predictiveness import (  # noqa: PLC0415
            similarity_advantage,
            similarity_predictiveness,
        )
        from analysis.similarity import sequence_gains  # noqa: PLC0415

        gains = sequence_gains(results)
        for kind in ("source_target", "sequence_target"):
            mine = values[(values["kind"] == kind) & values["value"].notna()]
            known = gains[gains["source"].isin(set(values.loc[values["kind"] == kind, "source"]))]
            if mine.empty or known.empty:
                continue
            found = similarity_predictiveness(mine, known)
            if found.empty:
                continue
            predictive.append(found.assign(kind=kind))
            advantage.append(similarity_advantage(found).assign(kind=kind))

    def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
        if not parts:
            return pd.DataFrame()
        frame = pd.concat(parts, ignore_index=True)
        return frame[["kind", *(name for name in frame if name != "kind")]]

    return SimilarityReport(study, about, values, joined(predictive), joined(advantage))


def table_frame(scores: Mapping[tuple[str, str, int, int], float]) -> pd.DataFrame:
    """Return a recorded table's scores as a frame that ``make_report`` takes as results.

    Args:
        scores: Score by (sequence, target, seed, budget in steps).
    """
    import pandas as pd  # noqa: PLC0415

    columns = ["sequence", "target", "seed", "budget_steps"]
    frame = pd.DataFrame(list(scores), columns=columns)
    return frame.assign(score=list(scores.values()))


def names_of(options: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a repeatable option with commas gives.

    >>> names_of(["logme,h_score", "probing"])
    ('logme', 'h_score', 'probing')
    """
    found = (name.strip() for option in options for name in option.split(","))
    return tuple(dict.fromkeys(name for name in found if name))


def write_report(report: SimilarityReport, folder: Path) -> list[Path]:
    """Write the frames (Parquet and CSV) and a heatmap (PDF) for each measure and kind.

    Returns:
        The files.

    Raises:
        InputError: The folder cannot be written.
    """
    from analysis.similarity import similarity_heatmap  # noqa: PLC0415

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in (
            (VALUES, report.values),
            (PREDICTIVE, report.predictive),
            (ADVANTAGE, report.advantage),
        ):
            if not frame.empty:
                written += [folder / f"{name}.parquet", folder / f"{name}.csv"]
                frame.to_parquet(written[-2], index=False)
                frame.to_csv(written[-1], index=False)
        known = report.values[report.values["value"].notna()]
        for kind, measure in dict.fromkeys(zip(known["kind"], known["measure"], strict=True)):
            picture = similarity_heatmap(report.values, measure, kind)
            written.append(picture.save(folder / f"{picture.name}.pdf"))
    except OSError as error:
        raise InputError(
            f"--out {str(folder)!r} cannot be written: {error.strerror or error}."
        ) from None
    return written


def _sentence(measure: str, rows: Sequence[Mapping[Any, Any]], levels: Mapping[Any, float]) -> str:
    """Say whether a measure beats a baseline by every decisive statistic, or by which it does not.

    Args:
        measure: Its name.
        rows: Its rows of ``advantage``, one a statistic.
        levels: What measures come to, by kind, measure and statistic.
    """
    figures, lost = [], []
    for row in rows:
        kind, baseline, statistic = row["kind"], row["baseline"], row["statistic"]
        own, other = levels[kind, measure, statistic], levels[kind, baseline, statistic]
        low, high = row["advantage_low"], row["advantage_high"]
        interval = "" if math.isnan(low) else f" (difference {low:+.2f} to {high:+.2f})"
        figures.append(f"{DECISIVE[statistic]} {own:.2f} against {other:.2f}{interval}")
        if not row["advantage"] > 0:  # NaN is no advantage.
            lost.append(DECISIVE[statistic])
    by_which = f", by {', '.join(lost)}" if len(lost) < len(rows) else ""
    if lost:
        found, doubt = "does not beat", by_which
    elif all(row["verdict"] == "better" for row in rows):
        found, doubt = "beats", ""
    else:
        found, doubt = "is ahead of", ", undecided"
    return (
        f"{measure} {found} the mean gain on other targets{doubt}: {', '.join(figures)}; "
        f"{max(row['num_targets'] for row in rows)} targets, 95% intervals."
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    # pandas writes NaN as null.
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return found
