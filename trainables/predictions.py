"""Predictions as files, in the layout that XTREME takes submissions in.

One file a language, ``<task>/test-<language>`` and the ending of its kind:

- classification: a label a line (``.tsv``);
- tagging: a tag a line, a blank line between sentences (``.tsv``);
- question answering: an object from question id to answer (``.json``);
- multiple choice: an object with the choice's index, from 0, a line (``.jsonl``, as XTREME-R's);
- sentence retrieval, by metric: for Tatoeba the position of the English sentence a line, from 0
  (``.tsv``); for BUCC a mined pair of ids a line (``.tsv``); for ranked candidates an object from
  query id to ids, the best first (``.json``).

Examples stand in the order of the release's file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spaces.errors import InputError
from spaces.tasks import Split, Task
from trainables.records import Record, RetrievalRecord

#: Retrieval's layouts by metric; any other metric ranks.
POSITIONS, PAIRS = "retrieval_accuracy", "bucc_f1"


def write_predictions(
    folder: Path,
    task: Task,
    language: str,
    split: Split,
    records: Sequence[Record],
    predictions: Mapping[str, Any],
) -> Path:
    """Write the predictions of one set.

    A file that is there is replaced in one step, so that none is ever half written.

    Args:
        folder: Where the tasks' folders are; made if missing.
        task: The task.
        language: Two-letter code.
        split: ``test``, or another split to look at.
        records: Every record of the set in the order of its file; labels are not looked at.
        predictions: By record id, as a format's ``decode`` returns them. Of BUCC, those that are
            mined.

    Returns:
        The file.

    Raises:
        InputError: A record has no prediction (a query of BUCC may have none).
    """
    asked = [r.id for r in records if not isinstance(r, RetrievalRecord) or r.is_query]
    # An empty ranking is no prediction either.
    made = {key: predictions[key] for key in asked if predictions.get(key, ()) not in ((), [])}
    if task.metric != PAIRS and len(made) < len(asked):
        missing = [key for key in asked if key not in made]
        raise InputError(
            f"task {task.name!r}, {language!r}: {len(missing)} of {len(asked)} records have no "
            f"prediction, the first is {missing[0]!r}. Predict the whole set before writing it."
        )
    ending, text = _render(task, records, made)
    path = folder / task.name / f"{split}-{language}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
    return path


def _render(
    task: Task, records: Sequence[Record], predictions: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the file's ending and content."""
    match task.format:
        case "sequence_classification":
            return "tsv", _lines(predictions.values())
        case "token_classification":
            return "tsv", "\n".join(_lines(tags) for tags in predictions.values())
        case "question_answering":
            # ASCII, since the official script reads in whatever encoding the machine is set to.
            return "json", json.dumps(predictions, indent=2) + "\n"
        case "multiple_choice":
            return "jsonl", _lines(json.dumps({"label": choice}) for choice in predictions.values())
        case "retrieval":
            return _render_ranked(task.metric, records, predictions)
        case _:
            raise InputError(f"task {task.name!r}: no layout for the format {task.format!r}")


def _render_ranked(
    metric: str, records: Sequence[Record], predictions: Mapping[str, Any]
) -> tuple[str, str]:
    ranked = {query: _ids(candidates) for query, candidates in predictions.items()}
    if metric == POSITIONS:
        place = _positions(records)
        return "tsv", _lines(str(place[first]) for first, *_ in ranked.values())
    if metric == PAIRS:
        return "tsv", _lines(f"{query}\t{first}" for query, (first, *_) in ranked.items())
    return "json", json.dumps(ranked)


def _lines(values: Iterable[str]) -> str:
    return "".join(f"{value}\n" for value in values)


def _ids(ranked: Sequence[str | tuple[str, float]]) -> list[str]:
    return [candidate if isinstance(candidate, str) else candidate[0] for candidate in ranked]


def _positions(records: Sequence[Record]) -> dict[str, int]:
    """Return the candidates' positions in XTREME's file, whose English side is sorted.

    So a submission is the same whether LASER's release was read or XTREME's, where the sort changes
    nothing. Equal sentences keep their order, as in XTREME's script.
    """
    candidates = [r for r in records if isinstance(r, RetrievalRecord) and not r.is_query]
    candidates.sort(key=lambda record: record.text.strip())
    return {record.id: position for position, record in enumerate(candidates)}
