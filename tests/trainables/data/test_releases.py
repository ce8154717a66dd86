"""The real releases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.trainables.data.sources import CATALOGUE, load, make
from trainables.data import load_records
from trainables.metrics import gold_labels

REAL = os.environ.get("TASKORDER_DATA_ROOT")
needs_real_data = pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")


@needs_real_data
@pytest.mark.parametrize(
    ("name", "split", "language", "count"),
    [
        *(("ud_feats", "train", "en", 1270), ("ud_feats", "dev", "en", 700)),
        *(("ud_upos", "dev", "tr", 600), ("ud_feats", "test", "wo", 470)),
        *(("mnli", "train", "en", 3500), ("mnli", "dev", "en", 500)),
        *(("snli", "train", "en", 2500), ("snli", "dev", "en", 144)),
        *(("anli", "train", "en", 1200), ("anli", "dev", "en", 400)),
        *(("qqp", "train", "en", 4500), ("qqp", "dev", "en", 500)),
        *(("squad1", "train", "en", 2282), ("squad1", "dev", "en", 705)),
        *(("squad2", "train", "en", 2442), ("squad2", "dev", "en", 1407)),
        *(("hellaswag", "train", "en", 250), ("hellaswag", "dev", "en", 120)),
        *(("cosmosqa", "train", "en", 1200), ("cosmosqa", "dev", "en", 600)),
        *(("commonsenseqa", "train", "en", 120), ("commonsenseqa", "dev", "en", 40)),
        *(("siqa", "train", "en", 1600), ("siqa", "dev", "en", 1200)),
        *(("copa", "train", "en", 400), ("copa", "dev", "en", 100)),
        *(("xnli", "train", "en", 500), ("xnli", "dev", "sw", 1000), ("xnli", "test", "de", 500)),
        *(("pawsx", "dev", "es", 1000), ("pawsx", "test", "de", 500)),
        *(("udpos", "train", "en", 7000), ("udpos", "dev", "hi", 700)),
        *(("panx", "train", "en", 4000), ("panx", "dev", "de", 1500), ("panx", "test", "en", 500)),
        *(("xquad", "train", "en", 2282), ("xquad", "test", "tr", 632)),
        *(("mlqa", "dev", "de", 480), ("mlqa", "dev", "en", 705)),
        *(("tydiqa", "train", "en", 1500), ("tydiqa", "test", "sw", 499)),
        *(("xcopa", "dev", "et", 100), ("xcopa", "test", "zh", 500)),
        *(("tatoeba", "test", "sw", 2 * 390), ("tatoeba", "test", "zh", 2 * 1000)),
        *(("bucc2018", "dev", "zh", 2 * 1628), ("raw_text", "train", "tr", 3435)),
        *(("bible", "train", "sw", 4108), ("bible", "train", "et", 4550 - 78)),
    ],
)
def test_counts_of_the_real_releases(name: str, split: Any, language: str, count: int) -> None:
    records = load(name, split, language, Path(str(REAL)))
    assert len(records) == count
    assert len({record.id for record in records}) == count


@needs_real_data
def test_xtremes_sorted_tatoeba_gets_its_gold_back() -> None:
    root = Path(str(REAL))
    files = {
        "test": [
            {
                "paths": [
                    [
                        "tatoeba_xtreme/{lang}-en.{lang}",
                        "tatoeba_xtreme/{lang}-en.en",
                        "tatoeba/tatoeba.{lang3}-eng.eng",
                    ]
                ],
                "reader": "sorted_text",
            }
        ]
    }
    task = make(format="retrieval", languages=["sw"], files=files)
    texts = {}
    for source in (task, CATALOGUE["tatoeba"]):
        records = load_records(source, "test", "sw", data_root=root)
        by_id = {record.id: getattr(record, "text", "") for record in records}
        texts[source.name] = [
            (by_id[query].strip(), by_id[gold[0]].strip())
            for query, gold in gold_labels(records).items()
        ]
    assert texts["mine"] == texts["tatoeba"]


@needs_real_data
def test_masakhaner_and_hub_fixtures_are_read() -> None:
    root = Path(str(REAL))
    files = {
        "test": [
            {
                "paths": ["masakhaner1/{lang3}/test.txt"],
                "reader": "token_tags",
                "options": {"separator": " "},
            }
        ]
    }
    task = make(languages=["ha"], files=files)
    assert len(load_records(task, "test", "ha", data_root=root)) == 552
    fixtures = root / "hf_fixtures"
    for name, split, language, count in (
        ("pawsx", "train", "de", 4),
        ("pawsx", "test", "zh", 4),
        ("anli", "test", "en", 15),
        ("mnli", "train", "en", 5),
        ("snli", "train", "en", 3),
        ("hellaswag", "test", "en", 2),
        ("cosmosqa", "test", "en", 2),
        ("commonsenseqa", "test", "en", 2),
    ):
        records = load_records(
            CATALOGUE[name], split, language, data_root=fixtures, catalogue=CATALOGUE
        )
        assert len(records) == count, name
