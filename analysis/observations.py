"""Observations: one score per target, sequence and seed, which every statistic starts from.

A run's trials have several phases, hyperparameters, fidelities and maybe models. What counts as a
score of a sequence is decided here, once, so that all statistics speak of the same numbers: of
several models, the first one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pandas as pd

from analysis.average import AVERAGE, average_trials, hyperparameter_columns
from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.models import first_model
from spaces.errors import InputError, UnknownNameError
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR
from spaces.tables import Column

#: What a statistic may be asked of.
Source = Run | Runs | pd.DataFrame

OBSERVATIONS = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("sequence", "string", "", "Stage names joined by '>'; empty for no stage."),
    Column("num_stages", "int64", "stages", "Length of the sequence."),
    Column("baseline", "string", "", "none, all (all tasks at once), or empty: no reference."),
    Column("phase", "string", "", "baseline, search or confirm (fresh seeds of the best)."),
    Column("seed", "int64", "", "Seed of data order, heads and dropout."),
    Column(
        "setting", "int64", "", "Number of the hyperparameters' setting; 0 if one stands for all."
    ),
    Column("score", "float64", "points", "The objective; higher is better."),
    Column("trial_id", "int64", "", "The trial; the latest where several were averaged."),
)

LANGUAGE_OBSERVATIONS = (
    *OBSERVATIONS[:1],
    Column("language", "string", "", "Language code of the evaluation set."),
    Column("split", "string", "", "Evaluation split: dev or test."),
    Column("selected_on", "bool", "", "Whether the search chose by this score."),
    Column("num_examples", "int64", "examples", "Size of the evaluation set."),
    *OBSERVATIONS[1:],
)

#: Values of the column ``baseline``.
NO_INTERMEDIATE, ALL_AT_ONCE = "none", "all"

_KEYS = ["target", "sequence", "seed"]

#: What trials have that a frame of scores alone does not say.
_DEFAULTS = {
    "trial_id": -1,
    "state": "complete",
    "phase": "search",
    "steps_trained": 0,
    "steps_reused": 0,
    "wall_s": 0.0,
}


def observations(
    source: Source,
    target: str | None = None,
    *,
    rung: int | None = None,
    settings: Literal["best", "all"] = "best",
    fresh_only: bool = False,
    average: bool | None = None,
) -> pd.DataFrame:
    """Reduce trials to one score per target, sequence and seed.

    Args:
        source: A run, several, a ``trials`` frame, a recorded table (``budget_steps`` and
            ``score`` per sequence, target and seed; the largest budget counts), or a frame that
            has ``target``, ``sequence``, ``seed`` and ``score`` already.
        target: Only this target; all of them when ``None``.
        rung: Take the scores at this rung of every trial that reached it. When ``None``, the
            scores of complete trials at the full budget: the only ones that are comparable with
            the leaderboard, but of a search these are the trials that did well early.
        settings: ``best``: a sequence that was tried with several hyperparameters stands with one
            setting, the one with most seeds and, among those, the highest mean (which flatters
            sequences that were tried often). ``all``: every setting is kept, and sequences are
            compared under the same seed and the same setting.
        fresh_only: Where a sequence was confirmed on two fresh seeds or more, count those alone:
            the seed it was selected by flatters it. Reference rows always keep all their seeds.
        average: Whether to add rows of the target ``average``, the plain mean over targets, for
            what is complete on all of them; when ``None``, if it is the study's objective.

    Returns:
        The columns of ``OBSERVATIONS``, sorted; ``run`` first if there are several runs.

    Raises:
        UnknownNameError: Nothing has that target.
        InputError: A frame without the columns that are needed, or a rung of a frame alone.
    """
    if isinstance(source, Runs):
        parts: list[pd.DataFrame] = [
            observations(
                run, None, rung=rung, settings=settings, fresh_only=fresh_only, average=average
            ).assign(run=name)
            for name, run in source.runs.items()
        ]
        empty = tidy((), OBSERVATIONS).assign(run=pd.Series(dtype="str"))
        return _only(tidy(pd.concat(parts or [empty]), OBSERVATIONS), target)
    trials = _trials(source, rung)
    if average is None:
        average = isinstance(source, Run) and source.study.get("objective") == AVERAGE
    if average:
        trials = pd.concat([average_trials(trials), trials], ignore_index=True)
    return _only(_reduced(trials, settings, fresh_only), target)


def language_observations(
    source: Run | Runs, target: str | None = None, **how: Any
) -> pd.DataFrame:
    """Reduce the scores by language to one per target, language, split, sequence and seed.

    Args:
        source: A run, or several.
        target: Only this target; all of them when ``None``.
        how: ``settings`` and ``fresh_only`` as in ``observations``.

    Returns:
        The columns of ``LANGUAGE_OBSERVATIONS``: of the trials in ``observations``, at their last
        rung; ``score`` is the mean of the task's headline metrics, as XTREME scores it.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    if isinstance(source, Runs):
        parts = [
            language_observations(run, None, **how).assign(run=name)
            for name, run in source.runs.items()
        ]
        empty = tidy((), LANGUAGE_OBSERVATIONS).assign(run=pd.Series(dtype="str"))
        return _only(tidy(pd.concat(parts or [empty]), LANGUAGE_OBSERVATIONS), target)
    trials = observations(source, target, average=False, **how).drop(columns="score")
    means = (
        last_rung(source.scores[source.scores["headline"]])
        .groupby(["trial_id", "language", "split", "selected_on"], as_index=False, sort=False)
        .agg(num_examples=("num_examples", "max"), score=("value", "mean"))
    )
    joined = trials.merge(means, on="trial_id", how="inner")
    order = ["target", "language", "split", "selected_on", "sequence", "setting", "seed"]
    return tidy(joined.sort_values(order), LANGUAGE_OBSERVATIONS)


def last_rung(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a ``scores`` frame at the last rung of each trial."""
    return scores[scores["rung"] == scores.groupby("trial_id")["rung"].transform("max")]


def by_target(frame: pd.DataFrame, *further: str) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the rows of each target (of each run), the average first, with what names them.

    Args:
        frame: Observations.
        further: More columns to divide by.
    """
    names = [*(["run"] if "run" in frame else []), "target", *further]
    if frame["setting"].any():
        # Another setting is as little to be compared with as another seed.
        frame = frame.assign(seed=frame.groupby(["setting", "seed"]).ngroup())
    parts = [
        (dict(zip(names, key, strict=True)), part)
        for key, part in frame.groupby(names, sort=True, dropna=False)
    ]
    parts.sort(key=lambda part: (part[0].get("run", ""), part[0]["target"] != AVERAGE))
    yield from parts


def all_at_once(trials: pd.DataFrame) -> str | None:
    """Return the sequence that trains every task in one mixture, if it was run.

    Args:
        trials: Trials or observations of one target. The search may try mixtures too, so baselines
            go first (where the phase is known) and then the mixture of most tasks.
    """
    names = trials["sequence"]
    mixtures = trials[
        names.str.contains(TASK_SEPARATOR, regex=False)
        & ~names.str.contains(STAGE_SEPARATOR, regex=False)
    ]
    if "phase" in mixtures and (mixtures["phase"] == "baseline").any():
        mixtures = mixtures[mixtures["phase"] == "baseline"]
    candidates = sorted(set(mixtures["sequence"]))
    return max(candidates, key=lambda name: name.count(TASK_SEPARATOR), default=None)


def stages_of(sequence: str) -> tuple[str, ...]:
    """Return the names of a sequence's stages.

    >>> stages_of("a>b+c"), stages_of("")
    (('a', 'b+c'), ())
    """
    return tuple(sequence.split(STAGE_SEPARATOR)) if sequence else ()


def _trials(source: Run | pd.DataFrame, rung: int | None) -> pd.DataFrame:
    """Return trials of which all that are complete count."""
    if isinstance(source, Run):
        if rung is None:
            return first_model(source.trials, source.study)
        reports = source.rungs.loc[source.rungs["rung"] == rung, ["trial_id", "score"]]
        trials = first_model(source.trials, source.study)
        reached = trials.drop(columns="score").merge(reports, on="trial_id")
        return reached.assign(state="complete")
    if rung is not None:
        raise InputError(f"rung {rung}: the scores at a rung are in a run, not in this frame")
    missing = [name for name in (*_KEYS, "score") if name not in source]
    if missing:
        raise InputError(
            f"this frame has no column {missing[0]!r}. Give a run, its trials, a recorded table, "
            f"or a frame with {', '.join(_KEYS)} and score."
        )
    frame = first_model(source)
    frame = frame.assign(sequence=frame["sequence"].fillna("").astype("str"))
    if "budget_steps" in frame and "trial_id" not in frame:
        frame = frame[
            frame["budget_steps"] == frame.groupby("target")["budget_steps"].transform("max")
        ]
    lengths = frame["sequence"].map(lambda name: len(stages_of(name))).astype("int64")
    frame = frame.assign(num_stages=lengths)
    filled = pd.DataFrame(_DEFAULTS, index=frame.index)
    return frame.join(filled[[name for name in filled.columns if name not in frame]])


def _reduced(trials: pd.DataFrame, settings: str, fresh_only: bool) -> pd.DataFrame:
    complete = trials[(trials["state"] == "complete") & trials["score"].notna()]
    names = [*(["run"] if "run" in trials else []), "target", "sequence"]
    complete = complete.assign(baseline=_baselines(complete, trials, names))
    given = hyperparameter_columns(trials)
    if given:
        numbers = complete.groupby(given, dropna=False, sort=True).ngroup()
        complete = complete.assign(setting=numbers)
    elif "setting" in complete:
        settings = "all"  # These are observations already.
    else:
        complete = complete.assign(setting=0)
    if settings == "best" and given:
        complete = _best_settings(complete, names).assign(setting=0)
    if fresh_only:
        complete = _fresh(complete, names)
    reduced = complete.groupby([*names, "setting", "seed"], as_index=False, sort=True).agg(
        num_stages=("num_stages", "first"),
        baseline=("baseline", "first"),
        phase=("phase", "last"),
        score=("score", "mean"),
        trial_id=("trial_id", "last"),
    )
    return tidy(reduced, OBSERVATIONS)


def _baselines(complete: pd.DataFrame, trials: pd.DataFrame, names: list[str]) -> Any:
    """Return the column ``baseline``; what trains all tasks at once is known from all trials."""
    if "baseline" in complete:
        return complete["baseline"]
    owner = names[:-1]
    everything = {key: all_at_once(part) for key, part in trials.groupby(owner)}
    keys = zip(*(complete[name] for name in owner), strict=True)
    return [
        NO_INTERMEDIATE if not name else ALL_AT_ONCE if everything[key] == name else ""
        for name, key in zip(complete["sequence"], keys, strict=True)
    ]


def _best_settings(complete: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Keep the setting with most seeds of each sequence; among those, of the highest mean."""
    found = complete.groupby([*names, "setting"], as_index=False, sort=True).agg(
        num_seeds=("seed", "nunique"), mean=("score", "mean")
    )
    ranked = found.sort_values(["num_seeds", "mean"], ascending=False, kind="stable")
    best = ranked.drop_duplicates(names)[[*names, "setting"]]
    # An inner join in the order of the trials: the latest trial stays last.
    return complete.merge(best, on=[*names, "setting"], how="inner")


def _fresh(complete: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Drop the selecting seeds of what was confirmed on two fresh ones; not of references."""
    is_fresh = complete["phase"] == "confirm"
    seeds = complete["seed"].where(is_fresh)
    num_fresh = seeds.groupby([complete[name] for name in names]).transform("nunique")
    return complete[is_fresh | (complete["baseline"] != "") | (num_fresh < 2)]


def _only(frame: pd.DataFrame, target: str | None) -> pd.DataFrame:
    if target is None:
        return frame
    targets = sorted(set(frame["target"]))
    if target not in targets:
        raise UnknownNameError("target", target, targets)
    return frame[frame["target"] == target].reset_index(drop=True)
