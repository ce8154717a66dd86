"""Walk through a page of the documentation: write its files, run its commands and its Python."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
CLUSTER = "needs a cluster"
DATA_ROOT = "TASKORDER_DATA_ROOT"


@dataclass(frozen=True)
class Step:
    """A block of a page.

    Attributes:
        kind: file, command or python.
        text: The file's content, the command without its comment, or the code.
        name: Of a file.
        note: The command's comment.
    """

    kind: str
    text: str
    name: str = ""
    note: str = ""


def steps(page: str) -> list[Step]:
    """Return the blocks of a page in order."""
    found = []
    for language, block in re.findall(r"```(\w+)\n(.*?)```", page, flags=re.DOTALL):
        first, _, rest = block.partition("\n")
        if language == "console":
            for line in block.splitlines():
                command, _, note = line.removeprefix("$ ").partition("    #")
                command, _, more = command.partition("  #")
                found.append(Step("command", command.strip(), note=(more + note).strip()))
        elif language == "python":
            found.append(Step("python", block))
        elif first.startswith("# "):
            content = block if language == "yaml" else rest
            found.append(Step("file", content, name=first.removeprefix("# ").strip()))
    return found


def run(step: Step, folder: Path, **variables: str) -> str:
    """Run a step in a folder, with no data root but one it names; return what it printed.

    Raises:
        AssertionError: It failed.
    """
    if step.kind == "file":
        path = folder / step.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, encoding="utf-8")
        return ""
    arguments = [sys.executable, "-c", step.text]
    if step.kind == "command":
        text = step.text
        for name, value in variables.items():
            text = re.sub(rf"\b{name}\b", value, text)
        program, *words = shlex.split(text)
        assert program == "taskorder", step.text
        arguments = [sys.executable, "-c", "from search.cli import main; main()", *words]
    environment = {name: value for name, value in os.environ.items() if name != DATA_ROOT}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{step.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout
