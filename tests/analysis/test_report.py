from __future__ import annotations

import re

import pandas as pd
import pytest

from analysis import load_run
from analysis.comparisons import compare_best
from analysis.diagnostics import pruning_cost
from analysis.findings import findings
from analysis.languages import language_scores
from analysis.report import render_markdown, write_report
from analysis.selection import selection_bias
from analysis.statistics import leaderboard
from analysis.variance import variance_components
from spaces.errors import InputError
from tests.analysis.runs import STUDY, write_run
from tests.analysis.synthetic import write_synthetic_run
from tests.analysis.terminal import report_text


def trials(sequence, scores, **common):
    return [
        {
            "sequence": sequence,
            "seed": seed,
            "score": score,
            **common,
        }
        for seed, score in enumerate(scores)
    ]


@pytest.fixture
def run(tmp_path):
    rows = [
        *trials("", [50, 51, 52], phase="baseline", steps_reused=0),
        *trials("a+b", [53, 54, 54.5], phase="baseline"),
        *trials("b>a", [58, 60, 61], steps_reused=300),
        *trials("a", [52]),
        {"sequence": "b", "state": "pruned", "trial_id": 100},
        {
            "sequence": "a>b",
            "state": "failed",
            "error": "[bold]boom[/bold] \x1b[31m<script>",
            "trial_id": 200,
        },
    ]
    scores = [
        {"trial_id": trial_id, "language": language, "value": value, "rung": rung}
        for trial_id, row in enumerate(rows[:9])
        for language, shift in (("de", 0.0), ("fi", -5.0))
        for rung, value in ((1, 0.0), (2, row["score"] + shift))
    ]
    return load_run(write_run(tmp_path / "my run", trials=rows, scores=scores, stages=[{}, {}]))


def test_the_answer_comes_first_and_its_numbers_are_the_leaderboards(run):
    text = report_text(run, width=400)
    best = leaderboard(run).iloc[0]
    answer = text.splitlines()[1]
    assert f"tags: b > a, {best['score']:.1f} points (3 seeds)" in answer
    assert f"{best['gain']:+.1f} over no intermediate task" in answer
    assert f"{best['gain_over_all']:+.1f} over all tasks at once" in answer
    found = compare_best(run).set_index("question")
    for question in ("none", "all"):
        low, high = found.loc[question, ["difference_low", "difference_high"]]
        assert f"95% interval {low:+.1f} to {high:+.1f}" in answer
    assert "It helps" in answer
    assert "not decided" in answer.split("It helps")[1]


def test_the_report_names_selection_failures_costs_and_what_to_do_next(run):
    text = " ".join(report_text(run, width=200).split())
    assert "zero-shot transfer these scores are overstated" in text
    assert "Failed trials: 1" in text
    assert "all tasks at once (a+b)" in text
    assert "900 more" in text
    assert f"load_run({str(run.path)!r})" in text
    assert f"taskorder report '{run.path}' --out DIR" in text
    assert f"taskorder export '{run.path}' --target tags --out DIR" in text
    assert "nan" not in text.lower().replace("nan)", "")


def test_text_supplied_by_the_run_is_never_read_as_markup(run):
    text = report_text(run, width=200)
    assert "[bold]boom[/bold] [31m<script>" in text
    assert "\x1b" not in text
    markdown = render_markdown(run)
    assert "<script>" not in markdown
    assert r"\[bold\]boom\[/bold\]" in markdown


def test_languages_are_means_over_seeds_of_the_last_rung(run):
    found = language_scores(run, "tags").set_index("language")
    assert found.loc["de", "score"] == pytest.approx((58 + 60 + 61) / 3)
    assert found.loc["fi", "score_none"] == pytest.approx(46)
    assert found.loc["fi", "gain"] == pytest.approx(found.loc["de", "gain"])
    assert found["num_seeds"].tolist() == [3, 3]


def test_a_best_sequence_that_is_not_shown_to_help_is_called_so(tmp_path):
    rows = [*trials("", [50, 60], phase="baseline"), *trials("a", [54, 58])]
    text = report_text(load_run(write_run(tmp_path / "run", trials=rows)), width=400)
    assert "Not shown to help" in text
    rows = [*trials("", [50, 60], phase="baseline"), *trials("a", [99])]
    text = report_text(load_run(write_run(tmp_path / "one", trials=rows)), width=400)
    assert "Not confirmed" in text
    assert "(one seed, no interval)" in text
    rows = [*trials("", [50, 60], phase="baseline"), *trials("a", [1, 2])]
    text = report_text(load_run(write_run(tmp_path / "none", trials=rows)), width=400)
    assert "No sequence of intermediate tasks scored higher" in text


def test_a_run_without_results_says_so(tmp_path):
    study = {**STUDY, "select_on": "english_dev"}
    run = load_run(write_run(tmp_path / "run", study, trials=[{"state": "running"}]))
    text = report_text(run, width=200)
    assert "No trial has finished" in text
    assert "The run is not finished: trials running or waiting: 1" in text
    assert "English does not always rank" in " ".join(text.split())
    assert "taskorder resume" in text
    assert findings(load_run(write_run(tmp_path / "empty")))


def test_long_language_lists_are_cut_in_the_text_and_whole_in_the_csv(tmp_path):
    rows = [*trials("", [50, 51], phase="baseline"), *trials("a", [54, 55])]
    scores = [
        {"trial_id": trial_id, "language": f"l{i:02}", "value": 10 + i * (row["score"] > 52)}
        for trial_id, row in enumerate(rows)
        for i in range(30)
    ]
    run = load_run(write_run(tmp_path / "run", trials=rows, scores=scores))
    text = report_text(run, width=120)
    assert len(re.findall(r"\bl\d\d\b", text)) == 12
    assert "of 30 rows" in text
    write_report(run, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "languages.csv")) == 30


def test_the_files_of_a_report_hold_the_frames(run, tmp_path):
    out = tmp_path / "a" / "b"
    written = write_report(run, out)
    assert sorted(path.name for path in written) == sorted(path.name for path in out.iterdir())
    assert (out / "report.md").read_text().startswith("# synthetic: the best sequence")
    board = pd.read_csv(out / "leaderboard.csv", keep_default_na=False, na_values={"gain": [""]})
    pd.testing.assert_series_equal(board["gain"], leaderboard(run)["gain"])
    assert len(pd.read_csv(out / "trials.csv")) == len(run.trials)
    write_report(run, out)
    with pytest.raises(InputError, match="is a file"):
        write_report(run, out / "report.md")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(run, width):
    assert max(len(line) for line in report_text(run, width=width).splitlines()) <= width


def test_a_word_breaks_only_where_the_terminal_has_no_room_for_it(tmp_path):
    name = "a_rather_long_name"
    rows = [
        *trials("", [50, 51], phase="baseline"),
        *trials(name, [54, 55]),
        *trials("b", [58, 59]),
    ]
    run = load_run(write_run(tmp_path / "run", trials=rows))
    assert f"({name})" in report_text(run, width=80).split()
    assert f"({name})" not in report_text(run, width=60).split()


def test_no_number_is_cut_in_a_terminal_of_80_columns(tmp_path):
    run = load_run(write_synthetic_run(tmp_path / "run"))
    words = set(report_text(run, width=80).split())
    tables = [section.table for section in findings(run) if section.table]
    cells = [cell for table in tables for row in table.rows for cell in row[table.num_left :]]
    assert len(cells) > 100
    assert {word for cell in cells for word in cell.split()} <= words
    # Names too are whole where there is room for them.
    assert "hellaswag" in words


def test_the_report_says_how_sure_it_is_of_order_and_of_what_was_picked(tmp_path):
    run = load_run(write_synthetic_run(tmp_path / "run"))
    sections = {section.title: section for section in findings(run)}
    matters = sections["Does the order matter?"]
    udpos, xquad = matters.paragraphs
    assert udpos.startswith("udpos: the order of the same stages is not shown to matter (p = ")
    assert xquad.startswith("xquad: the order of the same stages matters (p < 0.001")
    shares = variance_components(run)["share"]
    assert [row[2] for row in matters.table.rows] == [f"{share:.0%}" for share in shares]
    picked = sections["How much picking flattered"].table
    found = selection_bias(run)
    assert [row[2] for row in picked.rows] == [f"{x:+.1f}" for x in found["gain_selected"]]
    assert [row[4].split()[0] for row in picked.rows] == [f"{x:+.1f}" for x in found["optimism"]]
    (pruned,) = pruning_cost(run).query("target == 'all'").to_dict("records")
    cost = " ".join(sections["What it cost and saved"].paragraphs)
    assert f"Stopped early: {pruned['num_pruned']} of {pruned['num_trials']} trials" in cost
    assert f"{pruned['steps_to_finish']:,} more steps" in cost


def test_what_one_seed_cannot_tell_of_order_is_said(tmp_path):
    rows = [{"sequence": name, "score": i} for i, name in enumerate(("a>b", "b>a", "a", "c>a"))]
    run = load_run(write_run(tmp_path / "run", trials=rows))
    (section,) = [s for s in findings(run) if s.title == "Does the order matter?"]
    assert "cannot be told from noise" in section.paragraphs[0]
    assert all("nan" not in cell for row in section.table.rows for cell in row)
