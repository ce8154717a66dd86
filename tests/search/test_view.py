"""What a person sees while a run goes on."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from search.trials import Proposal, RungReport, TrialRecord
from search.view import LiveView
from spaces.reports import StepProgress
from spaces.sequences import Sequence
from spaces.study import load_study

AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(number: int, sequence: str, status: str, score: float, error: str = "") -> TrialRecord:
    proposal = Proposal(Sequence.parse(sequence), "mini_pos", 0, "baseline")
    report = RungReport(0, 9, score, (), 9, 1.0, number, AT)
    return TrialRecord(number, proposal, status, rungs=[report], error=error)


def shown(records: list[TrialRecord], *, terminal: bool) -> tuple[LiveView, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, color_system=None)
    return LiveView(load_study("mini"), lambda: records, console), out


def test_each_ended_trial_has_a_numbered_line_of_its_own():
    records: list[TrialRecord] = []
    view, out = shown(records, terminal=False)
    with view:
        records += [record(0, "", "complete", 50.0), record(1, "mini_qa", "pruned", 40.0)]
        records += [record(2, "mini_noise", "running", 1.0)]
        view.refresh(force=True)
        view.refresh(force=True)
        records[2].status, records[2].error = "failed", "the loss is [nan]"
    assert out.getvalue().splitlines() == [
        "[1/3] complete mini_pos  (no intermediate task)  seed 0   50.0",
        "[2/3] pruned   mini_pos  mini_qa  seed 0   40.0",
        "[3/3] failed   mini_pos  mini_noise  seed 0    1.0  the loss is [nan]",
    ]


def test_trials_that_had_ended_before_a_resume_are_not_told_again():
    records = [record(0, "", "complete", 50.0)]
    view, out = shown(records, terminal=False)
    with view:
        records.append(record(1, "mini_qa", "complete", 60.0))
    assert out.getvalue() == "[2/2] complete mini_pos  mini_qa  seed 0   60.0\n"


def test_the_live_table_names_states_incumbents_and_the_baseline():
    records = [
        record(0, "", "complete", 50.0),
        record(1, "mini_qa", "complete", 60.0),
        record(2, "mini_noise", "paused", 1.0),
    ]
    view, _ = shown(records, terminal=True)
    out = io.StringIO()
    Console(file=out, width=100).print(view.render(records))
    text = out.getvalue()
    assert "2 complete  1 waiting" in text
    line = next(line for line in text.splitlines() if line.startswith("mini_pos"))
    assert line.split() == ["mini_pos", "mini_qa", "60.0", "50.0"]


@dataclass
class Said:
    progress: StepProgress
    age_s: float = 1.0


def test_trainings_that_go_on_are_shown_with_their_speed():
    told = [
        Said(StepProgress("mini_qa>mini_pos", 120, 4000, 0.51239, 12345.6, 95.0)),
        Said(StepProgress("mini_pos", 8, 8, 1.5, 900.0, 0.0), age_s=40.0),
        Said(StepProgress("mini_qa", 1, 8, 1.5, 900.0, 70.0), age_s=40.0),
    ]
    out = io.StringIO()
    console = Console(file=out, width=100)
    view = LiveView(load_study("mini"), list, console, lambda: told)
    console.print(view.render([]))
    lines = out.getvalue().splitlines()
    shown = lines[next(i for i, line in enumerate(lines) if "training now" in line) + 1 :]
    assert [line.split() for line in shown] == [
        ["mini_qa>mini_pos", "120/4,000", "0.5124", "12,346", "1m", "35s"],
        ["mini_pos", "8/8", "1.5", "900", "trained;", "evaluating", "or", "storing"],
        ["mini_qa", "1/8", "1.5", "900", "silent", "for", "0m", "40s"],
    ]
    told *= 10
    console.print(view.render([]))
    assert "and 18 more" in out.getvalue()
