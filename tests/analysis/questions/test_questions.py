"""The questions as the study, the report and its files know them."""

from __future__ import annotations

from typing import get_args

import pandas as pd
import pytest

from analysis import load_run
from analysis.page import render_page
from analysis.questions import NOT_DECIDED, QUESTIONS, answer_question
from analysis.report import render_latex, render_markdown, write_report
from spaces.errors import UnknownNameError
from spaces.study_schema import Question
from tests.analysis.questions.landscape import arms_run
from tests.analysis.runs import STUDY, write_run
from tests.analysis.terminal import report_text

#: What the sections below it say, in words that survive escaping.
TITLE = "The research question"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    def gain(sequence, target, language, model):
        return 3.0 if "ud_" in sequence and language in ("fi", "tr", "hu") else 0.0

    folder = tmp_path_factory.mktemp("question") / "run"
    languages = {"udpos": ("en", "fi", "tr", "hu", "de", "es", "ru")}
    return arms_run(folder, "morphology", ("ud_feats", "mnli"), gain, languages=languages)


def test_the_schema_knows_the_questions():
    assert set(get_args(Question)) == set(QUESTIONS)


def test_every_report_ends_with_the_answer(run):
    answer = answer_question(run)
    assert report_text(run, width=1000).rstrip().endswith("the answer rests on them.")
    for text in (report_text(run, width=1000), render_markdown(run), render_page(run)):
        assert text.index("Where to look next") < text.index(f"{TITLE}: Do English")
        assert answer.sentence[:40] in text
    page = render_page(run)
    assert 'href="#question"' in page
    assert page.index('id="repeat"') < page.index('id="question"')
    assert r"\label{tab:question}" in render_latex(run)


def test_the_rows_are_written_whole(run, tmp_path):
    files = {path.name: path for path in write_report(run, tmp_path / "out")}
    rows = pd.read_csv(files["question.csv"])
    assert list(rows["sequences"]) == ["ud_feats"]
    assert rows["difference"].iloc[0] == pytest.approx(
        answer_question(run).rows["difference"].iloc[0]
    )


def test_a_study_without_a_question_has_no_section(tmp_path):
    run = load_run(write_run(tmp_path / "run", STUDY, trials=[{"score": 50.0}]))
    assert answer_question(run) is None
    assert TITLE not in report_text(run) + render_page(run)
    assert "tab:question" not in render_latex(run)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("rows", [[], [{"state": "running", "rung": -1}], [{"score": 50.0}]])
def test_a_run_without_results_decides_nothing(tmp_path, question, rows):
    study = STUDY | {"question": question}
    run = load_run(write_run(tmp_path / "run", study, trials=rows))
    answer = answer_question(run)
    assert not answer.is_decided
    assert NOT_DECIDED in report_text(run, width=1000)


def test_a_question_that_there_is_not_is_named(run):
    with pytest.raises(UnknownNameError, match=r"morfology.*morphology"):
        answer_question(run, "morfology")
