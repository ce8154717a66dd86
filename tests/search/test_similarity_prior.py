from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.similarity_prior import AVERAGE, similarity_prior
from spaces.study import load_study

TASKS = ("mini_qa", "mini_entail", "mini_noise")
TARGETS = ("mini_pos", "mini_xqa")
STUDY = load_study(
    "mini",
    (
        f"intermediate.tasks=[{', '.join(TASKS)}]",
        f"targets=[{', '.join(TARGETS)}]",
        "intermediate.max_length=2",
    ),
)


def frame(**measures):
    """Values by measure, then target, in the order of ``TASKS``."""
    rows = [
        ("source_target", source, target, measure, value)
        for measure, by_target in measures.items()
        for target, values in by_target.items()
        for source, value in zip(TASKS, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["kind", "source", "target", "measure", "value"])


def column(prior, target):
    return [prior[task, target] for task in TASKS]


def test_a_hand_computed_prior():
    # mini_pos: 1, 2, 3 have mean 2 and standard deviation sqrt(2 / 3).
    found = similarity_prior(frame(task2vec={"mini_pos": (1, 2, 3)}), STUDY)
    step = 1 / math.sqrt(2 / 3)
    assert column(found, "mini_pos") == pytest.approx([-step, 0, step])
    assert column(found, "mini_xqa") == [0, 0, 0]
    assert column(found, AVERAGE) == pytest.approx([-step, 0, step])
    assert set(found) == {(task, target) for task in TASKS for target in (*TARGETS, AVERAGE)}


def test_measures_are_put_together_by_their_places():
    both = frame(task2vec={"mini_pos": (1, 2, 3)}, text_embedding={"mini_pos": (0.99, 0.98, 0.97)})
    assert column(similarity_prior(both, STUDY), "mini_pos") == pytest.approx([0, 0, 0])
    alone = similarity_prior(both, STUDY, measures=["text_embedding"])
    assert column(alone, "mini_pos")[0] > 0 > column(alone, "mini_pos")[2]


def test_what_is_not_known_or_the_same_for_all_says_nothing():
    unknown = frame(task2vec={"mini_pos": (1, np.nan, 3), "mini_xqa": (0.1 + 0.2, 0.3, 0.3)})
    found = similarity_prior(unknown, STUDY)
    assert column(found, "mini_pos")[1] == 0
    assert column(found, "mini_pos")[0] == -column(found, "mini_pos")[2] < 0
    assert column(found, "mini_xqa") == [0, 0, 0]
    assert set(similarity_prior(frame(), STUDY).values()) == {0}


def test_other_kinds_and_measures_do_not_count():
    rows = frame(logme={"mini_pos": (1, 2, 3)}, task2vec={"mini_pos": (3, 2, 1)})
    rows.loc[rows["measure"] == "task2vec", "kind"] = "source_source"
    assert column(similarity_prior(rows, STUDY), "mini_pos")[2] > 0
    assert set(similarity_prior(rows, STUDY, measures=["task2vec"]).values()) == {0}


@settings(deadline=None)  # The first call loads pandas.
@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6), st.floats(0.1, 10), st.floats(-9, 9))
def test_it_is_standardised_and_knows_no_units(values, factor, shift):
    def prior(numbers):
        return similarity_prior(
            frame(task2vec={"mini_pos": numbers[:3], "mini_xqa": numbers[3:]}), STUDY
        )

    found, scaled = prior(values), prior([factor * value + shift for value in values])
    for target in (*TARGETS, AVERAGE):
        numbers = column(found, target)
        assert np.mean(numbers) == pytest.approx(0, abs=1e-6)
        assert np.std(numbers) == pytest.approx(1, abs=1e-6) or set(numbers) == {0}
        if max(values) - min(values) > 1:
            assert np.all(np.isfinite(column(scaled, target)))


def test_the_prior_needs_no_torch():
    script = "import search.similarity_prior, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
