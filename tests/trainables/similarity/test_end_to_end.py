"""Every measure on the built-in suite, from records and stages to a frame."""

from __future__ import annotations

import math

import pytest

from tests.trainables import tiny
from tests.trainables.similarity.conftest import FEW
from trainables.similarity import MEASURES, measure_study, values_frame

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_worker"),
    *tiny.DEEPSPEED_WARNINGS,
]

NOTES = {
    "mini_tatoeba has no labelled training examples of its own",
    "mini_tatoeba has no labels that a linear head could tell",
    "mini_mlm has no labels that a linear head could tell",
    "not in the stage store: mini_mlm",
    "the language table has none of sib, vso, sov, agg",
}


def test_every_measure_on_every_pair(mini, stored, own_cache):
    study, preparation = mini
    arguments = {
        "settings": FEW,
        "sequences": ["mini_entail>mini_completion"],
        "store_url": stored.store.url,
    }
    values = measure_study(study, preparation, None, **arguments)
    pairs = {"source_target": 3 * 3, "source_source": 3 * 2, "sequence_target": 1 * 3}
    counts = {(v.kind, v.measure): 0 for v in values}
    for value in values:
        counts[value.kind, value.measure] += 1
    assert counts == {
        (kind, name): pairs[kind]
        for name, measure in MEASURES.items()
        for kind in pairs
        if kind in measure.kinds
    }
    assert {value.note for value in values if not value.is_available} == NOTES
    assert all(value.note == "" for value in values if value.is_available)
    for value in values:
        if value.is_available and value.measure not in ("logme", "h_score"):
            high = 100 if value.measure.endswith(("probing", "probe")) else 1 + 1e-9
            assert -1 <= value.value <= high
    frame = values_frame(values)
    known = frame[frame["value"].notna()]
    assert (known.groupby(["kind", "measure"])["cost_s"].sum() > 0).all()
    symmetric = known[(known["kind"] == "source_source") & (known["measure"] == "task2vec")]
    cells = {(r["source"], r["target"]): r["value"] for r in symmetric.to_dict("records")}
    assert all(value == cells[b, a] for (a, b), value in cells.items())
    # Once measured, all is known without the store and without a new value.
    again = measure_study(study, preparation, None, settings=FEW, sequences=arguments["sequences"])
    assert [v for v in again if v.is_available] == [v for v in values if v.is_available]
    assert all(math.isnan(v.value) for v in again if not v.is_available)
