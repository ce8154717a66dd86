"""Plans whose costs are a recorded table's: what ``Planner`` is to real data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spaces.errors import InputError
from spaces.fingerprints import fingerprint
from spaces.hyperparameters import Distribution
from spaces.plan import StagePlan, TrainSettings, TrialPlan
from spaces.planner import Planner
from spaces.sequences import STAGE_SEPARATOR, Sequence, Stage
from spaces.study import Study
from trainables.tabular.table import Key, RecordedTable


@dataclass(frozen=True)
class TabularPlanner(Planner):
    """Plans trials with the steps and budgets of a recorded table.

    A target's full budget is the largest recorded one; the lower ones follow from the study's ASHA
    section and have to be recorded. A target's ``train_chain`` is part of its score and costs
    nothing here: a table holds the costs of the sequence's own stages alone.

    Attributes:
        table: The table.
        shares_prefixes: Whether sequences share the stages of a common prefix. If not, a sequence
            trains all its stages itself, as without a stage store: once for all targets under the
            objective ``average``, else once for each.
    """

    table: RecordedTable = field(kw_only=True)
    shares_prefixes: bool = field(kw_only=True, default=True)

    @classmethod
    def of(
        cls, study: Study, table: RecordedTable, *, shares_prefixes: bool = True
    ) -> TabularPlanner:
        """Make a planner for a study that the table can answer.

        Raises:
            InputError: The study samples hyperparameters.
            DataError: The table lacks rows that the study may ask for.
        """
        sampled = [n for n, v in study.hyperparameters.items() if isinstance(v, Distribution)]
        if sampled:
            raise InputError(
                f"hyperparameters.{sampled[0]}: a recorded table holds one setting of the "
                "hyperparameters, so none can be searched. Take it out, or give it one value."
            )
        planner = cls(
            study, study.catalogue(), {}, "", table=table, shares_prefixes=shares_prefixes
        )
        table.require(planner.needed())
        return planner

    def needed(self) -> Iterator[Key]:
        """Yield the keys of all rows that the study may ask for."""
        study, search = self.study, self.study.search
        confirm = search.confirm
        tasks, length = study.space.tasks, study.space.max_length
        seeds = [study.seed]
        if confirm.top:
            seeds += [study.seed + 1 + k for k in range(confirm.seeds)]
        recorded = dict.fromkeys(self.recorded_seed(seed) for seed in seeds)
        budgets = {t.name: self._budgets(t.name) for t in study.targets}
        # The single tasks are baselines even where every sequence of the space is empty.
        longest = max(length, 1) if search.baselines else length
        texts = itertools.chain.from_iterable(
            map(STAGE_SEPARATOR.join, itertools.permutations(tasks, k)) for k in range(longest + 1)
        )
        if (search.baselines or confirm.top) and len(tasks) > 1:
            texts = itertools.chain(texts, (str(Stage(tasks)),))
        for text in texts:
            for (target, at), seed in itertools.product(budgets.items(), recorded):
                for budget in at:
                    yield text, target, seed, budget

    def recorded_seed(self, seed: int) -> int:
        """Return the recorded seed that answers for a trial's seed.

        With n recorded seeds, the study's own seed s is answered by number s mod n. The fresh seeds
        of the confirmation, s + 1, s + 2..., are answered by the other n - 1 in turn, so a fresh
        seed is never the one the search selected on; from the n-th on they repeat. With a single
        recorded seed, that one answers for all.
        """
        seeds, own = self.table.seeds, self.study.seed
        if seed == own or len(seeds) == 1:
            return seeds[own % len(seeds)]
        return seeds[(own + 1 + (seed - own - 1) % (len(seeds) - 1)) % len(seeds)]

    def plan(
        self,
        trial_id: int,
        sequence: Sequence,
        target: str,
        *,
        seed: int,
        hyperparameters: dict[str, Any] | None = None,
        model: str = "",
    ) -> TrialPlan:
        """Resolve one trial; fixed hyperparameters are those of the record."""
        owner = ""
        if not self.shares_prefixes:
            owner = str(sequence)
            if self.study.objective == "per_target":
                owner = f"{target}: {owner}"
        stages = tuple(self._stages(sequence, seed, owner))
        budgets = self._budgets(target)
        parent = stages[-1].fingerprint if stages else self.base
        return TrialPlan(
            trial_id=trial_id,
            sequence=str(sequence),
            target=target,
            seed=seed,
            base=self.base,
            stages=stages,
            target_fingerprint=fingerprint({"target": target, "parent": parent, "seed": seed}),
            target_settings=self._nominal(budgets[-1], seed),
            budgets=budgets,
            model=model,
        )

    def stages(
        self, sequence: Sequence, *, seed: int, hyperparameters: dict[str, Any] | None = None
    ) -> tuple[StagePlan, ...]:
        """Resolve the stages of a sequence, shared with every other that has the same prefix."""
        return tuple(self._stages(sequence, seed, ""))

    def _stages(self, sequence: Sequence, seed: int, owner: str) -> Iterator[StagePlan]:
        parent = self.base
        for prefix in sequence.prefixes():
            text = str(prefix)
            key = (text, seed, owner)
            if key not in self._stage_plans:
                mixture, _ = self._resolve(prefix.stages[-1])
                identity = fingerprint({"prefix": text, "seed": seed, "owner": owner})
                settings = self._nominal(self.table.steps(text), seed)
                self._stage_plans[key] = StagePlan(identity, parent, text, mixture, settings)
            yield self._stage_plans[key]
            parent = self._stage_plans[key].fingerprint

    def _budgets(self, target: str) -> tuple[int, ...]:
        full = self.table.budgets(target)[-1]
        return self.budgets(full) if full else (0,)

    def _nominal(self, steps: int, seed: int) -> TrainSettings:
        """Return settings of which only the steps mean something: nothing is trained with them."""
        training = self.study.training
        return TrainSettings(
            steps=steps,
            batch_size=training.batch_size,
            learning_rate=training.learning_rate or 0.0,
            warmup_fraction=training.warmup_fraction,
            schedule=training.schedule,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            dropout=training.dropout,
            seed=seed,
        )
