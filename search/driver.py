"""The driver of a run: puts coordinator, store, tables and Ray Tune together, and runs them.

With ``search.launch``, which makes it, the composition root: these know ``trainables``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from search.cluster import is_node_alive, max_concurrent, node_labels, start_ray, stop_ray
from search.coordinator import Coordinator
from search.edits import check_edits
from search.exhaustion import describe_end, is_exhausted
from search.interrupts import heeding_termination
from search.keeper import StoreKeeper
from search.ledger import Ledger
from search.run_setup import RunSetup
from search.samplers import make_sampler
from search.tables import TableWriter
from search.tokenising_view import show_tokenising
from search.trials import TrialRecord
from search.tuning import tune_trials
from search.view import LiveView
from spaces.errors import StoreError
from spaces.model_axis import naming_model
from trainables.preparation import Preparation, PreparedModel
from trainables.preparing import make_missing_models, prepare_elsewhere
from trainables.store import StageStore

#: Seconds between two looks at whether another run has finished a stage, while nothing runs.
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a launch or resume ended.

    Attributes:
        finished: Whether nothing is left to do; otherwise it was interrupted.
        num_failed: Trials that failed.
        num_complete: Trials that reached the full budget.
    """

    finished: bool
    num_failed: int
    num_complete: int


class Driver:
    """Drives a run, which it holds from its making until ``close``. A context manager.

    Args:
        setup: The run.
        address: A running Ray cluster; ``None`` starts Ray on this machine.
        console: Where progress goes.

    Raises:
        InputError: The study file was edited in a way that changes what was run.
        RunDirectoryError: Another driver has the run.
    """

    def __init__(self, setup: RunSetup, address: str | None, console: Console) -> None:
        self._setup = setup
        self._console = console
        study, directory = setup.study, setup.directory
        with ExitStack() as open_parts:
            open_parts.enter_context(directory.driven())
            self._ledger = Ledger(study, directory.optuna_url(study), make_sampler(study))
            launched = self._ledger.launched().model_dump(mode="json")
            check_edits(launched, study.model_dump(mode="json"), str(directory.study_file))
            # Within a Ray job that brings modules of its own, ours are taken all the same.
            os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
            start_ray(address)
            open_parts.callback(stop_ray)
            open_parts.enter_context(heeding_termination())
            store = StageStore(
                setup.store_url,
                run=setup.run_id,
                labels=node_labels(),
                ask=lambda owner: is_node_alive(owner.labels),
            )
            every = study.storage.checkpoint_every_steps
            keeper = StoreKeeper(store, study.storage.max_size_gb, self._ledger, console, every)
            self._keeper = open_parts.enter_context(keeper)
            self._coordinator = Coordinator(
                study,
                setup.preparation.planner,
                self._ledger,
                max_concurrent=max_concurrent(study, address),
                run_id=setup.run_id,
                shared=keeper,
            )
            self._open_parts = open_parts.pop_all()
        keeper.serve(lambda: [self._coordinator.progress(r.number) for r in self._records()])
        self._writer = TableWriter(directory.tables, self._records, keeper.state)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self._open_parts.__exit__(None, None, None)

    def run(self, *, is_tokenised: bool) -> Outcome:
        """Run what is left to run, until nothing is or the user interrupts.

        Args:
            is_tokenised: Whether the training sets are tokenised for every model that is there.
        """
        finished = False
        try:
            if not self._coordinator.is_finished:
                self._setup.directory.note_unfinished()
                self._make_ready(is_tokenised=is_tokenised)
                self._search()
        finally:
            finished = self._coordinator.num_running == 0 and self._coordinator.is_finished
            self._coordinator.suspend()
            self._keeper.tell_set_aside()
            self._write_tables()
        if finished:
            self._keeper.finish()
            self._write_tables()
            self._setup.directory.note_finished()
            self._tell_end()
        states = [record.status for record in self._records()]
        return Outcome(finished, states.count("failed"), states.count("complete"))

    def _records(self) -> list[TrialRecord]:
        return self._coordinator.records

    def _tell_end(self) -> None:
        """Say so if the search ended before its number of trials."""
        if is_exhausted(self._setup.study, self._records()):
            note = f"Note: {describe_end(self._setup.study, self._records())}."
            self._console.print(note, markup=False, highlight=False, soft_wrap=True)

    def _make_ready(self, *, is_tokenised: bool) -> None:
        """Make the models that the study makes, and tokenise what is not yet."""
        setup = self._setup
        models = setup.preparation.models
        made = make_missing_models(models, setup.data_root, self._console.print)
        tokenise(
            made if is_tokenised else models.values(),
            setup.preparation,
            setup.data_root,
            self._console,
        )

    def _search(self) -> None:
        """Run Ray Tune, again if it runs out of trials while others wait for another run's stages.

        Ray Tune asks for its first trial without ever looking up, so that is waited for here.
        """
        from trainables.progress_board import BoardReader  # noqa: PLC0415  (Ray)

        study, coordinator = self._setup.study, self._coordinator
        session, ray_dir = self._setup.session(), self._setup.directory.ray
        # Plain lines tell of trials that have ended alone.
        notices = BoardReader() if self._console.is_terminal else BoardReader.off()
        with LiveView(study, self._records, self._console, notices) as view:

            def turn() -> None:
                view.refresh()
                self._keep_house()

            is_interrupted = False
            while not (is_interrupted or coordinator.is_finished):
                while (chosen := coordinator.select()) is None and coordinator.waits_for_others:
                    turn()
                    time.sleep(WAIT_S)
                if chosen is None:
                    return
                is_interrupted = tune_trials(study, coordinator, session, ray_dir, turn)

    def _keep_house(self) -> None:
        """Keep store and tables in order; called at every turn of Ray's event loop."""
        self._keeper.tidy()
        if self._writer.is_due:
            self._keeper.tell_set_aside()
            self._write_tables()
            self._keeper.sweep()

    def _write_tables(self) -> None:
        try:
            self._writer.write()
        except OSError as error:
            raise StoreError(
                f"the tables cannot be written to {self._setup.directory.tables}: {error}. When "
                "that is mended (is the disk full?), resume the run."
            ) from error


def tokenise(
    models: Iterable[PreparedModel],
    preparation: Preparation,
    data_root: Path | None,
    console: Console,
) -> None:
    """Tokenise what the study trains on, so that a bad record is found before time is spent.

    Args:
        models: Models, of those that the study has.
        preparation: What the run needs.
        data_root: Folder of the official files.
        console: Where progress goes.

    Raises:
        InputError: What is wrong with a record.
    """
    sizes = {name: data.num_examples for name, data in preparation.planner.data.items()}
    labels = {model.path: label for label, model in preparation.models.items()}
    for model in models:
        cache_dir = model.study.storage.cache_dir
        events = prepare_elsewhere(model.study, model.path, data_root, cache_dir, sizes)
        with naming_model(labels[model.path], model.study):
            show_tokenising(events, console)
