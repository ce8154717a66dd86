"""What is compared: a study's stages and targets, with what identifies their content. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

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
        role: Which of the two.
        mixture: What it trains on; ``None`` for a target without training, whose evaluation texts
            stand in wherever only texts are compared.
        languages: Of a source, those it trains in; of a target, those it is selected on.
        selection: Of a target, the sets it is selected on.
        identity: Fingerprint of tasks, data and limits.
        checkpoint: Of a source, the fingerprint of its depth-1 stage; else empty.
    """

    name: str
    role: Literal["source", "target"]
    mixture: Mixture | None
    languages: tuple[str, ...]
    selection: tuple[EvaluationSet, ...]
    identity: str
    checkpoint: str = ""


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
    """

    study: Study
    preparation: Preparation
    data_root: Path | None
    sources: tuple[Subject, ...] = field(init=False)
    targets: tuple[Subject, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = self.study.intermediate.tasks
        object.__setattr__(self, "sources", tuple(self._source(name) for name in names))
        targets = tuple(self._target(target.name) for target in self.study.targets)
        object.__setattr__(self, "targets", targets)

    def pairs(self, kind: Kind) -> tuple[Pair, ...]:
        """Return what is compared: every source with every target, or with every other source."""
        others = self.targets if kind == "source_target" else self.sources
        return tuple(
            Pair(kind, source, other)
            for source in self.sources
            for other in others
            if kind == "source_target" or source.name != other.name
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
            checkpoint=stage.fingerprint,
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
