"""Tokenises everything a study trains on, before its first trial.

So a record that cannot be read or tokenised is found before any time is spent on training, and
workers find their training sets in the cache. It loads torch: ``trainables.preparing`` does it for
processes that should not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces.study import Study
from trainables.feature_files import Counts
from trainables.inputs import TaskInputs
from trainables.preparation import study_streams
from trainables.pretrained import load_tokenizer
from trainables.tokenising import Tokenising

#: Is told a stream, how many of its records are tokenised, and their number where it is known.
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class PreparedStream:
    """What a stream of training examples holds.

    Attributes:
        stream: The stream, in its text form.
        counts: Its records and examples, and what was left out.
        num_tokenised: Records tokenised now; 0 where all of it was in the cache.
    """

    stream: str
    counts: Counts
    num_tokenised: int


def prepare_training_sets(
    study: Study,
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    *,
    progress: Progress | None = None,
    sizes: Mapping[str, int] | None = None,
    num_processes: int | None = None,
) -> tuple[PreparedStream, ...]:
    """Put every training set of a study into the cache, if it is not there yet.

    Args:
        study: The study.
        model_path: Hugging Face folder or hub id of the base model.
        data_root: Folder of the official files.
        cache_dir: Folder of the tokenised training sets; the default one for ``None``.
        progress: Called with a stream, the records of it that are tokenised, and all of them
            where their number is known.
        sizes: Number of records of a stream, by its text form, where known.
        num_processes: Number of processes that tokenise; as many as this one has cores by default.

    Returns:
        What each stream holds, in the study's order.

    Raises:
        InputError: A set without labels, a record that cannot be read or tokenised, settings that
            do not allow it, or a cache that cannot be written.
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
                if progress is not None:
                    progress(name, num_done, (sizes or {}).get(name) or None)

            features = inputs.train_features(stream, tokenising, count)
            prepared.append(PreparedStream(name, features.counts, done))
    return tuple(prepared)
