"""Brackets of ASHA: who is in which, and that its rungs below the first prune nothing."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.asha import bracket_of
from spaces.errors import InputError
from tests.search.executor import Executor, make_coordinator, make_study, outcome

BRACKETS = ("search.asha.brackets=3", "search.num_trials=24", "search.confirm.top=0")


def test_hyperbands_shares_by_hand():
    # 3 rungs and factor 3: shares 9, 4.5 and 3 of 16.5.
    counts = Counter(bracket_of(number, 3, 3, 3) for number in range(1650))
    assert [counts[s] for s in range(3)] == pytest.approx([900, 450, 300], abs=3)
    assert {bracket_of(number, 1, 4, 2) for number in range(20)} == {0}


@given(st.integers(1, 9), st.integers(0, 4), st.integers(2, 5), st.integers(1, 200))
def test_each_bracket_is_close_to_its_share_all_along(num_brackets, more, eta, count):
    rungs = num_brackets + more
    shares = [rungs * eta ** (rungs - 1 - s) / (rungs - s) for s in range(num_brackets)]
    counts = Counter(bracket_of(number, num_brackets, rungs, eta) for number in range(count))
    for bracket, share in enumerate(shares):
        assert abs(counts[bracket] - count * share / sum(shares)) < 4


@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_a_bracket_prunes_from_its_own_rung_on(objective):
    coordinator = make_coordinator(
        make_study(*BRACKETS, objective=objective), optuna.storages.InMemoryStorage(), slots=3
    )
    assert Executor().drive(coordinator)
    searched = [r for r in coordinator.records if r.proposal.phase == "search"]
    in_bracket = defaultdict(list)
    for record in searched:
        in_bracket[record.proposal.bracket].append(record)
        below = {rung: d for rung, d in record.decisions.items() if rung < record.proposal.bracket}
        assert set(below.values()) <= {"promote"}
        assert len(record.rungs) > record.proposal.bracket
    assert set(in_bracket) == {0, 1, 2}
    assert {record.status for record in in_bracket[2]} == {"complete"}
    assert "pruned" in {record.status for record in in_bracket[0]}
    # The trials of a group are in one bracket.
    groups = defaultdict(set)
    for record in searched:
        groups[record.entity].add(record.proposal.bracket)
    assert {len(brackets) for brackets in groups.values()} == {1}


def test_brackets_are_the_same_after_every_interruption():
    study = make_study(*BRACKETS, objective="average")
    whole = make_coordinator(study, optuna.storages.InMemoryStorage())
    assert Executor().drive(whole)
    storage, executor = optuna.storages.InMemoryStorage(), Executor()
    for _ in range(1000):
        coordinator = make_coordinator(study, storage)
        if executor.drive(coordinator, max_events=5):
            break
        coordinator.suspend()
    assert outcome(coordinator) == outcome(whole)
    assert [r.proposal for r in coordinator.records] == [r.proposal for r in whole.records]


def test_nan_ends_a_trial_below_its_bracket_too():
    study = make_study(*BRACKETS)
    coordinator = make_coordinator(study, optuna.storages.InMemoryStorage())
    assert Executor(scores=lambda *_: math.nan).drive(coordinator)
    assert {record.status for record in coordinator.records} == {"failed"}
    assert {len(record.rungs) for record in coordinator.records} == {1}


def test_more_brackets_than_rungs_are_refused():
    with pytest.raises(InputError, match=r"brackets is 4 and there are 3 rungs"):
        make_study("search.asha.brackets=4")
    assert make_study("search.asha={rungs: [2, 4, 8, 36], brackets: 4}").search.asha.brackets == 4
