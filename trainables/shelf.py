"""A data root as a shelf: what it holds of the catalogue, counted. No torch."""

from __future__ import annotations

from pathlib import Path

from spaces.errors import InputError
from spaces.holdings import Holding
from spaces.tasks import Catalogue, Split, Task
from trainables.data import count_examples
from trainables.readers.hub import local_folder
from trainables.readers.sources import check_data_root, locate, source_tasks

#: Where a split is; the last would first have to come from the network.
FILES, HUB, GENERATED, REMOTE = "files", "hub", "generated", "remote"


class DataRootShelf:
    """What a data root holds; a ``spaces.holdings.Shelf``.

    Args:
        catalogue: Where ``train_task`` and ``parts`` are found.
        data_root: Folder of the releases.

    Raises:
        InputError: There is no such folder.
    """

    def __init__(self, catalogue: Catalogue, data_root: Path) -> None:
        check_data_root(data_root)
        self._catalogue = catalogue
        self._data_root = data_root

    def has(self, task: Task, split: Split, language: str) -> bool:
        """Whether a split in a language is at hand; the network does not count."""
        places = self._places(task, split, language)
        return all(places) and REMOTE not in places

    def hold(self, task: Task, split: Split, language: str) -> Holding:
        """Count a split in a language; reads it, but nothing from the network."""
        try:
            places = self._places(task, split, language)
            if not all(places):
                return Holding()
            where = ", ".join(dict.fromkeys(HUB if p == REMOTE else p for p in places))
            if REMOTE in places:
                return Holding(where)
            num_examples = count_examples(
                task, split, language, data_root=self._data_root, catalogue=self._catalogue
            )
        except InputError as error:
            return Holding(error=str(error))
        return Holding(where, num_examples)

    def _places(self, task: Task, split: Split, language: str) -> list[str]:
        """Say where each source of a split is; an empty text for nowhere."""
        sources = source_tasks(task, split, language, self._catalogue)
        return [self._place(source, split, language) for source in sources]

    def _place(self, task: Task, split: Split, language: str) -> str:
        if task.generator:
            # The built-in suite has training data in one language, but for raw text.
            alone = split == "train" and task.format != "masked_lm"
            languages = (task.train_language,) * task.trains if alone else task.languages
            return GENERATED if language in languages else ""
        found = locate(task, split, language, self._data_root)
        if not isinstance(found, str):
            return FILES if found else ""
        at_hand = task.hub is not None and local_folder(task.hub, self._data_root) is not None
        return HUB if at_hand else REMOTE
