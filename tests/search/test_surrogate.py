"""The surrogate and what is chosen by it, by hand and against plain linear algebra."""

from __future__ import annotations

import itertools

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from search.samplers.features import block_widths, order_features
from search.samplers.history import History, HistoryReader, Observation
from search.samplers.kernel import (
    LEVEL,
    NUM_SIMILARITIES,
    PRIOR_NOISE,
    PRIOR_OWN,
    PRIOR_RESIDUAL,
    PRIOR_SHARED,
    TRUTH,
    OrderKernel,
)
from search.samplers.pool import MAX_WHOLE, CandidatePool, neighbours
from search.samplers.sequence import Costs, choose_best, expected_improvement
from search.samplers.surrogate import (
    JITTER,
    MAX_OBSERVATIONS,
    Surrogate,
    fitting_size,
    most_telling,
    scaled,
)
from spaces.sequences import Sequence, SequenceSpace

TASKS = ("a", "b", "c")
WIDTHS = (*block_widths(3), NUM_SIMILARITIES)
PRIOR = (*PRIOR_SHARED, *PRIOR_OWN, PRIOR_RESIDUAL, *PRIOR_NOISE)


def observed(*rows: tuple[str, str, int, float]) -> list[Observation]:
    return [Observation(*row, arrival) for arrival, row in enumerate(rows)]


def test_features_tell_orders_apart():
    rows = {text: tuple(order_features(text, TASKS)) for text in ("a>b", "b>a", "a", "")}
    assert len(set(rows.values())) == 4
    # Presence of a and b, b last, a before b, a next to b.
    expected = np.zeros(sum(block_widths(3)))
    expected[[0, 1, 3 + 1, 6 + 1, 15 + 1]] = 1
    assert rows["a>b"] == tuple(expected)
    assert rows[""] == (*np.zeros(len(expected) - 1), 1.0)
    long = order_features("c>a>b", TASKS)
    precedence = long[6:15].reshape(3, 3)
    assert [(TASKS[i], TASKS[j]) for i, j in np.argwhere(precedence)] == [
        ("a", "b"), ("c", "a"), ("c", "b"),
    ]  # fmt: skip


def rows_of(keys: list[tuple[str, int, int, int]]) -> np.ndarray:
    return np.array([[*order_features(text, TASKS), 0, 0, n, e, r] for text, n, e, r in keys])


KEYS = [("", 0, 0, 0), ("a", 1, 0, 0), ("a", 1, 0, 2), ("a", 1, 1, 0), ("b>a", 2, 0, 1),
        ("a>b>c", 3, 1, 3), ("a>b>c", 3, 1, 5), ("c", 4, 0, TRUTH)]  # fmt: skip


def test_the_kernel_by_hand():
    kernel = OrderKernel(WIDTHS, PRIOR)
    shared, own = np.exp(PRIOR_SHARED), np.exp(PRIOR_OWN)
    residual, noise = np.exp(PRIOR_RESIDUAL), np.exp(PRIOR_NOISE)
    covariance = kernel(rows_of(KEYS))
    one = shared[:2].sum()  # presence and recency of "a"
    both = one + own[:2].sum() + residual
    assert covariance[1, 1] == pytest.approx(both + LEVEL + noise[0])
    assert covariance[1, 2] == pytest.approx(both)  # another rung: another level, other noise
    assert covariance[1, 3] == pytest.approx(one)  # another target
    assert covariance[1, 4] == pytest.approx(one + own[:2].sum())  # b>a: another sequence
    assert covariance[0, 1] == pytest.approx(LEVEL)  # nothing in common but target and rung
    assert covariance[5, 6] == pytest.approx(
        np.array([3, 1, 3, 2, 0, 0]) @ (shared + own) + residual
    )
    assert covariance[7, 7] == pytest.approx(both)  # the truth has neither level nor noise


def test_the_kernel_is_a_covariance_with_the_right_diagonal_and_gradient():
    kernel, rows = OrderKernel(WIDTHS, PRIOR), rows_of(KEYS[:-1])
    covariance, gradient = kernel(rows, eval_gradient=True)
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert np.allclose(kernel(rows), covariance)
    assert np.allclose(np.diag(covariance), kernel.diag(rows))
    step = 1e-5
    for i in range(len(PRIOR)):
        raised = [value + step * (i == j) for j, value in enumerate(PRIOR)]
        lowered = [value - step * (i == j) for j, value in enumerate(PRIOR)]
        numeric = (
            OrderKernel(WIDTHS, tuple(raised))(rows) - OrderKernel(WIDTHS, tuple(lowered))(rows)
        ) / (2 * step)
        assert np.allclose(gradient[..., i], numeric, atol=1e-8)


def test_the_posterior_is_that_of_plain_linear_algebra():
    seen = observed(
        ("", "x", 0, 10.0), ("a", "x", 0, 30.0), ("b", "x", 0, 20.0), ("b", "y", 0, 50.0)
    )  # fmt: skip
    surrogate = Surrogate(TASKS, ("x", "y"))
    surrogate.fit(seen)
    found = surrogate.predict([("a", "y"), ("b>a", "x")])
    keys = [("", 0, 0, 0), ("a", 1, 0, 0), ("b", 2, 0, 0), ("b", 2, 1, 0)]
    wanted = [("a", 1, 1, TRUTH), ("b>a", 3, 0, TRUTH)]
    kernel = OrderKernel(WIDTHS, PRIOR)
    among = kernel(rows_of(keys)) + JITTER * np.eye(4)
    across = kernel(rows_of(wanted), rows_of(keys))
    assert found.mean == pytest.approx(across @ np.linalg.solve(among, scaled(seen)))
    left = kernel.diag(rows_of(wanted)) - np.diag(across @ np.linalg.solve(among, across.T))
    assert found.deviation == pytest.approx(np.sqrt(left))


def test_scores_are_centred_and_scaled_by_rung():
    values = scaled(
        observed(*[(t, "x", 0, 10.0 * i) for i, t in enumerate("abc")], ("a", "x", 1, 90.0))
    )
    # A rung with one score takes its spread from the others, and its mean is its own.
    assert values.tolist() == pytest.approx([-1.2247449, 0.0, 1.2247449, 0.0])
    assert scaled(observed(("a", "x", 0, 5.0), ("b", "x", 0, 5.0))).tolist() == [0.0, 0.0]


def test_a_cheap_rung_of_one_target_tells_of_the_others():
    seen = observed(
        *[(t, "x", 0, s) for t, s in (("", 10.0), ("a", 30.0), ("b", 12.0), ("c", 11.0))],
        ("", "y", 2, 50.0),
    )
    surrogate = Surrogate(TASKS, ("x", "y"))
    surrogate.fit(seen)
    means = dict(zip("abc", surrogate.means([(t, "y") for t in "abc"]), strict=True))
    assert means["a"] > means["b"]
    assert means["a"] > means["c"]


def test_what_is_pending_is_less_uncertain_and_no_better():
    seen = observed(*[(t, "x", 0, float(i)) for i, t in enumerate(("", "a", "b", "a>b"))])
    surrogate = Surrogate(TASKS, ("x",))
    candidates = [("c", "x"), ("a>c", "x"), ("b", "x")]
    surrogate.fit(seen)
    before = surrogate.predict(candidates)
    surrogate.fit(seen, [("c", "x")])
    after = surrogate.predict(candidates)
    assert after.mean == pytest.approx(before.mean, abs=1e-6)
    assert (after.deviation <= before.deviation + 1e-9).all()
    assert after.deviation[0] < 0.9 * before.deviation[0]


def test_what_tells_most_is_kept_of_many_observations():
    rows = observed(
        ("a", "t", 0, 1.0), ("b", "t", 0, 2.0), ("c", "t", 0, 3.0), ("a>b", "t", 0, 4.0),
        ("b>a", "t", 0, 5.0), ("a", "t", 1, 6.0), ("b", "t", 1, 7.0), ("a", "t", 2, 8.0),
    )  # fmt: skip
    assert most_telling(rows, 8).tolist() == list(range(8))
    # Last rungs of a and b, then rung 0 of those that went no further: of c, a>b, b>a the first
    # and the last; what a and b came to before goes first.
    assert most_telling(rows, 4).tolist() == [2, 4, 6, 7]
    assert most_telling(rows, 6).tolist() == [2, 3, 4, 5, 6, 7]
    assert most_telling(rows, 1).tolist() == [7]


def test_a_search_of_any_length_fits_to_a_limited_number():
    tasks = tuple("abcdefg")
    texts = [">".join(order) for order in itertools.permutations(tasks, 4)]
    rng = np.random.default_rng(0)
    count = MAX_OBSERVATIONS * 2
    worth = {task: rng.normal() for task in tasks}
    observations = observed(
        *((text, f"t{i % 3}", 0, 50 + sum(worth[task] for task in text.split(">")))
          for i, text in enumerate((texts * 3)[:count]))
    )  # fmt: skip
    surrogate = Surrogate(tasks, ("t0", "t1", "t2"))
    surrogate.fit(observations)
    ranked = sorted(worth, key=worth.__getitem__)
    best, worst = ">".join(ranked[-3:]), ">".join(ranked[:3])
    high, low = surrogate.predict([(best, "t0"), (worst, "t0")]).mean
    assert high > low + 1


def test_effect_sizes_follow_from_the_first_observations_alone():
    rng = np.random.default_rng(0)
    texts = [str(s) for s in SequenceSpace(TASKS, 3).enumerate()]
    seen = observed(*[(t, "x", 0, float(rng.normal(3 * ("a" in t), 0.1))) for t in texts])
    alone, grown = Surrogate(TASKS, ("x",)), Surrogate(TASKS, ("x",))
    for count in range(1, len(seen) + 1):
        grown.fit(seen[:count])
    alone.fit(seen)
    assert np.array_equal(alone.means([("a", "x")]), grown.means([("a", "x")]))
    sizes = alone.log_variances
    # What made the scores is found: presence matters, noise is small.
    assert max(sizes[0], sizes[6]) > sizes[13] + 2


@given(st.integers(0, 5000))
def test_fitting_sizes_grow_with_the_observations(count):
    size = fitting_size(count)
    assert size <= count
    assert size >= count / 1.5 or count < 10


STEPS = {"a": 100, "b": 200, "c": 300}


def trial(sequence: str, target: str, *scores: float, seed: int = 0, decided: str = "", **attrs):
    attributes = {"sequence": sequence, "target": target, "seed": seed, **attrs}
    for rung in range(len(scores)):
        attributes[f"rung:{rung}"] = {"budget_steps": 10 * 3**rung, "arrival": rung}
    if decided:
        attributes[f"decision:{len(scores) - 1}"] = decided
    for i, prefix in enumerate(Sequence.parse(sequence).prefixes() if scores else ()):
        attributes[f"stage:{i}"] = {"steps": STEPS.get(prefix.names[-1], 999)}
    state = TrialState.RUNNING if decided == "pause" or not scores else TrialState.PRUNED
    return create_trial(
        state=state, user_attrs=attributes, intermediate_values=dict(enumerate(scores))
    )


def history(*trials: optuna.trial.FrozenTrial, is_average: bool = False) -> History:
    for number, one in enumerate(trials):
        one.number = number
    return reader(is_average=is_average).read(trials)


def reader(*, is_average: bool) -> HistoryReader:
    return HistoryReader(
        SequenceSpace(TASKS, 2), seed=0, model="mini", num_targets=2, is_average=is_average
    )


def test_the_history_by_hand():
    found = history(
        trial("a", "x", 1.0, 2.0),
        trial("a>b", "x", 5.0, decided="pause"),
        trial("b", "y"),
        trial("c", "x", float("nan"), 3.0),
        trial("a+b+c", "x", 9.0),  # all at once is no candidate
        trial("b", "x", 7.0, seed=3),  # a confirmation is an observation, and was not asked
        trial("c>b", "x", 9.0, model="another"),  # another model tells nothing
    )
    assert {(o.sequence, o.rung, o.score) for o in found.observations} == {
        ("a", 0, 1.0), ("a", 1, 2.0), ("a>b", 0, 5.0), ("c", 1, 3.0), ("b", 0, 7.0),
    }  # fmt: skip
    assert [o.arrival for o in found.observations] == sorted(o.arrival for o in found.observations)
    assert found.asked == {("a", "x"), ("a>b", "x"), ("b", "y"), ("c", "x")}
    assert found.pending == {("b", "y")}
    assert found.paused == {("a>b", "x"): 10}
    assert {k: v for k, v in found.stage_steps.items() if "+" not in k} == {
        "a": 100, "a>b": 200, "b": 200, "c": 300,
    }  # fmt: skip
    assert found.budgets == {"x": 30}


def test_an_average_is_observed_once_all_targets_are_in():
    found = history(
        trial("a", "x", 1.0, 2.0, decided="pause"),
        trial("a", "y", 5.0, decided="pause"),
        trial("b", "x", 3.0),
        is_average=True,
    )
    assert [(o.sequence, o.entity, o.rung, o.score) for o in found.observations] == [
        ("a", "", 0, 3.0)
    ]
    assert found.paused == {("a", ""): 40}


@given(st.data(), st.booleans())
def test_a_history_that_is_read_as_it_grows_is_that_of_one_reading(data, is_average):
    texts, targets = ("", "a", "b", "a>b", "a+b+c"), ("x", "y")
    grown, known = reader(is_average=is_average), []
    for number, (text, target) in enumerate(itertools.product(texts, targets)):
        scores = data.draw(st.lists(st.sampled_from([1.1, 2.3, float("nan")]), max_size=3))
        known.append(trial(text, target, *scores, decided="pause" if scores else ""))
        known[-1].number = number
        for i in data.draw(st.sets(st.sampled_from(range(len(known))))):
            known[i].state = TrialState.PRUNED  # A trial that has ended stays as it is.
        assert grown.read(known) == reader(is_average=is_average).read(known)


def costs(known: set[str], **had: int) -> Costs:
    return Costs(
        frozenset(known), {"a": 100.0, "b": 300.0}, 200.0, {"x": 20.0, "y": 40.0},
        {(text, "x"): steps for text, steps in had.items()},
    )  # fmt: skip


def test_costs_by_hand():
    found = costs({"a"}, a=15)
    assert found.of_stages("") == 0
    assert found.of_stages("a") == 0
    assert found.of_stages("a>b") == 300
    assert found.of_stages("b>a") == 400
    assert found.of_stages("c>a") == 300  # c is not known: a typical stage
    assert found.of_target(("b", "y")) == 10
    assert found.of_target(("a", "x")) == 5  # paused: the rest of its budget
    read = Costs.of(history(trial("a>b", "x", 1.0), trial("c", "y")), ("x", "y"), 2)
    assert read.known == {"a", "a>b", "c"}
    assert read.of_stages("b>a") == 300
    assert (read.of_entity["x"], read.of_entity["y"]) == (10, 10)


def test_stages_are_paid_once_for_all_targets():
    rng = np.random.default_rng(0)
    candidates = [("b", "x"), ("b", "y"), ("a", "x")]
    # Alone, b for x is worth 3 / 305 and a for x 1.2 / 105; together b is worth 6 / 315.
    gain = np.array([3.0, 3.0, 1.2])
    assert choose_best(candidates[::2], gain[::2], costs(set()), 1.0, rng) == ("a", "x")
    assert choose_best(candidates, gain, costs(set()), 1.0, rng)[0] == "b"
    # What is there costs its fine-tuning alone.
    assert choose_best(candidates, gain, costs({"a"}), 1.0, rng) == ("a", "x")
    # Cost can be left out of it.
    assert choose_best(candidates[1:], gain[1:], costs({"a"}), 0.0, rng) == ("b", "y")


def test_expected_improvement_by_hand():
    # At the incumbent's own mean it is deviation / sqrt(2 pi); without deviation, the plain gain.
    means, deviations = np.array([1.0, 3.0, 0.0]), np.array([1.0, 0.0, 0.0])
    gains = expected_improvement(means, deviations, np.ones(3))
    assert gains == pytest.approx([0.3989423, 2.0, 0.0], abs=1e-6)


@given(st.permutations("abcd"), st.integers(0, 3))
def test_neighbours_are_one_change_away_and_mutual(order, length):
    space = SequenceSpace(tuple("abcd"), 3)
    sequence = Sequence.of(*order[:length])
    found = list(neighbours(sequence, space))
    assert sequence not in found
    assert all(near in space for near in found)
    for near in found:
        assert sequence in set(neighbours(near, space))


def test_a_large_space_is_looked_at_around_its_best():
    tasks = tuple("abcdefgh")
    space = SequenceSpace(tasks, 8)
    assert space.size > MAX_WHOLE
    seen = History(observations=observed(("c>d", "x", 0, 5.0), ("a", "x", 0, 1.0)))
    seen.asked = {("c>d", "x"), ("a", "x")}
    drawn = CandidatePool(space, ("x",)).draw(seen, np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn)
    assert not seen.asked & set(drawn)
    near = {str(s) for s in neighbours(Sequence.of("c", "d"), space)}
    assert near - {"c>d", "a"} <= {text for text, _ in drawn}


def test_all_of_a_small_space_is_looked_at():
    space = SequenceSpace(TASKS, 2)
    pool = CandidatePool(space, ("x", "y"))
    everything = set(itertools.product((str(s) for s in space.enumerate()), ("x", "y")))
    seen = History(asked={("a", "x")})
    assert set(pool.draw(seen, np.random.default_rng(0))) == everything - seen.asked
    assert set(pool.draw(History(asked=everything), np.random.default_rng(0))) == everything


def test_similarity_that_tells_is_believed_and_other_is_not():
    tasks, entities = tuple("abcdefgh"), ("x", "y", "z")
    rng = np.random.default_rng(1)
    truth = {(task, e): float(rng.normal()) for task in tasks for e in entities}
    shuffled = dict(zip(truth, rng.permutation(list(truth.values())), strict=True))

    def features(values):
        return lambda text, e: np.full(2, values[text, e]) if text else np.zeros(2)

    seen = observed(
        *[("", e, 0, 50.0) for e in entities],
        *[(task, e, 0, 50 + 5 * truth[task, e]) for task in tasks for e in "xy"],
    )
    means, weights = {}, {}
    for name, values in (("none", None), ("right", truth), ("shuffled", shuffled)):
        surrogate = Surrogate(tasks, entities, features(values) if values else None)
        surrogate.fit(seen)
        means[name] = surrogate.means([(task, "z") for task in tasks])
        weights[name] = surrogate.log_variances[5]
    expected = [truth[task, "z"] for task in tasks]
    # Nothing was seen of z: without similarity there is little to go by, with it everything.
    assert np.corrcoef(means["right"], expected)[0, 1] > 0.95
    assert weights["right"] > weights["shuffled"] + 1
    assert np.abs(means["shuffled"] - means["none"]).max() < 0.5
