from __future__ import annotations

import subprocess
import sys
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.errors import InputError
from tests.trainables import tiny
from tests.trainables.racer import KEY, number, writes
from trainables.arrow_features import ArrowFeatures
from trainables.batches import collate
from trainables.feature_cache import FeatureCache, default_cache_dir
from trainables.feature_files import BATCH_FEATURES, FeatureWriter, pack
from trainables.formats.base import Feature

# Processes that load torch take their time on a busy machine.
pytestmark = pytest.mark.timeout(300)
FORMS = ("sequence_classification", "token_classification", "question_answering", "multiple_choice")


def never(_: FeatureWriter) -> None:
    raise AssertionError("made again")


def plain(feature: Feature) -> Feature:
    """Return a feature with its views turned into tuples."""
    label = feature.label if isinstance(feature.label, int) else tuple(feature.label)
    rows = tuple(tuple(int(token) for token in row) for row in feature.rows)
    return Feature(rows, feature.record, label, feature.num_units)


def stored(folder: Path) -> Path:
    (path,) = (folder / KEY).glob("*.arrow")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_features_come_back_as_they_were(form, tmp_path):
    made = tiny.features(form)
    file = FeatureCache(tmp_path).find_or_make(KEY, writes(made))
    found = ArrowFeatures([file])
    assert [plain(feature) for feature in found] == [
        Feature(f.rows, i, f.label, f.num_units) for i, f in enumerate(made)
    ]
    assert [feature.num_tokens for feature in found] == [feature.num_tokens for feature in made]
    cpu = torch.device("cpu")
    ours = collate(found[3:9], form, 1, cpu, labelled=True)
    theirs = collate(made[3:9], form, 1, cpu, labelled=True)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


rows = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), min_size=1, max_size=3)
labels = st.none() | st.integers(-100, 1000)
tuples = st.none() | st.lists(st.integers(-100, 1000), max_size=5).map(tuple)


@given(
    examples=st.lists(st.tuples(rows, labels, st.integers(0, 9)), max_size=30)
    | st.lists(st.tuples(rows, tuples, st.integers(0, 9)), max_size=30),
    chunk=st.integers(1, 40),
)
@settings(max_examples=60)
def test_any_features_come_back_less_the_unlabelled(examples, chunk, tmp_path_factory):
    made = [
        Feature(tuple(map(tuple, row)), i, label, units)
        for i, (row, label, units) in enumerate(examples)
    ]
    folder = tmp_path_factory.mktemp("cache")
    file = FeatureCache(folder).find_or_make(KEY, writes(made, chunk=chunk))
    found = ArrowFeatures([file])
    kept = [feature for feature in made if feature.label is not None]
    assert [plain(feature) for feature in found] == kept
    left_out = len(made) - len(kept)
    assert file.counts.num_records == len(made)
    assert file.counts.num_examples == len(found) == len(kept)
    assert file.counts.left_out == ({"no label": left_out} if left_out else {})


def test_the_counts_add_up_over_files(tmp_path):
    cache = FeatureCache(tmp_path)
    first = cache.find_or_make("1" * 8, writes([number(1), Feature(((3,),), 1, None)]))
    second = cache.find_or_make("2" * 8, writes([number(2)] * 3, skipped={"malformed row": 4}))
    found = ArrowFeatures([first, second])
    assert [feature.label for feature in found] == [1, 2, 2, 2]
    assert found.counts.num_records == 5
    assert found.counts.num_examples == 4
    assert found.counts.left_out == {"no label": 1, "malformed row": 4}


def test_a_record_of_several_features_counts_once(tmp_path):
    windows = [Feature(((1,),), 0, None), Feature(((1,),), 0, None), Feature(((1,),), 1, 5)]

    def make(writer: FeatureWriter) -> None:
        writer.write(pack(windows, 2, 0))
        writer.finish({})

    assert FeatureCache(tmp_path).find_or_make(KEY, make).counts.left_out == {"no label": 1}


def test_records_are_numbered_over_chunks(tmp_path):
    def make(writer: FeatureWriter) -> None:
        writer.write(pack([number(0), number(1)], 2, 0))
        writer.write(pack([number(0)], 1, 2))
        writer.finish({})

    found = ArrowFeatures([FeatureCache(tmp_path).find_or_make(KEY, make)])
    assert [feature.record for feature in found] == [0, 1, 2]


def test_any_place_can_be_asked_for(tmp_path):
    count = BATCH_FEATURES + 100
    made = [number(i, rows=((i, i + 1),) * (1 + i % 2)) for i in range(count)]
    cache = FeatureCache(tmp_path)
    file = cache.find_or_make(KEY, writes(made, chunk=1000))
    found = ArrowFeatures([file, file])
    assert len(found) == 2 * count
    for index in (0, 1, BATCH_FEATURES - 1, BATCH_FEATURES, count - 1, count, 2 * count - 1, -1):
        feature = found[index]
        assert feature.label == index % count
        assert [row.tolist() for row in feature.rows] == [
            list(row) for row in made[index % count].rows
        ]
    assert [feature.label for feature in found[count - 2 : count + 2]] == [
        count - 2,
        count - 1,
        0,
        1,
    ]
    for index in (2 * count, -2 * count - 1):
        with pytest.raises(IndexError):
            found[index]


def test_reading_takes_no_memory_that_grows(tmp_path):
    count = 10 * BATCH_FEATURES
    row = tuple(range(40))
    chunk = pack([number(0, rows=(row,))] * 1024, 1024, 0)

    def make(writer: FeatureWriter) -> None:
        for _ in range(count // 1024):
            writer.write(chunk)
        writer.finish({})

    found = ArrowFeatures([FeatureCache(tmp_path).find_or_make(KEY, make)])
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    total = sum(int(feature.rows[0].sum()) for feature in found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == count * sum(row)
    # The file holds 14 MB.
    assert pa.total_allocated_bytes() - before < 100_000
    assert peak < 500_000


def test_a_set_is_made_once_and_found_after(tmp_path):
    made = [number(i) for i in range(10)]
    FeatureCache(tmp_path).find_or_make(KEY, writes(made))
    again = FeatureCache(tmp_path)
    assert again.find("f" * 8) is None
    assert again.find(KEY) is not None
    assert len(ArrowFeatures([again.find_or_make(KEY, never)])) == 10


def test_the_same_features_give_the_same_bytes(tmp_path):
    made = tiny.features("token_classification")
    files = []
    for name in ("a", "b"):
        FeatureCache(tmp_path / name).find_or_make(KEY, writes(made))
        files.append(stored(tmp_path / name))
    assert files[0].name == files[1].name
    assert files[0].read_bytes() == files[1].read_bytes()


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [cut, flip, lambda _: b"", lambda _: b"not Arrow at all", lambda data: data + b"x"]
)
def test_a_damaged_file_is_set_aside_and_made_again(damage, tmp_path, caplog):
    made = [number(i) for i in range(10)]
    cache = FeatureCache(tmp_path)
    cache.find_or_make(KEY, writes(made))
    path = stored(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert cache.find(KEY) is None
    file = cache.find_or_make(KEY, writes(made))
    assert len(ArrowFeatures([file])) == 10
    assert stored(tmp_path).read_bytes() == sound
    assert path.with_suffix(".damaged").read_bytes() == damage(sound)
    assert "is damaged. It is set aside and made again" in caplog.text
    cache.find_or_make(KEY, never)


def arrow_table(folder: Path) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"a": [1]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def other_set(folder: Path) -> bytes:
    FeatureCache(folder).find_or_make("f" * 8, writes([number(1)]))
    (path,) = (folder / ("f" * 8)).glob("*.arrow")
    return path.read_bytes()


@pytest.mark.parametrize("foreign", [arrow_table, other_set])
def test_a_file_of_something_else_is_set_aside_though_its_checksum_is_right(foreign, tmp_path):
    data = foreign(tmp_path)
    path = tmp_path / KEY / f"{zlib.crc32(data):08x}.arrow"
    path.parent.mkdir()
    path.write_bytes(data)
    cache = FeatureCache(tmp_path)
    file = cache.find_or_make(KEY, writes([number(7)]))
    assert ArrowFeatures([file])[0].label == 7
    assert path.with_suffix(".damaged").exists()


def test_a_set_that_cannot_be_made_leaves_nothing(tmp_path):
    cache = FeatureCache(tmp_path)

    def half(writer: FeatureWriter) -> None:
        writer.write(pack([number(1)] * BATCH_FEATURES, BATCH_FEATURES, 0))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        cache.find_or_make(KEY, half)
    assert [path.name for path in (tmp_path / KEY).iterdir() if path.name != "lock"] == []
    cache.find_or_make(KEY, writes([number(1)]))


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written: .* Set storage.cache or TASKORDER_"):
        FeatureCache(tmp_path / "file" / "cache").find_or_make(KEY, never)


def test_a_full_disk_is_one_clear_error():
    writer_on_a_full_disk = FeatureWriter(Path("/dev/full"), KEY)
    chunk = pack([number(1)] * BATCH_FEATURES, BATCH_FEATURES, 0)
    with (
        pytest.raises(InputError, match=r"No space left on device.* with room for them"),
        writer_on_a_full_disk as writer,
    ):
        writer.write(chunk)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TASKORDER_CACHE", str(tmp_path / "named"))
    assert default_cache_dir() == FeatureCache().folder == tmp_path / "named"
    monkeypatch.delenv("TASKORDER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "xdg/taskorder/features"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache/taskorder/features"


def racer(folder: Path, fate: str = "lives") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.trainables.racer", str(folder), fate],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.slow
def test_of_processes_that_race_one_makes_the_set(tmp_path):
    racers = [racer(tmp_path) for _ in range(3)]
    for process in racers:
        assert process.stdout.readline() == "ready\n"
    for process in racers:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=200)[0] for process in racers]
    assert results == [f"{sum(range(2000))}\n"] * 3
    assert (tmp_path / "made").read_text() == "x"


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["begun", "written", "closed", "renamed"])
def test_wherever_a_process_is_killed_the_next_one_goes_on(fate, tmp_path):
    process = racer(tmp_path, fate)
    process.communicate("go\n", timeout=200)
    assert process.returncode == 9
    is_there = fate == "renamed"
    assert len(list((tmp_path / KEY).glob("*.unfinished"))) == (0 if is_there else 1)
    made = writes([number(i) for i in range(2000)])
    file = FeatureCache(tmp_path).find_or_make(KEY, never if is_there else made)
    assert len(ArrowFeatures([file])) == 2000
    assert not list((tmp_path / KEY).glob("*.unfinished"))
    assert not list((tmp_path / KEY).glob("*.damaged"))


def test_rows_are_views_of_the_file(tmp_path):
    made = [number(i, rows=((i, i, i),)) for i in range(100)]
    found = ArrowFeatures([FeatureCache(tmp_path).find_or_make(KEY, writes(made))])
    addresses = [feature.rows[0].__array_interface__["data"][0] for feature in found]
    assert all(later - earlier == 3 * 4 for earlier, later in pairwise(addresses))
    assert found[0].rows[0].dtype == np.int32
    assert not found[0].rows[0].flags.writeable
