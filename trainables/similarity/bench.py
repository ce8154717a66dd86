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
from torch import Tensor, nn

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
        sessions: The training sessions of probes by the store they read, made when needed.
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
        self.sessions: dict[str, Any] = {}
        self._made: dict[tuple[str, str, str], Any] = {}
        self._base: nn.Module | None = None
        self._tuned: tuple[str, nn.Module] | None = None
        self._made_of_tuned: dict[tuple[str, str], Any] = {}

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
        if self._base is None:
            self._base = self._load_encoder()
        return self._base

    def stage_weights(self, fingerprint: str) -> dict[str, Tensor] | None:
        """Return a stage's encoder weights, or ``None`` if the store does not hold them."""
        entry = self.store.get("stages", fingerprint) if self.store else None
        if entry is None or self.store is None:
            return None
        return self.store.load(entry)

    def tuned_encoder(self, source: Subject) -> nn.Module | None:
        """Return a source-tuned encoder, frozen, on the device; one is held at a time.

        Returns:
            ``None`` where the store does not hold the source's stage.
        """
        (checkpoint,) = source.checkpoints
        if self._tuned is None or self._tuned[0] != checkpoint:
            self._tuned = None
            self._made_of_tuned.clear()
            weights = self.stage_weights(checkpoint)
            if weights is None:
                return None
            encoder = self._load_encoder()
            encoder.load_state_dict(weights)
            self._tuned = (checkpoint, encoder)
        return self._tuned[1]

    def once_of_tuned(
        self, what: str, source: Subject, other: Subject, make: Callable[[nn.Module], Made]
    ) -> Made | None:
        """Return what was made of another subject with a source-tuned encoder, or make it now.

        It is kept until another source's encoder is asked for.

        Returns:
            ``None`` where the store does not hold the source's stage.
        """
        encoder = self.tuned_encoder(source)
        if encoder is None:
            return None
        key = (what, f"{other.role} {other.name}")
        if key not in self._made_of_tuned:
            self._made_of_tuned[key] = make(encoder)
        made: Made = self._made_of_tuned[key]
        return made

    def has_stages(self, subject: Subject) -> bool:
        """Whether the store holds all of a source's or a sequence's depth-1 stages."""
        store = self.store
        return store is not None and all(
            store.get("stages", fingerprint) is not None for fingerprint in subject.checkpoints
        )

    def missing_stage(self, *subjects: Subject) -> Outcome:
        """Return the outcome of a measure that needs stages of which one is not in the store."""
        if self.store is None:
            return Outcome.missing("no stage store was given")
        names = [subject.name for subject in subjects if not self.has_stages(subject)]
        return Outcome.missing(f"not in the stage store: {', '.join(names)}")

    def close(self) -> None:
        """Give memory back."""
        self._made.clear()
        self._made_of_tuned.clear()
        self._base = self._tuned = None
        for session in self.sessions.values():
            session.close_engine()
        self.sessions.clear()

    def _load_encoder(self) -> nn.Module:
        path, revision = self.preparation.model_path, self.study.model.revision
        encoder = load_encoder(path, dropout=0.0, revision=revision)
        return encoder.to(self.device).eval().requires_grad_(False)
