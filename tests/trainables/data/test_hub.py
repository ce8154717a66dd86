"""Tasks in the layout of the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from tests.trainables.data.sources import CATALOGUE, load
from trainables.data import available, available_languages, data_fingerprint
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    RetrievalRecord,
    TaggingRecord,
)


def write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")


@pytest.mark.usefixtures("cache")
def test_a_local_folder_in_hub_layout_with_class_numbers(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    rows = {"tokens": [["Anna", "lacht"], ["Ja"]], "ner_tags": [[1, 0], [0]]}
    folder = tmp_path / "hub/unimelb-nlp/wikiann/de"
    folder.mkdir(parents=True)
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(str(folder / "validation-00000-of-00001.parquet"))
    assert load("panx", "dev", "de", tmp_path) == [
        TaggingRecord("0", ("Anna", "lacht"), ("B-PER", "O")),
        TaggingRecord("1", ("Ja",), ("O",)),
    ]
    assert available_languages(CATALOGUE["panx"], "dev", tmp_path) == ("de",)
    assert len(data_fingerprint(CATALOGUE["panx"], "dev", "de", data_root=tmp_path)) == 64


@pytest.mark.usefixtures("cache")
def test_a_card_that_declares_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere/facebook/xnli"
    write_rows(folder / "x", "dev", [{"premise": "a", "hypothesis": "b", "label": "neutral"}])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: de\n  data_files:\n"
        "  - split: validation\n    path: x/dev.jsonl\n---\n"
    )
    monkeypatch.setenv("TASKORDER_HUB_ROOT", str(tmp_path / "elsewhere"))
    assert load("xnli", "dev", "de", None) == [ClassificationRecord("0", "a", "b", "neutral")]
    with pytest.raises(DataError, match=r"the dev split of .* cannot be loaded: "):
        load("xnli", "dev", "fr", None)


@pytest.mark.usefixtures("cache")
def test_hub_rows_of_every_format(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    answers = {"text": ["Haus"], "answer_start": [4]}
    questions = [
        {"id": "english-1", "question": "?", "context": "Das Haus", "answers": answers},
        {"id": "finnish-1", "question": "?", "context": "Das Haus", "answers": answers},
    ]
    write_rows(hub / "google-research-datasets/tydiqa/secondary_task", "validation", questions)
    assert [r.id for r in load("tydiqa", "test", "fi", tmp_path)] == ["finnish-1"]
    assert isinstance(load("tydiqa", "test", "fi", tmp_path)[0], QuestionRecord)

    row = {"ind": 3, "ctx": "a", "endings": ["b", "c", "d", "e"]}
    write_rows(hub / "Rowan/hellaswag", "validation", [row | {"label": "2"}])
    write_rows(hub / "Rowan/hellaswag", "test", [row | {"label": ""}])
    assert load("hellaswag", "dev", "en", tmp_path) == [
        ChoiceRecord("3", "a", "", ("b", "c", "d", "e"), 2)
    ]
    assert load("hellaswag", "test", "en", tmp_path)[0].label is None

    sentences = [{"source_sentence": "ja", "target_sentence": "yes"}]
    write_rows(hub / "google/xtreme/tatoeba.deu", "validation", sentences)
    assert load("tatoeba", "test", "de", tmp_path) == [
        RetrievalRecord("q0", "ja", True, ("c0",)),
        RetrievalRecord("c0", "yes", False, ()),
    ]

    pair = {"premise": "a", "hypothesis": "b"}
    undecided = [pair | {"label": None}, pair | {"label": "neutral"}]
    write_rows(hub / "stanfordnlp/snli", "validation", undecided)
    write_rows(hub / "stanfordnlp/snli", "test", undecided)
    assert [record.label for record in load("snli", "dev", "en", tmp_path)] == ["neutral"]
    assert [record.label for record in load("snli", "test", "en", tmp_path)] == [None, "neutral"]


@pytest.mark.usefixtures("cache")
def test_malformed_hub_rows_name_the_row(tmp_path: Path) -> None:
    rows = [{"premise": "a", "hypothesis": "b", "label": "maybe"}]
    write_rows(tmp_path / "hub/facebook/xnli/de", "validation", rows)
    with pytest.raises(DataError, match="facebook/xnli:row 1: the label 'maybe'"):
        load("xnli", "dev", "de", tmp_path)


def test_the_network_is_for_tasks_the_data_root_lacks_altogether(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not available(CATALOGUE["hellaswag"], "dev", "en", root)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert available(CATALOGUE["hellaswag"], "dev", "en", root)
    assert available(CATALOGUE["hellaswag"], "dev", "en", None)
    assert not available(CATALOGUE["xnli"], "dev", "fr", root)
    assert available(CATALOGUE["xnli"], "dev", "fr", None)


@pytest.mark.usefixtures("cache")
def test_a_hub_out_of_reach_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(DataError, match=r"ConnectionError: no route\. Check the network, or put"):
        load("hellaswag", "dev", "en", None)
