"""Few-step probing: what the target comes to after a few steps from a source-tuned encoder.

A probe is the beginning of a trial: the same session, head, data order, schedule and evaluation,
with ``probe_steps`` for the target's budget, and the first ``probe_examples`` of each evaluation
set. A target's ``train_chain`` is left out.

Source: the direct way to ask how well a source transfers (Vu et al. 2020, arXiv:2005.00770, measure
it in full; Pruksachatkun et al. 2020, arXiv:2005.00628, likewise), at a fidelity that every search
by successive halving uses (Li et al., arXiv:1810.05934).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import fmean

import torch.distributed as dist

from spaces.sequences import Sequence
from trainables.engine import init_process
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.subjects import Subject


def probing(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the target's score after a few steps from the source-tuned encoder, 0 to 100."""
    return _mean_over_stages(bench, source, target)


def mean_probing(bench: Bench, sequence: Subject, target: Subject) -> Outcome:
    """Return the mean score of the probes of a sequence's stages, each trained alone.

    What a composed sequence has to be held against: it needs one probe a stage, not one a sequence.
    """
    return _mean_over_stages(bench, sequence, target)


def _mean_over_stages(bench: Bench, subject: Subject, target: Subject) -> Outcome:
    store = bench.store
    if store is None or not bench.has_stages(subject):
        return bench.missing_stage(subject)
    found = [
        bench.once(f"probe of {parent}", target, partial(probe, bench, parent, store.url))
        for parent in subject.checkpoints
    ]
    notes = [outcome.note for outcome in found if outcome.note]
    if notes:
        return Outcome.missing(notes[0])
    return Outcome(
        fmean(outcome.value for outcome in found), sum(outcome.num_examples for outcome in found)
    )


def probe(bench: Bench, parent: str, store_url: str, target: Subject) -> Outcome:
    """Fine-tune a target for a few steps from an encoder and score it.

    Args:
        bench: The study's.
        parent: Fingerprint of the encoder.
        store_url: The stage store that holds it.
        target: The target.
    """
    settings = bench.settings
    planner = bench.preparation.planner
    plan = planner.plan(0, Sequence(), target.name, seed=bench.study.seed)
    few = replace(plan.target_settings, steps=settings.probe_steps, seed=settings.seed)
    # Any single stage will do: a session reads no more of it than where fine-tuning starts.
    (stage,) = planner.stages(Sequence.of(bench.study.intermediate.tasks[0]), seed=0)
    plan = replace(
        plan,
        stages=(replace(stage, fingerprint=parent),),
        target_settings=few,
        budgets=(settings.probe_steps,) if target.mixture else (0,),
    )
    result = _session(bench, store_url).run_rung(plan, 0)
    if result.error:
        return Outcome.missing(result.error)
    selected = {(s.language, s.split): s.num_examples for s in result.scores if s.selected_on}
    num_trained = result.steps_trained * few.batch_size
    return Outcome(result.score, num_trained + sum(selected.values()))


def _session(bench: Bench, store_url: str) -> Session:
    """Return the bench's training session on a store, in a process group of this process alone."""
    if store_url not in bench.sessions:
        if not dist.is_initialized():
            init_process()
        training = bench.study.training
        limits = (training.max_eval_examples, bench.settings.probe_examples)
        few = training.model_copy(
            update={
                "max_eval_examples": min(limit for limit in limits if limit is not None),
                "save_predictions": False,
            }
        )
        evaluation = bench.preparation.evaluation
        bench.sessions[store_url] = Session(
            SessionConfig(
                study=bench.study.model_copy(update={"training": few}),
                model_path=bench.preparation.model_path,
                store_url=store_url,
                data_root=str(bench.data_root) if bench.data_root else None,
                evaluation={name: plan.selection for name, plan in evaluation.items()},
                cache_dir=bench.study.storage.cache,
            )
        )
    session: Session = bench.sessions[store_url]
    return session
