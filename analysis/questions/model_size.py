"""How does the gain of intermediate tasks change with the size of the model?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run
from analysis.intervals import Estimate, estimate_crossed, student
from analysis.models import models_of, of_model
from analysis.observations import observations
from analysis.questions.answer import Answer, Finding, level, listed, undecided, why_open
from analysis.questions.gains import pair_table
from spaces.tables import Column

QUESTION = "Does the gain of intermediate tasks change with the size of the model?"

#: Parameters by the last part of a model's name, embeddings included, counted from the published
#: configurations (Conneau et al. 2020, arXiv:1911.02116; Goyal et al. 2021, arXiv:2105.00572).
PARAMETERS: Mapping[str, int] = {
    "xlm-roberta-base": 278_000_000,
    "xlm-roberta-large": 560_000_000,
    "xlm-roberta-xl": 3_500_000_000,
    "xlm-roberta-xxl": 10_700_000_000,
    "mini": 190_000,
}

ROWS = (
    Column("target", "string", "", "Name of the target task."),
    Column("model", "string", "", "Label of the model in the study."),
    Column("num_parameters", "int64", "", "Its parameters, embeddings included; 0 if unknown."),
    Column("score_none", "float64", "points", "Mean without intermediate task."),
    Column("gain", "float64", "points", "Mean over the sequences that all models share."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN below two seeds."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("num_sequences", "int64", "", "Sequences that all models share."),
    Column("num_seeds", "int64", "", "Seeds that all of them have."),
)

_UNIT = "points a tenfold"


def model_size(run: Run) -> Answer:
    """Estimate the slope of the gain against the logarithm of the number of parameters.

    For each sequence and seed that all models have, the gain over no intermediate task is fitted by
    a line in log10 of the parameters; the slope is the mean over sequences and seeds, which are
    both samples. It holds for these models: how far their gains are from a line is a caveat.

    Args:
        run: A run of several models.
    """
    sizes = {label: parameters(model_section(run, label)) for label in models_of(run)}
    known = {label: size for label, size in sizes.items() if size}
    targets = list(dict.fromkeys(run.trials["target"]))
    findings: list[Finding] = []
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    caveats = [
        "The slope is of these models; a model of another kind or pre-training may do otherwise.",
        "Sizes count all parameters, embeddings included.",
    ]
    for target in targets:
        tables = gain_tables(run, target, list(known))
        found = _slope(target, tables, known, level(len(targets)))
        findings.append(found)
        sentences.append(_sentence(target, found))
        rows += _rows(run, target, tables, known)
        caveats += _line(target, tables, known)
    unknown = [label for label in sizes if label not in known]
    if unknown:
        caveats.append(f"Left out, for their size is not known: {listed(unknown)}.")
    return Answer(
        "model-size",
        QUESTION,
        "\n".join(sentences) or undecided("model size", "no target was run"),
        tuple(findings),
        tidy(rows, ROWS),
        tuple(caveats),
    )


def parameters(section: Mapping[str, Any]) -> int:
    """Return the number of parameters of a model of a study; 0 where it is not known.

    Args:
        section: The model's section: ``name``, and for ``scratch`` its sizes.

    >>> parameters({"name": "FacebookAI/xlm-roberta-base"})
    278000000
    """
    name = str(section.get("name", ""))
    if name != "scratch":
        return PARAMETERS.get(name.rsplit("/", 1)[-1], 0)
    hidden = int(section.get("hidden_size", 128))
    layers = int(section.get("num_layers", 2))
    embedded = int(section.get("vocab_size", 8000)) + 514 + 1
    # Weights and biases of attention (4), of the feed-forward part (8) and two layer norms.
    return embedded * hidden + 2 * hidden + layers * (12 * hidden**2 + 13 * hidden)


def model_section(run: Run, label: str) -> Mapping[str, Any]:
    """Return the section of a model of a run's study."""
    models = run.study.get("models") or {}
    if label in models:
        return dict(models[label])
    model = run.study.get("model") or {}
    return dict(model) if isinstance(model, Mapping) else {"name": str(model)}


def gain_tables(run: Run, target: str, labels: list[str]) -> dict[str, pd.DataFrame]:
    """Return the gains of each model, `sequences x seeds`: what all of them have.

    Args:
        run: A run of several models.
        target: The target.
        labels: The models.
    """
    tables = {}
    for label in labels:
        found = observations(of_model(run, label), average=False)
        found = found[found["target"] == target]
        names = sorted(set(found["sequence"]) - {""})
        table = pair_table(found, [(name, "") for name in names])
        if table.size:
            tables[label] = table
    if not tables:
        return {}
    first, *others = tables.values()
    sequences, seeds = set(first.index), set(first.columns)
    for table in others:
        sequences &= set(table.index)
        seeds &= set(table.columns)
    rows, kept = sorted(sequences), sorted(seeds)
    return {label: table.loc[rows, kept] for label, table in tables.items()}


def _slope(
    target: str, tables: Mapping[str, pd.DataFrame], sizes: Mapping[str, int], confidence: float
) -> Finding:
    what = f"{target}: change of the gain for ten times the parameters"
    if len({sizes[label] for label in tables}) < 2:
        reason = "fewer than two models of different known size were run with the same sequences"
        return Finding(what, Estimate(), _UNIT, reason)
    x = np.log10([sizes[label] for label in tables])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    values = sum(
        weight * table.to_numpy(dtype=float)
        for weight, table in zip(weights, tables.values(), strict=True)
    )
    values = np.asarray(values)
    if not values.size:
        return Finding(what, Estimate(), _UNIT, "the models share no sequence under the same seed")
    reason = "one seed only" if values.shape[1] < 2 else ""
    return Finding(what, estimate_crossed(values, confidence), _UNIT, reason)


def _sentence(target: str, found: Finding) -> str:
    if found.is_above:
        return f"{target}: yes, larger models gain more: {found}."
    if found.is_below:
        return f"{target}: yes, larger models gain less: {found}."
    return undecided(target, why_open(found))


def _rows(
    run: Run, target: str, tables: Mapping[str, pd.DataFrame], sizes: Mapping[str, int]
) -> list[dict[str, Any]]:
    rows = []
    for label, table in tables.items():
        trials = of_model(run, label).trials
        none = trials[(trials["target"] == target) & (trials["sequence"] == "")]
        rows.append(
            {
                "target": target,
                "model": label,
                "num_parameters": sizes[label],
                "score_none": none["score"].mean(),
                **estimate_crossed(table.to_numpy(dtype=float), 0.95).as_columns("gain"),
                "num_sequences": len(table),
                "num_seeds": table.shape[1],
            }
        )
    return sorted(rows, key=lambda row: int(row["num_parameters"]))


def _line(target: str, tables: Mapping[str, pd.DataFrame], sizes: Mapping[str, int]) -> list[str]:
    """Say what the slope would be with the model as the unit: whether gains lie on a line."""
    if len(tables) < 3 or not all(table.size for table in tables.values()):
        return []
    x = np.log10([sizes[label] for label in tables])
    y = np.array([float(table.to_numpy().mean()) for table in tables.values()])
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    degrees = len(y) - 2
    error = math.sqrt(float(rest @ rest) / degrees / float(x @ x))
    found = Finding("", student(slope, error, degrees, 0.95), _UNIT)
    said = f"{target}: with the {len(y)} models as the sample, as though others might have been"
    return [f"{said} taken, the slope is {found}."]
