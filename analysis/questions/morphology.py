"""Does training on English morphology help agglutinative languages, and more than fusional ones?"""

from __future__ import annotations

from typing import Any

from analysis.columns import tidy
from analysis.frames import Run
from analysis.models import of_first_model
from analysis.questions.answer import (
    Answer,
    Finding,
    dev_caveat,
    level,
    listed,
    undecided,
    why_open,
)
from analysis.questions.gains import LanguageGains, estimate_difference, language_gains
from analysis.questions.roles import Roles, arms_of
from spaces.languages import group_of
from spaces.tables import Column

QUESTION = (
    "Do English corpora annotated for morphology, as intermediate tasks, help agglutinative "
    "languages, and more than they help fusional ones?"
)

#: Tasks that ask for morphology: parts of speech, features, lemmas of Universal Dependencies.
MORPHOLOGY = frozenset(
    f"ud_{name}"
    for name in (
        *("upos", "feats", "lemma"),
        *("case", "gender", "mood", "number", "person", "tense", "verbform"),
    )
)
GROUP, CONTROL = "agglutinative", "fusional"

ROWS = (
    Column("target", "string", "", "Name of the target task."),
    Column("arm", "string", "", "The arm, or the sequence where there are none."),
    Column("sequences", "string", "", "Its sequences, joined by a comma; the mean over them."),
    Column("gain", "float64", "points", "In agglutinative languages, over standard fine-tuning."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN if unknown."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("gain_control", "float64", "points", "The same in fusional languages."),
    Column("gain_control_low", "float64", "points", "Lower end of its interval."),
    Column("gain_control_high", "float64", "points", "Upper end."),
    Column("difference", "float64", "points", "The first gain less the second."),
    Column("difference_low", "float64", "points", "Lower end of its interval."),
    Column("difference_high", "float64", "points", "Upper end."),
    Column("languages", "string", "", "Agglutinative languages that it is the mean over."),
    Column("languages_control", "string", "", "Fusional ones."),
    Column("num_seeds", "int64", "", "Seeds with and without."),
)


def morphology(run: Run) -> Answer:
    """Estimate what morphology gains in agglutinative languages, against fusional ones.

    The gain is over standard fine-tuning (no intermediate task) under the same seed; the difference
    of the gains in the two groups of languages is a difference in differences whose unit is the
    language. What is answered rests on sequences of morphology alone; those that mix it with other
    tasks are in the rows.

    Args:
        run: The run; of several models the first one's trials.
    """
    run = of_first_model(run)
    roles = Roles(run.study)
    arms = arms_of(run)
    pure, groups = [], dict[str, list[str]]()
    for sequence in sorted(set(run.trials["sequence"]) - {""}):
        parts = roles.of_sequence(sequence)
        if any(part.tasks & MORPHOLOGY for part in parts):
            groups.setdefault(arms.get(sequence, sequence), []).append(sequence)
            if all(part.tasks and part.tasks <= MORPHOLOGY for part in parts):
                pure.append(sequence)
    targets = list(dict.fromkeys(run.trials["target"]))
    findings: list[Finding] = []
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    dev: set[str] = set()
    selected = False
    for target in targets:
        gains = language_gains(run, target, [(name, "") for name in pure])
        found = _findings(target, gains, level(2 * len(targets)))
        findings += found
        sentences.append(_sentence(target, gains, *found))
        dev |= set(gains.on_dev)
        selected |= gains.selected_on
        rows += [
            {"target": target, "arm": arm, **_row(run, target, members)}
            for arm, members in groups.items()
        ]
    return Answer(
        "morphology",
        QUESTION,
        "\n".join(sentences) or undecided("morphology", "no target was run"),
        tuple(findings),
        tidy(rows, ROWS),
        _caveats(pure, dev, selected=selected),
    )


def _findings(target: str, gains: LanguageGains, confidence: float) -> tuple[Finding, Finding]:
    own, control = (_group(gains, group) for group in (GROUP, CONTROL))
    reason = gains.reason()
    if not reason and not own.languages:
        reason = f"no {GROUP} language has labels"
    gain = Finding(
        f"{target}: gain of morphology in {GROUP} languages",
        own.estimate(confidence),
        "points",
        reason,
    )
    for group, part in ((GROUP, own), (CONTROL, control)):
        if not reason and len(part.languages) < 2:
            reason = f"{len(part.languages)} {group} language(s) with labels; two are needed"
    difference = estimate_difference(own.values, control.values, confidence)
    return gain, Finding(
        f"{target}: that gain less the gain in {CONTROL} languages", difference, "points", reason
    )


def _sentence(target: str, gains: LanguageGains, gain: Finding, difference: Finding) -> str:
    if gain.is_above and difference.is_above:
        return (
            f"{target}: yes. Morphology gains {gain} over standard fine-tuning in {GROUP} "
            f"languages, {difference} more than in {CONTROL} ones."
        )
    if gain.is_below:
        return f"{target}: no, it harms: {gain} in {GROUP} languages."
    if gain.is_above and difference.is_below:
        return (
            f"{target}: it helps {GROUP} languages by {gain}, but less than {CONTROL} ones "
            f"({difference})."
        )
    if gain.is_above:
        helps = f"{target}: it helps {GROUP} languages, by {gain}."
        return f"{helps} {undecided('More than ' + CONTROL + ' ones', why_open(difference))}"
    return undecided(target, why_open(gain))


def _row(run: Run, target: str, members: list[str]) -> dict[str, Any]:
    gains = language_gains(run, target, [(name, "") for name in members])
    own, control = (_group(gains, group) for group in (GROUP, CONTROL))
    row: dict[str, Any] = {"sequences": ", ".join(members), "num_seeds": gains.num_seeds}
    for name, found in (
        ("gain", own.estimate(0.95)),
        ("gain_control", control.estimate(0.95)),
        ("difference", estimate_difference(own.values, control.values, 0.95)),
    ):
        row |= found.as_columns(name)
    return row | {
        "languages": " ".join(own.languages),
        "languages_control": " ".join(control.languages),
    }


def _group(gains: LanguageGains, group: str) -> LanguageGains:
    return gains.of([code for code in gains.languages if group_of(code, "morphology") == group])


def _caveats(pure: list[str], dev: set[str], *, selected: bool) -> tuple[str, ...]:
    which = listed(pure) or "none was run"
    found = [
        f"Morphology stands for the mean over {len(pure)} sequences of it alone: {which}.",
        "Languages and seeds are samples: the intervals are for other languages of the same type.",
        "Types of languages are those of spaces/languages.yaml; no language is of one type alone.",
        *dev_caveat(dev),
    ]
    if selected:
        found.append("The search chose sequences by some of these scores, which flatters them.")
    return tuple(found)
