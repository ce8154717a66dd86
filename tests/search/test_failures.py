from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search.failures import WINDOW_S, FailureBudget


class Cluster:
    """A cluster and its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lost: set[str] = set()
        self.silent: set[str] = set()

    def budget(self, max_failures: int) -> FailureBudget:
        return FailureBudget(max_failures, self.lost_nodes, lambda: self.now)

    def lost_nodes(self, *, probe: bool) -> set[str]:
        return self.lost | self.silent if probe else self.lost


def test_a_trial_is_tried_again_so_many_times() -> None:
    budget = Cluster().budget(2)
    assert [budget.fail(7) for _ in range(3)] == [True, True, False]
    assert budget.fail(8)


def test_what_a_lost_node_takes_with_it_costs_nothing() -> None:
    cluster = Cluster()
    budget = cluster.budget(0)
    cluster.lost = {"a"}
    assert budget.fail(1)
    assert budget.fail(2)
    cluster.now = WINDOW_S + 1
    assert not budget.fail(1)
    cluster.lost = {"a", "b"}
    assert budget.fail(2)


def test_a_failure_that_came_before_its_node_was_known_lost_is_forgiven() -> None:
    cluster = Cluster()
    budget = cluster.budget(1)
    assert budget.fail(1)
    assert budget.num_counted(1) == 1
    cluster.now, cluster.lost = WINDOW_S / 2, {"a"}
    budget.look()
    assert budget.num_counted(1) == 0


def test_a_node_that_the_cluster_does_not_miss_yet_is_found_at_the_failure() -> None:
    cluster = Cluster()
    budget = cluster.budget(0)
    cluster.silent = {"a"}
    assert budget.fail(1)
    cluster.now, cluster.lost = 3 * WINDOW_S, {"a"}
    assert not budget.fail(2)  # the same loss, long ago


def test_nodes_that_were_lost_before_the_run_excuse_nothing() -> None:
    cluster = Cluster()
    cluster.lost = {"old"}
    budget = cluster.budget(0)
    assert not budget.fail(1)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000)), max_size=20), st.integers(0, 3))
def test_without_losses_nearby_every_failure_counts(
    events: list[tuple[bool, float]], most: int
) -> None:
    cluster = Cluster()
    budget = cluster.budget(most)
    failures, losses = [], []
    for is_loss, wait in events:
        cluster.now += wait
        if is_loss:
            cluster.lost = {*cluster.lost, str(len(losses))}
            budget.look()
            losses.append(cluster.now)
        else:
            may = budget.fail(0)
            failures.append(cluster.now)
            own = sum(all(abs(f - at) > WINDOW_S for at in losses) for f in failures)
            assert may == (own <= most)
