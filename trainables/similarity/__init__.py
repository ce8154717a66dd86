"""How alike tasks are: named measures, each with its paper, at a bounded cost.

A measure compares a source (a stage of the study) with a target, or two sources. What is here can
be imported without torch: the declarations (``MEASURES``), the cache of what was measured, and
``measure_study``, which loads torch when there is something to compute. The functions that compute
are in one module a measure, named by its declaration.
"""

from __future__ import annotations

from trainables.similarity.measures import MEASURES, Measure
from trainables.similarity.settings import SimilaritySettings
from trainables.similarity.study import cached_values, measure_study
from trainables.similarity.values import COLUMNS, Value, values_frame

__all__ = [
    "COLUMNS",
    "MEASURES",
    "Measure",
    "SimilaritySettings",
    "Value",
    "cached_values",
    "measure_study",
    "values_frame",
]
