"""What people read of a simulation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.simulation.result import SimulationResult
from search.view import NO_STAGES


def render_simulation(
    results: Sequence[SimulationResult], notes: Sequence[str] = ()
) -> RenderableType:
    """Render the simulations of a study for the terminal: one in full, several as a table.

    Args:
        results: At least one; several differ in the study's seed.
        notes: What else is to be known of them, a line each.
    """
    first = results[0]
    head = f"{first.study.name}: simulated on {len(first.tallies):,} workers, virtual time"
    body = [_figures(first), _incumbents(first)] if len(results) == 1 else [_seeds(results)]
    own = (note for result in results for note in _notes(result))
    told = dict.fromkeys((*own, *notes))
    parts: list[RenderableType] = [
        Text(head, style="bold"),
        *body,
        *(Text(f"note: {note}") for note in told),
    ]
    return Group(*parts)


def _figures(result: SimulationResult) -> Table:
    counts, latency = result.counts, result.decision_latency()
    frame = result.worker_frame()
    states = result.summary()["trials"]
    trials = ", ".join(f"{states[name]:,} {name}" for name in states if name != "total")
    reused = sum(record.steps_reused for record in result.records)
    spared = reused / (counts.steps_trained + reused) if reused else 0.0
    table = Table.grid(padding=(0, 2))
    table.add_row("trials", f"{states['total']:,} ({trials})" if trials else "none")
    table.add_row(
        "steps",
        f"{counts.steps_trained:,} trained, {reused:,} spared by shared stages ({spared:.0%}), "
        f"{counts.steps_lost:,} lost",
    )
    table.add_row("makespan", _duration(result.makespan_s))
    table.add_row(
        "utilisation",
        f"{_share(result.utilisation)} of all workers; from {_share(frame['utilisation'].min())} "
        f"to {_share(frame['utilisation'].max())} of one",
    )
    table.add_row(
        "faults",
        f"{counts.failures:,} failures, {counts.preemptions:,} pre-emptions; "
        f"{counts.given_up:,} trials given up",
    )
    table.add_row(
        "decisions",
        f"{latency['count']:,.0f} in {latency['total_s']:.1f} s of real time: mean "
        f"{_milliseconds(latency['mean_s'])}, median {_milliseconds(latency['p50_s'])}, 99 % "
        f"within {_milliseconds(latency['p99_s'])}",
    )
    return table


def _incumbents(result: SimulationResult) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("target")
    table.add_column("best sequence")
    for name in ("score", "found after", "steps until then"):
        table.add_column(name, justify="right")
    for target, found in {found.target: found for found in result.incumbents}.items():
        table.add_row(
            Text(target),
            Text(found.sequence or NO_STAGES),
            f"{found.score:.1f}",
            _duration(found.at_s),
            f"{found.steps:,}",
        )
    return table


def _seeds(results: Sequence[SimulationResult]) -> Table:
    """Return a row a seed, then the median and the quartiles."""
    targets = list(dict.fromkeys(i.target for result in results for i in result.incumbents))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("seed", "trials", "steps trained", "makespan", "utilisation", *targets):
        table.add_column(name, justify="right")
    columns: list[list[float]] = []
    for result in results:
        best = {found.target: found.score for found in result.incumbents}
        columns.append(
            [
                len(result.records),
                result.counts.steps_trained,
                result.makespan_s,
                result.utilisation,
                *(best.get(target, math.nan) for target in targets),
            ]
        )
        table.add_row(str(result.study.seed), *_cells(columns[-1]))
    quartiles = [
        statistics.quantiles(column, n=4, method="inclusive")
        for column in zip(*columns, strict=True)
    ]
    for label, at in (("quartile 1", 0), ("median", 1), ("quartile 3", 2)):
        table.add_row(label, *_cells([found[at] for found in quartiles]), style="bold")
    return table


def _cells(values: Sequence[float]) -> list[str]:
    trials, steps, makespan, utilisation, *scores = values
    return [
        f"{trials:,.0f}",
        f"{steps:,.0f}",
        _duration(makespan),
        _share(utilisation),
        *("-" if math.isnan(score) else f"{score:.1f}" for score in scores),
    ]


def _notes(result: SimulationResult) -> list[str]:
    notes = []
    if result.is_exhausted:
        asked = sum(record.proposal.phase == "search" for record in result.records)
        notes.append(
            f"the search ended after {asked:,} of {result.study.search.num_trials:,} trials: "
            "nothing new was left to suggest"
        )
    if not result.incumbents:
        notes.append("no trial reached the full budget, so there is no incumbent")
    if result.stopped:
        notes.append("it was stopped before its end")
    return notes


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
