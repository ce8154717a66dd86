"""What a study costs in GPU-hours and on disk, before anything runs.

Compute is counted as 6 floating-point operations a parameter and token (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1: forward and backward pass), embeddings apart: they are looked up.
Hours are those of one GPU at a rate that was measured on such a task, and inputs count as though
all were as long as their task allows, so they are rough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from search.phases import planned
from spaces.plan import StagePlan, TrialPlan
from spaces.planner import Planner
from spaces.sequences import Sequence
from spaces.study import Study

#: The GPU that hours are stated for, and what it computes a second in such fine-tuning: BERT-large
#: on SQuAD at length 384, 110 sequences a second, is 6 * 302 million * 384 * 110 operations.
GPU = "NVIDIA A100"
OPERATIONS_PER_S = 77e12
OPERATIONS_PER_PARAMETER = 6
#: Bytes of a stored parameter, in single precision.
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, slots=True)
class Work:
    """What one model of a study is trained on, at most.

    Attributes:
        tokens: Tokens that are trained on, each input counted at its task's greatest length.
        stages: Checkpoints that are kept.
    """

    tokens: int
    stages: int


class Shape(Protocol):
    """The sizes of an encoder, as ``trainables.memory.ModelShape`` has them."""

    @property
    def num_parameters(self) -> int:
        """All of them, embeddings included."""

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""

    @property
    def num_layers(self) -> int:
        """Number of layers."""

    @property
    def intermediate_size(self) -> int:
        """Width of the feed-forward part."""


def work_of(study: Study, planner: Planner) -> dict[str, Work]:
    """Count what a study trains, by the label of its model.

    Baselines and arms are counted exactly, each prefix once. Every suggestion of the search and of
    the confirmation counts as though it were as long as allowed, of the longest stages, and new.

    Args:
        study: The study.
        planner: Knows the steps of each task.
    """
    by_model: dict[str, list[TrialPlan]] = {}
    for proposal in planned(study):
        label = proposal.model
        plan = planner.plan(0, proposal.sequence, proposal.target, seed=proposal.seed, model=label)
        by_model.setdefault(label, []).append(plan)
    found = {}
    for label, plans in by_model.items():
        stages = {stage.fingerprint: stage for plan in plans for stage in plan.stages}
        tokens = sum(_stage_tokens(stage, planner) for stage in stages.values())
        tokens += sum(_target_tokens(plan, planner) for plan in plans)
        found[label] = Work(tokens, len(stages))
    searched = _searched(study, planner)
    first = next(iter(found), "")
    before = found.get(first, Work(0, 0))
    found[first] = Work(before.tokens + searched.tokens, before.stages + searched.stages)
    return found


def gpu_hours(work: Work, shape: Shape) -> float:
    """Return hours of one GPU; evaluation comes on top.

    Args:
        work: What is trained on.
        shape: The encoder. Every token is multiplied with its layers' matrices.
    """
    layer = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size
    operations = OPERATIONS_PER_PARAMETER * shape.num_layers * layer * work.tokens
    return operations / OPERATIONS_PER_S / 3600


def stored_gb(work: Work, shape: Shape) -> float:
    """Return the gigabytes of all checkpoints, if none is evicted.

    Args:
        work: What is trained on.
        shape: The encoder, all of whose weights are kept.
    """
    return work.stages * shape.num_parameters * BYTES_PER_PARAMETER / 1e9


def describe_cost(
    study: Study, planner: Planner | None, shapes: Mapping[str, Shape | None]
) -> tuple[tuple[str, str], ...]:
    """Say what a study costs: labels and texts.

    Args:
        study: The study.
        planner: Knows the steps of each task; ``None`` where the data is not at hand.
        shapes: The study's models by label; ``None`` for one whose sizes are not known. The label
            of a single model does not matter.

    Returns:
        Nothing for a study without GPUs or whose steps or models are not known.
    """
    known = {label: shape for label, shape in shapes.items() if shape is not None}
    if planner is None or not study.resources.gpus_per_worker or len(known) < len(shapes):
        return ()
    work = work_of(study, planner)
    if len(known) == len(work) == 1:
        known = dict(zip(work, known.values(), strict=True))
    if set(work) - set(known):
        return ()
    hours = sum(gpu_hours(done, known[label]) for label, done in work.items())
    stored = sum(stored_gb(done, known[label]) for label, done in work.items())
    most = "at most " if study.search.num_trials > 0 else ""
    kept = study.storage.max_size_gb
    limit = f", of which storage.max_size_gb keeps {kept:,.0f}" if kept else ""
    time = (
        f"{most}about {round_to_two(hours):,} hours of one {GPU} at "
        f"{OPERATIONS_PER_S / 1e12:.0f} TFLOP/s, inputs at their longest; evaluation on top"
    )
    disk = f"{most}about {round_to_two(stored):,} GB of checkpoints{limit}"
    return ("GPU time", time), ("disk", disk)


def round_to_two(value: float) -> int | float:
    """Round to two digits, for figures that are not known better.

    >>> round_to_two(12345.0), round_to_two(0.123)
    (12000, 0.12)
    """
    rounded = float(f"{value:.2g}")
    return int(rounded) if rounded >= 1 else rounded


def _searched(study: Study, planner: Planner) -> Work:
    """Count the search and its confirmation at their most."""
    search, confirm = study.search, study.search.confirm
    num_suggested = min(search.num_trials, study.space.size * len(study.targets))
    num_confirmed = confirm.top * confirm.seeds * len(study.targets)
    if not num_suggested:
        return Work(0, 0)
    alone = [
        _stage_tokens(planner.stages(Sequence.of(task), seed=study.seed)[0], planner)
        for task in study.space.tasks
    ]
    longest = sum(sorted(alone)[len(alone) - study.space.max_length :])
    targets = [
        _target_tokens(planner.plan(0, Sequence(), target.name, seed=study.seed), planner)
        for target in study.targets
    ]
    num = num_suggested + num_confirmed
    references = 2 * confirm.seeds * sum(targets) if confirm.top else 0
    everything = confirm.seeds * sum(alone) if confirm.top else 0
    tokens = num * (longest + max(targets)) + references + everything
    return Work(tokens, num * study.space.max_length + (confirm.seeds if confirm.top else 0))


def _stage_tokens(stage: StagePlan, planner: Planner) -> int:
    streams = stage.mixture.all_streams
    sizes = [max(1, planner.data[str(stream)].num_examples) for stream in streams]
    lengths = [planner.tasks[stream.task].max_length for stream in streams]
    shares = stage.mixture.shares(sizes)
    length = sum(share * length for share, length in zip(shares, lengths, strict=True))
    return round(stage.settings.steps * stage.settings.batch_size * length)


def _target_tokens(plan: TrialPlan, planner: Planner) -> int:
    settings = plan.target_settings
    return plan.budgets[-1] * settings.batch_size * planner.tasks[plan.target].max_length
