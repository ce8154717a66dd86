from __future__ import annotations

import threading

import pytest

from trainables.loader import ahead


@pytest.mark.parametrize("depth", [0, 1, 2, 50])
def test_items_and_their_order_are_those_of_the_iterable(depth):
    with ahead(range(20), depth) as ready:
        assert list(ready) == list(range(20))


def test_no_more_than_the_depth_waits():
    made = []
    all_made = threading.Event()

    def items():
        for i in range(5):
            made.append(i)
            if i == 3:
                all_made.set()
            yield i

    with ahead(items(), 2) as ready:
        assert next(ready) == 0
        assert all_made.wait(10)  # one taken, two waiting, one in the thread's hand
        assert made == [0, 1, 2, 3]
        assert list(ready) == [1, 2, 3, 4]


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_comes_where_its_item_would_have_come(depth):
    def items():
        yield 1
        raise ValueError("a damaged record")

    with ahead(items(), depth) as ready:
        assert next(ready) == 1
        with pytest.raises(ValueError, match="a damaged record"):
            next(ready)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()

    def diverge():
        with ahead(range(10**9), 2) as ready:
            next(ready)
            raise RuntimeError("the loss is NaN")

    with pytest.raises(RuntimeError, match="the loss is NaN"):
        diverge()
    assert threading.active_count() == before
