"""What the measures work with: examples, tokenizer, encoders, and what they have made so far.

A measure's function takes a bench and two subjects and returns an ``Outcome``. What it makes of
one subject alone (an embedding, a gradient) it makes with ``once``, so that it is made once however
many pairs need it.

Shape suffixes in this package: N samples, R rows, T tokens, H hidden size, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from spaces.study import Study
from trainables.inputs import TaskInputs
from trainables.models import load_encoder, load_tokenizer
from trainables.preparation import Preparation
from trainables.similarity.samples import Portion, draw_portions
from trainables.similarity.settings import SimilaritySettings
from trainables.similarity.subjects import Subject
from trainables.store import StageStore

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a measure comes to for one pair.

    Attributes:
        value: Higher is more alike; NaN where the measure is not available.
        num_examples: Examples that were looked at.
        note: Why the value is NaN.
    """

    value: float
    num_examples: int
    note: str = ""

    @classmethod
    def missing(cls, note: str) -> Outcome:
        """Return the outcome of a measure that is not available, and why."""
        return cls(float("nan"), 0, note)


class Bench:
    """One study's examples and encoders.

    Args:
        study: The study.
        preparation: What a run of it is launched with; its model must be there.
        data_root: Folder of the official files.
        settings: Bounds on the cost.
        store_url: The stage store to take source-tuned encoders from; ``None`` for none.

    Attributes:
        tokenizer: The base model's tokenizer.
        device: The first GPU, or the CPU.
    """

    def __init__(
        self,
        study: Study,
        preparation: Preparation,
        data_root: Path | None,
        settings: SimilaritySettings,
        store_url: str | None = None,
    ) -> None:
        self.study = study
        self.preparation = preparation
        self.data_root = data_root
        self.settings = settings
        self.catalogue = study.catalogue()
        self.tokenizer = load_tokenizer(preparation.model_path, study.model.revision)
        self.inputs = TaskInputs(self.catalogue, study.training, data_root, self.tokenizer)
        self.store = StageStore(store_url) if store_url else None
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._made: dict[tuple[str, str, str], Any] = {}

    def once(self, what: str, subject: Subject, make: Callable[[Subject], Made]) -> Made:
        """Return what was made of a subject before, or make it now.

        Args:
            what: Names it.
            subject: Of which it is made.
            make: Makes it.
        """
        key = (what, subject.role, subject.name)
        if key not in self._made:
            self._made[key] = make(subject)
        made: Made = self._made[key]
        return made

    def portions(self, subject: Subject) -> tuple[Portion, ...]:
        """Return the examples that stand for a subject."""
        return self.once(
            "portions",
            subject,
            lambda chosen: draw_portions(chosen, self.study, self.data_root, self.settings),
        )

    def num_examples(self, *subjects: Subject) -> int:
        """Count the examples that stand for some subjects."""
        return sum(len(portion.records) for s in subjects for portion in self.portions(s))

    def base_encoder(self) -> nn.Module:
        """Return the base model's encoder, frozen, without dropout, on the device."""
        if not hasattr(self, "_base"):
            encoder = load_encoder(
                self.preparation.model_path, dropout=0.0, revision=self.study.model.revision
            )
            self._base = encoder.to(self.device).eval().requires_grad_(False)
        return self._base
