from __future__ import annotations

import warnings
from datetime import timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from analysis import load_run, plots
from analysis.diagnostics import rung_survival
from analysis.incumbents import incumbent_curve
from analysis.order_effects import precedence_effects
from analysis.page import all_pictures
from analysis.plots.drawing import Boxes, Lines, Points
from analysis.plots.schedule import LOOKS
from analysis.plots.style import ROLES, Scale, ink_on
from analysis.statistics import leaderboard
from analysis.timeline import utilisation
from analysis.transfer import transfer_matrix
from spaces.errors import InputError, UnknownNameError
from tests.analysis.runs import START, STUDY, write_run
from tests.analysis.synthetic import write_synthetic_run

NASTY = "<script>alert('1')</script>&\"$x$ \u00fcber"


def at(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def run(tmp_path):
    rows = [
        {"sequence": name, "seed": seed, "score": score + seed, "phase": phase}
        | {"started_at": at(i * 10), "finished_at": at(i * 10 + 15)}
        for i, (name, phase, score) in enumerate(
            [
                ("", "baseline", 50),
                ("a", "search", 51),
                ("b", "search", 49),
                ("a>b", "search", 55),
                ("b>a", "search", 60),
            ]
        )
        for seed in (0, 1)
    ]
    rows += [
        {"sequence": "c>a", "state": "pruned", "rung": 0, "score": 44.0},
        {"sequence": NASTY, "state": "failed", "rung": -1, "error": NASTY},
    ]
    scores = [
        {"trial_id": i, "language": language, "value": row["score"]}
        for i, row in enumerate(rows[:10])
        for language in ("de", NASTY)
    ]
    stages = [
        {"fingerprint": "f1", "sequence": "a", "times_reused": 5},
        {"fingerprint": "f2", "sequence": "a>b", "times_reused": 0},
    ]
    study = {**STUDY, "targets": [{"name": "tags"}]}
    folder = write_run(tmp_path / "run", study, trials=rows, scores=scores, stages=stages)
    return load_run(folder)


@pytest.fixture
def empty(tmp_path):
    return load_run(write_run(tmp_path / "empty"))


def pictures(run, target="tags"):
    return [
        plots.trie(run, target),
        plots.transfer(run),
        plots.language_gains(run, target),
        plots.precedence(run, target),
        plots.order_effects(run, target),
        plots.importance(run, target),
        plots.ranking(run, target),
        plots.incumbents(run),
        plots.incumbents(run, over="time"),
        plots.survival(run, target),
        plots.timeline(run),
        plots.utilisation(run),
    ]


def marks(picture, kind):
    return [mark for mark in picture.marks if isinstance(mark, kind)]


def test_every_picture_is_drawn_by_every_renderer(run, tmp_path):
    for picture in pictures(run):
        assert picture.data.shape[0], picture.name
        root = ElementTree.fromstring(picture.svg())
        drawn = root.findall(".//{*}circle") + root.findall(".//{*}rect")
        assert drawn, picture.name
        assert all(float(box.get("width", 1)) >= 0 for box in drawn)
        assert picture.interactive().data, picture.name
        for ending in (".pdf", ".svg", ".png"):
            path = picture.save(tmp_path / f"{picture.name}{ending}")
            assert path.stat().st_size > 2000


def test_what_the_run_supplies_is_never_markup(run, tmp_path):
    for picture in pictures(run):
        assert "<script" not in picture.svg()
        for trace in picture.interactive().data:
            assert "<script" not in str(trace.to_plotly_json())
    # Dollars are no formula either: a static figure keeps the name, and nothing fails.
    trie = plots.trie(run)
    assert "$x$" in trie.save(tmp_path / "trie.svg").read_text()


def test_a_static_figure_is_the_same_each_time(run, tmp_path):
    picture = plots.ranking(run, "tags")
    first, second = (picture.save(tmp_path / name).read_bytes() for name in ("1.pdf", "2.pdf"))
    assert first == second


def test_an_interactive_figure_opens_without_a_network(run, tmp_path):
    page = plots.trie(run).save(tmp_path / "trie.html").read_text()
    assert len(page) > 1_000_000
    assert '<script src="http' not in page


def test_another_ending_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"\.xyz"):
        plots.trie(run).save(tmp_path / "trie.xyz")


def test_an_empty_run_has_empty_pictures(empty):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for picture in (
            plots.trie(empty),
            plots.transfer(empty),
            plots.ranking(empty, "tags"),
            plots.incumbents(empty),
            plots.incumbents(empty, over="time"),
            plots.survival(empty),
            plots.timeline(empty),
            plots.utilisation(empty),
            plots.importance(empty, "tags"),
            plots.language_gains(empty),
        ):
            ElementTree.fromstring(picture.svg())
            picture.static()
            picture.interactive()


def test_an_unknown_target_is_named(run):
    for function in (plots.trie, plots.survival, plots.precedence, plots.language_gains):
        with pytest.raises(UnknownNameError, match="tagz"):
            function(run, "tagz")


def test_the_numbers_are_those_of_the_statistics(run):
    assert plots.transfer(run).data.equals(transfer_matrix(run))
    assert plots.precedence(run, "tags").data.equals(precedence_effects(run, "tags"))
    assert plots.utilisation(run).data.equals(utilisation(run))
    ranking = plots.ranking(run, "tags")
    board = leaderboard(run)
    assert ranking.data.equals(board)
    assert sorted(x for mark in marks(ranking, Points) for x in mark.x) == sorted(board["score"])
    ends = [x for mark in marks(ranking, Lines) for path in mark.paths for x, _ in path]
    assert sorted(ends) == sorted([*board["score_low"], *board["score_high"]])


def test_order_effects_are_turned_to_be_positive(run):
    data = plots.order_effects(run, "tags").data
    # b>a scores 60 and a>b 55, on both seeds.
    assert data[["first", "second", "effect"]].to_numpy().tolist() == [["b", "a", 5.0]]
    heat = plots.precedence(run, "tags")
    (boxes,) = marks(heat, Boxes)
    assert sorted(hint.split(":")[1].split()[0] for hint in boxes.hints) == ["+5.0", "-5.0"]


def test_the_best_so_far_never_falls(run):
    for over in ("steps", "time"):
        picture = plots.incumbents(run, over=over)
        assert picture.data.equals(incumbent_curve(run))
        (line,) = marks(picture, Lines)
        (path,) = line.paths
        assert path == sorted(path)
        (points,) = marks(picture, Points)
        assert list(points.y) == [50, 51, 52, 55, 56, 60, 61]


def test_counts_above_the_rungs_are_those_of_rung_survival(run):
    picture = plots.survival(run)
    counts = rung_survival(run)
    (labels,) = [mark for mark in picture.marks if hasattr(mark, "texts")]
    assert labels.texts == [
        f"{row.num_arrived} arrived, {row.num_passed} passed" for row in counts.itertuples()
    ]


def test_survival_and_timeline_say_what_they_leave_out(run):
    picture = plots.survival(run, max_trials=2)
    assert picture.data["trial_id"].nunique() == 2
    assert set(picture.data["sequence"]) == {"b>a"}
    assert "2 of 9 trials" in picture.caption
    assert "The first 3 of" in plots.timeline(run, max_segments=3).caption


def test_bars_of_a_lane_do_not_overlap(run):
    data = plots.timeline(run).data
    for _, lane in data.groupby("lane"):
        ordered = lane.sort_values("start_s")
        assert (ordered["start_s"].iloc[1:].to_numpy() >= ordered["end_s"].iloc[:-1]).all()


def test_lightness_grows_with_the_amount():
    scale = Scale(-1.0, 1.0, "gain")
    grey = [
        sum(int(scale.color(x)[i : i + 2], 16) * w for i, w in ((1, 0.299), (3, 0.587), (5, 0.114)))
        for x in (-1.0, -0.5, 0.0, 0.5, 1.0)
    ]
    assert grey == sorted(grey)
    assert ink_on(scale.color(-1.0)) == "#ffffff"
    assert ink_on(scale.color(1.0)) == "#000000"


def lightness(color):
    red, green, blue = (int(ROLES.get(color, color)[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_what_a_legend_names_is_told_apart_in_greyscale(tmp_path):
    run = load_run(write_synthetic_run(tmp_path / "run"))
    pictures = [picture for _, picture in all_pictures(run)]
    assert len(pictures) > 12
    for picture in pictures:
        for kind in (Lines, Points, Boxes):
            looks = {}
            for mark in marks(picture, kind):
                if not mark.name:
                    continue
                color = mark.color if isinstance(mark.color, str) else mark.color[0]
                hollow = mark.hollow[0] if kind is Points else False
                shape = (getattr(mark, "dash", ()), getattr(mark, "shape", ""), hollow)
                looks.setdefault((*shape, getattr(mark, "hatch", False)), []).append(color)
            for colors in looks.values():
                tones = sorted(lightness(color) for color in set(colors))
                assert min(np.diff(tones), default=1) > 0.1, (picture.name, colors)


def test_every_look_of_a_bar_is_told_apart_in_greyscale():
    for hatched in (False, True):
        tones = sorted(lightness(color) for _, color, hatch in LOOKS if hatch == hatched)
        assert min(np.diff(tones)) > 0.1


@pytest.mark.parametrize("draw", [plots.order_effects, plots.importance])
def test_what_is_significant_has_a_shape_of_its_own(draw, tmp_path):
    picture = draw(load_run(write_synthetic_run(tmp_path / "run")), "xquad")
    drawn = marks(picture, Points)
    significant = (picture.data["p_holm"] < 0.05).sum()
    assert significant > 0
    assert sum(len(points.x) for points in drawn if points.shape == "diamond") == significant
    assert len({(points.shape, color) for points in drawn for color in points.color}) == len(drawn)
    assert "Diamond: significant" in picture.caption
