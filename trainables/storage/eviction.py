"""Which entries make room, by what it would cost to have them again. Pure: no files, no clock.

GreedyDual-Size-Frequency: an entry is worth ``H = L + F * C / S`` with F the number of its uses,
C the cost of rebuilding it, S its size, and L the clock when it was last used; the lowest H goes
first, and the clock rises to it, so that what is not used any more sinks below what is.

Source: Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
Policy", HP Laboratories HPL-98-69R1, 1998. Deviation: C is not fixed. A stage whose ancestors are
evicted costs their training too, so evicting one raises the worth of the stages built on it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from trainables.storage.entries import Entry, EntryKey, Evicted, number

_GB = 1e9


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry with its uses.

    Attributes:
        entry: The entry.
        uses: Times it was written or loaded (F).
        clock: The store's clock when it was last used (L).
    """

    entry: Entry
    uses: float
    clock: float


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry that is to go.

    Attributes:
        entry: The entry.
        rebuild_s: Seconds to have it again, evicted ancestors included (C).
        score: Its worth (H), seconds per GB.
    """

    entry: Entry
    rebuild_s: float
    score: float


class _Costs:
    """Seconds to rebuild an entry, given which stages there are."""

    def __init__(self, present: Sequence[Candidate], gone: Sequence[Evicted]) -> None:
        noted = [c.entry.metadata for c in present] + [e.metadata for e in gone]
        timed = [m for m in noted if number(m.get("wall_s")) and number(m.get("steps"))]
        steps = sum(number(m["steps"]) for m in timed)
        # For entries whose writer noted steps and no seconds.
        self._s_per_step = sum(number(m["wall_s"]) for m in timed) / steps if steps else 1.0
        self._gone = {e.key: e.metadata for e in gone if e.kind == "stages"}

    def evict(self, entry: Entry) -> None:
        """Note that an entry is gone."""
        if entry.kind == "stages":
            self._gone[entry.key] = entry.metadata

    def rebuild_s(self, metadata: Mapping[str, object]) -> float:
        """Return the cost of one entry and of its evicted ancestors, up to one that is there."""
        total, seen = self._own_s(metadata), set[str]()
        parent = metadata.get("parent")
        while isinstance(parent, str) and parent in self._gone and parent not in seen:
            seen.add(parent)
            total += self._own_s(self._gone[parent])
            parent = self._gone[parent].get("parent")
        return total

    def _own_s(self, metadata: Mapping[str, object]) -> float:
        return number(metadata.get("wall_s")) or self._s_per_step * number(metadata.get("steps"))


def choose(
    present: Sequence[Candidate],
    gone: Sequence[Evicted],
    protected: Set[EntryKey],
    excess_bytes: int,
) -> tuple[list[Choice], float]:
    """Choose entries until enough bytes are free, or none is left that may go.

    Args:
        present: Every entry of the store.
        gone: Every evicted one.
        protected: What must stay.
        excess_bytes: Bytes to free.

    Returns:
        What is to go, in that order, and the clock afterwards: the highest score that went.
    """
    costs = _Costs(present, gone)
    built_on: dict[object, list[int]] = {}
    for index, candidate in enumerate(present):
        built_on.setdefault(candidate.entry.metadata.get("parent"), []).append(index)
    gone_on: dict[object, list[str]] = {}
    for evicted in gone:
        if evicted.kind == "stages":
            gone_on.setdefault(evicted.metadata.get("parent"), []).append(evicted.key)

    def score(index: int) -> tuple[float, float]:
        candidate = present[index]
        rebuild_s = costs.rebuild_s(candidate.entry.metadata)
        size_gb = max(1, candidate.entry.size_bytes) / _GB
        return candidate.clock + candidate.uses * rebuild_s / size_gb, rebuild_s

    free = {
        index: score(index)
        for index, candidate in enumerate(present)
        if (candidate.entry.kind, candidate.entry.key) not in protected
    }
    heap = [(worth, present[i].entry.key, i) for i, (worth, _) in free.items()]
    heapq.heapify(heap)
    chosen: list[Choice] = []
    clock = 0.0
    while heap and excess_bytes > 0:
        worth, _, index = heapq.heappop(heap)
        if index not in free or free[index][0] != worth:
            continue  # its worth has changed; it is in the heap again
        entry, (worth, rebuild_s) = present[index].entry, free.pop(index)
        chosen.append(Choice(entry, rebuild_s, worth))
        clock = max(clock, worth)
        excess_bytes -= entry.size_bytes
        costs.evict(entry)
        if entry.kind != "stages":
            continue
        gone_on.setdefault(entry.metadata.get("parent"), []).append(entry.key)
        for child in _hanging_on(entry.key, built_on, gone_on):
            if child in free:
                free[child] = score(child)
                heapq.heappush(heap, (free[child][0], present[child].entry.key, child))
    return chosen, clock


def _hanging_on(
    key: str, built_on: Mapping[object, list[int]], gone_on: Mapping[object, list[str]]
) -> list[int]:
    """Return the entries whose rebuilding needs a stage, through evicted stages between."""
    found, seen, waiting = [], {key}, [key]
    while waiting:
        at = waiting.pop()
        found += built_on.get(at, [])
        waiting += [below for below in gone_on.get(at, ()) if below not in seen]
        seen.update(gone_on.get(at, ()))
    return found
