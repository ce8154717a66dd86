from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from search.asha import Bracket

NAN = float("nan")


def fill(bracket: Bracket, rung: int, scores: dict[str, float]) -> None:
    for arrival, (name, score) in enumerate(scores.items()):
        bracket.report(rung, name, score, arrival)


def test_the_best_third_is_promoted():
    bracket = Bracket(eta=3)
    fill(bracket, 0, {"a": 1, "b": 6, "c": 3, "d": 5, "e": 2, "f": 4})
    assert bracket.promotable() == [(0, "b"), (0, "d")]
    bracket.promote(0, "b")
    assert bracket.promotable() == [(0, "d")]


def test_nothing_is_promoted_before_eta_arrivals():
    bracket = Bracket(eta=3)
    fill(bracket, 0, {"a": 1, "b": 2})
    assert bracket.promotable() == []
    bracket.report(0, "c", 0, 2)
    assert bracket.promotable() == [(0, "b")]


def test_a_late_report_makes_room_for_an_earlier_arrival():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": 1, "b": 2, "c": 3})
    bracket.promote(0, "c")
    assert bracket.promotable() == []
    bracket.report(0, "d", 0, 3)
    assert bracket.promotable() == [(0, "b")]


def test_a_late_better_report_displaces_what_was_not_promoted_yet():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": 1, "b": 2})
    assert bracket.promotable() == [(0, "b")]
    bracket.report(0, "c", 3, 2)
    assert bracket.promotable() == [(0, "c")]


def test_nan_counts_as_an_arrival_and_never_survives():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": NAN, "b": NAN, "c": 1, "d": NAN})
    assert bracket.promotable() == [(0, "c")]
    bracket.promote(0, "c")
    assert bracket.promotable() == []
    only_nan = Bracket(eta=2)
    fill(only_nan, 0, {"a": NAN, "b": NAN})
    assert only_nan.promotable() == []
    assert only_nan.unfinished_best() == []


def test_infinities_rank_at_the_ends():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": -math.inf, "b": 0, "c": math.inf, "d": 1})
    assert bracket.promotable() == [(0, "c"), (0, "d")]


def test_the_earlier_arrival_wins_a_tie_then_the_name():
    bracket = Bracket(eta=3)
    bracket.report(0, "late", 5, 2)
    bracket.report(0, "early", 5, 0)
    bracket.report(0, "between", 5, 1)
    assert bracket.promotable() == [(0, "early")]
    named = Bracket(eta=2)
    for name in ("b", "a"):
        named.report(0, name, 5, 0)
    assert named.promotable() == [(0, "a")]


def test_a_second_report_at_a_rung_is_ignored():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": 1, "b": 2})
    bracket.report(0, "a", 9, 2)
    bracket.report(0, "b", NAN, 3)
    assert bracket.promotable() == [(0, "b")]
    diverged = Bracket(eta=2)
    fill(diverged, 0, {"a": NAN, "b": 1, "c": 2})
    diverged.report(0, "a", 9, 3)
    assert diverged.promotable() == [(0, "c")]


def test_the_highest_rung_comes_first():
    bracket = Bracket(eta=2)
    fill(bracket, 0, {"a": 1, "b": 2, "c": 3, "d": 4})
    bracket.promote(0, "d")
    bracket.promote(0, "c")
    fill(bracket, 1, {"d": 4, "c": 3})
    fill(bracket, 0, dict.fromkeys("efgh", 0))
    assert bracket.promotable() == [(1, "d"), (0, "b"), (0, "a")]


def test_nothing_is_promoted_from_the_full_budget():
    bracket = Bracket(eta=2)
    for arrival, name in enumerate("abcd"):
        bracket.report(0, name, arrival, arrival, is_last=True)
    assert bracket.promotable() == []


def test_a_promotion_that_comes_before_the_report_counts():
    bracket = Bracket(eta=2)
    bracket.promote(0, "baseline")
    fill(bracket, 0, {"baseline": 9, "a": 1, "b": 2, "c": 3})
    # Two of four go on, and the baseline is one of them.
    assert bracket.promotable() == [(0, "c")]


def test_the_best_goes_on_where_nothing_has_finished():
    bracket = Bracket(eta=4)
    fill(bracket, 0, {"a": 1, "b": 3, "c": 2})
    assert bracket.promotable() == []
    assert bracket.unfinished_best() == [(0, "b"), (0, "c"), (0, "a")]
    bracket.promote(0, "b")
    bracket.report(1, "b", 1, 3)
    assert bracket.unfinished_best()[0] == (1, "b")
    bracket.promote(1, "b")
    bracket.report(2, "b", 1, 4, is_last=True)
    assert bracket.unfinished_best() == []


scores = st.lists(
    st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0]), max_size=40
)


def ranking(reports: list[float]) -> list[str]:
    """Rank by hand: better first, then the earlier; without NaN."""
    kept = [(score, arrival) for arrival, score in enumerate(reports) if not math.isnan(score)]
    return [str(arrival) for _, arrival in sorted(kept, key=lambda kept: (-kept[0], kept[1]))]


@given(scores, st.integers(2, 5))
def test_with_all_reports_in_exactly_the_top_share_is_promoted(reports, eta):
    bracket = Bracket(eta)
    for arrival, score in enumerate(reports):
        bracket.report(0, str(arrival), score, arrival)
    promoted = [entity for _, entity in bracket.promotable()]
    assert promoted == ranking(reports)[: len(reports) // eta]
    for entity in promoted:
        bracket.promote(0, entity)
    assert bracket.promotable() == []


@given(
    st.lists(st.lists(st.floats(allow_nan=True) | st.just(1.0), min_size=3, max_size=3),
             max_size=60),
    st.integers(2, 4),
)  # fmt: skip
def test_rung_after_rung_it_is_successive_halving(table, eta):
    """With all of a rung's reports in before any promotion, to the full budget."""
    bracket = Bracket(eta)
    alive = [str(index) for index in range(len(table))]
    for rung in range(3):
        reports = [table[int(name)][rung] for name in alive]
        for arrival, (name, score) in enumerate(zip(alive, reports, strict=True)):
            bracket.report(rung, name, score, arrival, is_last=rung == 2)
        best = ranking(reports)[: len(alive) // eta if rung < 2 else 0]
        survivors = [alive[int(place)] for place in best]
        assert bracket.promotable() == [(rung, name) for name in survivors]
        for name in survivors:
            bracket.promote(rung, name)
        alive = survivors


@given(scores.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))),
       st.integers(2, 5), st.data())  # fmt: skip
def test_in_any_order_of_arrival_the_survivors_of_successive_halving_are_promoted(drawn, eta, data):
    reports, order = drawn
    bracket = Bracket(eta)
    promoted = set()
    for count, index in enumerate(order):
        bracket.report(0, str(index), reports[index], index)
        # A slot may be free now, or not; at the end there is one.
        while data.draw(st.booleans()) or count == len(order) - 1:
            due = bracket.promotable()
            if not due:
                break
            bracket.promote(*due[0])
            promoted.add(due[0][1])
    survivors = set(ranking(reports)[: len(reports) // eta])
    assert survivors <= promoted
    assert not any(math.isnan(reports[int(entity)]) for entity in promoted)
