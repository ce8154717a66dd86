"""What was measured, as plain values and as a tidy frame. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from trainables.similarity.measures import Kind

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one measure; a row of the frame.

    Attributes:
        kind: ``source_target`` or ``source_source``.
        source: Name of a stage of the study.
        target: Name of a target, or of another stage.
        measure: Name of the measure.
        value: Higher is more alike; NaN where the measure is not available.
        cost_s: Seconds spent on it when it was computed. What several values share (a task's
            embedding, say) is counted with the first that needed it, so costs add up.
        num_examples: Examples that were looked at, of both tasks together.
        note: Why the value is NaN; empty otherwise.
    """

    kind: Kind
    source: str
    target: str
    measure: str
    value: float
    cost_s: float
    num_examples: int
    note: str = ""

    @property
    def is_available(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)


COLUMNS = tuple(field.name for field in fields(Value))


def values_frame(values: Iterable[Value]) -> pd.DataFrame:
    """Return values as a tidy frame, one row a value, columns as ``Value``."""
    import pandas as pd  # noqa: PLC0415  (half a second that planning spares)

    frame = pd.DataFrame([asdict(value) for value in values], columns=list(COLUMNS))
    numbers = {"value": "float64", "cost_s": "float64", "num_examples": "int64"}
    texts = {name: "str" for name in COLUMNS if name not in numbers}
    return frame.astype({**numbers, **texts})
