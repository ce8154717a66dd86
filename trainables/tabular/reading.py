"""Reads recorded tables from CSV or Parquet; what is wrong with one is told with file and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from spaces.errors import DataError, InputError
from spaces.sequences import Sequence
from trainables.tabular.table import RecordedTable

COLUMNS = ("sequence", "target", "seed", "budget_steps", "score", "stage_steps")

_WHOLE = ("seed", "budget_steps", "stage_steps")
_KEY = ["sequence", "target", "seed", "budget_steps"]


def read_table(path: Path) -> RecordedTable:
    """Read and check a recorded table.

    Args:
        path: A CSV file (UTF-8, with a header), or a Parquet file if its name ends in
            ``.parquet``. Columns: ``sequence`` (task names joined by ``>``, empty for none),
            ``target``, ``seed``, ``budget_steps``, ``score`` (0 to 100, or NaN where training
            diverged) and ``stage_steps`` (cost of the sequence's last stage; 0 for the empty
            sequence). One row per sequence, target, seed and budget; further columns are ignored.

    Raises:
        DataError: No such file, a column missing, or a row that breaks a rule: the message names
            the file, the row and the rule.
    """
    frame = _load(path)
    check = _Check(path, frame)
    for name in _WHOLE:
        check.whole(name)
    check.scores()
    check.texts()
    check.unique()
    check.costs()
    frame = check.frame
    keys = zip(*(frame[name].tolist() for name in _KEY), strict=True)
    return RecordedTable(
        str(path),
        dict(zip(keys, frame["score"].tolist(), strict=True)),
        dict(zip(frame["sequence"].tolist(), frame["stage_steps"].tolist(), strict=True)),
    )


def _load(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give a recorded table, CSV or Parquet.")
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            # Everything as text, so that a message can show what the file says.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a table: {reason}") from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]!r} is missing; a recorded table has {', '.join(COLUMNS)}."
        )
    if frame.empty:
        raise DataError(f"{path}: it has no rows. Record at least one sequence.")
    return frame[list(COLUMNS)].reset_index(drop=True)


class _Check:
    """Turns a raw frame into a typed one, rule by rule.

    Attributes:
        frame: The frame as far as it was checked.
    """

    def __init__(self, path: Path, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._path = path
        # A CSV's first row is line 2 of the file, below the header.
        self._unit, self._first = ("row", 1) if path.suffix == ".parquet" else ("line", 2)

    def whole(self, name: str) -> None:
        """Make a column of whole numbers, none below 0."""
        numbers = pd.to_numeric(self.frame[name], errors="coerce")
        self._refuse(
            ~(numbers.notna() & (numbers >= 0) & (numbers % 1 == 0)),
            name,
            "a whole number, 0 or more",
        )
        self.frame[name] = numbers.astype("int64")

    def scores(self) -> None:
        """Make the column of scores."""
        raw = self.frame["score"]
        numbers = pd.to_numeric(raw, errors="coerce").astype("float64")
        is_nan = raw.isna() | raw.astype(str).str.strip().str.lower().eq("nan")
        self._refuse(
            ~(is_nan | ((numbers >= 0) & (numbers <= 100))),
            "score",
            "a number from 0 to 100, or NaN where training diverged",
        )
        self.frame["score"] = numbers

    def texts(self) -> None:
        """Check names and put every sequence into its one text form."""
        for name in ("sequence", "target"):
            column = self.frame[name].astype("object")
            self.frame[name] = column.where(column.notna(), "").astype(str)
        self._refuse(self.frame["target"].eq(""), "target", "the name of a target")
        codes, texts = pd.factorize(self.frame["sequence"])
        forms = []
        for code, text in enumerate(texts):
            try:
                forms.append(str(Sequence.parse(text)))
            except InputError as error:
                self._stop(int(np.argmax(codes == code)), f"{error}")
        self.frame["sequence"] = np.array(forms, dtype=object)[codes]

    def unique(self) -> None:
        """Check that no row is there twice."""
        again = self.frame.duplicated(_KEY).to_numpy()
        if again.any():
            row = int(np.argmax(again))
            key = self.frame.loc[row, _KEY]
            first = int(np.argmax((self.frame[_KEY] == key).all(axis=1).to_numpy()))
            self._stop(
                row,
                "sequence, target, seed and budget_steps are those of "
                f"{self._unit} {first + self._first}; each may occur once",
            )

    def costs(self) -> None:
        """Check that a sequence's last stage has one cost, and that no stage costs nothing."""
        empty = self.frame["sequence"].eq("")
        self._refuse(
            empty & self.frame["stage_steps"].ne(0), "stage_steps", "0 for the empty sequence"
        )
        costs = self.frame.groupby("sequence", sort=False)["stage_steps"].transform("first")
        differs = (costs != self.frame["stage_steps"]).to_numpy()
        if differs.any():
            row = int(np.argmax(differs))
            here, before = self.frame["stage_steps"].tolist()[row], costs.tolist()[row]
            self._stop(
                row,
                f"stage_steps is {here}, but {before} in an earlier row of the same sequence; a "
                "sequence's last stage has one cost",
            )

    def _refuse(self, is_wrong: Any, name: str, rule: str) -> None:
        wrong = is_wrong.to_numpy()
        if wrong.any():
            row = int(np.argmax(wrong))
            value = self.frame[name].tolist()[row]
            self._stop(row, f"{name} is {value!r}; it must be {rule}")

    def _stop(self, row: int, problem: str) -> NoReturn:
        raise DataError(f"{self._path}, {self._unit} {row + self._first}: {problem}.")
