"""Draws a recorded table from a random model in which the order of tasks matters.

    python benchmarks/random_landscape.py --out nine.csv
    python benchmarks/random_landscape.py --tasks 5 --targets 3 --out five.csv
    python benchmarks/random_landscape.py --out nine.csv --similarity similar.csv --correlation 0.6

The names are tasks of the catalogue, so that a study can be simulated on the table; the numbers are
drawn and say nothing about those tasks. The value of a sequence s for a target t at the full
budget, in points:

    level(t) + sum of main(i, t) over the tasks i of s
             + sum of precedence(i, j, t) over the pairs with i anywhere before j
             + sum of adjacency(i, j, t) over the pairs with i directly before j
             + recency(last task of s, t) - forgetting * (length of s - 1, at least 0)

Each effect is normal with a mean of 0 and an SD of its own (``main_sd`` and so on). A part of it is
common to all targets and the rest is the target's: sqrt(share) * common + sqrt(1 - share) * own.
Training on all tasks at once is worth level + ``mixture`` * (sum of the main effects). At a budget
of b of the full B steps, with f = b / B, the score is

    start(t) + (value - start(t)) * (1 - exp(-rate * f)) / (1 - exp(-rate))
             + rank_sd * (1 - f) * z1
             + seed_sd * (sqrt(carry) * z2 + sqrt(1 - carry) * z3)

with standard normal noise: z1 of sequence, target and budget, the same for every seed, so that a
low budget misjudges a sequence whatever the seed; z2 of sequence, target and seed, which stays from
budget to budget; z3 of all four. start(t) is ``climb`` points below the level. Scores are cut to 0
and 100. Budgets fall from the full one by the factor 3. Everything follows from ``seed``.

The similarity of a task to a target, if it is asked for, is normal too; ``correlation`` is the one
it is expected to have with the value of that task alone for that target.
"""

from __future__ import annotations

import argparse
import itertools
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spaces.sequences import STAGE_SEPARATOR, Stage

TASKS = ("anli", "mnli", "qqp", "squad1", "squad2", "hellaswag", "siqa", "cosmosqa",
         "commonsenseqa")  # fmt: skip
TARGETS = ("udpos", "panx", "tydiqa", "xnli", "xquad")
ETA = 3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """The parameters of the model; the module says what they mean.

    Attributes:
        tasks: Number of intermediate tasks, at most 9.
        max_length: Longest sequence.
        targets: Number of targets, at most 5.
        seeds: Recorded seeds, 0 up to this number less 1.
        seed: Seeds the draw.
        stage_steps: Steps of every stage; all tasks at once take as many for each.
        target_steps: The full budget of every target.
        num_rungs: Budgets.
        main_sd, precedence_sd, adjacency_sd, recency_sd: SDs of the effects, in points.
        forgetting: Points that every stage after the first costs.
        share: Part of the effects' variance that the targets have in common.
        mixture: What of the main effects all tasks at once come to.
        climb: Points from the start of fine-tuning to the level.
        rate: How early the learning curve saturates.
        rank_sd: SD of the misjudgement at a budget near 0, in points.
        seed_sd: SD between seeds, in points.
        carry: Part of the variance between seeds that stays from budget to budget.
    """

    tasks: int = 9
    max_length: int = 3
    targets: int = 4
    seeds: int = 3
    seed: int = 0
    stage_steps: int = 150
    target_steps: int = 60
    num_rungs: int = 3
    main_sd: float = 1.5
    precedence_sd: float = 0.8
    adjacency_sd: float = 0.8
    recency_sd: float = 1.0
    forgetting: float = 0.5
    share: float = 0.5
    mixture: float = 0.3
    climb: float = 30.0
    rate: float = 4.0
    rank_sd: float = 1.0
    seed_sd: float = 0.5
    carry: float = 0.5

    def sequences(self) -> list[tuple[int, ...]]:
        """Return every ordered subset as indices of tasks."""
        lengths = range(self.max_length + 1)
        return [s for k in lengths for s in itertools.permutations(range(self.tasks), k)]

    def values(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the values at the full budget and the targets' starts.

        Returns:
            `sequences + 1 x targets` points, all tasks at once last, and `targets` points.
        """
        n, sequences = self.tasks, self.sequences()
        presence, last = np.zeros((2, len(sequences), n))
        before, beside = np.zeros((2, len(sequences), n, n))
        for row, order in enumerate(sequences):
            presence[row, list(order)] = 1
            last[row, list(order[-1:])] = 1
            for i, j in itertools.combinations(order, 2):
                before[row, i, j] = 1
            for i, j in itertools.pairwise(order):
                beside[row, i, j] = 1
        level = rng.uniform(50, 70, self.targets)
        main = self._effect(rng, n, self.main_sd)
        value = level + presence @ main
        for features, sd in ((before, self.precedence_sd), (beside, self.adjacency_sd)):
            value += features.reshape(len(sequences), -1) @ self._effect(rng, n * n, sd)
        value += last @ self._effect(rng, n, self.recency_sd)
        value -= self.forgetting * np.maximum(presence.sum(axis=1) - 1, 0)[:, None]
        at_once = level + self.mixture * main.sum(axis=0)
        return np.vstack([value, at_once]), level - self.climb

    def similarity(self, correlation: float) -> pd.DataFrame:
        """Draw similarities in the form in which ``taskorder similarity`` writes them.

        Args:
            correlation: Expected correlation with the values of the single tasks, -1 to 1.
        """
        value, _ = self.values(np.random.default_rng(self.seed))
        alone = value[1 : self.tasks + 1] - value[0]
        worth = (alone - alone.mean()) / alone.std()
        noise = np.random.default_rng([self.seed, 1]).standard_normal(worth.shape)
        drawn = correlation * worth + math.sqrt(1 - correlation**2) * noise
        return pd.DataFrame(
            [
                ("source_target", TASKS[i], TARGETS[t], "drawn", round(float(drawn[i, t]), 4))
                for i in range(self.tasks)
                for t in range(self.targets)
            ],
            columns=["kind", "source", "target", "measure", "value"],
        )

    def _effect(self, rng: np.random.Generator, count: int, sd: float) -> Array:
        common, own = rng.standard_normal((count, 1)), rng.standard_normal((count, self.targets))
        effect: Array = sd * (math.sqrt(self.share) * common + math.sqrt(1 - self.share) * own)
        return effect

    def budgets(self) -> list[int]:
        """Return the budgets, rising."""
        steps = {math.ceil(self.target_steps / ETA**k) for k in range(self.num_rungs)}
        return sorted(steps)

    def draw(self) -> pd.DataFrame:
        """Draw the table."""
        rng = np.random.default_rng(self.seed)
        value, start = self.values(rng)
        budgets = self.budgets()
        f = np.array(budgets) / self.target_steps
        learnt = (1 - np.exp(-self.rate * f)) / (1 - np.exp(-self.rate))
        # Sequences x targets x seeds x budgets.
        shape = (*value.shape, self.seeds, len(budgets))
        score = np.broadcast_to(
            (start + (value - start) * learnt[:, None, None]).transpose(1, 2, 0)[:, :, None], shape
        ).copy()
        z1 = rng.standard_normal((*value.shape, 1, len(budgets)))
        z2 = rng.standard_normal((*value.shape, self.seeds, 1))
        z3 = rng.standard_normal(shape)
        score += self.rank_sd * (1 - f) * z1
        score += self.seed_sd * (math.sqrt(self.carry) * z2 + math.sqrt(1 - self.carry) * z3)
        names = TASKS[: self.tasks]
        texts = [STAGE_SEPARATOR.join(names[i] for i in s) for s in self.sequences()]
        steps = [self.stage_steps if text else 0 for text in texts]
        texts.append(str(Stage(names)))
        steps.append(self.stage_steps * self.tasks)
        index = pd.MultiIndex.from_product(
            [range(len(texts)), TARGETS[: self.targets], range(self.seeds), budgets],
            names=["sequence", "target", "seed", "budget_steps"],
        )
        frame = index.to_frame(index=False)
        frame["score"] = np.clip(score, 0, 100).round(4).ravel()
        frame["stage_steps"] = np.array(steps)[frame["sequence"]]
        frame["sequence"] = np.array(texts, dtype=object)[frame["sequence"]]
        return frame


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="a CSV or .parquet file")
    parser.add_argument("--similarity", type=Path, help="also write similarities to this CSV file")
    parser.add_argument("--correlation", type=float, default=0.6)
    for field in fields(Landscape):
        option = "--" + field.name.replace("_", "-")
        parser.add_argument(option, type=type(field.default), default=field.default)
    arguments = parser.parse_args()
    chosen = {field.name: getattr(arguments, field.name) for field in fields(Landscape)}
    if not (1 < arguments.tasks <= len(TASKS) and 0 < arguments.targets <= len(TARGETS)):
        parser.error(f"2 to {len(TASKS)} tasks and 1 to {len(TARGETS)} targets can be named")
    if not -1 <= arguments.correlation <= 1:
        parser.error(f"a correlation is between -1 and 1, not {arguments.correlation}")
    landscape = Landscape(**chosen)
    table = landscape.draw()
    if arguments.similarity:
        landscape.similarity(arguments.correlation).to_csv(arguments.similarity, index=False)
    if arguments.out.suffix == ".parquet":
        table.to_parquet(arguments.out, index=False)
    else:
        table.to_csv(arguments.out, index=False, lineterminator="\n")
    print(f"wrote {len(table):,} rows to {arguments.out}")


if __name__ == "__main__":
    main()
