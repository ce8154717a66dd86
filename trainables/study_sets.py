"""Every training set of a study, from the cache or into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spaces.study import Study
from trainables.inputs import TaskInputs
from trainables.preparation import study_streams
from trainables.prepared_sets import PreparedStream
from trainables.pretrained import load_tokenizer
from trainables.tokenising import Tokenising


def open_training_sets(
    study: Study,
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    *,
    tell: Callable[[str, int], None] | None = None,
    num_processes: int | None = None,
) -> tuple[PreparedStream, ...]:
    """Open every training set of a study once, so that it is in the cache.

    Args:
        study: The study.
        model_path: Hugging Face folder or hub id of the base model.
        data_root: Folder of the official files.
        cache_dir: Folder of the tokenised training sets; the default one for ``None``.
        tell: Called with a stream and how many of its records have been tokenised so far.
        num_processes: Number of processes that tokenise; as many as this one has cores by default.

    Returns:
        What each stream holds, in the study's order.

    Raises:
        InputError: As ``prepare_training_sets``.
    """
    tokenizer = load_tokenizer(model_path, study.model.revision)
    catalogue = study.catalogue()
    inputs = TaskInputs(catalogue, study.training, data_root, tokenizer, cache_dir)
    prepared = []
    with Tokenising(tokenizer, num_processes=num_processes) as tokenising:
        for stream in study_streams(study):
            if not catalogue[stream.task].trains:
                continue
            name, done = str(stream), 0

            def count(num_done: int, name: str = name) -> None:
                nonlocal done
                done = num_done
                if tell is not None:
                    tell(name, num_done)

            features = inputs.train_features(stream, tokenising, count)
            prepared.append(PreparedStream(name, features.counts, done))
    return tuple(prepared)
