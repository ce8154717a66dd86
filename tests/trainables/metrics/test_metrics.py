"""Metrics on cases worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from spaces.errors import DataError, InputError
from trainables.metrics import METRICS, gold_labels
from trainables.metrics.answers import mlqa_tokens, squad_tokens
from trainables.metrics.ranking import BuccF1, MeanAveragePrecision, best_threshold
from trainables.records import (
    Answer,
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)

GOLDS: dict[str, dict[str, Any]] = {
    "accuracy": {"a": "yes", "b": "no"},
    "token_accuracy": {"a": ("DET", "NOUN"), "b": ("VERB",)},
    "seqeval_f1": {"a": ("B-PER", "O"), "b": ("B-LOC",)},
    "squad": {"a": ["the Haus"], "b": ["rot", "blau"]},
    "squad_v2": {"a": ["Haus"], "b": []},
    "mlqa": {"a": ["das Haus"], "b": ["rot"]},
    "retrieval_accuracy": {"a": ["x"], "b": ["y"]},
    "bucc_f1": {"a": ["x"], "b": []},
    "map_at_20": {"a": ["x", "y"], "b": ["z"]},
}


def perfect(name: str) -> dict[str, Any]:
    golds = GOLDS[name]
    if name in ("squad", "mlqa"):
        return {key: texts[0] for key, texts in golds.items()}
    if name == "squad_v2":
        return {key: texts[0] if texts else "" for key, texts in golds.items()}
    return dict(golds)


# --- what holds for every metric ------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
def test_perfect_predictions_score_100(name: str) -> None:
    values = METRICS[name].compute(perfect(name), GOLDS[name], "de")
    assert METRICS[name].primary(values) == pytest.approx(100)


@pytest.mark.parametrize("name", METRICS)
def test_missing_predictions_are_wrong_and_values_stay_in_range(name: str) -> None:
    metric = METRICS[name]
    part = {key: value for key, value in perfect(name).items() if key == "a"}
    for predictions in (part, {}):
        values = metric.compute(predictions, GOLDS[name], "de")
        assert all(0 <= value <= 100 for value in values.values())
        expected = 100 if name == "bucc_f1" else 99
        assert metric.primary(values) <= expected
    assert metric.primary(metric.compute({}, GOLDS[name], "de")) == 0


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_score_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match="nothing to score"):
        METRICS[name].compute({}, {}, "de")


def test_predictions_for_unknown_records_are_refused_or_ignored() -> None:
    with pytest.raises(InputError, match=r"1 predictions are for unknown records.* 'z'"):
        METRICS["accuracy"].compute({"z": "yes"}, {"a": "yes"}, "de")
    values = METRICS["squad"].compute({"a": "x", "z": "y"}, {"a": ["x"]}, "de")
    assert values == {"exact_match": 100, "f1": 100}


# --- labels ---------------------------------------------------------------------------------


def test_accuracy_counts_what_is_missing() -> None:
    golds = {str(i): "yes" for i in range(4)}
    values = METRICS["accuracy"].compute({"0": "yes", "1": "no"}, golds, "de")
    assert values == {"accuracy": 25}
    assert METRICS["accuracy"].compute({"0": 1}, {"0": 1}, "de") == {"accuracy": 100}


def test_entities_must_match_in_span_and_type() -> None:
    golds = {"a": ["B-PER", "I-PER", "O", "B-LOC"], "b": ["B-ORG", "O"]}
    predictions = {"a": ["B-PER", "O", "O", "B-LOC"], "b": ["B-LOC", "B-LOC"]}
    values = METRICS["seqeval_f1"].compute(predictions, golds, "de")
    # Right: one of 3 gold entities, of 4 predicted.
    assert values["precision"] == pytest.approx(25)
    assert values["recall"] == pytest.approx(100 / 3)
    assert values["f1"] == pytest.approx(200 / 7)
    assert values["accuracy"] == pytest.approx(50)


def test_runs_of_equal_parts_of_speech_are_one_entity() -> None:
    golds = {"a": ["NOUN", "NOUN", "VERB"]}
    values = METRICS["seqeval_f1"].compute({"a": ["NOUN", "ADJ", "VERB"]}, golds, "de")
    assert values["recall"] == pytest.approx(50)
    assert values["precision"] == pytest.approx(100 / 3)


def test_the_two_conjunctions_are_told_apart() -> None:
    values = METRICS["seqeval_f1"].compute({"a": ["CCONJ"]}, {"a": ["SCONJ"]}, "de")
    assert values["f1"] == 0


def test_short_predictions_are_filled_and_long_ones_refused() -> None:
    metric = METRICS["seqeval_f1"]
    golds = {"a": ["B-PER", "O", "B-LOC"]}
    assert metric.compute({"a": ["B-PER"]}, golds, "de")["recall"] == pytest.approx(50)
    with pytest.raises(InputError, match="record 'a': 4 predicted tags for 3 tokens"):
        metric.compute({"a": ["O"] * 4}, golds, "de")


# --- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The Cat's  hat!", ["cats", "hat"]),
        ("das Haus", ["das", "haus"]),
        ("«Haus»", ["«haus»"]),
        ("a, an.", []),
    ],
)
def test_squad_normalisation_knows_english_only(text: str, tokens: list[str]) -> None:
    assert squad_tokens(text) == tokens


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [
        ("en", "The «Cat»", ["cat"]),
        ("es", "Los gatos, una casa", ["gatos", "casa"]),
        ("de", "Der Hund des Manns", ["hund", "manns"]),
        ("vi", "những ngôi nhà", ["ngôi", "nhà"]),
        ("hi", "एक। घर", ["एक", "घर"]),
        ("ar", "البيت", ["بيت"]),
        ("zh", "第2届。World Cup杯", ["第", "2", "届", "world", "cup", "杯"]),
        ("fr", "la maison", ["la", "maison"]),
    ],
)
def test_mlqa_normalisation(language: str, text: str, tokens: list[str]) -> None:
    assert mlqa_tokens(text, language) == tokens


def test_f1_takes_the_best_gold() -> None:
    golds = {"q": ["red house", "big red house here"]}
    values = METRICS["squad"].compute({"q": "big red"}, golds, "en")
    assert values["exact_match"] == 0
    assert values["f1"] == pytest.approx(100 * 2 / 3)
    assert METRICS["squad"].primary(values) == pytest.approx(100 / 3)


def test_a_question_without_golds_needs_squad_v2() -> None:
    with pytest.raises(InputError, match="use the metric 'squad_v2'"):
        METRICS["squad"].compute({"q": ""}, {"q": []}, "en")


def test_squad_v2_wants_silence_where_there_is_no_answer() -> None:
    golds: dict[str, list[str]] = {"a": ["Haus"], "b": [], "c": [], "d": ["the"]}
    predictions = {"a": "", "b": "", "c": "Haus", "d": ""}
    values = METRICS["squad_v2"].compute(predictions, golds, "en")
    assert values["exact_match"] == pytest.approx(50)
    assert values["answerable_exact_match"] == 0
    assert values["unanswerable_exact_match"] == pytest.approx(200 / 3)
    # Silence by default is not an answer: a prediction must be there.
    assert METRICS["squad_v2"].compute({}, {"b": []}, "en")["exact_match"] == 0


# --- ranking --------------------------------------------------------------------------------


def test_retrieval_accuracy_looks_at_the_first_candidate() -> None:
    predictions = {"a": ["x", "y"], "b": [("y", 0.9)], "c": []}
    golds = {"a": ["y"], "b": ["y"], "c": ["z"]}
    values = METRICS["retrieval_accuracy"].compute(predictions, golds, "de")
    assert values["accuracy"] == pytest.approx(100 / 3)


def test_map_is_mrr_with_one_gold_and_cut_at_its_depth() -> None:
    ranked = [f"c{i}" for i in range(30)]
    metric = METRICS["map_at_20"]
    assert metric.compute({"q": ranked}, {"q": ["c3"]}, "de")["map"] == pytest.approx(25)
    assert metric.compute({"q": ranked}, {"q": ["c20"]}, "de")["map"] == 0
    two = MeanAveragePrecision(depth=2)
    # Precisions 1/1 and, for the second gold, none within two: divided by what can be found.
    assert two.compute({"q": ranked}, {"q": ["c0", "c5", "c6"]}, "de")["map"] == 50


@given(st.permutations(range(12)), st.sets(st.integers(0, 11), min_size=1))
def test_map_is_the_average_precision_of_scikit_learn_where_nothing_is_cut(
    order: list[int], right: set[int]
) -> None:
    predictions = {"q": [f"c{i}" for i in order]}
    golds = {"q": [f"c{i}" for i in right]}
    truth = [i in right for i in order]
    expected = average_precision_score(truth, range(12, 0, -1))
    value = METRICS["map_at_20"].compute(predictions, golds, "de")["map"]
    assert value == pytest.approx(100 * expected)


BUCC = {"a": [("x", 0.9)], "b": [("y", 0.8)], "c": [("z", 0.7)], "d": [("w", 0.7)]}
BUCC_GOLDS = {"a": ["x"], "b": ["y"], "c": [], "d": ["v"]}


def test_bucc_threshold_is_swept_over_the_golds() -> None:
    # Half way between the last pair that is worth mining and the next one.
    assert best_threshold(BUCC, BUCC_GOLDS) == 0.75
    values = METRICS["bucc_f1"].compute(BUCC, BUCC_GOLDS, "de")
    assert values["precision"] == 100
    assert values["recall"] == pytest.approx(200 / 3)
    assert values["f1"] == pytest.approx(80)


def test_bucc_threshold_of_dev_is_kept_on_test() -> None:
    assert BuccF1(0.85).compute(BUCC, BUCC_GOLDS, "de")["f1"] == pytest.approx(50)
    assert BuccF1(2.0).compute(BUCC, BUCC_GOLDS, "de")["f1"] == 0
    metric = METRICS["bucc_f1"].calibrated(BUCC, BUCC_GOLDS)
    assert metric == BuccF1(0.75)
    test = {"p": [("x", 0.74)], "q": [("y", 0.76)]}
    assert metric.compute(test, {"p": ["x"], "q": ["y"]}, "de")["recall"] == 50
    assert metric.submitted(test) == {"q": [("y", 0.76)]}
    assert METRICS["bucc_f1"].submitted({**test, "r": []}) == test
    assert METRICS["bucc_f1"].needs_dev
    assert not metric.needs_dev


@pytest.mark.parametrize("name", [name for name in METRICS if name != "bucc_f1"])
def test_the_other_metrics_have_nothing_to_calibrate(name: str) -> None:
    metric = METRICS[name]
    assert metric.calibrated(perfect(name), GOLDS[name]) is metric
    assert metric.submitted(perfect(name)) == perfect(name)
    assert not metric.needs_dev


@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans(), st.booleans()), max_size=9
    )
)
def test_no_threshold_is_better_than_the_best(
    pairs: list[tuple[float, bool, bool]],
) -> None:
    predictions = {str(i): [("x", score)] for i, (score, _, _) in enumerate(pairs)}
    golds = {
        str(i): (["x"] if is_right else ["y"]) if is_mated else []
        for i, (_, is_mated, is_right) in enumerate(pairs)
    } | {"unfound": ["z"]}
    best = METRICS["bucc_f1"].compute(predictions, golds, "de")["f1"]
    tried = [
        BuccF1(threshold).compute(predictions, golds, "de")["f1"]
        for threshold in (0.0, 0.1, 0.15, 0.2, 0.5, 0.9, 1.0)
    ]
    assert best == max(tried)


def test_bucc_pairs_without_scores_are_all_mined() -> None:
    values = METRICS["bucc_f1"].compute({"a": ["x"], "c": ["z"]}, BUCC_GOLDS, "de")
    assert values["precision"] == 50
    assert values["recall"] == pytest.approx(100 / 3)


# --- golds ----------------------------------------------------------------------------------


def test_golds_of_records() -> None:
    records: list[Record] = [
        ClassificationRecord("a", "x", None, "yes"),
        TaggingRecord("b", ("x",), ("O",)),
        QuestionRecord("c", "?", "x", (Answer("x", 0),)),
        QuestionRecord("d", "?", "x", ()),
        ChoiceRecord("e", "x", "?", ("p", "q"), 0),
        RetrievalRecord("f", "x", True, ("g",)),
        RetrievalRecord("g", "y", False, ()),
    ]
    assert gold_labels(records) == {
        "a": "yes",
        "b": ("O",),
        "c": ("x",),
        "d": (),
        "e": 0,
        "f": ("g",),
    }


@pytest.mark.parametrize(
    "record",
    [
        ClassificationRecord("a", "x", None, None),
        TaggingRecord("a", ("x",), None),
        QuestionRecord("a", "?", "x", None),
        RetrievalRecord("a", "x", True, None),
        TextRecord("a", "x"),
    ],
)
def test_unlabelled_records_cannot_be_scored(record: Record) -> None:
    with pytest.raises(DataError, match="record 'a' has no label"):
        gold_labels([record])
