"""Which sets a target is selected and reported on: small files, the real releases, generated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spaces.errors import DataError, InputError, UnknownNameError
from tests.trainables import tiny
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet, plan_evaluation

ROOT = os.environ.get("TASKORDER_DATA_ROOT")
real = pytest.mark.skipif(not ROOT, reason="needs TASKORDER_DATA_ROOT with the releases' files")


def plan(
    data_root, target="panx", languages=("en", "de", "fr"), select_on="target_dev", **training
):
    targets = [{"name": target, "languages": list(languages)}]
    study = tiny.study("model", targets=targets, select_on=select_on, training=training)
    root = Path(data_root) if data_root else None
    return plan_evaluation(study, study.targets[0], study.catalogue(), root)


def named(sets):
    return [(chosen.language, chosen.split) for chosen in sets]


def tagged(root, *names):
    """Write PAN-X files, ``dev-de`` and so on; one whose name ends in ``!`` is blank."""
    for name in names:
        path = root / "panx" / f"{name.removesuffix('!')}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("anna\nsees\n" if name.endswith("!") else "anna\tB-PER\nsees\tO\n")
    return root


# --- what is selected on --------------------------------------------------------------------


def test_target_dev_selects_on_the_other_languages(data_root):
    chosen = plan(data_root)
    assert named(chosen.select) == [("de", "dev"), ("fr", "dev")]
    assert named(chosen.report) == [("en", "dev")]


def test_english_dev_selects_on_english_alone(data_root):
    chosen = plan(data_root, select_on="english_dev")
    assert named(chosen.select) == [("en", "dev")]
    assert named(chosen.report) == [("de", "dev"), ("fr", "dev")]


def test_test_sets_are_reported_and_never_selected_on(tmp_path):
    root = tagged(tmp_path, "dev-en", "dev-de", "test-fi!")
    (root / "wikiann/de").mkdir(parents=True)
    (root / "wikiann/de/test").write_text("de:anna\tB-PER\n")
    for select_on, first, second in (("target_dev", "de", "en"), ("english_dev", "en", "de")):
        chosen = plan(root, languages=("en", "de"), select_on=select_on)
        assert named(chosen.select) == [(first, "dev")]
        assert named(chosen.report) == [(second, "dev"), ("de", "test")]


def test_without_dev_sets_english_dev_stands_in(data_root):
    chosen = plan(data_root, target="xquad", languages=("de",))
    assert named(chosen.select) == [("en", "dev")]
    assert named(chosen.report) == [("de", "test")]


def test_without_english_dev_the_other_dev_sets_stand_in_before_test(tmp_path):
    folder = tmp_path / "bucc2018"
    folder.mkdir()
    for split in ("dev", "test"):
        (folder / f"de-en.{split}.de").write_text("de-1\tanna\n")
        (folder / f"de-en.{split}.en").write_text("en-1\tanna\n")
        (folder / f"de-en.{split}.gold").write_text("de-1\ten-1\n")
    for select_on in ("english_dev", "target_dev"):
        chosen = plan(tmp_path, "bucc2018", ["de"], select_on)
        assert named(chosen.select) == [("de", "dev")]
        assert named(chosen.report) == [("de", "test")]


@pytest.mark.parametrize("select_on", ["target_dev", "english_dev"])
def test_a_task_with_test_sets_alone_selects_on_them(data_root, select_on):
    chosen = plan(data_root, "tatoeba", ("de", "fr"), select_on)
    assert named(chosen.select) == [("de", "test"), ("fr", "test")]
    assert chosen.report == ()


def test_a_rung_below_the_full_budget_sees_the_selected_sets_alone(data_root):
    chosen = plan(data_root)
    assert chosen.selection == EvaluationPlan(chosen.select, ())


# --- languages ------------------------------------------------------------------------------


def test_a_language_without_data_is_named(data_root):
    with pytest.raises(DataError, match="no labelled dev or test set of ru under"):
        plan(data_root, languages=("de", "ru"))


def test_of_a_group_whichever_are_there(tmp_path):
    root = tagged(tmp_path, "dev-en", "dev-fi", "dev-hu")
    chosen = plan(root, languages=["uralic"])  # Estonian too, which has no file.
    assert named(chosen.select) == [("fi", "dev"), ("hu", "dev")]
    assert named(chosen.report) == [("en", "dev")]
    assert named(plan(root, languages=["uralic", "-hu"]).select) == [("fi", "dev")]
    assert named(plan(root, languages=["-fi"]).select) == [("hu", "dev")]
    with pytest.raises(DataError, match="no labelled dev or test set of et under"):
        plan(root, languages=["uralic", "et"])


def test_a_group_none_of_which_is_there_is_an_error_even_where_english_is(tmp_path):
    root = tagged(tmp_path, "dev-en", "dev-fi")
    with pytest.raises(DataError, match=r"no labelled dev or test set of .*tr.* under"):
        plan(root, languages=["turkic"])


def test_a_group_or_language_the_task_does_not_have(data_root):
    with pytest.raises(InputError, match="the group 'uralic'"):
        plan(data_root, "xquad", ["uralic"])
    with pytest.raises(UnknownNameError, match="language 'xx'"):
        plan(data_root, languages=["xx"])


def test_english_alone_is_a_choice(data_root):
    chosen = plan(data_root, languages=["en"])
    assert named(chosen.select) == [("en", "dev")]
    assert chosen.report == ()


# --- blank sets -----------------------------------------------------------------------------


def test_blank_test_sets_are_predicted_and_not_scored(tmp_path):
    root = tagged(tmp_path, "dev-en", "dev-de", "test-en!", "test-de!", "test-fi!")
    chosen = plan(root, languages=["en", "de"], save_predictions=True)
    assert named(chosen.select) == [("de", "dev")]
    assert named(chosen.report) == [("en", "dev")]
    assert named(chosen.predict) == [("en", "test"), ("de", "test")]
    assert plan(root, languages=["en", "de"]).predict == ()
    assert chosen.selection.predict == ()


def test_labelled_test_sets_are_predicted_as_well(data_root):
    chosen = plan(data_root, "tatoeba", ["de", "fr"], save_predictions=True)
    assert chosen.predict == chosen.select


def test_a_language_with_a_blank_test_set_alone_cannot_be_asked_for(tmp_path):
    root = tagged(tmp_path, "dev-en", "test-fi!")
    with pytest.raises(DataError, match="no labelled dev or test set of fi"):
        plan(root, languages=["fi"])


def test_nothing_but_blank_sets_is_an_error(tmp_path):
    root = tagged(tmp_path, "test-en!", "test-de!")
    with pytest.raises(DataError, match=r"target 'panx': no labelled .* `taskorder tasks panx`"):
        plan(root, languages=[])


# --- the real releases, and generated tasks -------------------------------------------------


@real
@pytest.mark.parametrize(
    ("target", "languages", "select", "report", "predict"),
    [
        # WikiANN's own labelled test set is there beside XTREME's blank one.
        ("panx", ["en", "de"], ["de dev"], ["en dev", "en test"], ["en test"]),
        (
            "udpos",
            ["agglutinative", "zh"],
            ["fi dev", "tr dev", "zh dev"],
            ["en dev", "fi test", "tr test"],
            ["fi test", "tr test"],
        ),
        ("mlqa", [], ["es dev", "de dev"], ["en dev"], []),
        (
            "xquad",
            [],
            ["en dev"],
            ["en test", "es test", "de test", "tr test"],
            ["en test", "es test", "de test", "tr test"],
        ),
        ("bucc2018", [], ["zh dev"], [], []),
        (
            "tatoeba",
            ["de", "sw"],
            ["de test", "sw test"],
            [],
            ["de test", "sw test"],
        ),
    ],
)
def test_what_the_real_files_give(target, languages, select, report, predict):
    chosen = plan(ROOT, target, languages, save_predictions=True)
    for sets, expected in (
        (chosen.select, select),
        (chosen.report, report),
        (chosen.predict, predict),
    ):
        assert sorted(f"{s.language} {s.split}" for s in sets) == sorted(expected)


@real
def test_tydiqa_is_tested_on_its_labelled_dev_set():
    chosen = plan(ROOT, "tydiqa", ["en", "fi", "sw"], save_predictions=True)
    assert {chosen.split for chosen in (*chosen.select, *chosen.report)} == {"test"}
    assert set(chosen.predict) == {EvaluationSet(code, "test") for code in ("en", "fi", "sw")}


def test_generated_targets_have_every_set_without_a_data_root():
    chosen = plan(None, "mini_ner", ["sov", "agg"], save_predictions=True)
    assert named(chosen.select) == [("sov", "dev"), ("agg", "dev")]
    assert named(chosen.report) == [("en", "dev"), ("sov", "test"), ("agg", "test")]
    assert named(chosen.predict) == [("sov", "test"), ("agg", "test")]
    chosen = plan(None, "mini_ner", ["sov", "agg"], "english_dev")
    assert named(chosen.select) == [("en", "dev")]
