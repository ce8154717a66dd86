"""What identifies a task's records, and what it costs to know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trainables.data.sources import CATALOGUE, fingerprint
from trainables import data
from trainables.data import data_fingerprint


def test_fingerprint_follows_the_bytes_not_the_place(root: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("copy")
    (elsewhere / "xnli").mkdir()
    copy = elsewhere / "xnli/dev-de.tsv"
    copy.write_bytes((root / "xnli/dev-de.tsv").read_bytes())
    first = fingerprint("xnli", "dev", "de", root)
    assert len(first) == 64
    assert fingerprint("xnli", "dev", "de", elsewhere) == first
    copy.write_bytes(copy.read_bytes().replace(b"neutral", b"Neutral"))
    os.utime(copy, ns=(1, 1))
    assert fingerprint("xnli", "dev", "de", elsewhere) != first


def test_fingerprint_sees_every_file_that_is_read(root: Path) -> None:
    before = fingerprint("tatoeba", "test", "de", root), fingerprint("udpos", "test", "de", root)
    english = root / "tatoeba/tatoeba.deu-eng.eng"
    english.write_text("yes\nNo!\n")
    os.utime(english, ns=(1, 1))
    (root / "UD_German-HDT/de_hdt-ud-test.conllu").unlink()
    after = fingerprint("tatoeba", "test", "de", root), fingerprint("udpos", "test", "de", root)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_file_is_hashed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    digest = data.hashlib.file_digest

    def counting(file: Any, name: str) -> Any:
        calls.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(data.hashlib, "file_digest", counting)
    assert fingerprint("xnli", "dev", "en", root) == fingerprint("xnli", "dev", "en", root)
    assert len(calls) == 1


def test_fingerprint_of_a_target_is_that_of_its_training_task(root: Path) -> None:
    assert fingerprint("xquad", "train", "en", root) == fingerprint("squad1", "train", "en", root)


def test_generated_fingerprints_are_the_same_in_every_process() -> None:
    task = CATALOGUE["mini_xnli"]
    here = data_fingerprint(task, "dev", task.languages[0], data_root=None)
    code = (
        "from spaces.tasks import load_catalogue; from trainables.data import data_fingerprint;"
        "task = load_catalogue()['mini_xnli'];"
        "print(data_fingerprint(task, 'dev', task.languages[0], data_root=None))"
    )
    environment = dict(os.environ, PYTHONHASHSEED="7", PYTHONPATH=os.pathsep.join(sys.path))
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here


def test_importing_the_module_loads_nothing_heavy() -> None:
    code = (
        "import sys, trainables.data, trainables.metrics;"
        "sys.exit([name for name in ('torch', 'datasets', 'transformers', 'seqeval', 'pandas')"
        " if name in sys.modules] or 0)"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
