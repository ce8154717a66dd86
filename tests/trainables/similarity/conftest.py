from __future__ import annotations

import pytest
import torch

from spaces.study import load_study
from tests.trainables import tiny
from trainables.models import load_encoder
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


@pytest.fixture(scope="session")
def base(mini):
    """The base encoder's weights by name."""
    _, preparation = mini
    encoder = load_encoder(preparation.model_path, dropout=0.0)
    return {name: weight.detach().clone() for name, weight in encoder.named_parameters()}


@pytest.fixture
def changes(base):
    """What two stages changed: noise, of which the second holds half of the first."""
    generator = torch.Generator().manual_seed(0)
    first = {k: 0.02 * torch.randn(w.shape, generator=generator) for k, w in base.items()}
    second = {
        k: 0.5 * first[k] + 0.02 * torch.randn(w.shape, generator=generator)
        for k, w in base.items()
    }
    return {"mini_entail": first, "mini_completion": second}


@pytest.fixture
def stored(mini, base, changes, subjects, tmp_path):
    """A bench on a store that holds the stages of two of the three sources."""
    study, preparation = mini
    bench = Bench(study, preparation, None, FEW, str(tmp_path / "stages"))
    for name, change in changes.items():
        weights = {key: weight + change[key] for key, weight in base.items()}
        (checkpoint,) = subjects[name].checkpoints
        bench.store.put("stages", checkpoint, weights, {"sequence": name})
    yield bench
    bench.close()
