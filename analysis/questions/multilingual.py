"""English or multilingual intermediate training? Exact match on TyDiQA-GoldP by language."""

from __future__ import annotations

from typing import Any

from analysis.columns import tidy
from analysis.frames import Run
from analysis.models import of_first_model
from analysis.observations import stages_of
from analysis.questions.answer import (
    Answer,
    Finding,
    dev_caveat,
    level,
    listed,
    undecided,
    why_open,
)
from analysis.questions.gains import LanguageGains, Pair, gain_rows, language_gains
from analysis.questions.roles import ENGLISH, Roles
from spaces.tables import Column

QUESTION = (
    "Is intermediate training in several languages, native or translated, better for TyDiQA-GoldP "
    "than the same tasks in English?"
)
TARGET, METRIC = "tydiqa", "exact_match"

ROWS = (
    Column("target", "string", "", "Name of the target task."),
    Column("sequence", "string", "", "The multilingual sequence."),
    Column("reference", "string", "", "The same tasks in English."),
    Column("language", "string", "", "Language of the evaluation set."),
    Column("trained_in", "bool", "", "Whether the multilingual stages hold that language."),
    Column("difference", "float64", "points", "Exact match of the first less the second."),
    Column("difference_low", "float64", "points", "Lower end of its interval; NaN below 2 seeds."),
    Column("difference_high", "float64", "points", "Upper end."),
    Column("num_seeds", "int64", "", "Seeds that both have."),
)


def multilingual_tydiqa(run: Run) -> Answer:
    """Compare multilingual intermediate training with the same tasks in English.

    A multilingual sequence is compared with the English one of the same tasks in the same order,
    under the same seed; English itself, which the target trains in, is left out. Languages that the
    multilingual stages hold are told apart from those they do not: only these are zero-shot.

    Args:
        run: The run; of several models the first one's trials.
    """
    run = of_first_model(run)
    roles = Roles(run.study)
    pairs, alone = multilingual_pairs(run, roles)
    metric = METRIC if METRIC in set(run.scores["metric"]) else ""
    targets = list(dict.fromkeys(run.trials["target"]))
    findings: list[Finding] = []
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    dev: set[str] = set()
    for target in targets:
        gains = language_gains(run, target, pairs, metric=metric)
        unseen = language_gains(
            run,
            target,
            pairs,
            metric=metric,
            skip=lambda pair, code: code in _languages(roles, pair[0]),
        )
        confidence = level(2 * len(targets))
        main = _finding(f"{target}: multilingual less English, all languages", gains, confidence)
        rest = _finding(
            f"{target}: the same in languages that the sequence was not trained in",
            unseen,
            confidence,
        )
        findings += [main, rest]
        sentences.append(_sentence(target, main, rest, has_pairs=bool(pairs)))
        dev |= set(gains.on_dev)
        for pair in gains.pairs:
            own = language_gains(run, target, [pair], metric=metric)
            found_rows = gain_rows(own, "difference", "trained_in", _languages(roles, pair[0]))
            rows += [{"target": target, **row} for row in found_rows]
    name = "exact match" if metric else "the task's own metric"
    caveats = [
        f"Scores are {name}. Languages and seeds are samples; English is left out.",
        "More languages also means more training data and steps, unless the study fixes the steps.",
    ]
    if alone:
        caveats.append(f"Multilingual sequences without an English counterpart: {listed(alone)}.")
    return Answer(
        "multilingual-tydiqa",
        QUESTION,
        "\n".join(sentences) or undecided(TARGET, "no target was run"),
        tuple(findings),
        tidy(rows, ROWS),
        (*caveats, *dev_caveat(dev)),
    )


def multilingual_pairs(run: Run, roles: Roles) -> tuple[list[Pair], list[str]]:
    """Return each multilingual sequence with its English counterpart, and those without one."""
    english: dict[tuple[frozenset[str], ...], str] = {}
    others: list[tuple[tuple[frozenset[str], ...], str]] = []
    for sequence in sorted(set(run.trials["sequence"]) - {""}):
        parts = roles.of_sequence(sequence)
        if any(part.is_text for part in parts):
            continue
        form = tuple(part.tasks for part in parts)
        if all(part.is_english for part in parts):
            english.setdefault(form, sequence)
        else:
            others.append((form, sequence))
    pairs = [(name, english[form]) for form, name in others if form in english]
    return pairs, [name for form, name in others if form not in english]


def _languages(roles: Roles, sequence: str) -> set[str]:
    found = {code for stage in stages_of(sequence) for code in roles.of(stage).languages}
    return found - {ENGLISH}


def _finding(what: str, gains: LanguageGains, confidence: float) -> Finding:
    return Finding(what, gains.estimate(confidence), "points", gains.reason())


def _sentence(target: str, main: Finding, rest: Finding, *, has_pairs: bool) -> str:
    if not has_pairs:
        return undecided(target, "no sequence was run both in English and in other languages")
    if main.is_below:
        return f"{target}: no, English is better: multilingual less English is {main}."
    if not main.is_above:
        return undecided(target, why_open(main))
    said = f"{target}: yes, multilingual is better by {main}."
    where = "n languages that the sequence was not trained in"
    if rest.is_above:
        return f"{said} I{where}: {rest}."
    if rest.is_below:
        return f"{said} But i{where} it is worse: {rest}."
    return f"{said} {undecided('I' + where, why_open(rest))}"
