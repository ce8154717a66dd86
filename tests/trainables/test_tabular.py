from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from spaces.errors import DataError, InputError
from spaces.sequences import Sequence, Stage
from spaces.study import Study, load_study
from tests.search.executor import make_study
from trainables.tabular import RecordedTable, TabularPlanner, TabularTrainable, read_table

MINI = Path(__file__).parents[2] / "benchmarks" / "data" / "mini_table.csv"

HEADER = "sequence,target,seed,budget_steps,score,stage_steps"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def small(seeds: tuple[int, ...] = (0,), tasks: tuple[str, ...] = ("mnli", "qqp")) -> RecordedTable:
    """Two tasks of 10 and 20 steps, both targets at 4, 12 and 36 steps; a score names its row."""
    names = ["", *tasks, *(f"{a}>{b}" for a in tasks for b in tasks if a != b), "+".join(tasks)]
    costs = {"": 0, "mnli": 10, "qqp": 20, "mnli+qqp": 30}
    scores = {
        (name, target, seed, budget): float(len(name) + 10 * (target == "udpos") + seed + budget)
        for name in names
        for target in ("xnli", "udpos")
        for seed in seeds
        for budget in (4, 12, 36)
    }
    return RecordedTable("small", scores, {n: costs[n.rpartition(">")[2]] for n in names})


def study(*overrides: str, **content: object) -> Study:
    return make_study(
        *overrides, intermediate={"tasks": ["mnli", "qqp"], "max_length": 2}, **content
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_is_read_back_as_it_was_written(tmp_path, suffix):
    frame = pd.DataFrame(
        [("", "xnli", 0, 4, 50.5, 0), ("mnli", "xnli", 0, 4, math.nan, 10),
         ("mnli>qqp", "xnli", 0, 4, 100.0, 20)],
        columns=HEADER.split(","),
    )  # fmt: skip
    path = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False, na_rep="nan")
    else:
        frame.to_parquet(path)
    table = read_table(path)
    assert table.score("", "xnli", 0, 4) == 50.5
    assert math.isnan(table.score("mnli", "xnli", 0, 4))
    assert table.steps("mnli>qqp") == 20
    assert table.sequences == ("", "mnli", "mnli>qqp")
    assert (table.targets, table.seeds) == (("xnli",), (0,))


def test_the_recorded_mini_table_answers_the_mini_study():
    trainable = TabularTrainable.of(load_study("mini"), read_table(MINI))
    sequence = Sequence.of("mini_qa", "mini_noise")
    plan = trainable.planner.plan(7, sequence, "mini_pos", seed=0)
    assert [stage.settings.steps for stage in plan.stages] == [300, 80]
    assert plan.budgets == (3, 7, 20)
    reports = [trainable.run_rung(plan, rung) for rung in range(3)]
    # Three rows of the file.
    assert [report["score"] for report in reports] == [0.0, 10.7587, 62.6698]
    assert [report["steps_trained"] for report in reports] == [3, 4, 13]
    assert [report["budget_steps"] for report in reports] == [3, 7, 20]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([",xnli,0,4,50,0", "mnli,xnli,0,4,abc,10"], "line 3: score is 'abc'; it must be a number"),
        ([",xnli,0,4,101,0"], "line 2: score is '101'; it must be a number from 0 to 100, or NaN"),
        ([",xnli,0,4,,0"], "line 2: score is ''; it must be a number from 0 to 100"),
        ([",xnli,0,4,inf,0"], "line 2: score is 'inf'"),
        ([",xnli,0.5,4,50,0"], "line 2: seed is '0.5'; it must be a whole number, 0 or more"),
        ([",xnli,0,-4,50,0"], "line 2: budget_steps is '-4'; it must be a whole number"),
        (["mnli,xnli,0,4,50,x"], "line 2: stage_steps is 'x'; it must be a whole number"),
        ([",,0,4,50,0"], "line 2: target is ''; it must be the name of a target"),
        ([",xnli,0,4,50,9"], "line 2: stage_steps is 9; it must be 0 for the empty sequence"),
        (
            [",xnli,0,4,50,0", ",xnli,0,4,51,0"],
            "seed and budget_steps are those of line 2; each may occur once",
        ),
        (
            ["mnli,xnli,0,4,50,9", "mnli,xnli,0,12,50,8"],
            "line 3: stage_steps is 8, but 9 in an earlier row of the same sequence",
        ),
        (["mnli>mnli,xnli,0,4,50,9"], "line 2: sequence mnli>mnli: mnli occurs more than once"),
        (["qqp+mnli,xnli,0,4,50,9", "mnli+qqp,xnli,0,4,50,9"], "line 3: sequence, target, seed"),
        ([], "it has no rows"),
    ],
)
def test_a_row_that_breaks_a_rule_is_told_with_file_and_line(tmp_path, lines, told):
    path = write(tmp_path, *lines)
    with pytest.raises(DataError) as error:
        read_table(path)
    assert str(path) in str(error.value)
    assert told in str(error.value)


def test_a_row_of_a_parquet_file_is_told_by_its_number(tmp_path):
    path = tmp_path / "table.parquet"
    rows = [("", "xnli", 0, 4, 50.0, 0), ("", "xnli", 0, 12, -1.0, 0)]
    pd.DataFrame(rows, columns=HEADER.split(",")).to_parquet(path)
    with pytest.raises(DataError, match=r"row 2: score is -1.0; it must be a number from 0 to 100"):
        read_table(path)


def test_a_missing_column_or_file_is_told(tmp_path):
    path = write(tmp_path, "mnli,xnli", header="sequence,target")
    with pytest.raises(DataError, match="column 'seed' is missing; a recorded table has sequence"):
        read_table(path)
    with pytest.raises(DataError, match=r"no such file\. Give a recorded table"):
        read_table(tmp_path / "none.csv")
    damaged = tmp_path / "table.parquet"
    damaged.write_bytes(b"not parquet")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_table(damaged)


def test_missing_rows_are_told_before_anything_runs():
    table = small()
    scores = {key: score for key, score in table.scores.items() if key[0] != "qqp>mnli"}
    lacking = RecordedTable("small", scores, table.stage_steps)
    with pytest.raises(DataError) as error:
        TabularTrainable.of(study("search.confirm.top=0"), lacking)
    assert str(error.value) == (
        "small: 6 rows are missing that the study needs: sequence 'qqp>mnli', target 'xnli', seed "
        "0, budget_steps 4; sequence 'qqp>mnli', target 'xnli', seed 0, budget_steps 12; sequence "
        "'qqp>mnli', target 'xnli', seed 0, budget_steps 36 and 3 more. Record them, or narrow the "
        "study (intermediate.tasks, intermediate.max_length, targets, search.asha, "
        "search.baselines, search.confirm) to what the table holds."
    )


def test_all_tasks_at_once_are_needed_by_baselines_and_confirmation_alone():
    table = small()
    scores = {key: score for key, score in table.scores.items() if "+" not in key[0]}
    lacking = RecordedTable("small", scores, table.stage_steps)
    with pytest.raises(DataError, match=r"'mnli\+qqp'"):
        TabularTrainable.of(study(), lacking)
    assert TabularTrainable.of(study("search.baselines=false", "search.confirm.top=0"), lacking)


def test_an_unknown_target_and_other_rungs_are_told():
    with pytest.raises(DataError, match="no row of target 'panx'; it holds xnli, udpos"):
        TabularTrainable.of(study(targets=["xnli", "panx"]), small())
    with pytest.raises(DataError, match="budget_steps 18"):
        TabularTrainable.of(study("search.asha.reduction_factor=2"), small())


def test_a_study_that_searches_hyperparameters_is_refused():
    searched = study(hyperparameters={"target.dropout": {"uniform": [0.0, 0.3]}})
    with pytest.raises(InputError, match=r"hyperparameters.target.dropout: a recorded table holds"):
        TabularTrainable.of(searched, small())
    assert TabularTrainable.of(study(hyperparameters={"target.dropout": 0.1}), small())


def test_without_pruning_only_the_full_budget_is_asked():
    planner = TabularPlanner.of(study("search.asha=null"), small())
    assert planner.plan(0, Sequence(), "xnli", seed=0).budgets == (36,)


@pytest.mark.parametrize(
    ("recorded", "own", "fresh", "answers"),
    [
        ((0, 1, 2), 0, (1, 2, 3), (0, 1, 2, 1)),
        ((0, 1, 2), 1, (2, 3, 4), (1, 2, 0, 2)),
        ((0, 1, 2), 5, (6, 7, 8), (2, 0, 1, 0)),
        ((3, 8), 0, (1, 2), (3, 8, 8)),
        ((3, 8), 1, (2, 3), (8, 3, 3)),
        ((4,), 0, (1, 2), (4, 4, 4)),
    ],
)
def test_recorded_seeds_answer_for_the_studys_own_and_the_fresh_ones(recorded, own, fresh, answers):
    planner = TabularPlanner.of(study(f"seed={own}"), small(recorded))
    assert tuple(planner.recorded_seed(seed) for seed in (own, *fresh)) == answers


def test_fresh_seeds_that_are_not_there_are_told():
    def notes(recorded: tuple[int, ...], *overrides: str) -> tuple[str, ...]:
        return TabularTrainable.of(study(*overrides), small(recorded)).notes()

    assert notes((0, 1, 2)) == notes((0,), "search.confirm.top=0") == ()
    assert notes((0, 1)) == (
        "seeds in the table: 2; the confirmation's 2 fresh seeds are answered by 1",
    )
    assert notes((0,))[0].endswith("2 fresh seeds are answered by the search's own")


def test_prefixes_are_shared_between_sequences_and_targets_and_not_between_seeds():
    planner = TabularPlanner.of(study(), small((0, 1)))

    def stages(sequence: Sequence, target: str, seed: int) -> tuple[str, ...]:
        plan = planner.plan(0, sequence, target, seed=seed)
        assert plan.parent == (plan.stages[-1].fingerprint if plan.stages else plan.base)
        return tuple(stage.fingerprint for stage in plan.stages)

    (alone,) = stages(Sequence.of("mnli"), "xnli", 0)
    assert stages(Sequence.of("mnli", "qqp"), "udpos", 0)[0] == alone
    assert stages(Sequence.of("qqp", "mnli"), "xnli", 0)[1] != alone
    assert stages(Sequence((Stage(("mnli", "qqp")),)), "xnli", 0)[0] != alone
    assert stages(Sequence.of("mnli"), "xnli", 1) != (alone,)


@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_without_sharing_every_sequence_has_stages_of_its_own(objective):
    planner = TabularPlanner.of(study(objective=objective), small(), shares_prefixes=False)
    short, long, other = (
        planner.plan(0, Sequence.parse(text), target, seed=0).stages[0].fingerprint
        for text, target in (("mnli", "xnli"), ("mnli>qqp", "xnli"), ("mnli", "udpos"))
    )
    assert short != long
    assert (short == other) == (objective == "average")
