"""What is run beside the search: references and arms before it, confirmation on fresh seeds after.

Pure functions of the study and the trials.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Items
from dataclasses import replace
from typing import Any

from search.trials import Proposal, TrialRecord
from spaces.arms import arm_models, arm_seeds, arm_sequences
from spaces.model_axis import model_labels
from spaces.sequences import Sequence, Stage
from spaces.study import Study


def references(study: Study) -> list[Sequence]:
    """Return what every result stands beside: no intermediate task, and all tasks at once."""
    tasks = study.intermediate.tasks
    return [Sequence(), Sequence((Stage(tasks),))] if len(tasks) > 1 else [Sequence()]


def baselines(study: Study) -> Iterator[Proposal]:
    """Yield every model's baselines: no intermediate task, each single one, all at once."""
    nothing, *all_at_once = references(study)
    singles = [Sequence.of(task) for task in study.intermediate.tasks]
    _, *others = model_labels(study)
    for sequence in (nothing, *singles, *all_at_once):
        yield from together(study, sequence, "baseline", f"baseline {sequence}")
    for model, sequence in itertools.product(others, (nothing, *singles, *all_at_once)):
        for proposal in together(study, sequence, "baseline", ""):
            yield replace(proposal, group="", model=model)


def planned(study: Study) -> list[Proposal]:
    """Return what is run before the search: the baselines, then the arms, each trial once.

    A baseline that an arm holds, under a seed of the arms, is in that arm.
    """
    found: dict[tuple[Any, ...], Proposal] = {}
    if study.search.baselines:
        found = {proposal.key: proposal for proposal in baselines(study)}
    for proposal in arms(study):
        before = found.get(proposal.key)
        found[proposal.key] = replace(before, arm=proposal.arm) if before else proposal
    return list(found.values())


def arms(study: Study) -> Iterator[Proposal]:
    """Yield the arms' trials: every sequence on every target, under every seed of the arms.

    The order is by seed, so that an interrupted run has complete seeds.
    """
    models = {arm: arm_models(study, arm) for arm in study.arms}
    for seed, model in itertools.product(arm_seeds(study), model_labels(study)):
        for arm, sequence in arm_sequences(study):
            for target in study.targets if model in models[arm] else ():
                yield Proposal(sequence, target.name, seed, "arm", arm=arm, model=model)


def together(
    study: Study,
    sequence: Sequence,
    phase: str,
    group: str,
    hyperparameters: Mapping[str, Any] | None = None,
) -> list[Proposal]:
    """Return a sequence's trials on every target; one group if the average is the objective.

    They are trials of the first model, the one that is searched with.
    """
    return [
        Proposal(
            sequence,
            target.name,
            study.seed,
            phase,
            group if study.objective == "average" else "",
            dict(hyperparameters or {}),
            model=model_labels(study)[0],
        )
        for target in study.targets
    ]


def confirmations(study: Study, records: Items[TrialRecord]) -> list[Proposal]:
    """Return the confirmation's trials: the finalists and the references on fresh seeds.

    The order is by seed, so that an interrupted confirmation has complete seeds.
    """
    confirm = study.search.confirm
    if confirm.top == 0:
        return []
    finalists = {target.name: _finalists(study, records, target.name) for target in study.targets}
    model = model_labels(study)[0]
    # Finalists may be sequences of an arm: only seeds behind the arms' are fresh.
    last = max(study.seed, *arm_seeds(study)) if study.arms else study.seed
    seeds = [last + 1 + k for k in range(confirm.seeds)]
    return [
        Proposal(sequence, target, seed, "confirm", "", values, model=model)
        for seed, target in itertools.product(seeds, finalists)
        for sequence, values in finalists[target]
    ]


def _finalists(
    study: Study, records: Items[TrialRecord], target: str
) -> list[tuple[Sequence, dict[str, Any]]]:
    """Return the references, then a target's best sequences, each with its hyperparameters."""
    is_average, model = study.objective == "average", model_labels(study)[0]
    candidates: dict[tuple[Any, ...], list[TrialRecord]] = defaultdict(list)
    for record in records:
        proposal = record.proposal
        if (
            record.status == "complete"
            and proposal.phase != "confirm"
            and proposal.seed == study.seed
            and proposal.model == model
            and (is_average or proposal.target == target)
        ):
            key = (str(proposal.sequence), tuple(sorted(proposal.hyperparameters.items())))
            candidates[key].append(record)
    num_needed = len(study.targets) if is_average else 1
    ranked = sorted(
        (found for found in candidates.values() if len(found) >= num_needed),
        key=lambda found: (-sum(r.score for r in found) / len(found), found[0].number),
    )
    fixed = references(study)
    best = [found[0].proposal for found in ranked if found[0].proposal.sequence not in fixed]
    return [
        *((sequence, {}) for sequence in fixed),
        *((p.sequence, dict(p.hyperparameters)) for p in best[: study.search.confirm.top]),
    ]
