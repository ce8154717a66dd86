"""Training sets tokenised in a process of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.errors import DataError
from spaces.reports import SetProgress, SetReport
from spaces.study import Study
from tests.trainables import tiny
from trainables.preparing import prepare_elsewhere

pytestmark = [pytest.mark.timeout(300)]


def prepared(study: Study, model: Path, root: Path, cache: Path) -> list[SetReport]:
    events = list(prepare_elsewhere(study, str(model), root, cache, {"squad1": 3}))
    assert all(isinstance(event, SetProgress | SetReport) for event in events)
    return [event for event in events if isinstance(event, SetReport)]


def test_the_second_time_everything_is_cached(tiny_model, data_root, tmp_path):
    study = tiny.study(tiny_model)
    first = prepared(study, tiny_model, data_root, tmp_path / "cache")
    again = prepared(study, tiny_model, data_root, tmp_path / "cache")
    assert {report.stream for report in first} >= {"squad1", "panx"}
    assert not any(report.is_cached for report in first)
    assert all(report.is_cached for report in again)
    assert [r.num_examples for r in first] == [r.num_examples for r in again]


def test_a_bad_record_is_told_with_its_place(tiny_model, data_root, tmp_path):
    study = tiny.study(tiny_model)
    broken = next(data_root.rglob("train-en.tsv"))
    lines = broken.read_text(encoding="utf-8")
    broken.write_text(lines + "\ttoo\tmany\tcolumns\n", encoding="utf-8")
    try:
        with pytest.raises(DataError, match=rf"{broken.name}:{lines.count(chr(10)) + 1}"):
            prepared(study, tiny_model, data_root, tmp_path / "cache")
    finally:
        broken.write_text(lines, encoding="utf-8")
