"""The study in a run directory is the one that was launched."""

from __future__ import annotations

import pytest

from search.rundir import RunDirectory
from spaces.study import load_study, parse_study, ready_made_studies

NULLS = """
name: nulls
model: {name: mini}
intermediate:
  tasks: [even, mini_qa]
  max_length: 2
  stages: {even: {tasks: [mini_entail, mini_supertag], sampling: uniform}}
targets: [mini_pos]
search: {asha: null}
"""


@pytest.mark.parametrize("name", [*ready_made_studies(), "nulls"])
def test_a_study_is_read_as_it_was_launched(tmp_path, name):
    study = parse_study(NULLS, name) if name == "nulls" else load_study(name)
    directory = RunDirectory(tmp_path / "run")
    directory.create(study, None)
    assert directory.read()[0] == study


def test_null_is_not_the_default(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.create(parse_study(NULLS, "study"), None)
    study, _ = directory.read()
    assert study.search.asha is None
    assert study.intermediate.stages["even"].sampling.temperature is None
