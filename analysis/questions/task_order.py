"""Does the order of intermediate tasks matter, and does task similarity find the best sequence?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run
from analysis.intervals import Estimate, adjust_holm
from analysis.models import of_first_model
from analysis.observations import stages_of
from analysis.order_effects import PRECEDENCE, precedence_effects
from analysis.predictiveness import (
    ALL_TARGETS,
    MEAN_GAIN,
    RANDOM,
    similarity_advantage,
    similarity_predictiveness,
)
from analysis.questions.answer import Answer, Finding, level, undecided
from analysis.similarity import sequence_gains
from analysis.variance import variance_components
from analysis.wording import number, p_equals

QUESTION = (
    "Does the order of intermediate tasks matter, and does task similarity find the best sequence?"
)
#: An order whose share of the variance is surely below this does not matter.
SMALL_SHARE = 0.05
ALPHA = 0.05
#: Tables of `taskorder similarity --out` that belong to a run, relative to its directory.
VALUES = ("similarity/similarity.parquet", "similarity.parquet")


def task_order(run: Run, similarities: pd.DataFrame | None = None) -> Answer:
    """Say whether order matters, and whether similarity finds the best sequence.

    Order matters for a target where the variance between orders of the same stages exceeds that
    between seeds (F test of ``variance_components``), or where exchanging two stages makes a
    difference in matched sequences (``precedence_effects``); all tests of all targets are adjusted
    together (Holm). It does not where its share of the variance is surely below ``SMALL_SHARE``.
    Similarity is of use where it ranks sequences better than the mean gain on other targets does.

    Args:
        run: The run; of several models the first one's trials.
        similarities: What ``taskorder similarity`` measured: ``kind``, ``source``, ``target``,
            ``measure``, ``value``. When ``None``, the table of that command in the run directory
            or the one that the study names, if there is one.
    """
    run = of_first_model(run)
    targets = list(dict.fromkeys(run.trials["target"]))
    confidence = level(len(targets))
    variance = variance_components(run, average=False, confidence=confidence)
    rows = precedence_effects(run)
    rows = rows[rows["target"].isin(targets)].reset_index(drop=True)
    order = {
        str(row["target"]): row
        for row in variance.to_dict("records")
        if row["component"].startswith("order")
    }
    residual = {
        str(row["target"]): float(row["sd"])
        for row in variance.to_dict("records")
        if row["component"] == "residual"
    }
    pairs = {
        str(target): part.sort_values("p_holm", kind="stable").to_dict("records")[0]
        for target, part in rows.groupby("target")
    }
    tests = [
        (target, kind, _p(found, target))
        for target in targets
        for kind, found in (("order", order), ("pair", pairs))
    ]
    adjusted = adjust_holm([p for _, _, p in tests])
    decided = {(t, kind): p < ALPHA for (t, kind, _), p in zip(tests, adjusted, strict=True)}
    findings: list[Finding] = []
    sentences: list[str] = []
    for target in targets:
        found = _share(target, order.get(target))
        findings.append(found)
        sentences.append(
            _sentence(
                target, found, order.get(target), pairs.get(target), residual.get(target, math.nan),
                by_order=decided[target, "order"], by_pair=decided[target, "pair"],
            )
        )  # fmt: skip
    values = similarities if similarities is not None else _values(run)
    more, sentence = _similarity(run, values)
    return Answer(
        "task-order",
        QUESTION,
        "\n".join([*sentences, sentence]),
        (*findings, *more),
        tidy(rows, PRECEDENCE),
        (
            "Rows: what exchanging two stages does in sequences that are otherwise alike.",
            (
                "Of a search, the sequences are those that did well early: shares of the variance "
                "are of that selection. A study with every order as an arm is free of it."
            ),
            "A sequence is as similar to a target as the sum of its stages, each standardised.",
            (
                "That order was not shown to matter does not show that it does not, unless the "
                f"whole interval of its share lies below {SMALL_SHARE:.0%}."
            ),
        ),
    )


def sequence_similarities(values: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """Return how similar sequences are to targets: the sum over their stages.

    A stage's similarity is standardised among all stages of the target, so that a stage less
    similar than most takes away from its sequence: of mere sums the longest would be the highest.

    Args:
        values: ``kind``, ``source``, ``target``, ``measure``, ``value``. What was measured of a
            whole sequence (``sequence_target``) stands as it is.
        gains: ``source`` and ``target``: the sequences that are wanted.

    Returns:
        ``source`` (the sequence), ``target``, ``measure``, ``value``; a sequence with a stage that
        was not measured is left out.
    """
    single = values[values["kind"] == "source_target"].dropna(subset="value")
    groups = single.groupby(["target", "measure"])["value"]
    centred, spread = single["value"] - groups.transform("mean"), groups.transform("std")
    single = single.assign(value=(centred / spread.where(spread > 0)).fillna(0.0))
    known: Mapping[tuple[str, str, str], float] = {
        (row["source"], row["target"], row["measure"]): float(row["value"])
        for row in single.to_dict("records")
    }
    measures = sorted({measure for _, _, measure in known})
    rows: list[dict[str, Any]] = []
    for sequence, target in zip(gains["source"], gains["target"], strict=True):
        stages = stages_of(sequence)
        for measure in measures:
            found = [known.get((stage, target, measure), math.nan) for stage in stages]
            rows.append(
                {
                    "source": sequence,
                    "target": target,
                    "measure": measure,
                    "value": sum(found),
                }
            )
    whole = values.loc[
        values["kind"] == "sequence_target", ["source", "target", "measure", "value"]
    ]
    frame = pd.concat([pd.DataFrame(rows, columns=list(whole.columns)), whole], ignore_index=True)
    return frame.dropna().drop_duplicates(["source", "target", "measure"], keep="last")


def _p(found: Mapping[str, Mapping[Any, Any]], target: str) -> float:
    row = found.get(target, {})
    if row.get("component") == "order+residual":
        return math.nan
    return float(row.get("p_holm", row.get("p", math.nan)))


def _share(target: str, row: Mapping[Any, Any] | None) -> Finding:
    what = f"{target}: share of the variance that is due to order"
    if row is None or not row["degrees"] > 0:
        return Finding(what, Estimate(), "", "no set of tasks was run to the end in two orders")
    if row["component"] != "order":
        reason = "no sequence was run on two seeds, so order and noise cannot be told apart"
        return Finding(what, Estimate(), "", reason)
    estimate = Estimate(row["share"], row["share_low"], row["share_high"], int(row["num_levels"]))
    known = "" if math.isnan(row["p"]) else f"F test: {p_equals(row['p'])}"
    return Finding(what, estimate, "", known)


def _sentence(
    target: str,
    share: Finding,
    order: Mapping[Any, Any] | None,
    pair: Mapping[Any, Any] | None,
    noise: float,
    *,
    by_order: bool,
    by_pair: bool,
) -> str:
    said = f"{target}: "
    part = ""
    if order is not None and order["component"] == "order" and order["degrees"] > 0:
        part = (
            f"orders of the same tasks differ with a standard deviation of {number(order['sd'])} "
            f"points, against {number(noise)} of the noise of a seed ({share.estimate.mean:.0%} of "
            "the variance)"
        )
    which = ""
    if pair is not None and by_pair:
        better, worse = pair["first"], pair["second"]
        effect = Estimate(pair["effect"], pair["effect_low"], pair["effect_high"])
        if effect.mean < 0:
            better, worse = worse, better
            effect = Estimate(-effect.mean, -effect.high, -effect.low)
        which = f"{better} before {worse} rather than after it is worth {Finding('', effect)}"
    if by_order or by_pair:
        return f"{said}yes, order matters: {'; '.join(text for text in (part, which) if text)}."
    if share.estimate.high < SMALL_SHARE:
        return f"{said}no, order hardly matters: at most {share.estimate.high:.1%} of the variance."
    return undecided(target, part or share.reason)


def _values(run: Run) -> pd.DataFrame | None:
    """Read the similarities that belong to a run, if there are any."""
    named = (run.study.get("search") or {}).get("similarity")
    for path in (*(run.path / name for name in VALUES), *([Path(str(named))] if named else [])):
        if path.is_file() and path.suffix in (".parquet", ".csv"):
            found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            if {"source", "target", "measure", "value"} <= set(found.columns):
                return found if "kind" in found else found.assign(kind="source_target")
    return None


def _similarity(run: Run, values: pd.DataFrame | None) -> tuple[list[Finding], str]:
    what = "Does similarity find the best sequence"
    if values is None or values.empty:
        where = "RUN/similarity"
        reason = (
            f"no similarities were measured; `taskorder similarity RUN/study.yaml --run-dir RUN "
            f"--out {where}` does that"
        )
        return [], undecided(what, reason)
    gains = sequence_gains(run)
    found = similarity_predictiveness(sequence_similarities(values, gains), gains, ks=(1, 5))
    overall = found[found["target"] == ALL_TARGETS]
    measured = overall[~overall["measure"].isin([MEAN_GAIN, RANDOM])]
    if measured.empty:
        return [], undecided(what, "no measured sequence was run to the end")
    findings = [
        Finding(
            f"{row['measure']}, mean over targets: {row['statistic']}",
            Estimate(row["value"], row["value_low"], row["value_high"], int(row["num_targets"])),
            "points" if row["statistic"].startswith("regret") else "",
        )
        for row in measured[measured["statistic"].isin(["spearman", "regret@1"])].to_dict("records")
    ]
    # Chance is no measure: it would count among those that p-values are adjusted for.
    advantage = similarity_advantage(found[found["measure"] != RANDOM])
    ranks = advantage[
        (advantage["statistic"] == "spearman") & advantage["measure"].isin(measured["measure"])
    ]
    better = ranks[(ranks["verdict"] == "better") & (ranks["p_holm"] < ALPHA)]
    regret = overall[overall["statistic"] == "regret@1"].set_index("measure")["value"].to_dict()
    rho = overall[overall["statistic"] == "spearman"].set_index("measure")["value"].to_dict()
    best = str(ranks.sort_values("advantage", ascending=False)["measure"].iloc[0])
    figures = (
        f"{best} ranks sequences with a rank correlation of {rho[best]:.2f} against "
        f"{rho.get(MEAN_GAIN, math.nan):.2f} of the mean gain on other targets, and the sequence "
        f"it puts first is {number(regret[best])} points short of the best"
    )
    if not better.empty:
        return findings, f"Similarity is of use: {figures}."
    if len(ranks) and (ranks["verdict"] == "worse").all():
        return findings, f"Similarity is of no use of its own: {figures}."
    return findings, undecided(what, figures)
