"""The report as one web page: it opens offline, and loads nothing.

Pictures are inline SVG whose marks have titles, so the page needs no plotting library; its own
script sorts tables and shows those titles. The page's security policy lets no other script run,
and every text of the run is escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import plots
from analysis.certainty import CERTAINTY
from analysis.findings import findings
from analysis.frames import Run
from analysis.models import models_of, of_model
from analysis.page_parts import (
    caveats_of,
    commands_of,
    facts_of,
    study_of,
    table_of,
    trials_of,
)
from analysis.plots import Picture
from analysis.questions.sections import question_sections
from analysis.sections import Section, Table
from analysis.statistics import leaderboard
from analysis.wording import clean
from spaces.errors import InputError

#: Rows of a picture's table before it is cut.
MAX_ROWS = 200

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture on the page: ``svg`` is markup, the rest is text."""

    id: str
    title: str
    caption: str
    svg: Markup
    table: Table


@dataclass(frozen=True, slots=True)
class TargetPart:
    """What the page says of one target."""

    id: str
    title: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]


def render_page(run: Run) -> str:
    """Render the report of a run as a self-contained HTML page.

    Args:
        run: The run, finished or not.

    Returns:
        The page: the answer, how sure it is, what it cost, pictures with their numbers, tables,
        caveats, how to repeat it.
    """
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    answer, *rest = findings(run)
    board = leaderboard(run)
    targets = list(dict.fromkeys(board["target"]))
    study, resolved = study_of(run)
    parts, rest = _target_parts(run, targets, rest)
    certainty, rest = _split(rest, *CERTAINTY)
    cost, rest = _split(rest, "What it cost")
    problems = [s for s in rest if s.title.startswith(("What of this run", "Failed trials"))]
    question = question_sections(run)
    content = {
        "name": clean(run.name),
        "answer": answer,
        "facts": facts_of(run),
        "contents": [
            *(("answer", "Answer"), ("sure", "How sure"), ("cost", "Cost"), ("search", "Search")),
            *((part.id, part.title) for part in parts),
            *(("trials", "Trials"), ("caveats", "Caveats"), ("repeat", "Repeat it")),
            *([("question", "The research question")] if question else []),
        ],
        "certainty": certainty,
        "cost": cost,
        "overall": list(_figures("all", _overall(run))),
        "targets": parts,
        "trials": trials_of(run),
        "caveats": caveats_of(run, board),
        "problems": problems,
        "commands": commands_of(run),
        "study": study,
        "resolved": resolved,
        "question": question,
        "further": [section for section in rest if section not in problems],
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template("report.html.j2").render(content)


def write_page(run: Run, path: str | os.PathLike[str]) -> Path:
    """Write the report of a run as a self-contained HTML page.

    Args:
        run: The run.
        path: The file; replaced in one step, so that a reader never sees half a page.

    Returns:
        The path.

    Raises:
        InputError: The file cannot be written there.
    """
    file = Path(path)
    page = render_page(run)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise InputError(
            f"{file} cannot be written: {error.strerror}. Give another folder with --out."
        ) from error
    return file


def all_pictures(run: Run) -> Iterator[tuple[str, Picture]]:
    """Yield the pictures of a run that have something to show, each with a name for its file.

    Args:
        run: The run.
    """
    targets = list(dict.fromkeys(leaderboard(run)["target"]))
    parts = [("", _overall(run)), *((target, _of_target(run, target)) for target in targets)]
    for target, pictures in parts:
        for draw in pictures:
            picture = draw()
            if not picture.data.empty:
                owner = _file_name(target)
                yield f"{picture.name}-{owner}" if owner else picture.name, picture


def _split(sections: Iterable[Section], *starts: str) -> tuple[list[Section], list[Section]]:
    sections = list(sections)
    chosen = [section for section in sections if section.title.startswith(starts)]
    return chosen, [section for section in sections if section not in chosen]


def _overall(run: Run) -> Iterator[Callable[[], Picture]]:
    yield from _of_each_model(run, plots.transfer)
    yield _of_first_model(run, plots.incumbents)
    yield _of_first_model(run, partial(plots.incumbents, over="time"))
    yield lambda: plots.timeline(run, max_segments=1500)
    yield lambda: plots.utilisation(run)


def _of_target(run: Run, target: str) -> Iterator[Callable[[], Picture]]:
    yield _of_first_model(run, partial(plots.trie, target=target))
    yield from _of_each_model(run, partial(plots.ranking, target=target))
    yield _of_first_model(run, partial(plots.order_effects, target=target))
    yield _of_first_model(run, partial(plots.precedence, target=target))
    yield _of_first_model(run, partial(plots.importance, target=target))
    if target in set(run.trials["target"]):  # Not of the average.
        yield _of_first_model(run, partial(plots.language_gains, target=target))
        yield _of_first_model(run, partial(plots.survival, target=target))


def _of_first_model(run: Run, draw: Callable[[Run], Picture]) -> Callable[[], Picture]:
    """Return what draws the picture of the first model, which is named if there are several."""
    return next(_of_each_model(run, draw))


def _of_each_model(run: Run, draw: Callable[[Run], Picture]) -> Iterator[Callable[[], Picture]]:
    """Yield what draws the picture of each model that has it; a single model is not named."""
    labels = models_of(run)
    if len(labels) == 1:
        yield lambda: draw(run)
        return
    for label in labels:
        yield partial(_named, run, draw, label)


def _named(run: Run, draw: Callable[[Run], Picture], label: str) -> Picture:
    picture = draw(of_model(run, label))
    name = picture.name if label == models_of(run)[0] else f"{picture.name}-{_file_name(label)}"
    return replace(picture, name=name, title=f"{picture.title} ({clean(label)})")


def _file_name(text: str) -> str:
    """Return a name without what the name of a file may not hold."""
    return re.sub(r"[^\w.-]+", "_", text)


def _target_parts(
    run: Run, targets: list[str], sections: list[Section]
) -> tuple[list[TargetPart], list[Section]]:
    """Return what is said of each target, and the sections that are of none."""
    parts = []
    for index, target in enumerate(targets, start=1):
        own, sections = _split(sections, f"{clean(target)}: ")
        figures = tuple(_figures(f"t{index}", _of_target(run, target)))
        parts.append(TargetPart(f"target-{index}", clean(target), figures, tuple(own)))
    return parts, sections


def _figures(owner: str, pictures: Iterable[Callable[[], Picture]]) -> Iterator[Figure]:
    """Yield the pictures that have something to show; names are made unique on the page."""
    for draw in pictures:
        picture = draw()
        if picture.data.empty:
            continue
        name = f"{owner}-{picture.name}"
        # Every text in the markup is escaped by the renderer.
        svg = Markup(replace(picture, name=name).svg())
        table = table_of(picture.data, MAX_ROWS)
        yield Figure(name, picture.title, picture.caption, svg, table)
