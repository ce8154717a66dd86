"""A study's similarities: from the cache where they are known, computed where they are not.

Importing this module loads no torch; ``cached_values`` needs none, and ``measure_study`` loads it
when something has to be computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces.errors import InputError
from spaces.study import Study
from trainables.preparation import SCRATCH, Preparation
from trainables.similarity.cache import SimilarityCache, cache_key
from trainables.similarity.measures import KINDS, Measure, choose_measures
from trainables.similarity.settings import SimilaritySettings
from trainables.similarity.subjects import Pair, Subjects
from trainables.similarity.values import Value

if TYPE_CHECKING:
    from trainables.similarity.bench import Bench

#: Is told of progress: values computed so far, values to compute, and the measure at work.
Telling = Callable[[int, int, str], None]
NOT_COMPUTED = "not computed yet"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A value that is asked for: what is known of it, or the key under which to keep it."""

    measure: Measure
    pair: Pair
    key: str
    known: Value | None


def cached_values(
    study: Study,
    preparation: Preparation,
    data_root: Path | None,
    *,
    measures: Sequence[str] = (),
    settings: SimilaritySettings | None = None,
) -> list[Value]:
    """Return the values that were measured before, without computing any; loads no torch.

    Args:
        study: The study.
        preparation: What a run of it is launched with.
        data_root: Folder of the official files.
        measures: Names of measures; all of them when empty.
        settings: Bounds on the cost, part of what a value is kept under; the default ones for
            ``None``.

    Returns:
        One value for each pair and measure that is in the cache.
    """
    subjects = Subjects(study, preparation, data_root)
    wanted = _wanted(subjects, measures, settings or SimilaritySettings())
    return [entry.known for entry in wanted if entry.known is not None]


def measure_study(
    study: Study,
    preparation: Preparation,
    data_root: Path | None,
    *,
    measures: Sequence[str] = (),
    settings: SimilaritySettings | None = None,
    sequences: Sequence[str] = (),
    store_url: str | None = None,
    tell: Telling | None = None,
) -> list[Value]:
    """Measure how alike a study's sources and targets are, and its sources among themselves.

    Args:
        study: The study.
        preparation: What a run of it is launched with.
        data_root: Folder of the official files.
        measures: Names of measures; all of them when empty.
        settings: Bounds on the cost; the default ones for ``None``.
        sequences: Text forms of sequences (``mnli>squad1``) whose encoders are guessed from task
            vectors and probed on every target.
        store_url: Stage store that may hold the sources' depth-1 stages; measures that need them
            are not available (NaN) without.
        tell: Is told of progress.

    Returns:
        One value for each pair and measure, by kind, measure, source and target.

    Raises:
        UnknownNameError: There is no such measure.
        DataError: A task's examples cannot be read.
        InputError: The base model is not there, or the cache cannot be written.
    """
    settings = settings or SimilaritySettings()
    subjects = Subjects(study, preparation, data_root, tuple(sequences))
    wanted = list(_wanted(subjects, measures, settings))
    missing = [entry for entry in wanted if entry.known is None]
    made: dict[tuple[str, str], Value] = {}
    if missing:
        _check_model(study, preparation)
        from trainables.similarity.bench import Bench  # noqa: PLC0415  (torch)

        cache = SimilarityCache(study.storage.cache)
        # By source, so that one source-tuned encoder at a time is held.
        names = [subject.name for subject in (*subjects.sources, *subjects.sequences)]
        missing.sort(key=lambda entry: names.index(entry.pair.source.name))
        with closing(Bench(study, preparation, data_root, settings, store_url)) as bench:
            for number, entry in enumerate(missing):
                if tell is not None:
                    tell(number, len(missing), entry.measure.name)
                if (entry.measure.name, entry.key) not in made:
                    value = _compute(bench, entry)
                    cache.put(entry.measure, entry.key, value)
                    made[entry.measure.name, entry.key] = value
    return [entry.known or _as_pair(made[entry.measure.name, entry.key], entry) for entry in wanted]


def _wanted(
    subjects: Subjects, measures: Sequence[str], settings: SimilaritySettings
) -> Iterator[_Wanted]:
    chosen = choose_measures(measures)
    cache = SimilarityCache(subjects.study.storage.cache)
    for kind in KINDS:
        for measure in chosen:
            if kind not in measure.kinds:
                continue
            seen: set[str] = set()
            for pair in subjects.pairs(kind):
                key = cache_key(measure, pair, subjects, settings)
                kept = cache.get(measure, key)
                known = None
                if kept is not None:
                    known = Value(kind, pair.source.name, pair.target.name, measure.name, **kept)
                    # One value of a symmetric measure is in two rows and has one cost.
                    known = replace(known, cost_s=0.0) if key in seen else known
                seen.add(key)
                yield _Wanted(measure, pair, key, known)


def _compute(bench: Bench, entry: _Wanted) -> Value:
    module, name = entry.measure.compute.split(":")
    compute: Any = getattr(import_module(module), name)
    pair = entry.pair
    started = time.perf_counter()
    outcome = compute(bench, pair.source, pair.target)
    return Value(
        pair.kind,
        pair.source.name,
        pair.target.name,
        entry.measure.name,
        float(outcome.value),
        time.perf_counter() - started,
        outcome.num_examples,
        outcome.note,
    )


def _as_pair(value: Value, entry: _Wanted) -> Value:
    """Return a value for the pair that asks: a symmetric one may have been computed for another."""
    pair = entry.pair
    named = replace(
        value, kind=pair.kind, source=pair.source.name, target=pair.target.name, cost_s=0.0
    )
    return value if named == replace(value, cost_s=0.0) else named


def _check_model(study: Study, preparation: Preparation) -> None:
    """Check that a model that a run makes is there.

    Raises:
        InputError: It is not.
    """
    folder = Path(preparation.model_path)
    if study.model.name == SCRATCH and not (folder / "model.safetensors").is_file():
        raise InputError(
            "model.name: a scratch model is made when the study is launched, and there is none in "
            f"{str(folder)!r}. Launch the study first and give its --run-dir."
        )
