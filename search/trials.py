"""What the search knows of a trial: proposals, reports and records. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from spaces.plan import TrialPlan
from spaces.planner import Planner
from spaces.reports import StageReport
from spaces.sequences import Sequence

#: States a trial ends in.
FINAL = ("complete", "pruned", "failed")


@dataclass(frozen=True)
class Proposal:
    """What a trial is to be.

    Attributes:
        sequence: Its sequence.
        target: Its target.
        seed: Seed of stages and fine-tuning.
        phase: ``baseline``, ``arm``, ``search`` or ``confirm``.
        group: Trials of one group are compared together (objective ``average``); a trial alone
            has the empty group.
        hyperparameters: Values by scoped name.
        arm: Arm of the study that it is in, whatever its phase; empty for none.
        model: Label of its model in the study.
        bracket: Its rungs below this one prune nothing.
    """

    sequence: Sequence
    target: str
    seed: int
    phase: str
    group: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    arm: str = ""
    model: str = ""
    bracket: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two proposals the same trial."""
        return (
            str(self.sequence),
            self.target,
            self.seed,
            tuple(sorted(self.hyperparameters.items())),
            self.model,
        )

    def attributes(self) -> dict[str, Any]:
        """Return the proposal as attributes of an Optuna trial."""
        return {
            "seed": self.seed,
            "phase": self.phase,
            "group": self.group,
            "hyperparameters": dict(self.hyperparameters),
            "arm": self.arm,
            "model": self.model,
            "bracket": self.bracket,
            "target": self.target,
            # Last: its presence says that the others are there.
            "sequence": str(self.sequence),
        }

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], model: str = "") -> Proposal:
        """Rebuild a proposal from ``attributes``; ``model`` is that of one which tells none."""
        return cls(
            Sequence.parse(attributes["sequence"]),
            attributes["target"],
            attributes["seed"],
            attributes["phase"],
            attributes["group"],
            attributes["hyperparameters"],
            attributes.get("arm", ""),
            attributes.get("model", model),
            attributes.get("bracket", 0),
        )


@dataclass(frozen=True)
class RungReport:
    """What a trial came to at a rung.

    Attributes:
        rung: Index of the rung.
        budget_steps: Fine-tuning steps so far.
        score: The objective; NaN if training diverged.
        scores: Rows of the ``scores`` table, less trial and rung.
        steps_trained: Steps since the rung before.
        wall_s: Seconds of training and evaluation.
        arrival: Position in the run's order of arrivals.
        reported_at: When it arrived.
        error: What happened if training diverged; else empty.
    """

    rung: int
    budget_steps: int
    score: float
    scores: tuple[Mapping[str, Any], ...]
    steps_trained: int
    wall_s: float
    arrival: int
    reported_at: datetime
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data; JSON has no NaN, so it becomes ``None``."""
        score = None if self.score != self.score else self.score
        return {
            **asdict(self),
            "score": score,
            "reported_at": self.reported_at.isoformat(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RungReport:
        """Rebuild a report from ``to_json``'s data."""
        return cls(
            **{
                **data,
                "score": float("nan") if data["score"] is None else data["score"],
                "scores": tuple(data["scores"]),
                "reported_at": datetime.fromisoformat(data["reported_at"]),
            }
        )


@dataclass
class TrialRecord:
    """One trial and all that has happened to it.

    Attributes:
        number: Number in the Optuna study.
        proposal: What it is.
        status: ``waiting``, ``running``, ``paused`` or a final state.
        stages: The stages it has, in order.
        rungs: Its reports, in order.
        rebuilt: Stages it trained again because the store had lost them.
        decisions: Rung to ``promote``, ``pause``, ``stop`` or ``complete``.
    """

    number: int
    proposal: Proposal
    status: str = "waiting"
    stages: list[StageReport] = field(default_factory=list)
    rungs: list[RungReport] = field(default_factory=list)
    rebuilt: list[StageReport] = field(default_factory=list)
    decisions: dict[int, str] = field(default_factory=dict)
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def plan(self, planner: Planner) -> TrialPlan:
        """Return its proposal resolved to a plan."""
        proposal = self.proposal
        return planner.plan(
            self.number,
            proposal.sequence,
            proposal.target,
            seed=proposal.seed,
            hyperparameters=dict(proposal.hyperparameters),
            model=proposal.model,
        )

    @property
    def state(self) -> str:
        """The status as tables and views say it: a paused trial waits."""
        return "waiting" if self.status == "paused" else self.status

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in FINAL

    @property
    def score(self) -> float:
        """The objective at its last rung; NaN before the first."""
        return self.rungs[-1].score if self.rungs else float("nan")

    @property
    def why_nan(self) -> str:
        """Why its last score is NaN."""
        last = self.rungs[-1]
        return f"rung {last.rung}: {last.error or 'the score is NaN'}"

    @property
    def entity(self) -> str:
        """What it competes as."""
        return self.proposal.group or str(self.number)

    @property
    def steps_trained(self) -> int:
        """Steps this trial trained itself, stages and target."""
        own = sum(stage.steps for stage in self._trained)
        return own + sum(rung.steps_trained for rung in self.rungs)

    @property
    def steps_reused(self) -> int:
        """Steps the stage store spared it."""
        return sum(stage.steps for stage in self.stages if stage.reused)

    @property
    def wall_s(self) -> float:
        """Seconds of training and evaluation."""
        own = sum(stage.wall_s for stage in self._trained)
        return own + sum(rung.wall_s for rung in self.rungs)

    @property
    def _trained(self) -> list[StageReport]:
        """What it trained itself."""
        return [*(stage for stage in self.stages if not stage.reused), *self.rebuilt]
