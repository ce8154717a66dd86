"""The built-in suite ``mini``: constructed languages over one world, and a model that speaks them.

Needs no network, no torch and no file but this package's own: records are made when asked for, the
same ones on every machine. ``MODEL_DIR`` is a Hugging Face folder with a small XLM-R, pre-trained
by ``trainables.mini.pretrain``.
"""

from __future__ import annotations

from pathlib import Path

from trainables.mini.corpus import corpus
from trainables.mini.languages import LANGUAGES
from trainables.mini.suite import TASKS, identity, records, size

MODEL_DIR = Path(__file__).parent / "model"

__all__ = ["LANGUAGES", "MODEL_DIR", "TASKS", "corpus", "identity", "records", "size"]
