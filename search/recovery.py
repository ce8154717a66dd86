"""What a rebuilt coordinator makes up for: members that a group lacks, reports that arrived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from search.competition import Competition
from search.phases import together
from search.roster import Roster
from search.trials import Proposal, TrialRecord
from spaces.study import Study


def group_members(study: Study, records: Iterable[TrialRecord]) -> list[Proposal]:
    """Return every member of each group that the search has suggested, those on record too."""
    groups = {
        record.proposal.group: record.proposal
        for record in records
        if record.proposal.group and record.proposal.phase == "search"
    }
    return [
        replace(member, bracket=one.bracket)
        for group, one in groups.items()
        for member in together(study, one.sequence, "search", group, one.hyperparameters)
    ]


def replay(roster: Roster, competition: Competition) -> int:
    """Let the reports on record arrive again, in their order, and the promotions follow.

    Returns:
        The number of the next arrival.
    """
    arrivals = sorted(
        (report.arrival, progress.record.number)
        for progress in roster
        for report in progress.record.rungs
    )
    num_reports = dict.fromkeys((record.number for record in roster.records), 0)
    for _, number in arrivals:
        num_reports[number] += 1
        competition.enter(roster[number], num_reports=num_reports)
    for progress in roster:
        for rung, decision in progress.record.decisions.items():
            if decision == "promote":
                competition.promote(progress, rung)
    return arrivals[-1][0] + 1 if arrivals else 0
