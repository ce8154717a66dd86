from __future__ import annotations

import pickle

from spaces.errors import InputError, TaskorderError, UnknownNameError, near_matches


def test_near_matches_are_told_else_all_that_is_known():
    assert near_matches("sqaud1", ["squad1", "mnli"]) == "Did you mean 'squad1'?"
    assert near_matches("x", ["b", "a"]) == "Known: a, b."
    assert near_matches("x", []) == "None is known."


def test_an_unknown_name_says_where():
    error = UnknownNameError("task", "mnlii", ["mnli"], "targets")
    assert str(error) == "targets: unknown task 'mnlii'. Did you mean 'mnli'?"
    assert isinstance(error, ValueError)
    assert isinstance(error, TaskorderError)


def test_an_unknown_name_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(UnknownNameError("task", "x", ["mnli"])))  # noqa: S301
    assert isinstance(error, InputError)
    assert str(error) == "unknown task 'x'. Known: mnli."
