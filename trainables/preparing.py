"""Making a study's models and tokenising its training sets in processes of their own.

The driver, which needs neither torch nor transformers, stays free of both.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from spaces.errors import TaskorderError, TrainingError
from spaces.reports import SetProgress, SetReport
from spaces.study import Study
from trainables.preparation import PreparedModel


def make_missing_models(
    models: Mapping[str, PreparedModel], data_root: Path | None, tell: Callable[[str], object]
) -> list[PreparedModel]:
    """Make the ``scratch`` models that are not there yet, in Ray's workers.

    Args:
        models: The study's models by label.
        data_root: Folder of the official files.
        tell: Is told what is being made.

    Returns:
        Those that were made.
    """
    missing = {label: model for label, model in models.items() if model.is_missing}
    if not missing:
        return []
    import ray  # noqa: PLC0415  (only runs have it started)

    make = ray.remote(num_cpus=1)(_make_model)
    for label, model in missing.items():
        what = "the base model" if len(models) == 1 else f"the base model {label}"
        tell(f"Making {what} from the study's own text...")
        content = model.study.model_dump(mode="json")
        ray.get(make.remote(content, str(data_root) if data_root else None, model.path))
    return list(missing.values())


def _make_model(study_json: dict[str, Any], data_root: str | None, path: str) -> None:
    from trainables.scratch import build_scratch_model  # noqa: PLC0415  (loads torch)

    build_scratch_model(study_json, data_root, path)


def prepare_elsewhere(
    study: Study,
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    sizes: Mapping[str, int],
) -> Iterator[SetProgress | SetReport]:
    """Put every training set of a study into the cache, and tell how it goes.

    Args:
        study: The study.
        model_path: Hugging Face folder or hub id of the base model.
        data_root: Folder of the official files.
        cache_dir: Folder of the tokenised training sets; the default one for ``None``.
        sizes: Number of examples of a stream, by its text form, where it is known.

    Yields:
        Progress now and then, then a report of each stream.

    Raises:
        InputError: What is wrong with a training set.
        TrainingError: The process was killed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_work,
        args=(sender, study.model_dump(mode="json"), model_path, data_root, cache_dir, dict(sizes)),
        name="taskorder-tokenise",
    )
    process.start()
    sender.close()
    try:
        while True:
            try:
                message = receiver.recv()
            except EOFError:
                process.join()
                raise TrainingError(
                    "the process that tokenises the training sets ended with status "
                    f"{process.exitcode}. If the machine was short of memory, free some; then "
                    "start again: sets that were finished are kept."
                ) from None
            if message is None:
                return
            if isinstance(message, Exception):
                raise message
            yield message
    finally:
        receiver.close()
        if process.is_alive():
            process.join(1)
        if process.is_alive():  # Interrupted: what it has not finished, it leaves no trace of.
            process.terminate()
        process.join()


def _work(
    sender: Connection,
    study: dict[str, Any],
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    sizes: dict[str, int],
) -> None:
    from trainables.prepared_sets import prepare_training_sets  # noqa: PLC0415  (loads torch)

    def tell(stream: str, num_done: int, total: int | None) -> None:
        sender.send(SetProgress(stream, num_done, total))

    try:
        prepared = prepare_training_sets(
            Study.model_validate(study), model_path, data_root, cache_dir, progress=tell,
            sizes=sizes,
        )  # fmt: skip
        for found in prepared:
            counts = found.counts
            sender.send(
                SetReport(
                    found.stream,
                    counts.num_records,
                    counts.num_examples,
                    dict(counts.left_out),
                    is_cached=found.num_tokenised == 0,
                )
            )
        sender.send(None)
    except TaskorderError as error:
        sender.send(error)
    except KeyboardInterrupt:
        pass  # The driver was interrupted too, and tells.
    except BrokenPipeError:
        pass  # Nobody waits for it any more.
