from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.random_landscape import TASKS, Landscape
from benchmarks.search_goal import Goal, average_seeds, redraw_noise
from benchmarks.search_methods import METHODS, Method, steps_of_ours, useless_similarity
from benchmarks.search_peers import (
    ETA,
    NUM_RUNGS,
    PEERS,
    is_installed,
    positions,
    ray_search,
    run_trial,
    steps_of_peer,
)
from benchmarks.search_worlds import drawn_goals, is_trivial, landscape_of
from search.encoding import NO_STAGE, decode_sequence
from search.similarity_prior import read_prior
from spaces.errors import InputError
from trainables.tabular import RecordedTable, read_table

ROOT = Path(__file__).parents[2]
MINI = ROOT / "benchmarks" / "data" / "mini_table.csv"

#: True values on xnli and udpos.
VALUES = {
    "": (50, 50), "mnli": (60, 40), "qqp": (55, 60), "mnli>qqp": (62.1, 59.9), "qqp>mnli": (61, 61),
}  # fmt: skip
STEPS = {"": 0, "mnli": 10, "qqp": 20, "mnli>qqp": 20, "qqp>mnli": 10}


def table(*, seeds: int = 1, noise: float = 0.0) -> RecordedTable:
    """Budgets of 1, 3 and 9 steps for xnli and 2, 6 and 18 for udpos, 20 points lower a rung.

    Seed 1 sees ``mnli`` that much better on xnli and seed 0 that much worse.
    """
    budgets = {"xnli": (1, 3, 9), "udpos": (2, 6, 18)}
    return RecordedTable(
        "small",
        {
            (text, target, seed, budget): values[which]
            - 20 * (2 - rung)
            + noise * (2 * seed - 1) * (text == "mnli" and target == "xnli")
            for text, values in VALUES.items()
            for which, target in enumerate(budgets)
            for seed in range(seeds)
            for rung, budget in enumerate(budgets[target])
        },
        STEPS,
    )


class Scripted:
    """Asks for given sequences, in turn, and stops where it is told to."""

    def __init__(self, sequences: list[str], stops: dict[tuple[str, int], bool]) -> None:
        self._left = iter(sequences)
        self._stops = stops
        self._now = ""

    def ask(self) -> dict[str, str]:
        self._now = next(self._left)
        names = [*self._now.split(">"), NO_STAGE, NO_STAGE] if self._now else [NO_STAGE] * 2
        return {f"stage_{i}": name for i, name in enumerate(names[:2], start=1)}

    def report(self, resource: int, score: float) -> bool:
        return resource < 9 and not self._stops.get((self._now, resource))


def test_the_goal_by_hand():
    average = Goal.of(table(), "average")
    assert (average.tasks, average.max_length) == (("mnli", "qqp"), 2)
    assert average.truth["average"]["mnli>qqp"] == 61
    assert not average.is_found({})
    assert average.is_found({"average": "mnli>qqp"})
    assert average.is_found({"average": "qqp>mnli"})
    assert not average.is_found({"average": "qqp"})
    assert average.regret("average", "mnli+qqp") == math.inf
    assert average.good_fraction() == 2 / 5
    # mnli, qqp after it, and both targets; the first of the best two.
    assert average.oracle_steps() == 10 + 20 + 9 + 18
    single = Goal.of(table(), "per_target")
    assert single.is_found({"xnli": "mnli>qqp", "udpos": "qqp>mnli"})
    assert not single.is_found({"xnli": "mnli>qqp"})
    assert not single.is_found({"xnli": "qqp>mnli", "udpos": "qqp>mnli"})
    assert single.oracle_steps() == (10 + 20) + (20 + 10) + 9 + 18


def test_how_often_one_observation_of_each_is_enough():
    # With 4 points of noise on xnli, mnli seems the best of xnli to seed 1 and is not.
    assert Goal.of(table(), "per_target").ceiling() == 1
    noisy = table(seeds=2, noise=4)
    assert Goal.of(noisy, "per_target").ceiling() == 0.5
    assert Goal.of(noisy, "average").ceiling() == 1
    assert Goal.of(noisy, "per_target", observe="mean").ceiling() == 1


def test_budgets_that_do_not_fit_the_rungs_are_told_and_others_left_alone():
    scores = {("", "xnli", 0, budget): 50.0 for budget in (2, 9)}
    with pytest.raises(
        InputError, match=r"'xnli' has budgets \[2, 9\]; the searches need \[1, 3, 9"
    ):
        Goal.of(RecordedTable("odd", scores, {"": 0}), "average")
    more = {("mnli", "xnli", 0, budget): float(budget) for budget in (1, 2, 3, 9)}
    goal = Goal.of(RecordedTable("more", more, {"mnli": 10}), "average")
    assert [goal.observed("mnli", "average", 0, rung) for rung in range(3)] == [1, 3, 9]


def test_seeds_are_averaged_row_by_row():
    noisy = table(seeds=2, noise=4)
    averaged = average_seeds(noisy)
    assert averaged.seeds == (0,)
    assert averaged.score("mnli", "xnli", 0, 1) == table().score("mnli", "xnli", 0, 1)
    assert averaged.steps("mnli>qqp") == 20


def test_noise_is_drawn_anew_as_large_as_on_record():
    drawn = Landscape(seeds=2, seed_sd=0.7, carry=0.5).draw()
    columns = (drawn[name].tolist() for name in ("sequence", "target", "seed", "budget_steps"))
    scores = dict(zip(zip(*columns, strict=True), drawn["score"].tolist(), strict=True))
    costs = dict(zip(drawn["sequence"], drawn["stage_steps"].tolist(), strict=True))
    recorded = RecordedTable("drawn", scores, costs)
    means = average_seeds(recorded)
    worlds = [redraw_noise(recorded, seed) for seed in (0, 1)]
    assert worlds[0] == redraw_noise(recorded, 0) != worlds[1]
    noise = {key: worlds[0].scores[key] - mean for key, mean in means.scores.items()}
    full = np.array([value for key, value in noise.items() if key[3] == 60])
    low = np.array([value for key, value in noise.items() if key[3] == 20])
    assert abs(full.mean()) < 0.05
    assert full.std() == pytest.approx(0.7, rel=0.06)
    # Half of its variance stays from budget to budget.
    assert np.corrcoef(full, low)[0, 1] == pytest.approx(0.5, abs=0.06)
    still = redraw_noise(recorded, 0, noise=0.0)
    assert still.scores == pytest.approx(dict(means.scores))
    with pytest.raises(InputError, match="one seed tells nothing of noise"):
        redraw_noise(means, 0)


def test_a_peers_steps_by_hand():
    # mnli is stopped at the second rung; qqp comes to the end and is not good; the third is. No
    # stage is shared: mnli is trained again.
    goal = Goal.of(table(), "average")
    peer = Scripted(["mnli", "qqp", "mnli>qqp"], {("mnli", 3): True})
    first = 10 + (3 + 6)
    second = 20 + (9 + 18)
    third = 10 + 20 + (9 + 18)
    assert run_trial(goal, "average", peer, 0) == ("mnli", None, first)
    assert run_trial(goal, "average", peer, 0) == ("qqp", 57.5, second)
    peer = Scripted(["mnli", "qqp", "mnli>qqp"], {("mnli", 3): True})
    steps = steps_of_peer(goal, lambda *_: peer, 0, 10_000)
    assert steps == first + second + third


def test_targets_take_turns_and_all_must_be_found():
    goal = Goal.of(table(), "per_target")
    scripts = iter([["mnli>qqp", "mnli", "mnli"], ["", "qqp>mnli"]])
    steps = steps_of_peer(goal, lambda *_: Scripted(next(scripts), {}), 0, 10_000)
    assert steps == (30 + 9) + 18 + (10 + 9) + (30 + 18)


def test_a_search_that_spends_its_steps_has_not_found_it():
    goal = Goal.of(table(), "average")
    assert steps_of_peer(goal, lambda *_: Scripted([""] * 99, {}), 0, 100) == math.inf


def test_our_own_steps_by_hand():
    # One task and one target: mnli is the best. It is asked first, or nothing is before it.
    scores = {(text, "xnli", 0, at): 50.0 + len(text) for text in ("", "mnli") for at in (1, 3, 9)}
    goal = Goal.of(RecordedTable("tiny", scores, {"": 0, "mnli": 10}), "average")
    method = Method("", {"sampler": "random", "asha": None})
    assert {steps_of_ours(goal, method, seed, 99) for seed in range(8)} == {10 + 9, 9 + 10 + 9}
    assert {steps_of_ours(goal, method, seed, 5) for seed in range(8)} == {math.inf}


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_finds_the_best_of_a_small_table_and_repeats_itself(name):
    if not is_installed(name):
        pytest.skip("syne-tune is not installed; it comes with the extra `benchmark`")
    goal = Goal.of(table(), "average")
    steps = [steps_of_peer(goal, PEERS[name], 3, 20_000) for _ in range(2)]
    assert steps[0] == steps[1]
    assert math.isfinite(steps[0])
    # Never less than the oracle of a single target pays.
    assert steps[0] >= 57


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("objective", ["average", "per_target"])
def test_every_method_of_ours_finds_the_best_of_a_small_table(name, objective):
    goal = Goal.of(table(), objective)
    steps = steps_of_ours(goal, METHODS[name], 1, 20_000)
    assert goal.oracle_steps() <= steps < math.inf


def test_the_peers_pruning_has_the_rungs_it_is_told():
    searcher, scheduler = ray_search(Goal.of(table(), "average"), 0)
    bracket = scheduler._brackets[0]
    assert [milestone for milestone, _ in bracket._rungs] == [9, 3, 1]
    assert set(searcher.suggest("t")) == {"stage_1", "stage_2"}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore")
def test_ray_tune_itself_does_what_the_peer_does(tmp_path):
    """Fourteen trials, so that TPE has its say beyond its ten random ones."""
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415

    goal, seed, count = Goal.of(read_table(MINI), "average"), 1, 14
    peer, mine = PEERS["ray-tune"](goal, seed), []
    for _ in range(count):
        text = str(decode_sequence(peer.ask()))
        for rung in range(NUM_RUNGS):
            score = goal.observed(text, "average", seed, rung)
            if not peer.report(ETA**rung, score):
                break
        mine.append((text, ETA**rung, score))

    def trial(config: dict[str, str]) -> None:
        text = str(decode_sequence(config))
        for rung in range(NUM_RUNGS):
            score = goal.observed(text, "average", seed, rung)
            tune.report({"score": score, "resource": ETA**rung})

    from ray.tune.schedulers import ASHAScheduler  # noqa: PLC0415
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        results = tune.Tuner(
            trial,
            param_space={name: tune.choice(c) for name, c in positions(goal).items()},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                num_samples=count,
                max_concurrent_trials=1,
                reuse_actors=True,
                search_alg=OptunaSearch(seed=seed),
                scheduler=ASHAScheduler(
                    time_attr="resource", max_t=9, grace_period=1, reduction_factor=3
                ),
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        ).fit()
    finally:
        ray.shutdown()
    real = [
        (str(decode_sequence(r.config)), r.metrics["resource"], r.metrics["score"]) for r in results
    ]
    assert real == mine


# The drawn landscape.


def value(frame: pd.DataFrame, sequence: str) -> np.ndarray:
    """Return a sequence's scores at the full budget, a number a target."""
    rows = frame[(frame["sequence"] == sequence) & (frame["budget_steps"] == 60)]
    return rows[rows["seed"] == 0]["score"].to_numpy()


def test_a_drawn_table_is_whole_and_the_same_every_time(tmp_path):
    model = Landscape(tasks=4, targets=2, seeds=3)
    frame = model.draw()
    assert frame.equals(Landscape(tasks=4, targets=2, seeds=3).draw())
    assert not frame.equals(Landscape(tasks=4, targets=2, seeds=3, seed=1).draw())
    sequences = 1 + 4 + 12 + 24
    assert len(frame) == (sequences + 1) * 2 * 3 * 3
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    found = Goal.of(read_table(path), "average")
    assert (len(found.tasks), found.max_length) == (4, 3)
    assert found.table.budgets("udpos") == (7, 20, 60)


def test_without_effects_only_length_counts():
    still = Landscape(
        tasks=3, main_sd=0, precedence_sd=0, adjacency_sd=0, recency_sd=0, rank_sd=0, seed_sd=0
    )
    frame = still.draw()
    empty = value(frame, "")
    assert np.allclose(value(frame, "mnli"), empty)
    assert np.allclose(value(frame, "mnli>qqp>anli"), empty - 2 * 0.5)
    start = frame[(frame["sequence"] == "") & (frame["budget_steps"] == 7)]["score"].to_numpy()
    learnt = (1 - math.exp(-4 * 7 / 60)) / (1 - math.exp(-4))
    assert np.allclose(start[0], empty[0] - 30 * (1 - learnt), atol=1e-3)


def test_each_effect_tells_the_orders_apart_that_it_should():
    quiet = {"tasks": 3, "rank_sd": 0, "seed_sd": 0, "forgetting": 0}
    none = {"main_sd": 0, "precedence_sd": 0, "adjacency_sd": 0, "recency_sd": 0}
    main = Landscape(**quiet, **{**none, "main_sd": 1.0}).draw()
    assert np.allclose(value(main, "anli>mnli"), value(main, "mnli>anli"))
    assert not np.allclose(value(main, "anli"), value(main, "mnli"))
    last = Landscape(**quiet, **{**none, "recency_sd": 1.0}).draw()
    assert np.allclose(value(last, "anli>mnli"), value(last, "mnli"))
    before = Landscape(**quiet, **{**none, "precedence_sd": 1.0}).draw()
    assert not np.allclose(value(before, "anli>mnli"), value(before, "mnli>anli"))
    assert np.allclose(value(before, "anli"), value(before, ""))
    beside = Landscape(**quiet, **{**none, "adjacency_sd": 1.0}).draw()
    pairs = value(beside, "anli>mnli") + value(beside, "mnli>qqp") - value(beside, "")
    assert np.allclose(value(beside, "anli>mnli>qqp"), pairs, atol=1e-3)


def test_what_targets_share_and_how_seeds_differ():
    both = Landscape(share=1.0, seed_sd=0, rank_sd=0).draw()
    gains = np.array([value(both, text) - value(both, "") for text in ("anli", "mnli", "qqp")])
    assert np.allclose(gains, gains[:, :1], atol=1e-3)
    noisy = Landscape(seed_sd=0.7, seeds=5).draw()
    full = noisy[noisy["budget_steps"] == 60]
    spread = full.groupby(["sequence", "target"])["score"].var().mean() ** 0.5
    assert spread == pytest.approx(0.7, rel=0.05)


def test_low_budgets_rank_much_but_not_quite_as_the_full_one():
    frame = Landscape(seed_sd=0).draw()
    wide = frame[frame["seed"] == 0].pivot_table(
        index=["sequence", "target"], columns="budget_steps", values="score"
    )
    gains = wide - wide.groupby("target").transform("mean")
    found = gains.corr("spearman")
    assert 0.5 < found.loc[7, 60] < found.loc[20, 60] < 0.99


def test_a_drawn_similarity_has_the_correlation_it_is_told():
    landscape = Landscape(targets=5)
    frame = landscape.draw()
    alone = [value(frame, name) - value(frame, "") for name in TASKS]
    drawn = landscape.similarity(1.0)["value"].to_numpy().reshape(9, 5)
    # Seeds differ by half a point, so that the table is not quite the truth.
    assert np.corrcoef(drawn.ravel(), np.array(alone).ravel())[0, 1] > 0.9
    useless = landscape.similarity(0.0)["value"].to_numpy()
    assert abs(np.corrcoef(useless, drawn.ravel())[0, 1]) < 0.4


def test_a_similarity_reaches_our_sampler_and_the_useless_one_is_drawn_anew(tmp_path):
    goal = Goal.of(table(), "average", similarity=str(tmp_path / "similarity.csv"))
    with pytest.raises(InputError, match="similarity"):
        steps_of_ours(goal, METHODS["ours"], 0, 20_000)
    useless_similarity(goal, 0).to_csv(goal.similarity, index=False)
    assert math.isfinite(steps_of_ours(goal, METHODS["ours"], 0, 20_000))
    assert not useless_similarity(goal, 0).equals(useless_similarity(goal, 1))


def test_landscapes_are_drawn_one_a_search_and_never_trivial(tmp_path):
    model = landscape_of("3x2")
    goals = drawn_goals(model, 8, "average", folder=tmp_path, correlation=0.5)
    best = [max(goal.truth["average"], key=goal.truth["average"].get) for goal in goals]
    assert "" not in best
    assert len({tuple(goal.truth["average"].values()) for goal in goals}) == 8
    assert all(Path(goal.similarity).is_file() for goal in goals)
    again = drawn_goals(model, 2, "average", folder=tmp_path)
    assert [goal.truth for goal in again] == [goal.truth for goal in goals[:2]]
    # Seeds are those of the landscapes, less the trivial ones.
    seeds = [s for s in range(60) if not is_trivial(replace(model, seed=s))][:8]
    assert [goal.table.origin for goal in goals] == [
        f"drawn {seed}, seeds averaged" for seed in seeds
    ]


@pytest.mark.parametrize("text", ["9", "9x", "2x1", "10x1", "5x6", "axb"])
def test_a_landscape_that_cannot_be_drawn_is_told(text):
    with pytest.raises(InputError, match=f"--drawn {text}"):
        landscape_of(text)


# The command.


@pytest.mark.slow
def test_the_command_ends_with_a_row_a_method(tmp_path):
    path = tmp_path / "five.csv"
    Landscape(tasks=4, max_length=2, targets=2).draw().to_csv(path, index=False)
    command = [sys.executable, str(ROOT / "benchmarks" / "search_efficiency.py")]
    options = ["--table", str(path), "--seeds", "3", "--methods", "ours", "ray-tune", "random"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["oracle", "ours", "ray-tune", "random"]
    assert all(line.split()[-1].endswith("/3") for line in lines[-3:])
    assert "4 tasks, length 2, 2 targets; objective average" in lines[0]


def test_the_recorded_suite_comes_with_its_similarities():
    similarity = str(MINI.with_name("mini_similarity.csv"))
    table = read_table(MINI)
    goal = Goal.of(table, "average", "mean", similarity)
    study = goal.study(0, similarity=similarity)
    prior = read_prior(study)
    # The empty name stands for the average over targets.
    pairs = itertools.product(goal.tasks, (*table.targets, ""))
    assert set(prior) == set(pairs)
    assert len(set(prior.values())) > len(goal.tasks)
