from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.storage.entries import Entry, Evicted
from trainables.storage.eviction import Candidate, choose

GB = 10**9


def stage(key, wall_s, parent="base", size_bytes=GB, uses=1.0, clock=0.0, kind="stages", **notes):
    metadata = {"parent": parent, "wall_s": wall_s, "steps": 10, **notes}
    return Candidate(Entry(kind, key, size_bytes, "0" * 64, metadata, "data"), uses, clock)


def tombstone(key, wall_s, parent="base"):
    return Evicted("stages", key, GB, wall_s, 0.0, {"parent": parent, "wall_s": wall_s})


def went(chosen):
    return [choice.entry.key for choice in chosen]


def test_the_cheapest_to_rebuild_per_byte_goes_first():
    present = [stage("slow", 100), stage("fast", 10), stage("huge", 150, size_bytes=20 * GB)]
    chosen, clock = choose(present, [], set(), 1)
    assert went(chosen) == ["huge"]
    assert (chosen[0].rebuild_s, chosen[0].score) == (150, 7.5)
    assert clock == 7.5
    chosen, clock = choose(present, [], set(), 21 * GB)
    assert (went(chosen), clock) == (["huge", "fast"], 10)


def test_uses_and_age_count():
    used = [stage("once", 10), stage("thrice", 10, uses=3.0)]
    assert went(choose(used, [], set(), 1)[0]) == ["once"]
    # Worth 5 + 10 and 0 + 14: what was used since the clock rose stays longer.
    aged = [stage("new", 10, clock=5.0), stage("old", 14)]
    assert went(choose(aged, [], set(), 1)[0]) == ["old"]


def test_evicted_ancestors_count_up_to_one_that_is_there():
    gone = [tombstone("a>b", 30, "a"), tombstone("a", 7)]
    alone = stage("a>b>c", 5, "a>b")
    chosen, _ = choose([alone], gone, set(), 1)
    assert chosen[0].rebuild_s == 5 + 30 + 7
    chosen, _ = choose([alone, stage("a", 7)], [gone[0]], {("stages", "a")}, 1)
    assert chosen[0].rebuild_s == 5 + 30


def test_evicting_a_stage_raises_the_worth_of_what_was_built_on_it():
    # a (1 s) goes first; then a>b costs 3 + 1 to rebuild and c, 3.5, is the cheaper one.
    present = [stage("a", 1), stage("a>b", 3, "a"), stage("c", 3.5)]
    assert went(choose(present, [], set(), 3 * GB)[0]) == ["a", "c", "a>b"]
    # So it does through evicted stages between.
    gone = [tombstone("a>x", 1, "a")]
    present = [stage("a", 1), stage("a>x>b", 3, "a>x"), stage("c", 4.5)]
    chosen, _ = choose(present, gone, set(), 3 * GB)
    assert [(choice.entry.key, choice.rebuild_s) for choice in chosen] == [
        ("a", 1),
        ("c", 4.5),
        ("a>x>b", 5),
    ]


def test_what_is_protected_stays_however_much_is_needed():
    present = [stage("a", 1), stage("b", 2), stage("a", 1, kind="progress")]
    chosen, _ = choose(present, [], {("stages", "a")}, 100 * GB)
    assert [(c.entry.kind, c.entry.key) for c in chosen] == [("progress", "a"), ("stages", "b")]
    assert choose(present, [], set(), 0) == ([], 0.0)


def test_steps_stand_in_for_seconds_at_the_store_s_own_rate():
    known = stage("a", 20)  # 2 s a step
    progress = stage("p", None, kind="progress", steps=3)
    chosen, _ = choose([known, progress], [], set(), 2 * GB)
    assert [(choice.entry.key, choice.rebuild_s) for choice in chosen] == [("p", 6), ("a", 20)]


@pytest.mark.parametrize("wall_s", ["10", -1, float("nan"), float("inf"), None, [], True])
def test_notes_that_make_no_sense_cost_nothing_and_break_nothing(wall_s):
    odd = Candidate(
        Entry("stages", "odd", 0, "0" * 64, {"parent": "odd", "wall_s": wall_s}, "data"), 1.0, 0.0
    )
    assert went(choose([odd, stage("a", 1)], [], set(), GB)[0]) == ["odd", "a"]


def naive(present, gone, protected, excess):
    """The same by its definition, every score anew before each choice."""
    left = list(present)
    dead = {e.key: e.metadata for e in gone}
    order = []

    def cost(metadata):
        total, seen, parent = metadata["wall_s"], set(), metadata["parent"]
        while parent in dead and parent not in seen:
            seen.add(parent)
            total += dead[parent]["wall_s"]
            parent = dead[parent]["parent"]
        return total

    def score(one):
        return one.clock + one.uses * cost(one.entry.metadata) / (one.entry.size_bytes / 1e9)

    while excess > 0:
        free = [c for c in left if (c.entry.kind, c.entry.key) not in protected]
        if not free:
            break
        worst = min(free, key=lambda c: (score(c), c.entry.key))
        order.append((worst.entry.key, pytest.approx(score(worst))))
        left.remove(worst)
        dead[worst.entry.key] = worst.entry.metadata
        excess -= worst.entry.size_bytes
    return order


@given(st.data())
def test_the_choice_is_that_of_the_definition(data):
    keys = [f"k{i}" for i in range(data.draw(st.integers(1, 8)))]
    present, gone = [], []
    for i, key in enumerate(keys):
        parent = data.draw(st.sampled_from(["base", *keys]))
        wall_s = 2.0 ** data.draw(st.integers(0, 6)) + i / 16
        if data.draw(st.booleans()):
            gone.append(tombstone(key, wall_s, parent))
        else:
            size = data.draw(st.integers(1, 4)) * GB
            uses = data.draw(st.integers(1, 3))
            present.append(stage(key, wall_s, parent, size, uses, data.draw(st.integers(0, 9))))
    protected = {("stages", key) for key in keys if data.draw(st.integers(0, 3)) == 0}
    excess = data.draw(st.integers(0, 20)) * GB
    chosen, clock = choose(present, gone, protected, excess)
    found = [(choice.entry.key, choice.score) for choice in chosen]
    assert found == naive(present, gone, protected, excess)
    assert clock == max([choice.score for choice in chosen], default=0.0)
