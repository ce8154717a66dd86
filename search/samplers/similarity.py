"""What task similarity says of sequences before anything has run.

Read from the table that ``taskorder similarity`` writes; the search computes none itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import optuna

from search.samplers.base import SequenceSampler
from search.samplers.features import Array
from search.samplers.history import Candidate
from spaces.errors import InputError
from spaces.sequences import Sequence
from spaces.study import Study

if TYPE_CHECKING:
    import pandas as pd

#: Similarity of a source task to a target, standardised: mean 0, SD 1 over the study's pairs.
Similarity = Mapping[tuple[str, str], float]

SOURCE_TO_TARGET = "source_target"
COLUMNS = ("kind", "source", "target", "measure", "value")


def read_similarity(study: Study) -> Similarity | None:
    """Read the similarities of a study's stages to its targets.

    Measures are standardised over the study's pairs and averaged; a pair that a measure has no
    value for takes part in the others.

    Returns:
        ``None`` if the study names no table.

    Raises:
        InputError: The table cannot be read, or has nothing on the study's stages and targets.
    """
    if study.search.similarity is None:
        return None
    path = Path(study.search.similarity).expanduser()
    frame = _load(path)
    targets = [target.name for target in study.targets]
    chosen = frame[
        (frame["kind"] == SOURCE_TO_TARGET)
        & frame["source"].isin(study.space.tasks)
        & frame["target"].isin(targets)
    ]
    wide = chosen.pivot_table(index=["source", "target"], columns="measure", values="value")
    spread = wide.std(ddof=0)
    wide = ((wide - wide.mean()) / spread).loc[:, spread > 0]
    mean = wide.mean(axis=1).dropna()
    if mean.empty:
        raise InputError(
            f"search.similarity: {path} says nothing on the study's stages and targets. Write it "
            "with `taskorder similarity` for this study."
        )
    pairs = zip(mean.index.to_list(), mean.to_list(), strict=True)
    return {(source, target): value for (source, target), value in pairs}


def _load(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  (only where a study names a table)

    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"search.similarity: {path} cannot be read: {error}") from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(
            f"search.similarity: {path} has no column {', '.join(missing)}. Give the table that "
            "`taskorder similarity` writes."
        )
    return frame


def similarity_features(
    text: str, entity: str, targets: tuple[str, ...], similarity: Similarity
) -> Array:
    """Return a candidate's similarities: of its stages on average, and of the last one.

    Args:
        text: Text form of a sequence.
        entity: A target, or empty for the average over targets.
        targets: The study's targets.
        similarity: Standardised similarities; a pair that is not there counts as 0, the mean.

    Returns:
        2 numbers; 0 for the empty sequence.
    """
    names = Sequence.parse(text).names
    if not names:
        return np.zeros(2)
    to = (entity,) if entity else targets
    of_name = [
        float(np.mean([similarity.get((name, target), 0.0) for target in to])) for name in names
    ]
    return np.array([np.mean(of_name), of_name[-1]])


class SimilarityGreedySampler(SequenceSampler):
    """Sequences in the order of their similarity to the target, the most similar first.

    That is the mean similarity of the stages and that of the last one, added; nothing that has run
    changes the order. The empty sequence comes first.

    Raises:
        InputError: The study names no table of similarities.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        similarity = read_similarity(study)
        if similarity is None:
            raise InputError(
                "search.sampler: similarity_greedy needs search.similarity, the table that "
                "`taskorder similarity` writes."
            )
        self._similarity = similarity
        self._targets = tuple(target.name for target in study.targets)

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        target = self.by_trials()[0]
        if ("", target) not in asked:
            return Sequence(), target
        return max(self.unseen(asked, target, rng), key=lambda s: self._worth(s, target)), target

    def _worth(self, sequence: Sequence, target: str) -> tuple[float, int, str]:
        features = similarity_features(str(sequence), target, self._targets, self._similarity)
        # Of equals the shorter one, and then by name.
        return float(features.sum()), -len(sequence), str(sequence)
