"""The tutorial is true: it is walked through, word for word, in an empty folder."""

from __future__ import annotations

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
