from __future__ import annotations

import copy
import itertools
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import normalizers

from spaces.errors import DataError, InputError
from tests.trainables import tiny
from trainables.chunks import CHUNK_CHARACTERS, CHUNK_RECORDS, Job, chunks_of
from trainables.lean_tokenizer import tokenizer_identity
from trainables.pretrained import load_tokenizer
from trainables.records import ClassificationRecord, QuestionRecord, RetrievalRecord
from trainables.tokenising import (
    CHUNKS_IN_FLIGHT,
    MAX_PROCESSES,
    Tokenising,
    num_available,
)

# Processes that load torch take their time on a busy machine.
pytestmark = pytest.mark.timeout(300)
FORMS = (
    "sequence_classification",
    "token_classification",
    "question_answering",
    "multiple_choice",
    "masked_lm",
)


def job(form="sequence_classification", **changes) -> Job:
    task = tiny.task(form, **changes)
    return Job(task, task.labels, "train.tsv")


def alone() -> Tokenising:
    return Tokenising(tiny.tokenizer(), num_processes=1)


@contextmanager
def several(tokenizer=None) -> Iterator[Tokenising]:
    """Give one whose processes have started."""
    with Tokenising(tokenizer or tiny.tokenizer(), num_processes=2) as tokenising:
        tokenising.start()
        yield tokenising


@pytest.fixture(scope="module")
def two_processes():
    with several() as tokenising:
        yield tokenising


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_number_of_processes_changes_nothing(form, two_processes):
    records = tiny.records(form, 3 * CHUNK_RECORDS + 5)
    with alone() as tokenising:
        expected = list(tokenising.encode(records, job(form)))
    assert [chunk.num_records for chunk in expected] == [CHUNK_RECORDS] * 3 + [5]
    assert list(two_processes.encode(records, job(form))) == expected


@pytest.mark.slow
def test_a_set_may_be_begun_alone_and_finished_by_others():
    records = tiny.records("sequence_classification", 9 * CHUNK_RECORDS)
    with alone() as tokenising:
        expected = list(tokenising.encode(records, job()))
    with Tokenising(tiny.tokenizer(), num_processes=2, patience_s=0) as tokenising:
        chunks = tokenising.encode(records, job())
        found = [next(chunks)]
        tokenising.start()
        assert [*found, *chunks] == expected


def test_long_texts_fill_a_chunk_sooner():
    contexts = [tiny.sentence(i, 2000) for i in range(100)]
    records = [QuestionRecord(str(i), "who", text, ()) for i, text in enumerate(contexts)]
    chunks = list(chunks_of(records, tiny.task("question_answering")))
    assert [record for chunk in chunks for record in chunk.records] == records
    sizes = [sum(len(r.context) + 3 for r in chunk.records) for chunk in chunks]
    assert len(sizes) > 2
    assert all(CHUNK_CHARACTERS <= size < CHUNK_CHARACTERS + 20_000 for size in sizes[:-1])
    assert [chunk.start for chunk in chunks[:2]] == [0, len(chunks[0].records)]


def test_a_query_finds_its_candidate_at_the_other_end_of_the_set():
    count = CHUNK_RECORDS + 10
    queries = [RetrievalRecord(f"q{i}", tiny.sentence(i), True, (f"c{i}",)) for i in range(count)]
    candidates = [RetrievalRecord(f"c{i}", tiny.sentence(i), False, ()) for i in range(count)]
    with alone() as tokenising:
        (chunk,) = tokenising.encode([*queries, *candidates], job("retrieval"))
    assert (chunk.num_records, chunk.num_unlabelled) == (2 * count, 0)


def taken_ahead(tokenising: Tokenising) -> int:
    """Return how many records are taken from an endless source for the first chunk."""
    taken = 0

    def endless():
        nonlocal taken
        for record in itertools.cycle(tiny.records("sequence_classification")):
            taken += 1
            yield record

    chunks = tokenising.encode(endless(), job())
    next(chunks)
    chunks.close()
    return taken


def test_records_are_read_as_they_are_needed():
    with alone() as tokenising:
        assert taken_ahead(tokenising) == CHUNK_RECORDS


@pytest.mark.slow
def test_only_so_many_chunks_are_under_way(two_processes):
    assert taken_ahead(two_processes) == 2 * CHUNKS_IN_FLIGHT * CHUNK_RECORDS


def bad_text(records: list) -> list:
    """Return records of which one has text that no tokenizer takes."""
    changed = list(records)
    changed[CHUNK_RECORDS + 9] = replace(records[CHUNK_RECORDS + 9], text="half of a \ud83d pair")
    return changed


BAD_TEXT = (
    rf"train.tsv: record {CHUNK_RECORDS + 10} \(id '{CHUNK_RECORDS + 9}'\) cannot be tokenised"
)
BAD_LABEL = r"train.tsv: task 'xnli': record '9' has the label 'perhaps', which is not one"


def bad_label(records: list) -> list:
    changed = list(records)
    changed[9] = replace(records[9], label="perhaps")
    return changed


@pytest.mark.parametrize(("spoil", "message"), [(bad_text, BAD_TEXT), (bad_label, BAD_LABEL)])
def test_a_record_that_cannot_be_tokenised_is_named(spoil, message):
    records = spoil(tiny.records("sequence_classification", 2 * CHUNK_RECORDS))
    with alone() as tokenising, pytest.raises(DataError, match=message):
        list(tokenising.encode(records, job()))


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "message"), [(bad_text, BAD_TEXT), (bad_label, BAD_LABEL)])
def test_so_it_is_where_another_process_meets_it(spoil, message, two_processes):
    records = tiny.records("sequence_classification", 2 * CHUNK_RECORDS)
    with pytest.raises(DataError, match=message):
        list(two_processes.encode(spoil(records), job()))
    assert len(list(two_processes.encode(records, job()))) == 2


def no_room(tokenising: Tokenising) -> None:
    record = QuestionRecord("1", "who sees", "anna sees rome", None)
    list(tokenising.encode([record], job("question_answering", max_length=4)))


@pytest.mark.slow
def test_settings_that_do_not_allow_it_are_no_fault_of_the_data(two_processes):
    for tokenising in (alone(), two_processes):
        with pytest.raises(InputError, match="leaves no room for a question") as raised:
            no_room(tokenising)
        assert not isinstance(raised.value, DataError)


class Deadly(str):
    """Text that ends the process that receives it."""

    def __reduce__(self):
        return os._exit, (3,)


@pytest.mark.slow
def test_a_process_that_dies_is_told_and_the_next_set_goes_on():
    records = tiny.records("sequence_classification", 2 * CHUNK_RECORDS)
    deadly = [*records, ClassificationRecord("bad", Deadly("text"), None, None)]
    message = (
        rf"train.tsv: a process died that tokenised records \d+ to {len(deadly)}: killed, out of "
        "memory, or because of one of them. Set TASKORDER_TOKENISING_PROCESSES=1"
    )
    with several() as tokenising:
        with pytest.raises(DataError, match=message):
            list(tokenising.encode(deadly, job()))
        assert len(list(tokenising.encode(records, job()))) == 2


def test_what_a_reader_raises_is_left_as_it_is():
    def broken():
        yield from tiny.records("sequence_classification", 3)
        raise DataError("train.tsv:4: found 2 columns, expected 3 columns.")

    with alone() as tokenising, pytest.raises(DataError, match=r"^train.tsv:4: found 2 columns"):
        list(tokenising.encode(broken(), job()))


@pytest.mark.slow
def test_a_tokenizer_that_does_not_survive_copying_works_alone(caplog):
    # XLM-R's tokenizer is read back from its vocabulary, with the normaliser it always has.
    changed = copy.deepcopy(tiny.tokenizer())
    changed.backend_tokenizer.normalizer = normalizers.Lowercase()
    records = [
        replace(record, text=record.text.upper())
        for record in tiny.records("sequence_classification", 3 * CHUNK_RECORDS)
    ]
    with Tokenising(changed, num_processes=1) as tokenising:
        expected = list(tokenising.encode(records, job()))
    with several(changed) as tokenising:
        assert list(tokenising.encode(records, job())) == expected
    assert "A copy of this tokenizer differs from it" in caplog.text
    with alone() as tokenising:
        assert list(tokenising.encode(records, job())) != expected


def test_the_identity_of_a_tokenizer_is_how_it_splits_texts():
    tokenizer = copy.deepcopy(tiny.tokenizer())
    identity = tokenizer_identity(tokenizer)
    tokenizer(["anna sees rome"], truncation=True, max_length=4, padding="max_length")
    assert tokenizer_identity(tokenizer) == identity
    tokenizer.truncation_side = "left"
    assert tokenizer_identity(tokenizer) != identity
    tokenizer = copy.deepcopy(tiny.tokenizer())
    tokenizer.add_tokens(["anna sees"])
    assert tokenizer_identity(tokenizer) != identity


def test_the_identity_survives_writing_and_reading(tiny_model, tmp_path):
    loaded = load_tokenizer(str(tiny_model))
    loaded.save_pretrained(tmp_path)
    assert tokenizer_identity(load_tokenizer(str(tmp_path))) == tokenizer_identity(loaded)


def test_the_number_of_processes(monkeypatch):
    variable = "TASKORDER_TOKENISING_PROCESSES"
    monkeypatch.delenv(variable, raising=False)
    assert num_available() == min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    monkeypatch.setenv(variable, "40")
    assert num_available() == 40
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(InputError, match=f"{variable}: '{wrong}' is not a number"):
            num_available()


#: Tokenises without end, once it has told which processes do it.
ENDLESS = """
import itertools
import multiprocessing
from tests.trainables import tiny
from trainables.chunks import CHUNK_CHARACTERS, CHUNK_RECORDS, Job, chunks_of
from trainables.lean_tokenizer import tokenizer_identity
from tests.trainables.test_tokenising import job, several

def main():
    with several() as tokenising:
        records = itertools.cycle(tiny.records("sequence_classification"))
        chunks = tokenising.encode(records, job())
        next(chunks)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        for _ in chunks:
            pass

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waiting for a process needs pidfd_open")
def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as parent:
        children = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert children
    for child in children:
        assert select.select([child], [], [], 60)[0], "it goes on"
        os.close(child)
