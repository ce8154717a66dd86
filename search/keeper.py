"""This run's dealings with the stage store: what it claims, protects, evicts, drops and reports."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console

from search.ledger import Ledger
from search.roster import Progress
from search.tables import StoreState
from spaces.errors import StoreError
from trainables.lineage import is_spared, num_lost
from trainables.membership import Membership
from trainables.progress import drop_progress
from trainables.storage.entries import EntryKey, Evicted
from trainables.storage.needs import needs
from trainables.storage.weighing import Aside, Scale, in_thread
from trainables.store import StageStore

_log = logging.getLogger(__name__)
#: So many entries are protected before it is asked which of them are still needed.
MIN_WANTED = 500


class StoreKeeper:
    """The ``SharedStages`` of a run, and its housekeeping. A context manager, as ``Membership``.

    Args:
        store: The store; it names the run.
        max_size_gb: The store's largest size; ``None`` for no limit.
        ledger: Keeps what was found damaged.
        console: Where the user is told.
        checkpoint_every: Steps between checkpoints of a training in flight; ``None`` for none.
        clock: A monotonic clock.
        aside: Weighs the store beside the run's own work.
    """

    def __init__(
        self,
        store: StageStore,
        max_size_gb: float | None,
        ledger: Ledger,
        console: Console,
        checkpoint_every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        aside: Aside = in_thread,
    ) -> None:
        self._store = store
        self._max_bytes = None if max_size_gb is None else int(max_size_gb * 1e9)
        self._ledger = ledger
        self._console = console
        self._checkpoint_every = checkpoint_every
        self._member = Membership(store, clock)
        self._scale = Scale(store.size_bytes, clock, aside)
        self._trials: Callable[[], list[Progress]] = list
        self._wanted: set[EntryKey] = set()
        self._most_wanted = MIN_WANTED
        self._evicted: set[str] = set()
        self._swept: set[int] = set()
        self._num_told = 0
        self._waited_for: dict[str, str] = {}

    def __enter__(self) -> StoreKeeper:
        """Begin: other runs see from now on that this one lives, and what it needs."""
        self._member.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Give everything back. A storage that does not answer must not hide why the run ends."""
        try:
            self._member.__exit__(*error)
        except StoreError as unreachable:
            self._tell(f"The stage store was not told that this run has ended: {unreachable}")

    def serve(self, trials: Callable[[], list[Progress]]) -> None:
        """Set what returns the run's trials."""
        self._trials = trials
        mine = {stage.fingerprint for trial in trials() for stage in trial.record.stages}
        once_evicted = self._store.evicted_keys() & mine
        self._evicted = {key for key in once_evicted if self._store.get("stages", key) is None}

    # What the coordinator asks.

    def num_lost(self, progress: Progress) -> int:
        """See ``SharedStages``."""
        record = progress.record
        if len(self._wanted) > self._most_wanted:
            self._most_wanted = 2 * len(self._needed()) + MIN_WANTED
        self._wanted |= needs(progress.plan, len(record.stages), len(record.rungs))
        self._member.protect(self._wanted)
        return num_lost(self._store, progress.plan, len(record.stages))

    def is_taken(self, progress: Progress) -> bool:
        """See ``SharedStages``."""
        stage = progress.next_stage
        assert stage is not None, "a trial that needs no stage waits for none"
        claim = self._member.claim(stage)
        if claim.state == "held" and is_spared(
            self._store, progress.plan, len(progress.record.stages) - progress.num_lost
        ):
            self._member.release(stage)
            self._evicted.add(stage)
        return claim.state == "busy"

    def may_ask(self, stage: str) -> bool:
        """See ``SharedStages``."""
        return self._member.may_ask(stage)

    def give_back(self, stage: str) -> None:
        """See ``SharedStages``."""
        if self._member.release(stage):
            self._evicted.discard(stage)

    # Housekeeping.

    def tidy(self) -> None:
        """Make room if there is need, and tell what happened; can be called at every turn."""
        if self._max_bytes is not None and self._scale.exceeds(self._max_bytes):
            self._note(self._member.keep_within(self._max_bytes, self._kept))
        found = self._store.take_report().quarantined
        if found:
            self._ledger.set_aside(-1, [entry.to_json() for entry in found])
        self._tell_waits()

    def tell_set_aside(self) -> None:
        """Tell the user what was found damaged since this was last called."""
        found = self._ledger.all_set_aside()
        for entry in found[self._num_told :]:
            self._tell(
                f"Damaged and set aside: {entry['kind']} {entry['key'][:12]} ({entry['reason']}). "
                f"It is made again when it is needed; what was there is in {entry['where']}."
            )
        self._num_told = len(found)

    def sweep(self) -> None:
        """Remove the half-done work of settled trials.

        Only after the ledger has a trial's last state: before, a resumed run may need it.
        """
        for progress in self._trials():
            record = progress.record
            if record.is_final and record.number not in self._swept:
                drop_progress(self._store, progress.plan, self._checkpoint_every)
                self._swept.add(record.number)

    def finish(self) -> None:
        """Leave the store as a run should that has ended: it needs nothing any more."""
        self.sweep()
        if self._max_bytes is not None:
            self._scale.wait()
            self._note(self._member.evict(self._max_bytes, self._needed()))

    def state(self) -> StoreState:
        """Return what the tables say of the store."""
        damaged = (e["key"] for e in self._ledger.all_set_aside() if e["kind"] == "stages")
        return StoreState(frozenset(self._evicted), Counter(damaged))

    def _kept(self) -> set[EntryKey]:
        """Return what stays when room is made; the store is weighed again afterwards."""
        self._scale.forget()
        return self._needed()

    def _needed(self) -> set[EntryKey]:
        """Return what trials that are under way need, and nothing else from now on."""
        self._wanted = set()
        for progress in self._trials():
            record = progress.record
            if not record.is_final and record.started_at is not None:
                self._wanted |= needs(progress.plan, len(record.stages), len(record.rungs))
        return self._wanted

    def _note(self, gone: list[Evicted]) -> None:
        """Note what made room."""
        for evicted in gone:
            _log.info("evicted %s %s", evicted.kind, evicted.key)
        self._evicted.update(evicted.key for evicted in gone if evicted.kind == "stages")

    def _tell_waits(self) -> None:
        """Tell whom this run waits for, once for each stage and owner."""
        busy = {stage: str(who) for stage, who in self._member.busy().items()}
        for stage, who in busy.items():
            if self._waited_for.get(stage) != who:
                self._tell(f"Stage {stage[:12]} is {who}; its trials wait for it.")
        self._waited_for = busy

    def _tell(self, message: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._console.print(message, markup=False, highlight=False, soft_wrap=True)
