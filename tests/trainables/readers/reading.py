"""Write a small file and read it with a reader."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from trainables.readers import READERS, ReadContext

NLI = ("entailment", "neutral", "contradiction")


def write(folder: Path, content: str | bytes, name: str = "file") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(reader: str, *paths: Path, **options: Any) -> list[Any]:
    """Read files; the context's own fields may stand among the reader's options."""
    context = ReadContext(
        paths,
        options.pop("split", "train"),
        options.pop("language", "de"),
        options.pop("labels", ()),
        options.pop("labelled", True),
        skipped=options.pop("skipped", Counter()),
        options=options,
    )
    return list(READERS[reader](context))


def squad(*questions: dict[str, Any], context: str = "Das Haus ist rot.") -> str:
    """Return a document of one paragraph in SQuAD's layout."""
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(identifier: str, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": identifier, "question": "Was?", "answers": listed} | more
