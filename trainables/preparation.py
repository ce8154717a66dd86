"""What a run needs before its first trial: data identities, the base model's, evaluation sets.

No torch: the driver does this, and ``taskorder check`` the quick part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spaces.arms import arm_sequences
from spaces.errors import InputError
from spaces.fingerprints import fingerprint
from spaces.model_axis import model_labels, naming_model, study_of_model
from spaces.planner import Planner, TaskData
from spaces.sequences import Stage
from spaces.stage_names import resolve_stage
from spaces.stages import Stream
from spaces.study import ModelSection, Study
from spaces.tasks import Catalogue, Task
from trainables.data import check_sources, count_examples, data_fingerprint
from trainables.evaluation_plan import EvaluationPlan, plan_evaluation
from trainables.mini import MODEL_DIR
from trainables.readers.hub import local_folder
from trainables.readers.sources import check_data_root, resolve_paths, source_tasks

#: Model names with a meaning of their own.
MINI = "mini"
SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """One of a study's models.

    Attributes:
        study: The study as if it were the only one.
        path: Hugging Face folder or hub id; of a ``scratch`` model, where it will be.
    """

    study: Study
    path: str

    @property
    def is_missing(self) -> bool:
        """Whether it is a ``scratch`` model that is not made yet."""
        if self.study.model.name != SCRATCH:
            return False
        return not (Path(self.path) / "model.safetensors").is_file()


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything a run is launched with.

    Attributes:
        planner: Resolves trials, those of every model.
        evaluation: What each target is scored on.
        models: The study's models by label, the one that is searched with first.
    """

    planner: Planner
    evaluation: dict[str, EvaluationPlan]
    models: Mapping[str, PreparedModel]

    @property
    def model_path(self) -> str:
        """Hugging Face folder or hub id of the first model."""
        return next(iter(self.models.values())).path


def check_data(study: Study, data_root: Path | None) -> dict[str, EvaluationPlan]:
    """Check that every task's data is there, without reading it.

    Returns:
        What each target is scored on.

    Raises:
        InputError: A missing or empty file, a language without data, no such data root.
    """
    if data_root is not None:
        check_data_root(data_root)
    catalogue = study.catalogue()
    for stream in study_streams(study):
        task = catalogue[stream.task]
        if task.trains:
            check_sources(
                task,
                stream.languages or (task.train_language,),
                data_root,
                role="intermediate",
                catalogue=catalogue,
            )
    return {
        target.name: plan_evaluation(study, target, catalogue, data_root)
        for target in study.targets
    }


def check_model(model: ModelSection) -> None:
    """Check that a model named by a path is there; hub ids are looked up when a run starts.

    Raises:
        InputError: It is not.
    """
    name = model.name
    if not (name.startswith((".", "/", "~")) or name.count("/") > 1):
        return
    folder = Path(name)
    if not folder.is_dir():
        wrong = "does not exist"
    elif not (folder / "config.json").is_file():
        wrong = "holds no model: it has no config.json"
    else:
        return
    raise InputError(
        f"model.name: the folder {name!r} {wrong}. Give a Hugging Face folder, a hub id such as "
        "FacebookAI/xlm-roberta-large, mini or scratch."
    )


def prepare(study: Study, data_root: Path | None, run_dir: Path) -> Preparation:
    """Read what identities depend on and resolve the base model.

    Args:
        study: The study.
        data_root: Folder of the official files.
        run_dir: Where a ``scratch`` model is put.

    Raises:
        InputError: As ``check_data``; or a model that is not there.
    """
    evaluation = check_data(study, data_root)
    catalogue = study.catalogue()
    data = _training_data(study, data_root, catalogue)
    tasks = [catalogue[stream.task] for stream in study_streams(study)]
    models: dict[str, PreparedModel] = {}
    planners: dict[str, Planner] = {}
    for label in model_labels(study):
        own = study_of_model(study, label)
        if own.model.name == SCRATCH:
            path = str(run_dir / "models" / label if study.models else run_dir / "model")
            base = _scratch_identity(own, data, data_root)
        else:
            with naming_model(label, own):
                path, base, config_file = _model(own.model)
            _check_positions(config_file, tasks, own.model.name)
        models[label] = PreparedModel(own, path)
        planners[label] = Planner(own, catalogue, data, base)
    return Preparation(_joined(planners), evaluation, models)


def _joined(planners: dict[str, Planner]) -> Planner:
    """Return the first model's planner, which knows the others."""
    first, *others = planners
    return replace(planners[first], others={label: planners[label] for label in others})


def training_planner(study: Study, data_root: Path | None) -> Planner | None:
    """Return a planner that knows every task's steps, for pricing; its identities mean nothing.

    Returns:
        ``None`` where a training set would first have to come from the network.
    """
    catalogue = study.catalogue()
    streams = study_streams(study)
    if not all(_is_at_hand(stream, data_root, catalogue) for stream in streams):
        return None
    data = _training_data(study, data_root, catalogue)
    # Stages of two models are two stages, though the models themselves are not looked at here.
    return _joined(
        {
            label: Planner(study_of_model(study, label), catalogue, data, base=label)
            for label in model_labels(study)
        }
    )


def study_streams(study: Study) -> tuple[Stream, ...]:
    """Return every stream of training examples a study may draw from, in its order.

    Those of its stages alone and all at once, of its arms, of its targets, and of their training
    chains.
    """
    catalogue, section = study.catalogue(), study.intermediate
    stages = [Stage((name,)) for name in section.tasks]
    if len(stages) > 1:
        stages.append(Stage(section.tasks))
    stages += [stage for _, sequence in arm_sequences(study) for stage in sequence.stages]
    chains = (catalogue[target.name].train_chain for target in study.targets)
    stages += [Stage((name,)) for chain in chains for name in chain]
    streams: dict[Stream, None] = {}
    for stage in stages:
        mixture, _ = resolve_stage(section, catalogue, stage)
        streams |= dict.fromkeys(mixture.all_streams)
    return (*streams, *(Stream(target.name) for target in study.targets))


def stream_languages(stream: Stream, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the languages of a stream's training sets."""
    return stream.languages or (catalogue[stream.task].train_language,)


def _is_at_hand(stream: Stream, data_root: Path | None, catalogue: Catalogue) -> bool:
    if not catalogue[stream.task].trains:
        return True
    return all(
        task.generator is not None
        or bool(resolve_paths(task, "train", language, data_root))
        or (task.hub is not None and local_folder(task.hub, data_root) is not None)
        for language in stream_languages(stream, catalogue)
        for task in source_tasks(catalogue[stream.task], "train", language, catalogue)
    )


def _training_data(
    study: Study, data_root: Path | None, catalogue: Catalogue
) -> dict[str, TaskData]:
    trainings = [study_of_model(study, label).training for label in model_labels(study)]
    count = any(
        (scope.max_steps or training.max_steps) is None
        for training in trainings
        for scope in (training.stage, training.target)
    ) or any(stage.training.epochs for stage in study.intermediate.stages.values())
    return {
        str(stream): _stream_data(stream, study, data_root, catalogue, count=count)
        if catalogue[stream.task].trains
        else TaskData(0, "")
        for stream in study_streams(study)
    }


def _stream_data(
    stream: Stream, study: Study, data_root: Path | None, catalogue: Catalogue, *, count: bool
) -> TaskData:
    task = catalogue[stream.task]
    limits = (stream.max_examples, study.training.max_train_examples)
    limit = min((limit for limit in limits if limit is not None), default=None)
    size, identities = 0, []
    for language in stream_languages(stream, catalogue):
        identities.append(
            data_fingerprint(task, "train", language, data_root=data_root, catalogue=catalogue)
        )
        if count:
            size += count_examples(
                task, "train", language, data_root=data_root, catalogue=catalogue, limit=limit
            )
    return TaskData(size, identities[0] if len(identities) == 1 else fingerprint(identities))


def _scratch_identity(study: Study, data: dict[str, TaskData], data_root: Path | None) -> str:
    """Return the identity of a model that is yet to be made: everything it is made from."""
    catalogue = study.catalogue()
    read = []
    for target in study.targets:
        task, plan = catalogue[target.name], plan_evaluation(study, target, catalogue, data_root)
        for chosen in (*plan.select, *plan.report):
            content = data_fingerprint(
                task, chosen.split, chosen.language, data_root=data_root, catalogue=catalogue
            )
            read.append([target.name, chosen.split, chosen.language, content])
    return fingerprint(
        {
            "kind": SCRATCH,
            "spec": study.model.model_dump(mode="json"),
            # A list: the order of the tasks is the order of the text.
            "train": [[name, entry.fingerprint] for name, entry in data.items()],
            "evaluation": read,
            "max_length": max(catalogue[s.task].max_length for s in study_streams(study)),
            "seed": study.seed,
        }
    )


def _model(model: ModelSection) -> tuple[str, str, Path]:
    """Return the path, the identity and the configuration file of a model that exists."""
    folder = MODEL_DIR if model.name == MINI else Path(model.name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"model.name: {model.name!r} has no config.json. Give a model folder.")
        if not any(folder.glob("*.safetensors")):
            raise InputError(
                f"model.name: {model.name!r} has no *.safetensors weights, and pickled ones "
                "(pytorch_model.bin) are never loaded. Save the model again with save_pretrained."
            )
        path = str(folder.resolve())
        identity = fingerprint({"kind": "folder", "files": _hash_folder(folder)})
        return path, identity, folder / "config.json"
    check_model(model)
    config_file = _hub_config(model.name, model.revision)
    # The cache keeps files under .../snapshots/<commit>/.
    commit = config_file.parent.name
    identity = fingerprint({"kind": "hub", "id": model.name, "revision": commit})
    return model.name, identity, config_file


def _check_positions(config_file: Path, tasks: list[Task], name: str) -> None:
    """Check that no task's inputs are longer than the model has positions for.

    Raises:
        InputError: One's are, or the configuration is not JSON.
    """
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"model.name: {config_file} is not valid JSON: {error}") from None
    positions = config.get("max_position_embeddings")
    if positions is None:
        return
    if "roberta" in config.get("model_type", ""):
        # Its positions start behind the padding token's id.
        positions -= config.get("pad_token_id", 1) + 1
    for task in tasks:
        if task.max_length > positions:
            raise InputError(
                f"task {task.name!r} has inputs of up to {task.max_length} subwords, and the model "
                f"{name!r} has positions for {positions}. Set training.max_length: {positions} or "
                "less."
            )


def _hub_config(name: str, revision: str | None) -> Path:
    """Return a hub model's configuration file, from the local cache or the hub.

    Raises:
        InputError: The hub cannot be reached or has no such model.
    """
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  (half a second, hub models only)
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        path = hf_hub_download(name, "config.json", revision=revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"model.name: cannot get {name!r} from the Hugging Face hub: {first} "
            "Check the id and the network, or download the model and give its folder."
        ) from None
    return Path(path)


def _hash_folder(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that make a model: configuration, weights, tokenizer."""
    wanted = {".json", ".safetensors", ".model", ".txt"}
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in wanted and path.is_file():
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def free_gpus() -> int:
    """Count this machine's GPUs without loading torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    folder = Path("/proc/driver/nvidia/gpus")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
