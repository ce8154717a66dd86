"""What is compared: a study's stages and targets, with what identifies their content. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from spaces.errors import InputError, UnknownNameError
from spaces.fingerprints import fingerprint
from spaces.sequences import Sequence, Stage
from spaces.stage_names import resolve_stage
from spaces.stages import Mixture, Stream
from spaces.study import Study
from trainables.data import data_fingerprint
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet
from trainables.preparation import Preparation, stream_languages
from trainables.similarity.measures import Kind


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison.

    Attributes:
        name: Of the stage or target.
        role: Which side it is; a sequence is one of several sources, in order.
        mixture: What it trains on; ``None`` for a target without training, whose evaluation texts
            stand in wherever only texts are compared, and for a sequence.
        languages: Of a source, those it trains in; of a target, those it is selected on.
        selection: Of a target, the sets it is selected on.
        identity: Fingerprint of tasks, data and limits.
        checkpoints: Fingerprints of the depth-1 stages: one of a source; of a sequence one for each
            of its sources, sorted, since what is composed of them knows no order; none of a target.
    """

    name: str
    role: Literal["source", "target", "sequence"]
    mixture: Mixture | None
    languages: tuple[str, ...]
    selection: tuple[EvaluationSet, ...]
    identity: str
    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """What one value is about."""

    kind: Kind
    source: Subject
    target: Subject


@dataclass(frozen=True)
class Subjects:
    """A study's sources and targets.

    Args:
        study: The study.
        preparation: What a run of it is launched with.
        data_root: Folder of the official files.
        texts: Text forms of the sequences to compare with targets.

    Raises:
        UnknownNameError: A sequence has a stage that is none of the study's.
        InputError: A sequence that repeats a stage or has none.
    """

    study: Study
    preparation: Preparation
    data_root: Path | None
    texts: tuple[str, ...] = ()
    sources: tuple[Subject, ...] = field(init=False)
    targets: tuple[Subject, ...] = field(init=False)
    sequences: tuple[Subject, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = self.study.intermediate.tasks
        object.__setattr__(self, "sources", tuple(self._source(name) for name in names))
        targets = tuple(self._target(target.name) for target in self.study.targets)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "sequences", tuple(self._sequence(text) for text in self.texts))

    def pairs(self, kind: Kind) -> tuple[Pair, ...]:
        """Return what is compared: sources or sequences with targets, or sources with others."""
        firsts = self.sequences if kind == "sequence_target" else self.sources
        seconds = self.sources if kind == "source_source" else self.targets
        return tuple(
            Pair(kind, first, second) for first in firsts for second in seconds if first != second
        )

    def evaluation_identity(self, target: Subject) -> str:
        """Return the fingerprint of the sets a target is selected on."""
        catalogue = self.study.catalogue()
        return fingerprint(
            [
                [
                    chosen.split,
                    chosen.language,
                    data_fingerprint(
                        catalogue[target.name],
                        chosen.split,
                        chosen.language,
                        data_root=self.data_root,
                        catalogue=catalogue,
                    ),
                ]
                for chosen in target.selection
            ]
        )

    def _source(self, name: str) -> Subject:
        catalogue = self.study.catalogue()
        mixture, _ = resolve_stage(self.study.intermediate, catalogue, Stage((name,)))
        planner = self.preparation.planner
        (stage,) = planner.stages(Sequence.of(name), seed=self.study.seed)
        languages = [c for s in mixture.all_streams for c in stream_languages(s, catalogue)]
        return Subject(
            name=name,
            role="source",
            mixture=mixture,
            languages=tuple(dict.fromkeys(languages)),
            selection=(),
            identity=self._identity(mixture),
            checkpoints=(stage.fingerprint,),
        )

    def _sequence(self, text: str) -> Subject:
        by_name = {source.name: source for source in self.sources}
        names = Sequence.parse(text).names
        for name in names:
            if name not in by_name:
                raise UnknownNameError("stage of the study", name, by_name, f"sequence {text!r}")
        if not names:
            raise InputError("a sequence to be composed needs a stage; the empty one has none.")
        parts = [by_name[name] for name in names]
        return Subject(
            name=text,
            role="sequence",
            mixture=None,
            languages=tuple(dict.fromkeys(code for part in parts for code in part.languages)),
            selection=(),
            identity=fingerprint(sorted(part.identity for part in parts)),
            checkpoints=tuple(sorted(fp for part in parts for fp in part.checkpoints)),
        )

    def _target(self, name: str) -> Subject:
        task = self.study.catalogue()[name]
        evaluation: Mapping[str, EvaluationPlan] = self.preparation.evaluation
        selection = evaluation[name].select
        mixture = Mixture.of(name) if task.trains else None
        subject = Subject(
            name=name,
            role="target",
            mixture=mixture,
            languages=tuple(dict.fromkeys(chosen.language for chosen in selection)),
            selection=selection,
            identity="",
        )
        identity = (
            self._identity(mixture)
            if mixture
            else fingerprint([task.identity, self.evaluation_identity(subject)])
        )
        return replace(subject, identity=identity)

    def _identity(self, mixture: Mixture) -> str:
        def identity(stream: Stream) -> list[object]:
            task = self.preparation.planner.tasks[stream.task]
            data = self.preparation.planner.data[str(stream)]
            return [task.identity, data.fingerprint, list(stream.languages), stream.max_examples]

        return fingerprint(
            {
                **asdict(mixture),
                "streams": [identity(stream) for stream in mixture.streams],
                "mlm": [identity(stream) for stream in mixture.mlm],
                "max_train_examples": self.study.training.max_train_examples,
            }
        )
