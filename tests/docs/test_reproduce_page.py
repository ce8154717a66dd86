"""The page on the studies of the papers is true: studies, prices, and the small ones run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from analysis import load_run
from analysis.questions import QUESTIONS, answer_question
from benchmarks.price_studies import STUDIES, rows
from search.pricing import price
from spaces.study import load_study, ready_made_studies
from tests.docs.walk import CLUSTER, DOCS, Step, run, steps
from trainables.preparation import check_data

PAGE = (DOCS / "reproduce.md").read_text(encoding="utf-8")
DATA_ROOT = os.environ.get("TASKORDER_DATA_ROOT", "")
needs_data = pytest.mark.skipif(not DATA_ROOT, reason="set TASKORDER_DATA_ROOT to official files")

#: What each small study is cut down to: the path is the same, the scores mean even less. One trial
#: at a time: a second worker costs more to start than it saves here.
CUT = (
    "--set", "training.stage.max_steps=2", "--set", "training.target.max_steps=2",
    "--set", "training.max_train_examples=32", "--set", "training.max_eval_examples=4",
    "--set", "arm_seeds=1", "--set", "search.max_concurrent=1",
)  # fmt: skip
PRETRAINING = "pretraining={steps: 2, max_sentences_per_language: 100}"


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_its_study_and_its_part_of_the_page(name):
    assert f"\n## {name}\n" in PAGE
    for study in (load_study(name), load_study(f"{name}-small")):
        assert study.question == name
    assert load_study(name).resources.gpus_per_worker == 1
    assert load_study(f"{name}-small").resources.gpus_per_worker == 0


def test_the_questions_are_all_that_is_ready_made_beside_the_examples():
    known = {name for question in QUESTIONS for name in (question, f"{question}-small")}
    assert set(ready_made_studies()) == known | {"mini", "real-small"}
    assert set(STUDIES) == set(QUESTIONS)


def table(title: str) -> dict[str, tuple[str, ...]]:
    """Return the cells of a part's table by the study that each row is of."""
    part = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", part, flags=re.MULTILINE)
    return {name: tuple(cells.split(" | ")) for name, cells in found}


def test_prices_are_those_that_check_gives():
    assert table("What they cost") == {row[0]: row[1:] for row in rows()}


def test_the_small_ones_have_the_trials_that_the_page_tells():
    told = {name: int(cells[0]) for name, cells in table("What the small ones take").items()}
    assert told == {
        f"{name}-small": price(load_study(f"{name}-small"), None).trials for name in QUESTIONS
    }


def test_commands_are_of_studies_that_there_are():
    commands = [step for step in steps(PAGE) if step.kind == "command"]
    assert sum(CLUSTER in step.note for step in commands) == 1
    for step in commands:
        name = step.text.split()[2].removeprefix("runs/")
        assert name in ready_made_studies()


@needs_data
@pytest.mark.parametrize("name", QUESTIONS)
def test_small_studies_find_their_data(name):
    study = load_study(f"{name}-small")
    check_data(study, Path(DATA_ROOT))
    # What two cores do in the minutes that the page tells.
    assert price(study, None).trials <= 42


@needs_data
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", QUESTIONS)
def test_small_studies_run_and_answer(name, tmp_path):
    study = load_study(f"{name}-small")
    labels = [f"models.{label}" for label in getattr(study, "models", {})] or ["model"]
    words = [f"--set '{label}.{PRETRAINING}'" for label in labels]
    cut = " ".join(f"'{word}'" for word in CUT)
    command = (
        f"taskorder launch {name}-small --data-root {DATA_ROOT} --run-dir run "
        f"{cut} {' '.join(words)}"
    )
    printed = " ".join(run(Step("command", command), tmp_path).split())
    assert "The research question" in printed
    loaded = load_run(tmp_path / "run")
    assert loaded.finished
    assert set(loaded.trials["state"]) == {"complete"}
    answer = answer_question(loaded)
    assert answer.name == name
    assert len(answer.rows)
    # Two steps teach nothing, and nothing is what is claimed.
    assert answer.findings
