"""The tabular trainable: the trainable's contract, answered from a recorded table."""

from __future__ import annotations

from trainables.tabular.planner import TabularPlanner
from trainables.tabular.reading import read_table
from trainables.tabular.table import RecordedTable
from trainables.tabular.trainable import TabularTrainable

__all__ = ["RecordedTable", "TabularPlanner", "TabularTrainable", "read_table"]
