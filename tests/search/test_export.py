"""Export from a real run: the folder loads in transformers and scores what is on record."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import typer
import yaml
from transformers import pipeline
from typer.testing import CliRunner

from analysis import compare_best, leaderboard, load_run
from search.commands.exporting import export
from search.export_command import check_score, choose_trial
from search.trials import Proposal, RungReport, TrialRecord
from spaces.errors import InputError, RunDirectoryError, TaskorderError, UnknownNameError
from spaces.fingerprints import TRAINING_SEMANTICS_VERSION
from spaces.sequences import Sequence
from tests.analysis.runs import START, STUDY, write_run
from trainables.metrics import METRICS
from trainables.mini import MODEL_DIR, records

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(export)


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


SMALL = """
name: small
model: {name: mini}
intermediate: {tasks: [mini_entail, mini_supertag], max_length: 2}
targets:
  - {name: mini_pos, languages: [en, agg]}
  - {name: mini_xnli, languages: [en, agg]}
training: {batch_size: 16, max_train_examples: 256, max_eval_examples: 60, max_steps: 12}
search:
  num_trials: 2
  max_concurrent: 1
  asha: {reduction_factor: 2, num_rungs: 2}
  confirm: {top: 1, seeds: 2}
"""


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """A real run, as small as runs get."""
    if not (MODEL_DIR / "config.json").is_file():
        pytest.skip("the mini model is not built")
    folder = tmp_path_factory.mktemp("export")
    (folder / "study.yaml").write_text(SMALL, encoding="utf-8")
    launch = [sys.executable, "-m", "search.cli", "launch", str(folder / "study.yaml")]
    done = subprocess.run(
        [*launch, "--run-dir", str(folder / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def front_matter(text):
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def words_and_tags(tag, tokens):
    """Return the label of each word: that of its first subword."""
    starts = [len(" ".join(tokens[:i])) + (i > 0) for i in range(len(tokens))]
    found = {entry["start"]: entry["entity"] for entry in reversed(tag(" ".join(tokens)))}
    return [found[start] if start in found else found[start - 1] for start in starts]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_what_is_exported_loads_in_a_pipeline_and_scores_what_is_on_record(small_run, tmp_path):
    run = load_run(small_run)
    refused = command(small_run, "--out", tmp_path / "out")
    assert isinstance(refused.exception, InputError)
    assert "--target: the run has 2: mini_pos, mini_xnli" in str(refused.exception)

    done = command(small_run, "--target", "mini_pos", "--out", tmp_path / "pos")
    assert done.exit_code == 0, done.exception
    assert "(difference +0.00, tolerance 0.1)" in done.output
    text = (tmp_path / "pos" / "README.md").read_text(encoding="utf-8")
    head, body = front_matter(text)
    assert head["pipeline_tag"] == "token-classification"
    assert head["language"] == ["agg", "en"]
    best = leaderboard(run, "mini_pos").iloc[0]
    chosen = choose_trial(run, "mini_pos", None)
    assert f"trial {chosen.trial_id} (phase " in body
    assert best["sequence"] == run.trials.set_index("trial_id")["sequence"][chosen.trial_id]
    recorded = run.scores[run.scores["trial_id"] == chosen.trial_id]
    recorded = recorded[recorded["rung"] == recorded["rung"].max()]
    results = {
        (r["dataset"]["config"], r["dataset"]["split"]): r["metrics"][0]["value"]
        for r in head["model-index"][0]["results"]
    }
    for row in recorded[recorded["headline"]].itertuples():
        assert results[row.language, row.split] == pytest.approx(row.value, abs=1e-3)

    tag = pipeline("token-classification", model=str(tmp_path / "pos"))
    examples = records("mini_pos", "test", "agg")[:60]
    predicted = {r.id: words_and_tags(tag, list(r.tokens)) for r in examples}
    gold = {r.id: list(r.tags) for r in examples}
    metric = METRICS["seqeval_f1"]
    value = metric.primary(metric.compute(predicted, gold, "agg"))
    assert value == pytest.approx(results["agg", "test"], abs=1e-3)

    trial = run.trials[run.trials["target"] == "mini_xnli"].set_index("sequence")
    number = int(trial.loc[["mini_entail"], "trial_id"].iloc[0])
    done = command(small_run, "--trial", number, "--out", tmp_path / "xnli")
    assert done.exit_code == 0, done.exception
    body = (tmp_path / "xnli" / "README.md").read_text(encoding="utf-8")
    assert "# mini_xnli after mini_entail" in body
    assert "1. `mini_entail`: 12 steps of 16 examples" in body
    assert "2. `mini_xnli` (target): 12 steps of 16 examples" in body
    classify = pipeline("text-classification", model=str(tmp_path / "xnli"))
    examples = records("mini_xnli", "test", "agg")[:60]
    answers = [classify({"text": r.text, "text_pair": r.text_pair})["label"] for r in examples]
    right = [answer == r.label for answer, r in zip(answers, examples, strict=True)]
    rows = run.scores[(run.scores["trial_id"] == number) & (run.scores["split"] == "test")]
    (value,) = rows.loc[rows["language"] == "agg", "value"]
    assert 100 * sum(right) / len(right) == pytest.approx(value)

    usage = body.split("```python\n")[1].split("```")[0].replace("FOLDER", str(tmp_path / "xnli"))
    exec(usage, {})

    again = command(small_run, "--trial", number, "--out", tmp_path / "xnli")
    assert isinstance(again.exception, InputError)
    assert "is there already" in str(again.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"pos", "xnli"}


def trials(target, sequence, scores, **common):
    return [
        {"target": target, "sequence": sequence, "seed": seed, "score": score, **common}
        for seed, score in enumerate(scores)
    ]


@pytest.fixture
def run(tmp_path):
    rows = [
        *trials("tags", "", [50, 51, 52], phase="baseline"),
        *trials("tags", "b>a", [80], phase="search"),
        {"target": "tags", "sequence": "b>a", "seed": 1, "score": 60, "phase": "confirm"},
        {"target": "tags", "sequence": "b>a", "seed": 2, "score": 62, "phase": "confirm"},
        *trials("tags", "a", [90], phase="search", state="pruned"),
        *trials("spans", "", [10], phase="baseline"),
        *trials("spans", "a", [20], phase="search", state="running"),
    ]
    return load_run(write_run(tmp_path / "run", trials=rows))


def test_the_best_is_the_leaderboards_and_of_its_fresh_seeds_the_highest(run):
    choice = choose_trial(run, "tags", None)
    assert choice.trial_id == 5
    assert (choice.mean, choice.num_seeds) == (61, 2)
    assert choice.gain[0] == pytest.approx(9.5)
    (none,) = compare_best(run, "tags", against=["none"]).to_dict("records")
    assert choice.gain[1:] == (none["difference_low"], none["difference_high"])
    assert "of its 2 seeds that count" in choice.reason
    assert choose_trial(run, None, 3).trial_id == 3
    assert choose_trial(run, "spans", None).trial_id == 7


def test_a_trial_of_another_model_is_compared_with_its_own(tmp_path):
    rows = [
        {**row, "model": model}
        for model, values in (("small", (50, 52)), ("large", (70, 79)))
        for sequence, value in zip(("", "a"), values, strict=True)
        for row in trials("tags", sequence, [value, value + 1])
    ]
    run = load_run(write_run(tmp_path / "run", trials=rows))
    assert rows[choose_trial(run, "tags", None).trial_id]["model"] == "small"
    choice = choose_trial(run, None, 6)
    assert (choice.mean, choice.gain[0]) == (79.5, 9)


def test_of_an_average_the_sequence_is_the_best_on_average(tmp_path):
    rows = [
        row
        for target, values in (("one", (50, 52, 60)), ("two", (50, 90, 60)))
        for sequence, value in zip(("", "a", "b"), values, strict=True)
        for row in trials(target, sequence, [value])
    ]
    folder = write_run(tmp_path / "run", {**STUDY, "objective": "average"}, trials=rows)
    choice = choose_trial(load_run(folder), "one", None)
    assert rows[choice.trial_id]["sequence"] == "a"
    assert "of the average" in choice.reason
    folder = write_run(tmp_path / "each", STUDY, trials=rows)
    assert rows[choose_trial(load_run(folder), "one", None).trial_id]["sequence"] == "b"


@pytest.mark.parametrize(
    ("target", "trial", "message"),
    [
        (None, None, "--target: the run has 2: tags, spans. Name one."),
        ("tugs", None, "Did you mean 'tags'"),
        (None, 99, "--trial 99: the run has no such trial"),
        (None, 6, "--trial 6: is pruned"),
        ("spans", 0, "--trial 0: is of 'tags', not of 'spans'"),
    ],
)
def test_what_cannot_be_exported_is_named(run, target, trial, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        choose_trial(run, target, trial)


def test_a_target_without_a_complete_trial_is_told(tmp_path):
    run = load_run(write_run(tmp_path / "run", trials=[{"state": "running", "rung": -1}]))
    with pytest.raises(InputError, match="none of its trials has reached the full budget"):
        choose_trial(run, "tags", None)
    with pytest.raises(UnknownNameError):
        choose_trial(run, "spans", None)


SCORE = {"language": "de", "split": "dev", "metric": "f1", "value": 60.0}


def record(score=60.0):
    report = RungReport(1, 10, score, (SCORE,), 10, 1.0, 0, START)
    proposal = Proposal(Sequence.of("a"), "tags", 0, "search")
    return TrialRecord(7, proposal, rungs=[report])


def test_a_score_within_the_tolerance_is_said_and_one_outside_is_an_error():
    check = check_score(record(), 60.04, [{**SCORE, "value": 60.06}], tolerance=0.1)
    assert check.difference == pytest.approx(0.04)
    assert "Recorded 60.00, the exported model scores 60.04 (difference +0.04" in check.sentence()
    assert "largest difference of a single score is 0.06 (de dev f1)" in check.sentence()
    for measured in (60.2, 59.8, math.nan):
        with pytest.raises(TaskorderError, match="does not reproduce trial 7"):
            check_score(record(), measured, [SCORE], tolerance=0.1)


def test_a_run_without_its_storage_is_told(tmp_path):
    resolved = {"format": 1, "run_id": "x", "data_root": None}
    resolved["training_semantics"] = TRAINING_SEMANTICS_VERSION
    study = yaml.safe_load(SMALL) | {"resolved": {**resolved, "versions": {}}}
    folder = write_run(tmp_path / "run", study, trials=[{"target": "mini_pos", "score": 1.0}])
    done = command(folder, "--out", tmp_path / "out")
    assert isinstance(done.exception, RunDirectoryError), done.exception
    assert "optuna.db" in str(done.exception)
    assert not (tmp_path / "out").exists()
    assert not (folder / "optuna.db").exists()
