"""The task catalogue: one YAML file per task, read into ``Task``.

A task is data. Its file says which format it has, which languages it is evaluated in, where its
records are (official release files, XTREME's download layout, the Hugging Face hub, or a built-in
generator) and how it is scored. Adding a task of a known format needs no Python: put a YAML file
into a folder and name that folder in the study's ``task_folders``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spaces.errors import InputError, UnknownNameError
from spaces.fingerprints import fingerprint
from spaces.languages import resolve_languages
from spaces.schema_messages import describe
from spaces.yaml_text import parse_mapping, read_text

Format = Literal[
    "sequence_classification",
    "token_classification",
    "question_answering",
    "multiple_choice",
    "retrieval",
    "masked_lm",
]
Role = Literal["intermediate", "target"]
Split = Literal["train", "dev", "test"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileSource(_Strict):
    """Where one split's records are on disk, below ``--data-root``.

    Attributes:
        paths: Alternatives, the first that exists is read. ``{lang}`` stands for the language
            code, ``{lang3}`` for its ISO 639-3 code, ``{lang_name}`` and ``{lang_name_lower}`` for
            its English name; ``*`` globs (all matches are read, sorted). An alternative that is
            itself a list names files that are read together and must all exist; a pattern among
            them stands for all its matches.
        reader: Name of the reader, a key of ``trainables.readers.READERS``.
        options: The reader's own options; the same placeholders stand in their texts.
        languages: The languages this entry holds; all of the task's when empty.
        labelled: False where the release blanks the labels (XTREME's test files).
    """

    paths: tuple[str | tuple[str, ...], ...] = Field(min_length=1)
    reader: str
    options: dict[str, Any] = {}
    languages: tuple[str, ...] = ()
    labelled: bool = True


class HubSource(_Strict):
    """Where the records are on the Hugging Face hub (or a local folder in its layout).

    Attributes:
        path: Hub id (``facebook/xnli``).
        config: Configuration name; may contain the placeholders of ``FileSource.paths``.
        revision: Branch or commit; ``refs/convert/parquet`` for data sets whose main branch is a
            loading script, whose configurations are then folders.
        splits: Our split to the hub's split name; an expression such as ``train_r1+train_r2`` too.
        reader: Name of the converter from rows to records.
        options: The converter's own options (column names, label names).
        languages: The task's languages that it holds; all of them when empty.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    splits: dict[Split, str] = {}
    reader: str
    options: dict[str, Any] = {}
    languages: tuple[str, ...] = ()


class Task(_Strict):
    """One task of the catalogue.

    Attributes:
        name: Unique name, lower case.
        version: Raised by hand when the records or their meaning change; part of fingerprints.
        format: How a record becomes model input, head, loss and prediction.
        roles: Whether it may be an intermediate task, a target, or both.
        description: One line for ``taskorder tasks``.
        citation: The paper or release.
        metric: Name of its metric, a key of ``trainables.metrics.METRICS``.
        labels: Closed label set in head order; empty when read from the training set.
        train_language: Language of the training set.
        languages: Languages it is evaluated in; of an intermediate task, its own.
        language_sets: Named lists of them, such as ``xtreme`` where XTREME-R added languages. A
            study names one as it names a language group.
        train_task: Another task whose ``train`` (and English ``dev``) split is used to train this
            target, as XQuAD is trained on SQuAD v1.1.
        train_chain: Tasks the official protocol trains on, in this order, just before
            ``train_task``, as XCOPA is trained on Social IQa and then on COPA. They are ordinary
            stages behind the sequence, shared with every sequence that ends so; what the sequence
            already holds is not trained again.
        parts: Tasks whose records together are this task's, under one head (ANLI+ is ANLI, MNLI
            and SNLI). Format and labels must be theirs.
        max_length: Longest input in subwords.
        doc_stride: Overlap of windows over long contexts in subwords (question answering only).
        epochs, learning_rate: Published settings, used where the study gives none.
        generator: Name of a built-in generator (``mini``) instead of files.
        files: Split to where it is on disk; several entries cover different languages.
        hub: Where it is on the hub.
        options: Settings of the format (for retrieval: layer, pooling...).
        group: Catalogue section, for listings (``papers``, ``mini``).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: int = Field(ge=1)
    format: Format
    roles: tuple[Role, ...] = Field(min_length=1)
    description: str
    citation: str = ""
    metric: str
    labels: tuple[str, ...] = ()
    train_language: str = "en"
    languages: tuple[str, ...] = Field(min_length=1)
    language_sets: dict[str, tuple[str, ...]] = {}
    train_task: str | None = None
    train_chain: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    max_length: int = Field(default=128, ge=8)
    doc_stride: int = Field(default=128, ge=1)
    epochs: float = Field(default=3, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    generator: str | None = None
    files: dict[Split, tuple[FileSource, ...]] = {}
    hub: HubSource | None = None
    options: dict[str, Any] = {}
    group: str = "papers"

    @model_validator(mode="after")
    def _has_a_source(self) -> Task:
        if not (self.generator or self.files or self.hub or self.parts):
            raise ValueError("a task needs one of 'generator', 'files', 'hub' or 'parts'")
        if self.parts and (self.generator or self.files or self.hub or self.train_task):
            raise ValueError("a task made of 'parts' has no source of its own")
        for name, members in self.language_sets.items():
            strangers = [code for code in members if code not in self.languages]
            if strangers:
                raise ValueError(
                    f"language_sets.{name}: {', '.join(strangers)} not among the task's languages"
                )
        return self

    @property
    def trains(self) -> bool:
        """Whether there is anything to train before it is evaluated (Tatoeba has nothing)."""
        if self.format != "retrieval" or self.train_task is not None:
            return True
        return "train" in self.files or (self.hub is not None and "train" in self.hub.splits)

    def select_languages(self, names: Sequence[str], where: str) -> tuple[str, ...]:
        """Return the languages that codes, language groups and language sets stand for.

        Raises:
            UnknownNameError: A name that is none of them.
            InputError: A group without any language of the task.
        """
        codes = [code for name in names for code in self.language_sets.get(name, (name,))]
        return resolve_languages(codes, self.languages, where)

    @property
    def identity(self) -> str:
        """Fingerprint of the definition: any change of it is another task."""
        wording = {"description", "citation", "language_sets"}
        return fingerprint(self.model_dump(mode="json", exclude=wording))


class Catalogue(Mapping[str, Task]):
    """Tasks by name, with near matches for unknown names.

    Args:
        tasks: The tasks, with unique names.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = {task.name: task for task in sorted(tasks, key=lambda task: task.name)}

    def __getitem__(self, name: str) -> Task:
        try:
            return self._tasks[name]
        except KeyError:
            raise UnknownNameError("task", name, self._tasks) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def cut(self, max_length: int) -> Catalogue:
        """Return the same tasks with inputs of at most ``max_length`` subwords."""
        return Catalogue(
            task.model_copy(
                update={
                    "max_length": min(task.max_length, max_length),
                    "doc_stride": min(task.doc_stride, max_length // 4),
                }
            )
            for task in self._tasks.values()
        )


def parse_task(text: str, origin: str) -> Task:
    """Read one task from YAML text.

    Args:
        text: The YAML.
        origin: Where it came from, for error messages.

    Raises:
        InputError: Not YAML, or not a valid task.
    """
    raw = parse_mapping(text, origin, "task file")
    try:
        return Task.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{origin}: {describe(error, Task)}") from None


@lru_cache(maxsize=8)
def load_catalogue(folders: tuple[str, ...] = ()) -> Catalogue:
    """Load the built-in catalogue and the user's task folders.

    Args:
        folders: Folders with further ``*.yaml`` task files; a name that is already taken is
            refused, so that a study never means another task than it says.

    Raises:
        InputError: A folder that does not exist, an invalid file, or a name used twice.
    """
    entries = [
        (entry.read_text(encoding="utf-8"), f"built-in task {entry.name}")
        for entry in _yaml_files(resources.files("spaces") / "catalogue")
    ]
    for folder in folders:
        path = Path(folder)
        if not path.is_dir():
            raise InputError(f"task_folders: {folder!r} is not a folder. Give a folder of *.yaml.")
        files = sorted(path.glob("*.yaml"))
        if not files:
            raise InputError(f"task_folders: {folder!r} holds no *.yaml. Give a folder of tasks.")
        entries += [(read_text(file, "task file"), str(file)) for file in files]
    tasks: dict[str, Task] = {}
    for text, origin in entries:
        task = parse_task(text, origin)
        if task.name in tasks:
            raise InputError(f"{origin}: the task name {task.name!r} is taken. Rename the task.")
        tasks[task.name] = task
    return Catalogue(tasks.values())


def _yaml_files(folder: Any) -> list[Any]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _yaml_files(entry)
        elif entry.name.endswith(".yaml"):
            found.append(entry)
    return found
