"""Does masked-language-model training on low-resource languages before English tasks help?"""

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
from analysis.questions.roles import Role, Roles
from spaces.tables import Column

QUESTION = (
    "Does masked-language-model training on typologically diverse low-resource languages, before "
    "English intermediate tasks, help zero-shot transfer?"
)

ROWS = (
    Column("target", "string", "", "Name of the target task."),
    Column("sequence", "string", "", "Raw text first, then English tasks."),
    Column("reference", "string", "", "The same English tasks alone; empty for none."),
    Column("language", "string", "", "Language of the evaluation set."),
    Column("in_text", "bool", "", "Whether that language is in the raw text."),
    Column("gain", "float64", "points", "Score of the first less the second."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN below two seeds."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("num_seeds", "int64", "", "Seeds that both have."),
)


def low_resource_mlm(run: Run) -> Answer:
    """Compare raw text before English tasks with the English tasks alone.

    Every sequence that begins with raw text is compared with the same sequence without it, under
    the same seed. English is left out: nothing is transferred there.

    Args:
        run: The run; of several models the first one's trials.
    """
    run = of_first_model(run)
    roles = Roles(run.study)
    pairs = text_pairs(run, roles)
    # Raw text alone says nothing of what it does before English tasks: it is in the rows.
    primary = [pair for pair in pairs if pair[1]]
    targets = list(dict.fromkeys(run.trials["target"]))
    findings: list[Finding] = []
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    dev: set[str] = set()
    for target in targets:
        gains = language_gains(run, target, primary)
        found = Finding(
            f"{target}: gain of raw text first", gains.estimate(level(len(targets))), "points",
            gains.reason(),
        )  # fmt: skip
        findings.append(found)
        sentences.append(_sentence(target, found, gains, has_pairs=bool(primary)))
        dev |= set(gains.on_dev)
        for pair in pairs:
            alone = language_gains(run, target, [pair])
            found_rows = gain_rows(alone, "gain", "in_text", _text_languages(roles, pair[0]))
            rows += [{"target": target, **row} for row in found_rows]
    held = {code for pair in pairs for code in _text_languages(roles, pair[0])}
    caveats = [
        "Languages and seeds are samples; English is left out.",
        "Raw text comes on top of the English steps, so it is also more training.",
    ]
    if held:
        caveats.insert(0, f"The raw text is in {listed(sorted(held), 20)}.")
    return Answer(
        "low-resource-mlm",
        QUESTION,
        "\n".join(sentences) or undecided("raw text", "no target was run"),
        tuple(findings),
        tidy(rows, ROWS),
        (*caveats, *dev_caveat(dev)),
    )


def text_pairs(run: Run, roles: Roles) -> list[Pair]:
    """Return each sequence that begins with raw text, with the same sequence without it."""
    there = set(run.trials["sequence"])
    pairs = []
    for sequence in sorted(there - {""}):
        parts = roles.of_sequence(sequence)
        rest = roles.without(sequence, _is_text)
        english = [part for part in parts if not part.is_text]
        if parts[0].is_text and all(part.is_english for part in english) and rest in there:
            pairs.append((sequence, rest))
    return pairs


def _is_text(role: Role) -> bool:
    return role.is_text


def _text_languages(roles: Roles, sequence: str) -> set[str]:
    return {code for stage in stages_of(sequence) for code in roles.of(stage).text_languages}


def _sentence(target: str, found: Finding, gains: LanguageGains, *, has_pairs: bool) -> str:
    if not has_pairs:
        return undecided(target, "no English sequence was run both with and without raw text first")
    where = f"over {len(gains.languages)} languages and {gains.num_seeds} seeds"
    if found.is_above:
        return f"{target}: yes, raw text first gains {found}, {where}."
    if found.is_below:
        return f"{target}: no, raw text first costs: {found}, {where}."
    return undecided(target, why_open(found))
