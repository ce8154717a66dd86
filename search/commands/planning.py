"""Before a run: the catalogue, the ready-made studies, and what a study would cost."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from search import task_listing, task_page
from search.commands.options import (
    Address,
    AsJson,
    DataRoot,
    Overrides,
    StudyArgument,
    console,
)
from search.study_listing import render_studies
from spaces.errors import InputError
from spaces.holdings import Shelf
from spaces.study import load_study, parse_study, ready_made_studies
from spaces.study_keys import render_keys, study_keys
from spaces.tasks import load_catalogue


def check(
    study: StudyArgument,
    data_root: DataRoot = None,
    address: Address = None,
    overrides: Overrides = None,
) -> None:
    """Validate a study and show what it would cost; nothing is written and Ray is not started."""
    loaded = load_study(study, tuple(overrides or ()))
    from search.launch import appraise  # noqa: PLC0415
    from search.pricing import render_price  # noqa: PLC0415

    console.print(render_price(loaded, *appraise(loaded, data_root, address)))


def tasks(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One task, in full.")] = None,
    data_root: DataRoot = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="ROLE", help="List `intermediate` or `target` tasks only."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group", metavar="GROUP", help="List one section only, such as papers or mini."
        ),
    ] = None,
    task_folders: Annotated[
        list[str] | None,
        typer.Option("--task-folder", metavar="DIR", help="Your own task files; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the task catalogue, or show one task; with a data root, count what is there."""
    if name is not None and (role or group):
        raise InputError(f"tasks {name}: --role and --group shorten the list. Leave {name} out.")
    catalogue = load_catalogue(tuple(task_folders or ()))
    shelf: Shelf | None = None
    if data_root is not None:
        from trainables.shelf import DataRootShelf  # noqa: PLC0415

        shelf = DataRootShelf(catalogue, data_root)
    content: Any
    with console.status(f"Reading {data_root}") if shelf else contextlib.nullcontext():
        if name is not None:
            task = catalogue[name]
            holdings = task_page.find_holdings(task, shelf) if shelf else None
            content = task_page.describe_page(task, holdings)
            shown = task_page.render_page(task, data_root, holdings)
        else:
            chosen = task_listing.select_tasks(catalogue, role, group)
            entries = task_listing.look_up(chosen, shelf)
            content = task_listing.describe_list(entries)
            shown = task_listing.render_list(entries, console.width)
    if as_json:
        console.print_json(json.dumps(content))
    else:
        console.print(shown)


def studies(
    keys: Annotated[
        bool,
        typer.Option("--keys", help="List every key of a study file: values, default and unit."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the ready-made studies, or the keys that a study file may have."""
    if keys:
        if as_json:
            console.print_json(json.dumps([asdict(key) for key in study_keys()]))
        else:
            print(render_keys(), end="")
        return
    found = {
        name: parse_study(text, f"study {name}") for name, text in ready_made_studies().items()
    }
    if as_json:
        listed = {name: study.model_dump(mode="json") for name, study in found.items()}
        console.print_json(json.dumps(listed))
        return
    console.print(render_studies(found, console.width))
