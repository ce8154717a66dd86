from __future__ import annotations

from trainables.micro_batch_sizes import MicroBatchSizes

WHAT = {"model": "mini", "tasks": {"mnli": 128}, "device": ["cpu", None]}


def test_what_fitted_is_known_to_the_next_process(tmp_path):
    assert MicroBatchSizes(tmp_path / "new").limit(WHAT) is None
    MicroBatchSizes(tmp_path / "new").remember(WHAT, 8)
    assert MicroBatchSizes(tmp_path / "new").limit(WHAT) == 8
    assert MicroBatchSizes(tmp_path / "new").limit({**WHAT, "model": "base"}) is None
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_folder_that_cannot_be_used_is_told_and_nothing_fails(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    sizes = MicroBatchSizes(blocked / "inside")
    sizes.remember(WHAT, 4)
    assert "cannot be remembered" in caplog.text
    assert sizes.limit(WHAT) == 4


def test_a_damaged_note_counts_for_nothing(tmp_path, caplog):
    MicroBatchSizes(tmp_path).remember(WHAT, 4)
    (note,) = tmp_path.iterdir()
    note.write_text("{")
    assert MicroBatchSizes(tmp_path).limit(WHAT) is None
    assert "cannot be read" in caplog.text
