"""README's Python: it runs as it stands, and three lines give the answer, its certainty, a figure.

The lines are README's own once it has them; the run has the names of the demo.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import compare_best, load_run
from tests.analysis.runs import write_run
from tests.docs import walk

README = Path(__file__).parents[2] / "README.md"
LINES = """\
from analysis import compare_best, load_run, plots
print(compare_best(run := load_run("runs/demo")))
plots.trie(run, "mini_xnli").save("trie.pdf")
"""
SCORES = {"": 45.0, "mini_qa": 46.0, "mini_entail": 52.0, "mini_qa>mini_entail": 57.0}


def blocks():
    found = [step.text for step in walk.steps(README.read_text(encoding="utf-8"))
             if step.kind == "python"]  # fmt: skip
    return found if any("compare_best(" in text for text in found) else [LINES, *found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    rows = [
        {"target": "mini_xnli", "sequence": sequence, "seed": seed, "phase": phase}
        | {"score": score + (seed * 7 + len(sequence)) % 4 / 8}
        for sequence, score in SCORES.items()
        for seed, phase in enumerate(("search", "confirm", "confirm"))
    ]
    write_run(path / "runs" / "demo", trials=rows)
    return path


def test_the_lines_of_the_readme_give_answer_certainty_and_figure(folder):
    printed = [walk.run(walk.Step("python", text), folder) for text in blocks()]
    (answer,) = [text for text in printed if text]
    assert answer == f"{compare_best(load_run(folder / 'runs' / 'demo'))}\n"
    assert answer.startswith("mini_xnli: mini_qa > mini_entail, 57.")
    assert "It helps: the interval" in answer
    assert "(95% interval +" in answer
    assert max(map(len, answer.splitlines())) <= 88
    assert (folder / "trie.pdf").read_bytes().startswith(b"%PDF")


def test_they_are_three():
    (lines,) = [text for text in blocks() if "compare_best(" in text]
    assert len([line for line in lines.splitlines() if line.strip()]) == 3
