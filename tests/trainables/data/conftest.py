"""A data root in the official layouts, and no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainables.data.sources import conllu, squad


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TASKORDER_HUB_ROOT", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root in XTREME's layout with a little of xnli, udpos, squad and tatoeba."""
    files = {
        "xnli/train-en.tsv": "a\tb\tneutral\r\n",
        "xnli/dev-en.tsv": "a\tb\tneutral\r\n",
        "xnli/dev-de.tsv": "c\td\tentailment\r\ne\tf\tneutral\r\n",
        "xnli/test-de.tsv": "c\td\r\n",
        "udpos/train-en.tsv": "a\tDET\nb\tNOUN\n",
        "UD_German-GSD/de_gsd-ud-test.conllu": conllu("s1", "ADJ"),
        "UD_German-HDT/de_hdt-ud-test.conllu": conllu("s1", "VERB"),
        "squad/train-v1.1.json": squad("q", "q"),
        "squad/dev-v1.1.json": squad("d"),
        "xquad/xquad.de.json": squad("x"),
        "tatoeba/tatoeba.deu-eng.deu": "ja\nnein\n",
        "tatoeba/tatoeba.deu-eng.eng": "yes\nno\n",
        "tatoeba/fr-en.fr": "oui\n",
        "tatoeba/fr-en.en": "yes\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
