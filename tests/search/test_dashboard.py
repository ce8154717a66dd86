"""The ledger opens in optuna-dashboard as it is: its app answers with the run's trials."""

from __future__ import annotations

import math
from collections.abc import Iterator

import optuna
import pytest
from optuna_dashboard import wsgi
from werkzeug.test import Client

from search.coordinator import Coordinator
from tests.search.executor import Executor, make_coordinator, make_study, smooth_scores

STATES = {"complete": "Complete", "pruned": "Pruned", "failed": "Fail"}


@pytest.fixture(scope="module", params=["sqlite", "journal"])
def run(request, tmp_path_factory) -> Iterator[tuple[Coordinator, Client]]:
    """A finished run, and the dashboard's app on its storage, opened as any tool would."""
    folder = tmp_path_factory.mktemp(request.param)
    study = make_study("search.num_trials=6", "hyperparameters.target.dropout={uniform: [0, 0.3]}")

    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        if sequence == "qqp" and target == "udpos":
            raise ArithmeticError("the loss is NaN")
        if sequence == "mnli" and target == "udpos":
            return math.nan
        return smooth_scores(sequence, target, seed, rung)

    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'optuna.db'}"
        storage: optuna.storages.BaseStorage = optuna.storages.RDBStorage(url)
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(folder / "optuna.log"))
        storage = optuna.storages.JournalStorage(backend)
    coordinator = make_coordinator(study, storage)
    assert Executor(scores).drive(coordinator)
    yield coordinator, Client(wsgi(storage))
    if request.param == "sqlite":
        storage.remove_session()
        storage.engine.dispose()


def get(client: Client, path: str) -> dict:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_study_is_listed_and_its_page_opens(run):
    _, client = run
    (listed,) = get(client, "/api/studies")["study_summaries"]
    assert listed["study_name"] == "synthetic"
    assert listed["directions"] == ["maximize"]
    with client.get(f"/dashboard/studies/{listed['study_id']}") as page:
        assert page.status_code == 200
        assert "<html" in page.text


def test_trials_have_states_scores_and_rungs_of_the_run(run):
    coordinator, client = run
    (listed,) = get(client, "/api/studies")["study_summaries"]
    shown = get(client, f"/api/studies/{listed['study_id']}")["trials"]
    by_number = {trial["number"]: trial for trial in shown}
    assert len(coordinator.records) > 5
    for record in coordinator.records:
        trial = by_number[record.number]
        assert trial["state"] == STATES[record.status]
        if record.status == "complete":
            assert trial["values"] == [pytest.approx(record.score)]
        values = {v["step"]: v["value"] for v in trial["intermediate_values"]}
        assert sorted(values) == [report.rung for report in record.rungs]
        for report in record.rungs:
            if math.isnan(report.score):
                assert values[report.rung] == "nan"
            else:
                assert values[report.rung] == pytest.approx(report.score)
        notes = {note["key"]: note["value"] for note in trial["user_attrs"]}
        assert record.proposal.target in notes["target"]
    assert {trial["state"] for trial in shown} >= {"Complete", "Pruned", "Fail"}
    settings = [p["name"] for trial in shown for p in trial["params"]]
    assert "target.dropout" in settings


def test_the_table_comes_out_as_csv(run):
    coordinator, client = run
    (listed,) = get(client, "/api/studies")["study_summaries"]
    text = client.get(f"/csv/{listed['study_id']}").text
    assert text.count("\n") > len(coordinator.records)
