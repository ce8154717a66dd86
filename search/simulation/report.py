"""What people read of a simulation."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.exhaustion import describe_end
from search.simulation.result import SimulationResult
from search.view import NO_STAGES
from spaces.sequences import STAGE_SEPARATOR

QUARTILES = ("quartile 1", "median", "quartile 3")


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
    several = len(results) > 1
    body = (
        [_seeds(results), _answers(results)] if several else [_figures(first), _incumbents(first)]
    )
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
    table = _targets("score", "found after", "steps until then")
    for target, found in {found.target: found for found in result.incumbents}.items():
        table.add_row(
            Text(target),
            Text(_spell(found.sequence)),
            f"{found.score:.1f}",
            _duration(found.at_s),
            f"{found.steps:,}",
        )
    return table


def _seeds(results: Sequence[SimulationResult]) -> Table:
    """Return a row a seed, then the quartiles."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("seed", "trials", "steps trained", "makespan", "utilisation"):
        table.add_column(name, justify="right", no_wrap=True)
    rows: list[tuple[float, ...]] = []
    for result in results:
        steps = result.counts.steps_trained
        rows.append((len(result.records), steps, result.makespan_s, result.utilisation))
        table.add_row(str(result.study.seed), *_cells(rows[-1]))
    for label, row in zip(
        QUARTILES, zip(*map(_quartiles, zip(*rows, strict=True)), strict=True), strict=True
    ):
        table.add_row(label, *_cells(row), style="bold")
    return table


def _answers(results: Sequence[SimulationResult]) -> Table:
    """Return a row a target: its most frequent answer and the quartiles of the answers' scores."""
    table = _targets("seeds", *QUARTILES)
    last = [{found.target: found for found in result.incumbents} for result in results]
    for target in dict.fromkeys(target for best in last for target in best):
        found = [best[target] for best in last if target in best]
        (sequence, count), *_ = Counter(one.sequence for one in found).most_common(1)
        table.add_row(
            Text(target),
            Text(_spell(sequence)),
            f"{count}/{len(results)}",
            *(f"{score:.1f}" for score in _quartiles([one.score for one in found])),
        )
    return table


def _targets(*numbers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("target", overflow="fold")
    table.add_column("best sequence", overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return (values[0],) * 3
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, median, third


def _cells(row: Sequence[float]) -> tuple[str, ...]:
    trials, steps, makespan, utilisation = row
    return f"{trials:,.0f}", f"{steps:,.0f}", _duration(makespan), _share(utilisation)


def _notes(result: SimulationResult) -> list[str]:
    notes = []
    if result.is_exhausted:
        notes.append(describe_end(result.study, result.records))
    if not result.incumbents:
        notes.append("no trial reached the full budget, so there is no incumbent")
    if result.stopped:
        notes.append("it was stopped before its end")
    return notes


def _spell(sequence: str) -> str:
    return sequence.replace(STAGE_SEPARATOR, f" {STAGE_SEPARATOR} ") or NO_STAGES


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
