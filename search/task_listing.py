"""What ``taskorder tasks`` lists: the catalogue, and what a data root holds of it.

``search.task_page`` shows one task in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, get_args

from rich.console import Group
from rich.text import Text

from spaces.errors import InputError, UnknownNameError
from spaces.holdings import Holding, Shelf
from spaces.tasks import Catalogue, Role, Split, Task

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
NOTHING = "-"
HINT = (
    "Release files are read first; a source with a slash is on the Hugging Face hub.",
    "taskorder tasks NAME shows one task; --data-root DIR counts what is there.",
)
#: Formats in a word or two: eighty columns are few.
FORMAT_WORDS = {
    "sequence_classification": "classification",
    "token_classification": "tagging",
    "question_answering": "QA",
    "multiple_choice": "choice",
    "retrieval": "retrieval",
    "masked_lm": "masked LM",
}
#: From this width on, five languages are named, not two.
WIDE = 100
#: A description is shown where there is room for so much of it.
MIN_DESCRIPTION = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """A task of the list.

    Attributes:
        task: The task.
        training: Its training set in its training language; ``None`` without a data root.
        num_languages: In how many of its languages something is at hand; ``None`` likewise.
    """

    task: Task
    training: Holding | None = None
    num_languages: int | None = None


def select_tasks(catalogue: Catalogue, role: str | None, group: str | None) -> list[Task]:
    """Return the tasks of a role and a section of the catalogue, each where it is given.

    Raises:
        UnknownNameError: No such role or section.
        InputError: No task is of both.
    """
    groups = {task.group for task in catalogue.values()}
    for option, value, known in (("role", role, get_args(Role)), ("group", group, groups)):
        if value is not None and value not in known:
            raise UnknownNameError(option, value, known, f"--{option}")
    chosen = [
        task
        for task in catalogue.values()
        if role in (None, *task.roles) and group in (None, task.group)
    ]
    if not chosen:
        raise InputError(f"--role {role} --group {group}: no task is of both. Leave one out.")
    return chosen


def look_up(tasks: Iterable[Task], shelf: Shelf | None) -> list[Entry]:
    """Return the entries of a list; with a data root, training sets are read to be counted."""
    return [_entry(task, shelf) for task in tasks]


def _entry(task: Task, shelf: Shelf | None) -> Entry:
    if shelf is None:
        return Entry(task)
    held = shelf.hold(task, "train", task.train_language) if task.trains else Holding()
    there = sum(any(shelf.has(task, s, language) for s in SPLITS) for language in task.languages)
    return Entry(task, held, there)


def describe_list(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the list as JSON-able data: each task's definition and, with a data root, ``found``.

    ``found`` holds ``where``, ``num_examples`` and ``error`` of the training set, and
    ``num_languages``.
    """
    return [
        entry.task.model_dump(mode="json")
        | (
            {"found": asdict(entry.training) | {"num_languages": entry.num_languages}}
            if entry.training
            else {}
        )
        for entry in entries
    ]


def render_list(entries: Sequence[Entry], width: int) -> Group:
    """Return the list in columns, under a heading for each section of the catalogue and role.

    Args:
        entries: The tasks.
        width: Columns of the terminal.
    """
    # The built-in suite comes last, behind the papers' tasks and the user's own.
    ordered = sorted(entries, key=lambda entry: (entry.task.group == "mini", entry.task.group))
    lines: list[Text] = []
    for section, members in groupby(ordered, key=lambda entry: entry.task.group):
        lines += _section(section, list(members), width)
    notes = [
        Text(f"{entry.task.name}: {entry.training.error}")
        for entry in ordered
        if entry.training and entry.training.error
    ]
    if all(entry.training is None for entry in ordered):
        notes += [_dim(line) for line in HINT]
    return Group(*(lines if notes else lines[:-1]), *notes)


def _section(section: str, entries: Sequence[Entry], width: int) -> list[Text]:
    head = ["task", "format", "metric", "languages" if width >= WIDE else "langs"]
    head += ["source"] if entries[0].training is None else ["train", "found"]
    rows = {entry.task.name: _cells(entry, width) for entry in entries}
    # The same widths under every heading of a section.
    widths = [max(map(len, column)) for column in zip(head, *rows.values(), strict=True)]
    gap = "  " if sum(widths) + 2 * len(widths) - 2 <= width else " "
    described = width - sum(widths) - len(gap) * len(widths) >= MIN_DESCRIPTION
    head += ["description"] if described else []
    lines: list[Text] = []
    ordered = sorted((entry.task for entry in entries), key=_order)
    for title, tasks in groupby(ordered, key=_title):
        heading = title if section == "papers" else f"{title} of {section}"
        lines += [Text(heading, style="bold"), _dim(_line(head, widths, gap, width))]
        for task in tasks:
            cells = [*rows[task.name], *([task.description] if described else [])]
            lines.append(Text(_line(cells, widths, gap, width)))
        lines.append(Text())
    return lines


def _cells(entry: Entry, width: int) -> list[str]:
    task, held = entry.task, entry.training
    named = len(task.languages) <= (5 if width >= WIDE else 2)
    languages = " ".join(task.languages) if named else str(len(task.languages))
    if entry.num_languages is not None and len(task.languages) > 1:
        languages = f"{entry.num_languages}/{len(task.languages)}"
    cells = [task.name, FORMAT_WORDS[task.format], task.metric, languages]
    if held is None:
        return [*cells, source(task)]
    if not task.trains:
        return [*cells, "", "untrained"]
    return [*cells, count(held), "malformed" if held.error else held.where or NOTHING]


def source(task: Task) -> str:
    """Say in a word where a task is looked for: its hub id where it has one.

    >>> from spaces.tasks import load_catalogue
    >>> [source(load_catalogue()[name]) for name in ("mnli", "lareqa", "mini_qa")]
    ['nyu-mll/multi_nli', 'files', 'generated']
    """
    if task.parts:
        return " + ".join(task.parts)
    return task.hub.path if task.hub else "files" if task.files else "generated"


def count(held: Holding) -> str:
    """Write how many examples there are, a dash where that is not known.

    >>> count(Holding("files", 1270)), count(Holding())
    ('1,270', '-')
    """
    return NOTHING if held.num_examples is None else f"{held.num_examples:,}"


def _line(cells: Sequence[str], widths: Sequence[int], gap: str, width: int) -> str:
    padded = [
        # The number of examples is the fifth of six columns.
        cell.rjust(wide) if (column, len(widths)) == (4, 6) else cell.ljust(wide)
        for column, (cell, wide) in enumerate(zip(cells, widths, strict=False))
    ]
    line = gap.join([*padded, *cells[len(widths) :]]).rstrip()
    return line if len(line) <= width else line[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _order(task: Task) -> tuple[bool, bool, str]:
    return ("target" in task.roles, "intermediate" in task.roles, task.name)


def _title(task: Task) -> str:
    if len(set(task.roles)) > 1:
        return "Intermediate and target tasks"
    return "Intermediate tasks" if "intermediate" in task.roles else "Target tasks"


def _dim(text: str) -> Text:
    return Text(text, style="dim")
