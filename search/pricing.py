"""What a study would cost, counted before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.phases import planned
from search.trials import Proposal
from spaces.arms import arm_seeds, arm_sequences
from spaces.model_axis import model_labels
from spaces.plan import TrialPlan
from spaces.planner import Planner
from spaces.sequences import Sequence, Stage
from spaces.study import Study


@dataclass(frozen=True, slots=True)
class Steps:
    """Optimizer steps.

    Attributes:
        shared: To train every (sequence, target), each prefix once.
        unshared: The same, each sequence from the base model for each target.
        at_most: What this study can come to: its baselines, arms, search and confirmation, nothing
            pruned and every suggestion as long and as new as possible.
        arms: What the arms come to, and the further models' baselines: each prefix once, less what
            the first model's baselines train; not an upper bound.
    """

    shared: int
    unshared: int
    at_most: int
    arms: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """The size of a study.

    Attributes:
        sequences: Sequences in the space, the empty one included.
        candidates: (sequence, target) pairs.
        stages_shared: Stages to train every sequence, each prefix once for all targets.
        stages_unshared: The same, each sequence from the base model for each target.
        trials: Trials this study runs at most: baselines, arms, search and confirmation.
        steps: What that is in steps; ``None`` if a training set's size is not known.
        arm_trials: Those of the arms that are no baselines of the first model, and the further
            models' baselines.
    """

    sequences: int
    candidates: int
    stages_shared: int
    stages_unshared: int
    trials: int
    steps: Steps | None
    arm_trials: int = 0


def price(study: Study, planner: Planner | None) -> Price:
    """Count a study's space, trials and steps.

    By symmetry every task ends equally many sequences of a length, so nothing is enumerated.

    Args:
        study: The study.
        planner: Knows the steps of each task; ``None`` where the data is not at hand.

    >>> from spaces.study import load_study
    >>> found = price(load_study("mini"), None)
    >>> found.sequences, found.stages_shared, found.stages_unshared
    (86, 85, 675)
    """
    space, targets = study.space, len(study.targets)
    n = len(space.tasks)
    lengths = range(1, space.max_length + 1)
    # Sequences of length k that end with a given task, and that hold it at all.
    ending = sum(math.perm(n - 1, k - 1) for k in lengths)
    holding = sum(k * math.perm(n - 1, k - 1) for k in lengths)
    confirm = study.search.confirm
    references = 2 if n > 1 else 1
    baselines = (n + references) * targets if study.search.baselines else 0
    search = min(study.search.num_trials, space.size * targets)
    confirmations = (confirm.top + references) * confirm.seeds * targets if confirm.top else 0
    of_arms = _beside(study)
    steps = None
    if planner is not None:
        of_task = [_stage_steps(planner, (task,)) for task in space.tasks]
        of_all = _stage_steps(planner, space.tasks) if n > 1 else 0
        # A target's chain is counted as if nothing of it were shared or already in the sequence.
        of_targets = [_target_steps(planner, target.name) for target in study.targets]
        fine_tuning = space.size * sum(of_targets)
        per_trial = max(of_targets)
        arms = _arm_steps(study, planner)
        longest = sum(sorted(of_task)[n - space.max_length :])
        shared = ending * sum(of_task)
        own_seed = min(
            shared + (of_all if baselines else 0),
            (sum(of_task) + of_all if baselines else 0) + search * longest,
        )
        fresh_seeds = confirm.seeds * (of_all + confirm.top * targets * longest)
        steps = Steps(
            shared=shared + fine_tuning,
            unshared=targets * holding * sum(of_task) + fine_tuning,
            at_most=own_seed
            + (fresh_seeds if confirm.top else 0)
            + (baselines + search + confirmations) * per_trial
            + arms,
            arms=arms,
        )
    return Price(
        sequences=space.size,
        candidates=space.size * targets,
        stages_shared=n * ending,
        stages_unshared=targets * n * holding,
        trials=baselines + search + confirmations + len(of_arms),
        steps=steps,
        arm_trials=len(of_arms),
    )


def _beside(study: Study) -> list[Proposal]:
    """Return what is run before the search, less the first model's baselines."""
    model = model_labels(study)[0]
    return [p for p in planned(study) if p.phase == "arm" or p.model != model]


def _plan(planner: Planner, proposal: Proposal) -> TrialPlan:
    return planner.plan(
        0, proposal.sequence, proposal.target, seed=proposal.seed, model=proposal.model
    )


def _arm_steps(study: Study, planner: Planner) -> int:
    """Count what is run beside the baselines: each stage once, and every fine-tuning."""
    beside = {proposal.key: proposal for proposal in _beside(study)}
    of_arms = [_plan(planner, proposal) for proposal in beside.values()]
    baselines = [_plan(planner, p) for p in planned(study) if p.key not in beside]
    had = {stage.fingerprint for plan in baselines for stage in plan.stages}
    stages = {s.fingerprint: s.settings.steps for plan in of_arms for s in plan.stages}
    fine_tuning = sum(plan.budgets[-1] for plan in of_arms)
    return fine_tuning + sum(steps for key, steps in stages.items() if key not in had)


def _stage_steps(planner: Planner, tasks: tuple[str, ...]) -> int:
    sequence = Sequence((Stage(tasks),))
    return planner.stages(sequence, seed=planner.study.seed)[0].settings.steps


def _target_steps(planner: Planner, target: str) -> int:
    plan = planner.plan(0, Sequence(), target, seed=planner.study.seed)
    return plan.budgets[-1] + sum(stage.settings.steps for stage in plan.stages)


def render_price(
    study: Study,
    found: Price,
    notes: tuple[str, ...] = (),
    training: tuple[tuple[str, str], ...] = (),
) -> RenderableType:
    """Render a price for the terminal.

    Args:
        study: The study.
        found: Its price.
        notes: What would keep it from being launched here.
        training: What its training takes, labels and texts.
    """
    tasks, length = len(study.space.tasks), study.space.max_length
    table = Table.grid(padding=(0, 2))
    searches = study.search.num_trials > 0 or study.search.baselines
    if searches:
        table.add_row(
            "sequences",
            f"{found.sequences:,}: ordered subsets of up to {length} of {tasks} tasks; "
            f"{found.candidates:,} with targets",
        )
        table.add_row(
            "stages",
            f"{found.stages_shared:,} to train them all with shared prefixes, "
            f"{found.stages_unshared:,} without",
        )
    if searches and found.steps is not None:
        table.add_row(
            "steps",
            f"{found.steps.shared:,} to train them all with shared prefixes, "
            f"{found.steps.unshared:,} without (fine-tuning on the targets included)",
        )
    if study.models:
        labels = model_labels(study)
        searched = f"; the search is on {labels[0]}" if study.search.num_trials else ""
        table.add_row("models", ", ".join(labels) + searched)
    if study.arms:
        table.add_row("arms", _describe_arms(study))
    if found.steps is None:
        table.add_row("steps", "known once the training data is at hand")
        most = "at most " if searches else ""
        table.add_row("this study", f"{most}{found.trials:,} trials")
    elif searches:
        table.add_row(
            "this study",
            f"at most {found.trials:,} trials and {found.steps.at_most:,} steps; pruning and "
            "shared prefixes make it less",
        )
    else:
        table.add_row("this study", f"{found.trials:,} trials and {found.steps.at_most:,} steps")
    if searches and found.arm_trials:
        steps = f" and {found.steps.arms:,} steps" if found.steps else ""
        table.add_row("of these", f"{found.arm_trials:,} trials{steps} for {_purpose(study)}")
    for label, text in training:
        table.add_row(Text(label), Text(text))
    for note in notes:
        table.add_row("note", Text(note))
    return Group(Text(f"{study.name}: valid", style="bold"), table)


def _describe_arms(study: Study) -> str:
    num_sequences, num_seeds = len(list(arm_sequences(study))), len(arm_seeds(study))
    return f"{len(study.arms)}, with {num_sequences} sequences in all, on {num_seeds} seeds"


def _purpose(study: Study) -> str:
    purposes = ["the arms"] if study.arms else []
    if study.search.baselines and len(model_labels(study)) > 1:
        purposes.append("the baselines of further models")
    return " and ".join(purposes)
