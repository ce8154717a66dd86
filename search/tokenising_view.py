"""What a person sees while training sets are tokenised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spaces.reports import SetProgress, SetReport


def show_tokenising(events: Iterable[SetProgress | SetReport], console: Console) -> None:
    """Show the progress of tokenising, and at its end what the training sets hold.

    Args:
        events: Progress and reports, as they come.
        console: Where to print; without a terminal, the end alone is told.
    """
    reports: list[SetReport] = []
    bars = Progress(
        TextColumn("tokenising {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        numbers = {}
        for event in events:
            if isinstance(event, SetReport):
                reports.append(event)
                continue
            if event.stream not in numbers:
                numbers[event.stream] = bars.add_task(event.stream, total=event.total)
            bars.update(numbers[event.stream], completed=event.num_done)
    for line in lines(reports):
        console.print(line, markup=False, highlight=False)


def lines(reports: Iterable[SetReport]) -> list[str]:
    """Return what is worth a line: the sum, and each set of which something was left out."""
    found = list(reports)
    if not found:
        return []
    examples = sum(report.num_examples for report in found)
    new = Counter(report.is_cached for report in found)[False]
    summary = (
        f"Training sets: {len(found)}, with {examples:,} examples; {new} tokenised now, "
        f"{len(found) - new} before."
    )
    told = [summary]
    for report in found:
        if report.left_out:
            reasons = ", ".join(f"{count:,} {why}" for why, count in report.left_out.items())
            told.append(f"  {report.stream}: {report.num_examples:,}; left out: {reasons}.")
    return told
