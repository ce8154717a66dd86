"""What a run found: frames, statistics, tables and pictures, status and report.

``from analysis import load_run`` is the entry point; docs/analysis.md says what each statistic is.
Names are resolved on first use, so that importing this package (for ``taskorder --help``) does not
load pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.breakdowns import language_breakdown
    from analysis.columns import describe_columns
    from analysis.comparisons import compare_best, compare_pairs
    from analysis.diagnostics import pruning_cost, rung_agreement, rung_survival, stage_savings
    from analysis.forgetting import appended_effects, forgetting_curve
    from analysis.frames import Problem, Run, Runs, load_run, load_runs
    from analysis.hyperparameters import hyperparameter_importance
    from analysis.importance import task_importance
    from analysis.incumbents import incumbent_band, incumbent_curve
    from analysis.languages import language_scores
    from analysis.observations import language_observations
    from analysis.order_effects import (
        adjacency_effects,
        position_effects,
        precedence_effects,
        recency_effects,
    )
    from analysis.predictiveness import similarity_advantage, similarity_predictiveness
    from analysis.selection import selection_bias
    from analysis.statistics import cost_summary, incumbent, leaderboard
    from analysis.timeline import utilisation
    from analysis.transfer import language_transfer, transfer_matrix
    from analysis.variance import variance_components
    from analysis.writers import to_latex, to_markdown, write_table

__all__ = [
    "Problem",
    "Run",
    "Runs",
    "adjacency_effects",
    "appended_effects",
    "compare_best",
    "compare_pairs",
    "cost_summary",
    "describe_columns",
    "forgetting_curve",
    "hyperparameter_importance",
    "incumbent",
    "incumbent_band",
    "incumbent_curve",
    "language_breakdown",
    "language_observations",
    "language_scores",
    "language_transfer",
    "leaderboard",
    "load_run",
    "load_runs",
    "position_effects",
    "precedence_effects",
    "pruning_cost",
    "recency_effects",
    "rung_agreement",
    "rung_survival",
    "selection_bias",
    "similarity_advantage",
    "similarity_predictiveness",
    "stage_savings",
    "task_importance",
    "to_latex",
    "to_markdown",
    "transfer_matrix",
    "utilisation",
    "variance_components",
    "write_table",
]

_MODULES = {
    "frames": (
        "Problem",
        "Run",
        "Runs",
        "load_run",
        "load_runs",
    ),
    "columns": ("describe_columns",),
    "observations": ("language_observations",),
    "statistics": (
        "cost_summary",
        "incumbent",
        "leaderboard",
    ),
    "comparisons": (
        "compare_best",
        "compare_pairs",
    ),
    "selection": ("selection_bias",),
    "transfer": (
        "language_transfer",
        "transfer_matrix",
    ),
    "breakdowns": ("language_breakdown",),
    "languages": ("language_scores",),
    "order_effects": (
        "adjacency_effects",
        "position_effects",
        "precedence_effects",
        "recency_effects",
    ),
    "variance": ("variance_components",),
    "importance": ("task_importance",),
    "forgetting": (
        "appended_effects",
        "forgetting_curve",
    ),
    "predictiveness": (
        "similarity_advantage",
        "similarity_predictiveness",
    ),
    "diagnostics": (
        "pruning_cost",
        "rung_agreement",
        "rung_survival",
        "stage_savings",
    ),
    "incumbents": (
        "incumbent_band",
        "incumbent_curve",
    ),
    "timeline": ("utilisation",),
    "hyperparameters": ("hyperparameter_importance",),
    "writers": (
        "to_latex",
        "to_markdown",
        "write_table",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"analysis.{_HOME[name]}"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
