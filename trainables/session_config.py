"""What every worker of a run needs to know. No torch: the driver makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spaces.study import Study
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet
from trainables.preparation import PreparedModel


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What every worker of a study needs to know; JSON-able through ``to_json``.

    Attributes:
        study: The study.
        model_path: Hugging Face folder or hub id of the base model.
        store_url: The stage store.
        data_root: Folder of the official files.
        evaluation: What each target is scored on.
        run_id: Identity of the run; noted in the stages it trains.
        cache_dir: Folder of the tokenised training sets; each machine's default one for ``None``.
        predictions_dir: Where predictions on test sets are written, a folder a trial; ``None`` for
            not at all.
        others: The configurations of the study's further models, by label.
    """

    study: Study
    model_path: str
    store_url: str
    data_root: str | None
    evaluation: dict[str, EvaluationPlan]
    run_id: str = ""
    cache_dir: str | None = None
    predictions_dir: str | None = None
    others: Mapping[str, SessionConfig] = field(default_factory=dict)

    @classmethod
    def of_models(cls, models: Mapping[str, PreparedModel], **shared: Any) -> SessionConfig:
        """Return the configuration of a study's first model, and with it those of the others.

        Args:
            models: The models by label.
            shared: The fields that are the same for all of them and not in the study.
        """

        def of(model: PreparedModel) -> SessionConfig:
            cache = model.study.storage.cache_dir
            cache_dir = str(cache) if cache else None
            return cls(model.study, model.path, cache_dir=cache_dir, **shared)

        first, *others = ((label, of(model)) for label, model in models.items())
        return replace(first[1], others=dict(others))

    def of_model(self, label: str) -> SessionConfig:
        """Return the configuration of a model: this one, unless the label is another's."""
        return self.others.get(label, self)

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON-able data."""
        return {
            "study": self.study.model_dump(mode="json"),
            "model_path": self.model_path,
            "store_url": self.store_url,
            "data_root": self.data_root,
            "evaluation": {name: asdict(plan) for name, plan in self.evaluation.items()},
            "run_id": self.run_id,
            "cache_dir": self.cache_dir,
            "predictions_dir": self.predictions_dir,
            "others": {label: other.to_json() for label, other in self.others.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SessionConfig:
        """Rebuild a configuration from ``to_json``'s data."""
        evaluation = {
            name: EvaluationPlan(
                **{part: tuple(EvaluationSet(**s) for s in sets) for part, sets in plan.items()}
            )
            for name, plan in data["evaluation"].items()
        }
        return cls(
            study=Study.model_validate(data["study"]),
            model_path=data["model_path"],
            store_url=data["store_url"],
            data_root=data["data_root"],
            evaluation=evaluation,
            run_id=data["run_id"],
            cache_dir=data["cache_dir"],
            predictions_dir=data["predictions_dir"],
            others={label: cls.from_json(other) for label, other in data["others"].items()},
        )
