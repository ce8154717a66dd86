"""The tutorial is true: it is walked through, word for word, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spaces.study import load_study, parse_study
from tests.docs.walk import CLUSTER, DOCS, run, steps

STEPS = steps((DOCS / "tutorial.md").read_text(encoding="utf-8"))
FILES = {step.name: step.text for step in STEPS if step.kind == "file"}


def test_it_has_studies_a_task_and_commands():
    assert set(FILES) >= {"first.yaml", "own.yaml", "my-tasks/manners.yaml"}
    assert parse_study(FILES["first.yaml"], "docs/tutorial.md").question == "task-order"
    marked = [step.text for step in STEPS if CLUSTER in step.note]
    assert len(marked) == 1
    # What needs a cluster is of a study that there is.
    assert load_study(marked[0].split()[2]).name == "morphology"


def test_a_shell_completes_commands_and_studies():
    def complete(*words: str) -> list[str]:
        variables = {
            "_TASKORDER_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["taskorder", *words]),
            "COMP_CWORD": str(len(words)),
        }
        # A shell calls the command by its name.
        script = "import sys; sys.argv = ['taskorder']; from search.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert complete("la") == ["launch"]
    assert complete("launch", "model") == ["model-size", "model-size-small"]
    assert "--data-root" in complete("check", "--d")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_it_works_word_for_word(tmp_path):
    printed = {}
    for step in STEPS:
        if CLUSTER not in step.note:
            printed[step.text] = run(step, tmp_path)
    assert "20 trials" in " ".join(printed["taskorder check first.yaml"].split())
    assert (tmp_path / "paper" / "report.html").is_file()
    assert (tmp_path / "paper" / "question.csv").is_file()
    report = " ".join(printed["taskorder launch first.yaml"].split())
    assert "The research question: Does the order of intermediate tasks matter" in report
    assert "manners" in printed["taskorder report runs/own"]
