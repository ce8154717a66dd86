from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.errors import InputError
from spaces.sequences import Sequence, SequenceSpace, Stage, count_stages

TASKS = tuple("abcdef")

spaces = st.integers(1, 5).flatmap(
    lambda n: st.builds(SequenceSpace, st.just(TASKS[:n]), st.integers(0, n))
)
sequences = st.lists(st.sampled_from(TASKS), unique=True).map(lambda names: Sequence.of(*names))


def test_nine_tasks_have_as_many_orders_as_published():
    # 986,409 ordered subsets that are not empty.
    assert SequenceSpace(tuple("abcdefghi"), 9).size == 986_409 + 1


def test_enumeration_by_hand():
    listed = [str(sequence) for sequence in SequenceSpace(("b", "a"), 2).enumerate()]
    assert listed == ["", "b", "a", "b>a", "a>b"]


@given(spaces)
def test_enumeration_has_every_sequence_once_and_position_finds_it(space):
    listed = list(space.enumerate())
    assert len(listed) == len(set(listed)) == space.size
    assert all(sequence in space for sequence in listed)
    assert [space[i] for i in range(space.size)] == listed
    assert [len(s) for s in listed] == sorted(len(s) for s in listed)


def test_a_position_outside_is_refused():
    space = SequenceSpace(("a", "b"), 1)
    for index in (-1, space.size):
        with pytest.raises(IndexError, match=f"sequence {index} of a space of 3"):
            space[index]


@given(spaces)
def test_the_space_is_a_trie(space):
    listed = set(space.enumerate())
    for sequence in listed:
        assert set(sequence.prefixes()) <= listed
        assert all(child.parent() == sequence for child in space.extensions(sequence))
    children = [child for sequence in listed for child in space.extensions(sequence)]
    assert len(children) == len(set(children))
    assert {*children, Sequence()} == listed


@given(sequences)
def test_text_and_back(sequence):
    assert Sequence.parse(str(sequence)) == sequence
    prefixes = list(sequence.prefixes())
    assert [len(prefix) for prefix in prefixes] == list(range(1, len(sequence) + 1))
    assert all(str(sequence).startswith(str(prefix)) for prefix in prefixes)
    assert prefixes[-1:] == ([sequence] if len(sequence) else [])


@given(st.lists(sequences, max_size=8))
def test_shared_stages_are_the_nodes_of_the_trie(listed):
    unshared, shared = count_stages(listed)
    assert unshared == sum(len(sequence) for sequence in listed)
    assert shared == len({str(prefix) for s in listed for prefix in s.prefixes()})


def test_a_mixture_is_one_stage_whatever_the_order_of_its_tasks():
    assert Stage(("b", "a")) == Stage(("a", "b"))
    assert str(Sequence.parse("c>b+a")) == "c>a+b"
    assert Sequence.parse("a+b") not in SequenceSpace(("a", "b"), 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequence.of("a", "b", "a"), "sequence a>b>a: a occurs more than once"),
        (lambda: Sequence.parse("a>a+b"), "a occurs more than once"),
        (lambda: Stage(("a", "a")), "a task may occur once in a mixture"),
        (lambda: Stage(()), "a stage needs at least one task"),
        (lambda: Sequence().parent(), "the empty sequence has no parent"),
        (lambda: SequenceSpace(("a", "a"), 1), "intermediate.tasks: 'a' is listed twice"),
        (lambda: SequenceSpace(("a",), 2), "2 is not between 0 and the number of tasks"),
    ],
)
def test_what_is_no_sequence_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
