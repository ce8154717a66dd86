from __future__ import annotations

import itertools
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.errors import InputError
from spaces.stages import Mixture, Stream, together


def shares(sizes, **settings):
    streams = tuple(Stream(name) for name in "abcdef"[: len(sizes)])
    return Mixture(streams, **settings).shares(sizes)


def test_shares_by_hand():
    assert shares((300, 100)) == (0.75, 0.25)
    assert shares((300, 100), temperature=None) == (0.5, 0.5)
    # Roots of 400 and 100 are 20 and 10.
    assert shares((400, 100), temperature=2) == pytest.approx((2 / 3, 1 / 3))
    # 9,000 counts as 100.
    assert shares((9000, 300, 100), cap=100) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert shares((9000, 50), cap=100) == pytest.approx((2 / 3, 1 / 3))
    assert shares((900, 100), cap=400, temperature=2) == pytest.approx((2 / 3, 1 / 3))


def test_text_has_its_share_of_the_steps_whatever_its_size():
    mixture = Mixture(
        (Stream("b"), Stream("a")), mlm=(Stream("text"), Stream("bible")), mlm_share=0.25
    )
    assert mixture.tasks == ("a", "b", "bible", "text")
    # Of the tasks 1:3, of the texts 1:1.
    assert mixture.shares((10, 30, 500, 500)) == pytest.approx((0.1875, 0.5625, 0.125, 0.125))


@given(
    sizes=st.lists(st.integers(1, 10**7), min_size=1, max_size=6),
    temperature=st.one_of(st.none(), st.floats(1, 100)),
    cap=st.one_of(st.none(), st.integers(1, 10**7)),
)
def test_shares_sum_to_one_and_keep_the_order_of_sizes(sizes, temperature, cap):
    found = shares(sizes, temperature=temperature, cap=cap)
    assert math.isclose(sum(found), 1.0)
    by_size = sorted(zip(sizes, found, strict=True))
    assert all(low <= high + 1e-12 for (_, low), (_, high) in itertools.pairwise(by_size))


def test_a_task_is_drawn_from_once():
    with pytest.raises(InputError, match="draws twice from a"):
        Mixture((Stream("a"), Stream("a", ("de",))))
    with pytest.raises(InputError, match="draws twice from a"):
        Mixture((Stream("a"),), mlm=(Stream("a"),), mlm_share=0.1)


def test_together_holds_everything_once():
    own = {"tydiqa": "en", "mnli": "en", "text": "tr"}
    found = together(
        [
            Mixture((Stream("mnli", max_examples=10),)),
            Mixture((Stream("tydiqa", ("ar", "fi")),)),
            Mixture((Stream("tydiqa", max_examples=5),), mlm=(Stream("text"),), mlm_share=0.5),
            Mixture((Stream("mnli", max_examples=30),)),
        ],
        own,
    )
    assert [str(stream) for stream in found.all_streams] == [
        "mnli#30",
        "text",
        "tydiqa@ar,fi,en",
    ]
    assert (found.temperature, found.cap, found.mlm_share) == (1.0, None, 0.0)


def test_json_round_trip():
    mixture = Mixture(
        (Stream("a", ("de", "fr"), 7), Stream("b")),
        temperature=None,
        cap=5,
        mlm=(Stream("text"),),
        mlm_share=0.5,
    )
    assert Mixture.from_json(asdict(mixture)) == mixture
