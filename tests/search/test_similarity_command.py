from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from rich.console import Console

from search.rundir import RunDirectory
from search.similarity_command import (
    Sources,
    find_sources,
    make_report,
    names_of,
    table_frame,
    write_report,
)
from search.similarity_text import render_report
from spaces.errors import InputError, RunDirectoryError
from spaces.study import load_study

SCORES = {
    # target: none, then what each task alone gains
    "t1": (50.0, {"a": 5.0, "b": 1.0, "c": -2.0}),
    "t2": (60.0, {"a": -4.0, "b": 3.0, "c": 0.0}),
    "t3": (40.0, {"a": 1.0, "b": -1.0, "c": 2.0}),
}
ABOUT = {
    "exact": {"description": "the gains themselves", "paper": "none", "cost": "none"},
    "reverse": {"description": "their opposites", "paper": "none", "cost": "none"},
    "pairs": {"description": "of sequences", "paper": "none", "cost": "none"},
}


def results():
    """A recorded table of two seeds that differ by noise common to all sequences."""
    scores = {}
    for target, (none, gains) in SCORES.items():
        for seed, noise in ((0, 0.5), (1, -0.5)):
            scores["", target, seed, 10] = none + noise
            for task, gain in gains.items():
                scores[task, target, seed, 5] = 0.0
                scores[task, target, seed, 10] = none + gain + noise
            scores["a>b", target, seed, 10] = none + gains["a"] + gains["b"] + noise
            scores["b>c", target, seed, 10] = none + gains["b"] + gains["c"] + noise
    return table_frame(scores)


def values(**measures):
    rows = []
    for measure, function in measures.items():
        rows += [
            {
                "kind": "source_target",
                "source": task,
                "target": target,
                "measure": measure,
                "value": function(gain),
                "cost_s": 0.5,
                "num_examples": 20,
                "note": "" if math.isfinite(function(gain)) else "no stage store was given",
            }
            for target, (_, gains) in SCORES.items()
            for task, gain in gains.items()
        ]
    return pd.DataFrame(rows)


def text_of(report, width=80):
    console = Console(width=width, record=True, color_system=None)
    with console.capture() as captured:
        console.print(render_report(report, width), highlight=False)
    return captured.get()


def look_up(report, measure, statistic, kind="source_target"):
    frame = report.predictive
    (row,) = frame[
        (frame["kind"] == kind)
        & (frame["measure"] == measure)
        & (frame["statistic"] == statistic)
        & (frame["target"] == "all")
    ].to_dict("records")
    return row["value"]


def test_values_are_held_against_the_gains_of_the_full_budget():
    report = make_report("s", values(exact=lambda g: g, reverse=lambda g: -g), ABOUT, results())
    assert look_up(report, "exact", "spearman") == pytest.approx(1)
    assert look_up(report, "exact", "regret@1") == 0
    assert look_up(report, "reverse", "spearman") == pytest.approx(-1)
    # The worst task is tried instead of the best: 7, 7 and 3 points are lost.
    assert look_up(report, "reverse", "regret@1") == pytest.approx((7 + 7 + 3) / 3)
    assert {"random", "mean gain on other targets"} < set(report.predictive["measure"])


def test_a_measure_that_does_not_beat_the_mean_gain_is_told_in_words():
    report = make_report("s", values(exact=lambda g: g, reverse=lambda g: -g), ABOUT, results())
    # By the gains on the other two targets: t1: b = c > a, t2: a > b = c, t3: b > a > c. With gains
    # above the worst of 7, 3, 0 on t1 and so on, and discounts 1, 1 / log2 3, 1 / 2.
    exact, reverse = [sentence for _, sentence in report.verdicts()]
    assert exact == (
        "exact beats the mean gain on other targets: rank correlation 1.00 against -0.91 "
        "(difference +1.72 to +2.10), NDCG 1.00 against 0.66 (difference +0.32 to +0.37); "
        "3 targets, 95% intervals."
    )
    assert reverse == (
        "reverse does not beat the mean gain on other targets: rank correlation -1.00 against "
        "-0.91 (difference -0.28 to +0.10), NDCG 0.63 against 0.66 (difference -0.11 to +0.05); "
        "3 targets, 95% intervals."
    )
    ideal, discounts = 7 + 3 / math.log2(3), (1 + 1 / math.log2(3)) / 2
    by_hand = (3 * discounts + 7 / 2) / ideal
    (found,) = report.predictive.query(
        "measure == 'mean gain on other targets' and target == 't1' and statistic == 'ndcg'"
    )["value"]
    assert found == pytest.approx(by_hand)


def test_a_measure_has_to_beat_it_by_both_statistics():
    constant = make_report("s", values(same=lambda _: 1.0), ABOUT, results())
    ((_, sentence),) = constant.verdicts()
    # Equal values have no rank correlation, and the NDCG of chance.
    assert sentence.startswith(
        "same does not beat the mean gain on other targets, by rank correlation: rank correlation "
        "nan against -0.91, NDCG 0.82 against 0.66"
    )


def test_sequences_are_held_against_the_gains_of_sequences():
    rows = values(exact=lambda g: g)
    pairs = pd.DataFrame(
        {
            "kind": "sequence_target",
            "source": sequence,
            "target": target,
            "measure": "pairs",
            "value": sum(gains[task] for task in sequence.split(">")),
            "cost_s": 1.0,
            "num_examples": 5,
            "note": "",
        }
        for target, (_, gains) in SCORES.items()
        for sequence in ("a>b", "b>c")
    )
    report = make_report("s", pd.concat([rows, pairs]), ABOUT, results())
    assert look_up(report, "pairs", "regret@1", "sequence_target") == 0
    assert look_up(report, "exact", "spearman") == pytest.approx(1)
    assert "What the sequences" not in text_of(report)
    assert "How well composed task vectors predicted what sequences gain" in text_of(report)


def test_without_results_there_are_values_alone():
    report = make_report("s", values(exact=lambda g: g), ABOUT)
    assert not report.has_results
    assert report.verdicts() == []
    text = text_of(report)
    assert "exact: the gains themselves" in text
    assert "20 examples a pair, 4.5 s. none" in text
    assert "How well" not in text


def test_results_of_other_tasks_are_no_results():
    other = table_frame({("", "t9", 0, 1): 1.0, ("z", "t9", 0, 1): 2.0})
    report = make_report("s", values(exact=lambda g: g), ABOUT, other)
    assert not report.has_results


def test_a_matrix_marks_the_best_of_each_column():
    lines = text_of(make_report("s", values(exact=lambda g: g), ABOUT)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.split() == ["t1", "t2", "t3"])
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["a", "5.000*", "-4.000", "1.000"],
        ["b", "1.000", "3.000*", "-1.000"],
        ["c", "-2.000", "0.000", "2.000*"],
    ]


def test_equal_values_have_no_best():
    text = text_of(make_report("s", values(exact=lambda _: 1.0), ABOUT))
    assert "1.000" in text
    assert "*" not in text


def test_what_is_not_available_is_told():
    report = make_report("s", values(exact=lambda _: math.nan), ABOUT, results())
    text = text_of(report)
    assert text.count("not available: no stage store was given") == 1
    assert not report.has_results
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    many = values(exact=lambda g: g)
    rows = [many.assign(target=many["target"] + f"_of_a_long_name_{i}") for i in range(8)]
    report = make_report("s", pd.concat(rows), ABOUT, results())
    assert max(len(line) for line in text_of(report, width).splitlines()) <= width


def test_frames_and_heatmaps_are_written(tmp_path):
    report = make_report("s", values(exact=lambda g: g, gone=lambda _: math.nan), ABOUT, results())
    written = write_report(report, tmp_path / "out")
    assert {path.name for path in written} == {
        *(
            f"{n}.{e}"
            for n in ("similarity", "predictiveness", "advantage")
            for e in ("csv", "parquet")
        ),
        "source_target-exact.pdf",
    }
    assert all(path.stat().st_size for path in written)
    back = pd.read_parquet(tmp_path / "out/similarity.parquet")
    pd.testing.assert_frame_equal(back, report.values)
    assert (tmp_path / "out/source_target-exact.pdf").read_bytes().startswith(b"%PDF")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(make_report("s", values(exact=lambda g: g), ABOUT), tmp_path / "out")


def test_json_has_everything():
    report = make_report("s", values(exact=lambda g: g), ABOUT, results())
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["study"] == "s"
    assert found["measures"]["exact"]["description"] == "the gains themselves"
    assert len(found["values"]) == 9
    assert found["values"][0]["value"] == 5.0
    assert {row["statistic"] for row in found["predictiveness"]} == {
        "spearman",
        "ndcg",
        "regret@1",
        "regret@3",
        "regret@5",
    }
    assert len(found["verdicts"]) == 1


def test_names_may_be_joined_by_commas():
    assert names_of([]) == ()
    assert names_of(["a, b", "c,a,"]) == ("a", "b", "c")


def test_where_a_study_looks_for_data_and_stages(tmp_path):
    study = load_study("mini", ("storage.stages=/elsewhere",))
    found = find_sources(study, None, tmp_path)
    assert (found.data_root, found.store_url) == (tmp_path, "/elsewhere")
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        find_sources(study, tmp_path, None)


def test_a_run_brings_its_own_data_and_stages(tmp_path):
    study, folder = load_study("mini"), tmp_path / "run"
    RunDirectory(folder).create(study, tmp_path / "data")
    # Whatever the study at hand says: the stages are where the run has put them.
    elsewhere = load_study("mini", ("storage.stages=/elsewhere",))
    found = find_sources(elsewhere, folder, None)
    assert found == Sources(tmp_path / "data", folder, str(folder / "stages"))
    assert find_sources(study, folder, tmp_path).data_root == tmp_path
    without = tmp_path / "without"
    RunDirectory(without).create(study, None)
    assert find_sources(study, without, None).data_root is None
