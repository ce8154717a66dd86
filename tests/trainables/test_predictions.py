"""Predictions in XTREME's submission layout: by hand, and against XTREME's own files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from spaces.errors import InputError
from spaces.planner import Planner
from spaces.sequences import Sequence
from spaces.tasks import Task, load_catalogue
from tests.trainables import tiny
from tests.trainables.metrics.mock import (
    Official,
    by_language,
    every_official,
    mock,
    needs_mock_data,
)
from trainables.metrics import METRICS
from trainables.predictions import write_predictions
from trainables.preparation import prepare
from trainables.records import (
    Answer,
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
)
from trainables.session import Session
from trainables.session_config import SessionConfig

pytestmark = [*tiny.DEEPSPEED_WARNINGS]
CATALOGUE = load_catalogue()


def task_named(name: str) -> Task:
    """Return a catalogue task; Mewsli-X is its format and metric alone, whether or not it is in."""
    if name != "mewslix":
        return CATALOGUE[name]
    return CATALOGUE["lareqa"].model_copy(update={"name": "mewslix"})


def written(tmp_path, name, records, predictions, language="de"):
    path = write_predictions(tmp_path, task_named(name), language, "test", records, predictions)
    assert path.parent == tmp_path / name
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    return path.name, path.read_bytes().decode()


# --- by hand --------------------------------------------------------------------------------


def test_a_label_a_line_in_the_order_of_the_file(tmp_path):
    records = [ClassificationRecord(key, "x", "y", None) for key in ("7", "3", "3#2")]
    predictions = {"3": "1", "3#2": "0", "7": "0"}
    assert written(tmp_path, "pawsx", records, predictions) == ("test-de.tsv", "0\n1\n0\n")


def test_a_tag_a_line_and_a_blank_line_between_sentences(tmp_path):
    records = [TaggingRecord("0", ("a", "b"), None), TaggingRecord("1", ("c",), None)]
    predictions = {"1": ["O"], "0": ["B-PER", "O"]}
    expected = ("test-de.tsv", "B-PER\nO\n\nO\n")
    assert written(tmp_path, "panx", records, predictions) == expected


def test_answers_by_question_id_in_ascii(tmp_path):
    records = [QuestionRecord(key, "?", "é", (Answer("é", 0),)) for key in ("q2", "q1")]
    name, text = written(tmp_path, "mlqa", records, {"q1": "", "q2": 'é"'})
    assert name == "test-de.json"
    assert text == '{\n  "q2": "\\u00e9\\"",\n  "q1": ""\n}\n'


def test_a_choice_a_line(tmp_path):
    records = [ChoiceRecord(str(i), "x", "?", ("p", "q"), None) for i in range(2)]
    expected = ("test-de.jsonl", '{"label": 1}\n{"label": 0}\n')
    assert written(tmp_path, "xcopa", records, {"0": 1, "1": 0}) == expected


def retrieval(candidates):
    queries = [RetrievalRecord(f"q{i}", f"frage {i}", True, None) for i in range(2)]
    return [
        *queries,
        *(RetrievalRecord(f"c{i}", text, False, ()) for i, text in enumerate(candidates)),
    ]


def test_tatoeba_gives_positions_in_the_sorted_file(tmp_path):
    records = retrieval(["who", "Are", " and", "and"])
    ranked = {"q0": [("c0", 0.9), ("c1", 0.1)], "q1": ["c3"]}
    # Sorted as XTREME's script sorts: "Are", "and", "and" (the second), "who".
    assert written(tmp_path, "tatoeba", records, ranked) == ("test-de.tsv", "3\n2\n")
    in_order = retrieval(["Are", "and", "and", "who"])
    assert written(tmp_path, "tatoeba", in_order, ranked) == ("test-de.tsv", "0\n3\n")


def test_bucc_gives_the_mined_pairs(tmp_path):
    records = retrieval(["x", "y"])
    mined = {"q1": [("c0", 0.9)]}
    assert written(tmp_path, "bucc2018", records, mined) == ("test-de.tsv", "q1\tc0\n")
    assert written(tmp_path, "bucc2018", records, {}) == ("test-de.tsv", "")


def test_ranked_candidates_by_query_id(tmp_path):
    ranked = {"q1": ["c0"], "q0": [("c1", 0.8), ("c0", 0.2)]}
    name, text = written(tmp_path, "lareqa", retrieval(["x", "y"]), ranked)
    assert name == "test-de.json"
    assert list(json.loads(text).items()) == [("q0", ["c1", "c0"]), ("q1", ["c0"])]


def test_a_file_is_replaced(tmp_path):
    records = [ClassificationRecord("0", "x", "y", None)]
    for label in ("neutral", "entailment"):
        assert written(tmp_path, "xnli", records, {"0": label})[1] == f"{label}\n"


@pytest.mark.parametrize(
    ("name", "predictions"), [("tatoeba", {"q0": ["c0"]}), ("lareqa", {"q0": ["c0"], "q1": []})]
)
def test_a_record_without_a_prediction_is_named(tmp_path, name, predictions):
    with pytest.raises(InputError, match=r"'de': 1 of 2 records have no prediction.*'q1'"):
        write_predictions(tmp_path, task_named(name), "de", "test", retrieval(["x"]), predictions)
    assert not list(tmp_path.iterdir())


# --- XTREME's own files ---------------------------------------------------------------------


def blank_records(task: Task, predictions: dict[str, Any]) -> list[Record]:
    """Return records of a set that these predictions may be of."""
    match task.format:
        case "sequence_classification":
            return [ClassificationRecord(key, "x", "y", None) for key in predictions]
        case "token_classification":
            return [TaggingRecord(key, ("x",) * len(p), None) for key, p in predictions.items()]
        case "question_answering":
            return [QuestionRecord(key, "?", "x", None) for key in predictions]
    queries = [RetrievalRecord(key, "x", True, None) for key in predictions]
    found = sorted({candidate for ranked in predictions.values() for candidate in ranked})
    if task.metric == "retrieval_accuracy":
        found = [str(i) for i in range(1000)]
    candidates = [RetrievalRecord(key, f"{key:0>4}", False, ()) for key in found]
    return [*queries, *candidates]


@needs_mock_data
@every_official
def test_mock_predictions_are_written_as_they_were_and_score_the_official_figure(
    official: Official, tmp_path
):
    task = task_named(official.task)
    theirs = mock("predictions", official.task)
    for code, path in theirs.items():
        predictions = official.read_predictions(path)
        made = write_predictions(
            tmp_path, task, code, "test", blank_records(task, predictions), predictions
        )
        if path.suffix == ".tsv" or official.task in ("mlqa", "tydiqa", "mewslix"):
            assert made.read_bytes() == path.read_bytes()
        else:
            # XQuAD's files were written by two programs, apart in their blanks.
            ours = list(json.loads(made.read_text("utf-8")).items())
            assert ours == list(json.loads(path.read_text("utf-8")).items())
    ours = by_language(tmp_path / official.task)
    assert [path.name for path in ours.values()] == [path.name for path in theirs.values()]
    labels = mock("labels", official.task)
    values = [
        METRICS[official.metric].compute(
            official.read_predictions(ours[code]), official.read_golds(path), code
        )
        for code, path in labels.items()
    ]
    for name, figure in official.figures.items():
        mean = sum(value[name] for value in values) / len(values)
        assert mean == pytest.approx(figure, abs=1e-9)


# --- what a session writes ------------------------------------------------------------------


def write_bucc(root, *, blank=()):
    """Write BUCC's layout: half of the queries have their own sentence as translation."""
    folder = root / "bucc2018"
    folder.mkdir(parents=True)
    for language in ("de", "fr"):
        for split, start, count in (("dev", 0, 12), ("test", 100, 16)):
            stem = f"{language}-en.{split}"
            texts = [tiny.sentence(start + i, 4 + i % 4) for i in range(count)]
            others = [tiny.sentence(start + 50 + i, 5) for i in range(count // 2)]
            english = [*texts[: count // 2], *others]
            for side, lines in ((language, texts), ("en", english)):
                (folder / f"{stem}.{side}").write_text(
                    "".join(f"{side}-{i:03}\t{text}\n" for i, text in enumerate(lines))
                )
            if (language, split) not in blank:
                (folder / f"{stem}.gold").write_text(
                    "".join(f"{language}-{i:03}\ten-{i:03}\n" for i in range(count // 2))
                )
    return root


def session_on(tiny_model, data_root, tmp_path, targets, **training):
    study = tiny.study(
        tiny_model,
        targets=targets,
        intermediate={"tasks": ["mini_entail"]},
        training={"save_predictions": True, **training},
    )
    preparation = prepare(study, data_root, tmp_path)
    config = SessionConfig(
        study,
        preparation.model_path,
        str(tmp_path / "store"),
        str(data_root),
        preparation.evaluation,
    )
    folder = tmp_path / "predictions"
    return Session(replace(config, predictions_dir=str(folder))), preparation, folder


def plan_of(planner: Planner, target: str, trial_id: int):
    return planner.plan(trial_id, Sequence.of(), target, seed=0)


needs_worker = pytest.mark.usefixtures("one_worker")


@needs_worker
def test_a_session_mines_the_test_set_at_the_threshold_of_dev(tiny_model, tmp_path):
    data_root = write_bucc(tmp_path / "data", blank=[("fr", "test")])
    targets = [{"name": "bucc2018", "languages": ["de", "fr"]}]
    session, preparation, folder = session_on(tiny_model, data_root, tmp_path, targets)
    rung = session.run_rung(plan_of(preparation.planner, "bucc2018", 7), 0)
    session.close_engine()
    scored = {
        (s.language, s.split, s.selected_on): s.value for s in rung.scores if s.metric == "f1"
    }
    assert set(scored) == {("de", "dev", True), ("fr", "dev", True), ("de", "test", False)}
    assert rung.score == pytest.approx((scored["de", "dev", True] + scored["fr", "dev", True]) / 2)
    assert sorted(path.name for path in (folder / "7/bucc2018").iterdir()) == [
        "test-de.tsv",
        "test-fr.tsv",
    ]
    # What is written is what was scored: pairs at dev's threshold, not at test's own.
    pairs = (folder / "7/bucc2018/test-de.tsv").read_text().splitlines()
    mined = {query: [candidate] for query, candidate in (pair.split("\t") for pair in pairs)}
    golds = {f"de-{i:03}": [f"en-{i:03}"] if i < 8 else [] for i in range(16)}
    again = METRICS["bucc_f1"].compute(mined, golds, "de")
    assert again["f1"] == pytest.approx(scored["de", "test", False])
    assert 8 <= len(mined) <= 16


@needs_worker
def test_a_session_writes_blank_test_sets_at_the_full_budget_alone(tiny_model, data_root, tmp_path):
    blank = tmp_path / "data/panx"
    blank.mkdir(parents=True)
    for path in (data_root / "panx").iterdir():
        (blank / path.name).write_bytes(path.read_bytes())
    (blank / "test-fr.tsv").write_text("anna\nsees\n\nrome\n")
    targets = [{"name": "panx", "languages": ["de", "fr"]}]
    session, preparation, folder = session_on(tiny_model, blank.parent, tmp_path, targets)
    plan = plan_of(preparation.planner, "panx", 3)
    for rung in range(len(plan.budgets)):
        assert not folder.exists()
        result = session.run_rung(plan, rung)
    session.close_engine()
    assert {(s.language, s.split) for s in result.scores} == {
        ("de", "dev"),
        ("fr", "dev"),
        ("en", "dev"),
    }
    (written,) = (folder / "3/panx").iterdir()
    assert written.name == "test-fr.tsv"
    first, second = written.read_text().split("\n\n")
    assert len(first.split()) == 2
    assert len(second.split()) == 1
    assert set(written.read_text().split()) <= set(CATALOGUE["panx"].labels)
