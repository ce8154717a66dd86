"""What a study would cost, counted from the study file alone."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spaces.sequences import count_stages
from spaces.study import Study

#: Above this many sequences they are counted by formula, not one by one.
_ENUMERABLE = 200_000


@dataclass(frozen=True, slots=True)
class Price:
    """The size of a study.

    Attributes:
        sequences: Sequences in the space, the empty one included.
        candidates: (sequence, target) pairs.
        stages_unshared: Stages to train them all, each from the base model.
        stages_shared: Stages to train them all, each prefix once.
        trials: Trials this study runs at most: baselines, search and confirmation.
    """

    sequences: int
    candidates: int
    stages_unshared: int
    stages_shared: int
    trials: int


def price(study: Study) -> Price:
    """Count a study's space and trials."""
    space = study.space
    targets = len(study.targets)
    if space.size <= _ENUMERABLE:
        unshared, shared = count_stages(space.enumerate())
    else:
        # Every non-empty sequence is one node of the trie and k stages when trained alone.
        shared = space.size - 1
        sizes, total, count = range(1, space.max_length + 1), 0, 1
        for length in sizes:
            count *= len(space.tasks) - length + 1
            total += count * length
        unshared = total
    baselines = (1 + len(space.tasks) + (len(space.tasks) > 1)) * targets
    confirm = study.search.confirm
    references = 2 if len(space.tasks) > 1 else 1
    trials = (
        (baselines if study.search.baselines else 0)
        + min(study.search.num_trials, space.size * targets)
        + (confirm.top + references) * confirm.seeds * targets * (confirm.top > 0)
    )
    return Price(space.size, space.size * targets, unshared * targets, shared, trials)


def render_price(study: Study, found: Price) -> RenderableType:
    """Render a price for the terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_row("sequences", f"{found.sequences:,} (ordered subsets of up to "
                  f"{study.space.max_length} of {len(study.space.tasks)} tasks)")  # fmt: skip
    table.add_row("with targets", f"{found.candidates:,} (sequence, target) pairs")
    table.add_row(
        "stages",
        f"{found.stages_shared:,} to train every sequence with shared prefixes, "
        f"{found.stages_unshared:,} without",
    )
    table.add_row("trials", f"at most {found.trials:,} in this study")
    return Group(Text(f"{study.name}: valid", style="bold"), table)
