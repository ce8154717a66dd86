from __future__ import annotations

import numpy as np
import pytest

from analysis.intervals import estimate_crossed, student
from analysis.questions import NOT_DECIDED, answer_question
from analysis.questions.gains import estimate_difference
from tests.analysis.landscapes import coverage
from tests.analysis.questions.landscape import arms_run

AGGLUTINATIVE, FUSIONAL = ("fi", "tr", "hu", "et", "eu"), ("de", "es", "ru", "hi")
LANGUAGES = {"udpos": ("en", *AGGLUTINATIVE, *FUSIONAL, "zh")}
SEQUENCES = ("ud_feats", "ud_lemma", "ud_feats>mnli", "mnli")


def study(tmp_path, agglutinative, fusional, **how):
    def gain(sequence, target, language, model):
        if "ud_" not in sequence:
            return 0.0
        return agglutinative if language in AGGLUTINATIVE else fusional

    how = {"languages": LANGUAGES} | how
    return answer_question(arms_run(tmp_path / "run", "morphology", SEQUENCES, gain, **how))


def test_a_gain_in_agglutinative_languages_alone_is_found(tmp_path):
    answer = study(tmp_path, 3.0, 1.0)
    assert answer.is_decided
    assert answer.sentence.startswith("udpos: yes. Morphology gains +")
    gain, difference = answer.findings
    assert gain.estimate.low < 3.0 < gain.estimate.high
    assert difference.estimate.low < 2.0 < difference.estimate.high
    # Four sequences of which three hold morphology; English and Chinese are of neither group.
    assert list(answer.rows["sequences"]) == ["ud_feats", "ud_feats>mnli", "ud_lemma"]
    assert set(answer.rows["languages"]) == {"et eu fi hu tr"}
    assert set(answer.rows["languages_control"]) == {"de es hi ru"}
    assert "2 sequences of it alone: ud_feats, ud_lemma" in answer.caveats[0]


def test_harm_is_said(tmp_path):
    answer = study(tmp_path, -3.0, 0.0)
    assert "udpos: no, it harms: -" in answer.sentence


def test_a_gain_that_both_groups_have_leaves_the_difference_open(tmp_path):
    answer = study(tmp_path, 3.0, 3.0)
    assert "it helps agglutinative languages" in answer.sentence
    assert f"More than fusional ones: {NOT_DECIDED}" in answer.sentence


def test_a_smaller_gain_than_in_fusional_languages_is_said(tmp_path):
    assert "but less than fusional ones" in study(tmp_path, 2.0, 6.0).sentence


def test_nothing_is_not_decided(tmp_path):
    answer = study(tmp_path, 0.0, 0.0)
    assert NOT_DECIDED in answer.sentence
    assert "yes" not in answer.sentence


def test_one_seed_or_no_language_of_the_group_is_not_decided(tmp_path):
    assert f"{NOT_DECIDED} (one seed only)" in study(tmp_path, 9.0, 0.0, num_seeds=1).sentence
    languages = {"panx": ("en", "de", "es"), "udpos": LANGUAGES["udpos"]}
    answer = study(tmp_path / "more", 9.0, 0.0, languages=languages)
    assert f"panx: {NOT_DECIDED} (no agglutinative language has labels)" in answer.sentence
    assert "udpos: yes" in answer.sentence


def test_arms_are_rows(tmp_path):
    run = arms_run(tmp_path / "run", "morphology", SEQUENCES, lambda *_: 0.0, languages=LANGUAGES)
    arms = {"ud_feats": "single", "ud_lemma": "single", "ud_feats>mnli": "with tasks"}
    run.trials["arm"] = run.trials["sequence"].map(arms).fillna("")
    rows = answer_question(run).rows
    assert list(rows["arm"]) == ["single", "with tasks"]
    assert list(rows["sequences"]) == ["ud_feats, ud_lemma", "ud_feats>mnli"]


def test_a_difference_of_two_tables_by_hand():
    # Means 3 and 1; languages scatter by 1 and 1 around them, seeds do nothing.
    first = np.array([[2.0, 2.0], [4.0, 4.0]])
    second = np.array([[0.0, 0.0], [2.0, 2.0]])
    found = estimate_difference(first, second, 0.95)
    assert found.mean == 2.0
    # Welch: variance 2 / 2 + 2 / 2 with 2 degrees of freedom.
    assert (found.high - found.low) / 2 == pytest.approx(4.302653 * np.sqrt(2.0))
    assert np.isnan(estimate_difference(first[:1], second, 0.95).low)
    assert np.isnan(estimate_difference(first[:, :1], second[:, :1], 0.95).low)


def test_intervals_of_few_languages_are_wide_but_not_absurd():
    # Two languages and three seeds: the variance that languages add is the difference of two.
    rng = np.random.default_rng(3)
    for _ in range(300):
        tables = rng.normal(0, 1, (2, 2, 3))
        own = estimate_crossed(tables[0], 0.95)
        difference = estimate_difference(*tables, 0.95)
        for found, degrees in ((own, 1), (difference, 1)):
            assert found.high - found.low < 2 * student(0, 4.0, degrees, 0.95).high


@pytest.mark.slow
@pytest.mark.parametrize(("sd_group", "num_seeds"), [(0.0, 3), (1.0, 3), (1.0, 6)])
def test_intervals_of_differences_hold(sd_group, num_seeds):
    rng = np.random.default_rng(0)
    intervals = []
    for _ in range(2000):
        luck = rng.normal(0, 2, num_seeds)
        tables = [
            rng.normal(0, 1, (size, 1)) + luck + rng.normal(0, sd_group, num_seeds)
            + rng.normal(0, 1, (size, num_seeds))
            for size in (6, 9)
        ]  # fmt: skip
        found = estimate_difference(*tables, 0.9)
        intervals.append((found.low, found.high))
    assert coverage(intervals, 0.0) == pytest.approx(0.9, abs=0.035)
