"""Which hyperparameters matter, by Optuna's evaluators on a run's trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
)
from optuna.trial import FrozenTrial, TrialState

from analysis.average import hyperparameter_columns
from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.observations import stages_of
from analysis.timeline import each_run
from spaces.errors import RunDirectoryError, UnknownNameError
from spaces.tables import HYPERPARAMETER_PREFIX, Column

Evaluator = Literal["fanova", "ped_anova"]

HYPERPARAMETERS = (
    Column("target", "string", "", "Name of the target task."),
    Column("parameter", "string", "", "Hyperparameter, or stage_<position> of the sequence."),
    Column("importance", "float64", "", "Its share; those of a target add up to 1."),
    Column("importance_low", "float64", "", "Lower end of its bootstrap interval."),
    Column("importance_high", "float64", "", "Upper end."),
    Column("num_trials", "int64", "trials", "Trials that it rests on."),
    Column("evaluator", "string", "", "fanova or ped_anova."),
)

#: Fewer complete trials say nothing about a parameter.
MIN_TRIALS = 4
#: Stands for "no stage at this position", as in the run's Optuna study.
NO_STAGE = "-"


def hyperparameter_importance(
    source: Run | Runs,
    target: str | None = None,
    *,
    stages: bool = False,
    evaluator: Evaluator = "fanova",
    storage: bool = False,
    num_resamples: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Estimate how much each hyperparameter matters for the score of each target.

    Args:
        source: A run, or several.
        target: Only this target; all of them when ``None``.
        stages: Whether the stages by position (``stage_1`` and so on) count as parameters too, so
            that hyperparameters stand beside the choice of tasks (in a storage: whatever its
            sampler suggested).
        evaluator: ``fanova``: the share of variance that a random forest puts down to a parameter
            alone. ``ped_anova``: how far the best tenth of the trials differ from all in it.
        storage: Whether to read the trials from the run's Optuna storage rather than its frames;
            both hold the same.
        num_resamples: Bootstrap samples of trials for the intervals.
        confidence: Coverage of the intervals: percentiles. They say how far the importances hang
            on single trials. Importances cannot be below 0, so those of useless parameters are
            above it by chance.
        seed: Of forests and bootstrap.

    Returns:
        The columns of ``HYPERPARAMETERS``, one row per target and parameter that took two values or
        more, the most important first. Complete trials that have them all count, those of the
        confirmation apart: baselines have none. No rows where no hyperparameter was searched, or
        for fewer than four trials. A search tries good values more often than bad ones, so shares
        are of what it tried.

    Raises:
        UnknownNameError: No trial has that target.
        RunDirectoryError: The Optuna storage cannot be read.

    Source: Hutter, Hoos and Leyton-Brown 2014, ICML, for fANOVA; Watanabe, Bansal and Hutter 2023,
    arXiv:2304.10255, for PED-ANOVA. Deviation: what is searched on a logarithmic scale is put on
    that scale first, for Optuna's fANOVA takes all values of a parameter as equally likely.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        trials = _from_storage(run) if storage else _from_frames(run)
        targets = sorted(trials)
        if target is not None and target not in targets:
            raise UnknownNameError("target", target, targets)
        for name in targets if target is None else [target]:
            found = _importances(trials[name], stages, evaluator, num_resamples, confidence, seed)
            rows += [{**names, "target": name, **row} for row in found]
    return tidy(rows, HYPERPARAMETERS)


def optuna_study(trials: Sequence[FrozenTrial]) -> optuna.Study:
    """Return trials as a study in memory, which is maximised, for Optuna's own functions."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    study.add_trials(trials)
    return study


def _importances(
    trials: list[FrozenTrial],
    stages: bool,
    kind: Evaluator,
    num_resamples: int,
    confidence: float,
    seed: int,
) -> list[dict[str, Any]]:
    counts = Counter(name for trial in trials for name in trial.params if stages or "." in name)
    parameters = [name for name, count in counts.items() if 2 * count >= max(counts.values())]
    trials = [trial for trial in trials if all(name in trial.params for name in parameters)]
    parameters = [n for n in parameters if len({trial.params[n] for trial in trials}) > 1]
    if len(trials) < MIN_TRIALS or not parameters or len({trial.value for trial in trials}) < 2:
        return []
    whole = _evaluate(trials, parameters, kind, seed)
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(num_resamples):
        sample = [trials[i] for i in rng.integers(len(trials), size=len(trials))]
        # A sample in which all scores are alike says nothing.
        if len({trial.value for trial in sample}) > 1:
            drawn.append(_evaluate(sample, parameters, kind, seed + 1 + number))
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    rows = []
    for name in parameters:
        values = [importance[name] for importance in drawn]
        low, high = np.quantile(values, tails) if len(values) > 1 else (math.nan, math.nan)
        rows.append(
            {
                "parameter": name,
                "importance": whole[name],
                "importance_low": low,
                "importance_high": high,
                "num_trials": len(trials),
                "evaluator": kind,
            }
        )
    return sorted(rows, key=lambda row: (-float(row["importance"]), str(row["parameter"])))


def _evaluate(
    trials: Sequence[FrozenTrial], parameters: list[str], kind: Evaluator, seed: int
) -> Mapping[str, float]:
    evaluator: BaseImportanceEvaluator = (
        FanovaImportanceEvaluator(n_trees=32, seed=seed)
        if kind == "fanova"
        else PedAnovaImportanceEvaluator()
    )
    found: Mapping[str, float] = optuna.importance.get_param_importances(
        optuna_study(trials), evaluator=evaluator, params=parameters
    )
    return {name: found.get(name, 0.0) for name in parameters}


def _from_frames(run: Run) -> dict[str, list[FrozenTrial]]:
    """Return the complete trials of each target as trials of Optuna."""
    given = hyperparameter_columns(run.trials)
    longest = int(run.trials["num_stages"].max()) if len(run.trials) else 0
    tasks = sorted({stage for name in run.trials["sequence"] for stage in stages_of(name)})
    declared = run.study.get("hyperparameters") or {}
    distributions: dict[str, BaseDistribution] = {
        name.removeprefix(HYPERPARAMETER_PREFIX): _distribution(
            declared.get(name.removeprefix(HYPERPARAMETER_PREFIX)), run.trials[name]
        )
        for name in given
    }
    for position in range(1, longest + 1):
        distributions[f"stage_{position}"] = CategoricalDistribution([NO_STAGE, *tasks])
    found: dict[str, list[FrozenTrial]] = {str(name): [] for name in run.trials["target"].unique()}
    searched = run.trials[run.trials["phase"] != "confirm"]
    complete = searched[(searched["state"] == "complete") & searched["score"].notna()]
    for row in complete.to_dict("records"):
        stages = [*stages_of(row["sequence"]), *[NO_STAGE] * longest]
        values = {f"stage_{i + 1}": stages[i] for i in range(longest)}
        values |= {
            name.removeprefix(HYPERPARAMETER_PREFIX): row[name]
            for name in given
            if pd.notna(row[name])
        }
        found[row["target"]].append(_frozen(values, distributions, row["score"]))
    return found


def _from_storage(run: Run) -> dict[str, list[FrozenTrial]]:
    """Return the complete trials of each target from the run's Optuna storage."""
    url = (run.study.get("storage") or {}).get("optuna") or (
        f"sqlite:///{(run.path / 'optuna.db').resolve()}"
    )
    try:
        study = optuna.load_study(study_name=run.name, storage=url)
    except Exception as error:
        raise RunDirectoryError(
            f"{url}: cannot be read as the Optuna storage of {run.name!r} ({error}). Leave out "
            "`storage` to use the frames, which hold the same trials."
        ) from error
    found: dict[str, list[FrozenTrial]] = {}
    for trial in study.get_trials(deepcopy=False):
        if "sequence" not in trial.user_attrs:
            continue  # A suggestion that repeated an earlier trial: it was not run.
        mine = found.setdefault(str(trial.user_attrs["target"]), [])
        is_searched = trial.user_attrs.get("phase") != "confirm"
        if trial.state == TrialState.COMPLETE and is_searched:
            values = {k: v for k, v in trial.params.items() if k != "target"}
            mine.append(_frozen(values, trial.distributions, trial.value))
    return found


def _frozen(
    values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], score: Any
) -> FrozenTrial:
    params: dict[str, Any] = {}
    kinds: dict[str, BaseDistribution] = {}
    for name, value in values.items():
        kind = distributions.get(name)
        # A mixture stands outside the space of sequences of single tasks.
        if kind is None or not _holds(kind, value):
            continue
        if isinstance(kind, FloatDistribution) and kind.log:
            kind = FloatDistribution(math.log(kind.low), math.log(kind.high))
            value = min(max(math.log(value), kind.low), kind.high)  # noqa: PLW2901
        params[name], kinds[name] = value, kind
    return optuna.trial.create_trial(params=params, distributions=kinds, value=float(score))


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return bool(distribution.low <= value <= distribution.high)


def _distribution(declared: Any, values: pd.Series[Any]) -> BaseDistribution:
    """Return a hyperparameter's distribution: the study's, or what its values span."""
    given = declared if isinstance(declared, dict) else {}
    if given.get("log_uniform"):
        low, high = given["log_uniform"]
        return FloatDistribution(float(low), float(high), log=True)
    if given.get("uniform"):
        low, high = given["uniform"]
        return FloatDistribution(float(low), float(high))
    if given.get("int_uniform"):
        low, high = given["int_uniform"]
        return IntDistribution(int(low), int(high))
    if given.get("choice"):
        return CategoricalDistribution(list(given["choice"]))
    return FloatDistribution(float(values.min()), float(values.max()))
