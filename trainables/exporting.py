"""A trial as a Hugging Face folder: trained again, written, and scored as it was written.

The weights of a finished fine-tuning are not kept: a run would hold one model a trial. They can be
had again, because randomness is a function of position: the target is fine-tuned once more from the
stages in the store, and a stage that the store has dropped is trained again too.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from transformers import AutoConfig

from spaces.plan import TrialPlan
from spaces.stages import Mixture
from spaces.tasks import Task
from trainables.devices import device_precision
from trainables.engine import init_process
from trainables.evaluation import Score, evaluate, objective
from trainables.exporting_heads import (
    STANDARDS,
    StandardModel,
    check_exportable,
    standard_model,
)
from trainables.formats import FORMATS
from trainables.formats.base import HeadSettings
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.trainer import Trainer, Training

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how it scores.

    Attributes:
        architecture: Class of transformers that the folder is of.
        auto: The auto class that loads it.
        pipeline: The task of ``transformers.pipeline``; empty where there is none.
        labels: Names of the classes in head order; empty where the format has none.
        objective: The objective of the model in the folder, 0 to 100.
        scores: Its scores on every evaluation set.
        stages_trained: Stages that the store did not have any more.
        steps_trained: Steps trained for this export, all stages.
        device: ``cpu``, or the name of the GPU.
        precision: Of the training; the weights are 32-bit floats.
    """

    architecture: str
    auto: str
    pipeline: str
    labels: tuple[str, ...]
    objective: float
    scores: tuple[Score, ...]
    stages_trained: tuple[str, ...]
    steps_trained: int
    device: str
    precision: str


def export_model(config: SessionConfig, plan: TrialPlan, folder: Path, *, tell: Tell) -> Exported:
    """Train a trial's model again and write it as a Hugging Face folder.

    One process trains, whatever the run's number of workers: the effective batch is the same, but
    with dropout the draws are those of one worker.

    Args:
        config: As the trial's workers had it.
        plan: The trial; all of its budget is trained.
        folder: Where ``config.json``, ``model.safetensors`` and the tokenizer go.
        tell: Told what is being done.

    Returns:
        What was written; its scores are those of the model loaded from the folder.

    Raises:
        InputError: Transformers has no class for the target's head on this kind of model.
        TrainingError: The loss diverged.
        StoreError: A stage is damaged.
    """
    revision = config.study.model.revision
    base = AutoConfig.from_pretrained(config.model_path, revision=revision, trust_remote_code=False)
    task = config.study.catalogue()[plan.target]
    check_exportable(task.format, base.model_type)
    _join_alone()
    session = Session(config)
    trained = _train_missing(session, plan, tell)
    encoder, head = _fine_tune(session, plan, tell)
    labels = session.inputs.labels(plan.target)
    model = standard_model(task.format, base, encoder, head, labels)
    model.save_pretrained(folder)
    tokenizer = session.inputs.tokenizer
    # What the model was trained with: no other inputs, and none that are longer.
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.model_max_length = task.max_length
    tokenizer.save_pretrained(folder)
    architecture = type(model).__name__
    del model, encoder, head
    tell("scoring what was written")
    scores = _score(session, plan, folder)
    steps = {stage.sequence: stage.settings.steps for stage in plan.stages}
    return Exported(
        architecture=architecture,
        auto=STANDARDS[task.format].auto.__name__,
        pipeline=STANDARDS[task.format].pipeline,
        labels=labels,
        objective=objective(scores, task.metric),
        scores=tuple(scores),
        stages_trained=trained,
        steps_trained=plan.budgets[-1] + sum(steps[name] for name in trained),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        precision=device_precision(config.study.training.precision),
    )


def _join_alone() -> None:
    """Make this process the only worker, if it is none yet: DeepSpeed wants a process group."""
    if not dist.is_initialized():
        init_process()
        atexit.register(dist.destroy_process_group)


def _train_missing(session: Session, plan: TrialPlan, tell: Tell) -> tuple[str, ...]:
    """Train the stages that the store does not have; return their sequences."""
    trained = []
    for number, stage in enumerate(plan.stages, start=1):
        with session.store.lock(stage.fingerprint):
            if session.store.get("stages", stage.fingerprint) is not None:
                continue
            tell(f"stage {number} of {len(plan.stages)} is not in the store: training it")
            session.train_stage(stage, plan.base)
        trained.append(stage.sequence)
    return tuple(trained)


def _fine_tune(
    session: Session, plan: TrialPlan, tell: Tell
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Fine-tune the target on all of its budget; return the encoder's and the head's weights."""
    config, budget = session.config, plan.budgets[-1]
    tell(f"fine-tuning {plan.target} for {budget} steps")
    training = Training(
        plan.target, Mixture.of(plan.target), plan.target_settings, plan.parent, plan.base
    )
    trainer = Trainer(config, session.inputs, session.store, 0, 1)
    try:
        engine = trainer.build(training)
        if budget == 0:  # Nothing is trained, so there are no moments, and no head's weights.
            return engine.encoder_weights(), {}
        state = trainer.train(training, until=budget).state()
    finally:
        trainer.close()
    # By the parameters' names in a ``TaskModel``; the head's own begins with the task's.
    weights = {
        name.removeprefix("weight/"): tensor
        for name, tensor in state.items()
        if name.startswith("weight/")
    }
    encoder = {
        name.removeprefix("encoder."): tensor
        for name, tensor in weights.items()
        if name.startswith("encoder.")
    }
    head = {
        name.split(".", 2)[2]: tensor
        for name, tensor in weights.items()
        if name.startswith("heads.")
    }
    return encoder, head


def _score(session: Session, plan: TrialPlan, folder: Path) -> list[Score]:
    """Score the model that is in the folder, as the trial was scored."""
    config = session.config
    task = session.inputs.catalogue[plan.target]
    options = {"add_pooling_layer": False} if task.format == "retrieval" else {}
    model = STANDARDS[task.format].auto.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, **options
    )
    head = pooling_head(task, model.config) if task.format == "retrieval" else None
    engine: Any = StandardModel(model, task.format, head)
    return evaluate(
        engine,
        session.inputs,
        plan.target,
        config.evaluation[plan.target],
        batch_size=config.study.training.eval_batch_size,
        rank=0,
        world_size=1,
    )


def pooling_head(task: Task, config: Any) -> Any:
    """Return what pools a retrieval task's states into vectors.

    Args:
        task: The task.
        config: The model's configuration.
    """
    settings = HeadSettings(
        task=task.name,
        hidden_size=int(config.hidden_size),
        num_layers=int(config.num_hidden_layers),
        num_labels=0,
        dropout=0.0,
        options=task.options,
    )
    return FORMATS[task.format].head(settings)
