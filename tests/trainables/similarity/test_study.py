from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from spaces.errors import InputError, UnknownNameError
from tests.trainables.similarity.conftest import FEW
from trainables.similarity import (
    COLUMNS,
    MEASURES,
    SimilaritySettings,
    Value,
    cached_values,
    measure_study,
    values_frame,
)
from trainables.similarity import study as studies

CHEAP = ("vocabulary_overlap", "typological_distance")


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_declaration_names_its_function_paper_and_settings(measure):
    module, name = measure.compute.split(":")
    assert callable(getattr(import_module(module), name))
    assert MEASURES[measure.name] is measure
    assert measure.paper
    assert set(measure.settings) <= set(SimilaritySettings.__dataclass_fields__)


def test_every_pair_is_measured_once_and_then_known(tiny_study, own_cache, monkeypatch):
    study, preparation, data_root = tiny_study()
    told = []
    values = measure_study(
        study, preparation, data_root, measures=CHEAP, settings=FEW, tell=lambda *a: told.append(a)
    )
    assert [(v.kind, v.measure, v.source, v.target) for v in values] == [
        *[
            ("source_target", measure, source, target)
            for measure in CHEAP
            for source in ("squad1", "xnli")
            for target in ("panx", "tatoeba")
        ],
        *[
            ("source_source", measure, source, other)
            for measure in CHEAP
            for source, other in (("squad1", "xnli"), ("xnli", "squad1"))
        ],
    ]
    assert all(value.is_available for value in values)
    assert told[0] == (0, 12, "vocabulary_overlap")
    first, mirrored = values[8], values[9]
    assert first.value == mirrored.value
    assert mirrored.cost_s == 0.0 < first.cost_s

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(studies, "_compute", refuse)
    again = measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)
    assert again == values
    assert cached_values(study, preparation, data_root, measures=CHEAP, settings=FEW) == values
    with pytest.raises(AssertionError, match="computed again"):
        measure_study(
            study, preparation, data_root, measures=CHEAP, settings=replace(FEW, num_examples=8)
        )


def test_the_cache_knows_a_value_by_what_decides_it(tiny_study, own_cache):
    study, preparation, data_root = tiny_study()
    measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)

    def known(study, preparation, settings=FEW):
        found = cached_values(study, preparation, data_root, measures=CHEAP, settings=settings)
        return {value.measure for value in found}

    assert known(study, preparation) == set(CHEAP)
    assert known(study, preparation, replace(FEW, probe_steps=7)) == set(CHEAP)
    assert known(study, preparation, replace(FEW, seed=7)) == {"typological_distance"}
    limited, prepared, _ = tiny_study(training={"max_train_examples": 9})
    assert known(limited, prepared) == {"typological_distance"}
    narrowed, prepared, _ = tiny_study(targets=[{"name": "panx", "languages": ["de"]}])
    found = cached_values(narrowed, prepared, data_root, measures=CHEAP, settings=FEW)
    assert {v.measure for v in found if v.kind == "source_target"} == {"vocabulary_overlap"}


def test_a_damaged_entry_is_computed_anew(tiny_study, own_cache):
    study, preparation, data_root = tiny_study()
    values = measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)
    for path in (own_cache / "similarity/vocabulary_overlap").iterdir():
        path.write_text('{"value":')
    assert len(cached_values(study, preparation, data_root, measures=CHEAP, settings=FEW)) == 6
    again = measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)
    assert [v.value for v in again] == [v.value for v in values]


def test_the_study_names_the_folder_of_the_cache(tiny_study, own_cache, tmp_path):
    study, preparation, data_root = tiny_study(storage={"cache": str(tmp_path / "elsewhere")})
    measure_study(study, preparation, data_root, measures=CHEAP[:1], settings=FEW)
    assert not (own_cache / "similarity").exists()
    assert len(list((tmp_path / "elsewhere/similarity/vocabulary_overlap").iterdir())) == 5


def test_what_is_not_available_is_not_kept(mini, own_cache):
    study, preparation = mini
    measures = ("typological_distance",)
    values = measure_study(study, preparation, None, measures=measures, settings=FEW)
    (value, *_) = [v for v in values if v.target == "mini_pos"]
    assert not value.is_available
    assert value.note == "the language table has none of sib, vso, sov, agg"
    # English-like on both sides, as far as the raw text is not in it.
    known = cached_values(study, preparation, None, measures=measures, settings=FEW)
    assert {v.kind for v in known} == {"source_source"}


def test_a_frame_of_values_is_typed():
    frame = values_frame([Value("source_target", "a", "b", "m", float("nan"), 0.5, 3, "why")])
    assert tuple(frame.columns) == COLUMNS
    assert frame["value"].dtype == "float64"
    assert frame["num_examples"].dtype == "int64"
    assert values_frame([]).dtypes.equals(frame.dtypes)


def test_an_unknown_measure_is_told(mini, own_cache):
    study, preparation = mini
    with pytest.raises(UnknownNameError, match="text_embedding"):
        measure_study(study, preparation, None, measures=["text_embeding"])


def test_a_scratch_model_must_have_been_made(tiny_study, own_cache):
    study, preparation, data_root = tiny_study(model={"name": "scratch"})
    with pytest.raises(InputError, match="Launch the study first and give its --run-dir"):
        measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)


def test_a_cache_that_cannot_be_written_is_told(tiny_study, own_cache):
    study, preparation, data_root = tiny_study()
    own_cache.write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written: .* Set storage\.cache"):
        measure_study(study, preparation, data_root, measures=CHEAP, settings=FEW)


def test_known_values_are_read_without_torch(own_cache):
    script = """
import sys
from pathlib import Path
from spaces.study import load_study
from trainables.preparation import prepare
from trainables.similarity import cached_values
study = load_study("mini")
assert cached_values(study, prepare(study, None, Path("/nowhere")), None) == []
assert "torch" not in sys.modules and "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
