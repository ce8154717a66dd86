"""What a run is made of before anything of it is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.rundir import RunDirectory
from spaces.study import Study
from trainables.preparation import Preparation, prepare
from trainables.session_config import SessionConfig


@dataclass(frozen=True, slots=True)
class RunSetup:
    """A run, ready to be driven.

    Attributes:
        study: The study.
        resolved: What its run directory notes with it.
        directory: The run directory.
        preparation: Data identities, models and evaluation sets.
    """

    study: Study
    resolved: Mapping[str, Any]
    directory: RunDirectory
    preparation: Preparation

    @classmethod
    def of_launched(
        cls, study: Study, resolved: Mapping[str, Any], directory: RunDirectory
    ) -> RunSetup:
        """Return the setup of a run that was launched: its data and models are looked at again.

        Raises:
            InputError: As ``prepare``.
        """
        preparation = prepare(study, launched_data_root(resolved), directory.path)
        return cls(study, resolved, directory, preparation)

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return str(self.resolved["run_id"])

    @property
    def data_root(self) -> Path | None:
        """Folder of the official files."""
        return launched_data_root(self.resolved)

    @property
    def store_url(self) -> str:
        """URL of the stage store."""
        return self.directory.store_url(self.study)

    def session(self) -> SessionConfig:
        """Return what every worker of the run needs to know."""
        predictions = (self.directory.path / "predictions").resolve()
        return SessionConfig.of_models(
            self.preparation.models,
            store_url=self.store_url,
            data_root=str(self.data_root) if self.data_root else None,
            evaluation=self.preparation.evaluation,
            run_id=self.run_id,
            predictions_dir=str(predictions) if self.study.training.save_predictions else None,
        )


def launched_data_root(resolved: Mapping[str, Any]) -> Path | None:
    """Return the folder of the official files that a run was launched with, if with any.

    Args:
        resolved: What its run directory notes with the study.
    """
    noted = resolved["data_root"]
    return Path(noted) if noted else None
