from __future__ import annotations

from spaces.plan import StagePlan, TrainSettings, TrialPlan
from spaces.stages import Mixture
from trainables.storage.needs import needs

SETTINGS = TrainSettings(4, 2, 1e-3, 0.1, "linear", 0.0, 1.0, 0.1, 0)


def plan(num_stages, budgets=(2, 3, 4)):
    parents = ["base", *(f"s{i}" for i in range(num_stages))]
    stages = tuple(
        StagePlan(f"s{i}", parents[i], ">".join("abc"[: i + 1]), Mixture.of("a"), SETTINGS)
        for i in range(num_stages)
    )
    return TrialPlan(0, "a", "t", 0, "base", stages, "target", SETTINGS, budgets)


def of(found, kind):
    return sorted(key for of_kind, key in found if of_kind == kind)


def kept(found):
    """Keys of fine-tunings at a budget."""
    return [key for key in of(found, "progress") if "live" not in key]


def test_a_trial_that_trains_needs_what_it_builds_on_and_what_lies_ahead():
    assert of(needs(plan(3), 0, 0), "stages") == ["s0", "s1", "s2"]
    assert of(needs(plan(3), 1, 0), "stages") == ["s0", "s1", "s2"]
    assert of(needs(plan(3), 2, 0), "stages") == ["s1", "s2"]
    assert of(needs(plan(3), 3, 0), "stages") == ["s2"]
    assert of(needs(plan(0), 0, 0), "stages") == []


def test_a_trial_that_waits_for_promotion_needs_the_fine_tuning_it_goes_on_with():
    found = [kept(needs(plan(1), 1, rungs)) for rungs in range(4)]
    # The last budget is never kept: nothing goes on from there.
    assert found == [["target-2", "target-3"], ["target-2", "target-3"], ["target-3"], []]
    assert kept(needs(plan(0, (0,)), 0, 0)) == []


def test_what_is_in_flight_needs_its_checkpoints():
    found = of(needs(plan(2), 1, 0), "progress")
    live = [key for key in found if "live" in key]
    assert live == ["s1-live-0", "s1-live-1", "target-live-0", "target-live-1"]
