"""What a person sees while a run goes on: a live table, or plain lines without a terminal."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.trials import TrialRecord
from spaces.reports import StepProgress
from spaces.study import Study
from spaces.tables import STATES

_REFRESH_S = 0.5
NO_STAGES = "(no intermediate task)"
#: Trainings that are shown one by one; of more, only their number.
MOST_SHOWN = 12
#: A training that was silent for longer says since when: it is a large step, or it hangs.
SILENT_S = 15.0


class Notice(Protocol):
    """What a worker said last of its training."""

    @property
    def progress(self) -> StepProgress:
        """Where the training is."""

    @property
    def age_s(self) -> float:
        """Seconds since the worker said so."""


class LiveView:
    """Shows a run's progress.

    Args:
        study: The study.
        records: Returns the run's trials.
        console: Where to print.
        notices: Returns what the trainings that go on said last; it must not wait for them.
    """

    def __init__(
        self,
        study: Study,
        records: Callable[[], Sequence[TrialRecord]],
        console: Console,
        notices: Callable[[], Sequence[Notice]] = list,
    ) -> None:
        self._study = study
        self._records = records
        self._console = console
        self._notices = notices
        self._started = time.monotonic()
        self._done_at_start = sum(record.is_final for record in records())
        self._told: set[int] = {record.number for record in records() if record.is_final}
        self._last = 0.0
        self._live = (
            Live(console=console, refresh_per_second=4, transient=False)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
        self.refresh(force=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.refresh(force=True)
        if self._live:
            self._live.stop()

    def refresh(self, *, force: bool = False) -> None:
        """Show the state now; cheap to call often."""
        now = time.monotonic()
        if not force and now - self._last < _REFRESH_S:
            return
        self._last = now
        records = self._records()
        if self._live:
            self._live.update(self.render(records))
        else:
            self._print_news(records)

    def render(self, records: Sequence[TrialRecord]) -> RenderableType:
        """Return the live table."""
        counts = Counter(record.state for record in records)
        trained = {s.fingerprint for r in records for s in r.stages if not s.reused}
        reused = sum(stage.reused for record in records for stage in record.stages)
        steps = sum(record.steps_trained for record in records)
        saved = sum(record.steps_reused for record in records)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            "trials", "  ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        )
        head.add_row("stages", f"{len(trained)} trained, {reused} times reused")
        share = f" ({saved / (steps + saved):.0%} saved)" if saved else ""
        head.add_row("steps", f"{steps:,} trained, {saved:,} reused{share}")
        head.add_row("time", self._time_text(records))
        best = Table(title=None, box=None, padding=(0, 2, 0, 0), header_style="bold")
        best.add_column("target")
        best.add_column("best so far")
        best.add_column("score", justify="right")
        best.add_column("no intermediate task", justify="right")
        for target in self._study.targets:
            incumbent, baseline = _incumbent(records, target.name)
            best.add_row(
                target.name,
                Text(str(incumbent.proposal.sequence) or NO_STAGES if incumbent else "-"),
                f"{incumbent.score:.1f}" if incumbent else "-",
                f"{baseline.score:.1f}" if baseline else "-",
            )
        title = Text(f"taskorder  {self._study.name}", style="bold")
        notices = self._notices()
        return Group(title, head, best, *([_trainings(notices)] if notices else []))

    def _print_news(self, records: Sequence[TrialRecord]) -> None:
        for record in records:
            if record.is_final and record.number not in self._told:
                self._told.add(record.number)
                proposal = record.proposal
                score = "" if math.isnan(record.score) else f"  {record.score:5.1f}"
                error = f"  {record.error}" if record.error else ""
                sequence = str(proposal.sequence) or NO_STAGES
                model = f"  {proposal.model}" if self._study.models else ""
                self._console.print(
                    f"[{len(self._told)}/{len(records)}] {record.status:8}{model}"
                    f" {proposal.target}  {sequence}  seed {proposal.seed}{score}{error}",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )

    def _time_text(self, records: Sequence[TrialRecord]) -> str:
        elapsed = time.monotonic() - self._started
        done = sum(record.is_final for record in records) - self._done_at_start
        asked = sum(record.proposal.phase == "search" for record in records)
        to_ask = max(0, self._study.search.num_trials - asked)
        left = sum(not record.is_final for record in records) + to_ask
        guess = f", about {_clock(elapsed / done * left)} left" if done and left else ""
        return f"{_clock(elapsed)} so far{guess}"


def _trainings(notices: Sequence[Notice]) -> RenderableType:
    """Return a table of the trainings that go on."""
    table = Table(title=None, box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("training now")
    for column in ("step", "loss", "tokens/s", "left"):
        table.add_column(column, justify="right")
    for notice in notices[:MOST_SHOWN]:
        progress = notice.progress
        left = _clock(progress.left_s)
        if progress.step >= progress.steps:
            left = "trained; evaluating or storing"
        elif notice.age_s > SILENT_S:
            left = f"silent for {_clock(notice.age_s)}"
        table.add_row(
            Text(progress.what),
            f"{progress.step:,}/{progress.steps:,}",
            f"{progress.loss:.4g}",
            f"{progress.tokens_per_s:,.0f}",
            left,
        )
    if len(notices) > MOST_SHOWN:
        table.add_row(f"and {len(notices) - MOST_SHOWN:,} more")
    return table


def _incumbent(
    records: Sequence[TrialRecord], target: str
) -> tuple[TrialRecord | None, TrialRecord | None]:
    """Return a target's best complete trial and its baseline, both of the first trial's kind.

    Scores of other models, of an arm's further seeds and of the confirmation are not comparable.
    """
    seeds_and_models = [(record.proposal.seed, record.proposal.model) for record in records]
    done = [
        record
        for record, kind in zip(records, seeds_and_models, strict=True)
        if record.status == "complete"
        and record.proposal.target == target
        and kind == seeds_and_models[0]
    ]
    best = max(done, key=lambda record: record.score, default=None)
    empty = next((record for record in done if not len(record.proposal.sequence)), None)
    return best, empty


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"
