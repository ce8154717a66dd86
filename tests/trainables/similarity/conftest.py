from __future__ import annotations

import pytest

from spaces.study import load_study
from tests.trainables import tiny
from trainables.preparation import prepare
from trainables.similarity import SimilaritySettings
from trainables.similarity.bench import Bench
from trainables.similarity.subjects import Subjects

#: Two sources and two targets of four formats, and one target without training.
OVERRIDES = (
    "intermediate.tasks=[mini_entail, mini_completion, mini_mlm]",
    "intermediate.max_length=1",
    "targets=[mini_pos, mini_xqa, mini_tatoeba]",
)
FEW = SimilaritySettings(num_examples=12, head_epochs=3, probe_steps=2, probe_examples=8)


@pytest.fixture(scope="session")
def mini(tmp_path_factory):
    """A study of the built-in suite, and what a run of it would be launched with."""
    study = load_study("mini", OVERRIDES)
    return study, prepare(study, None, tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="session")
def subjects(mini):
    """The study's subjects by name."""
    study, preparation = mini
    found = Subjects(study, preparation, None)
    return {subject.name: subject for subject in (*found.sources, *found.targets)}


@pytest.fixture(scope="session")
def bench(mini):
    """A bench on the study, of a few examples."""
    study, preparation = mini
    return Bench(study, preparation, None, FEW)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty folder of caches."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TASKORDER_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_study(tiny_model, data_root):
    """A function that makes a study on a few records in the official layout."""

    def made(**changes):
        study = tiny.study(tiny_model, **changes)
        return study, prepare(study, data_root, data_root), data_root

    return made
