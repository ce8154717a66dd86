"""The incumbent as a search goes on: what it would answer if it were stopped now."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from search.competition import AVERAGE
from search.roster import Progress
from search.trials import TrialRecord
from spaces.study import Study


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The best sequence so far, and when it became so.

    Attributes:
        target: A target, or ``average``.
        sequence: Its text form.
        score: As observed at the full budget, at the study's own seed (points).
        trial_id: The trial that made it so; under the average, the group's last.
        at_s: Virtual seconds since the start.
        steps: Optimizer steps of the whole run until then, lost ones included; what was under way
            on other workers is not counted.
    """

    target: str
    sequence: str
    score: float
    trial_id: int
    at_s: float
    steps: int


class IncumbentCurve:
    """Follows the incumbents: complete trials at the study's own seed, references included.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._groups: dict[str, dict[str, TrialRecord]] = defaultdict(dict)
        self.current: dict[str, Incumbent] = {}
        self.history: list[Incumbent] = []

    def observe(self, progress: Progress, at_s: float, steps: int) -> Incumbent | None:
        """Take in a trial after a report; return the new incumbent if it makes one."""
        record = progress.record
        proposal = record.proposal
        if record.status != "complete" or proposal.phase == "confirm":
            return None
        target, score = proposal.target, record.score
        if self._study.objective == "average":
            group = self._groups[record.entity]
            group[proposal.target] = record
            if len(group) < len(self._study.targets):
                return None
            target = AVERAGE
            score = math.fsum(member.score for member in group.values()) / len(group)
        best = self.current.get(target)
        if best is not None and score <= best.score:
            return None
        found = Incumbent(target, str(proposal.sequence), score, record.number, at_s, steps)
        self.current[target] = found
        self.history.append(found)
        return found
