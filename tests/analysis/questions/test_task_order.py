from __future__ import annotations

import pandas as pd
import pytest

from analysis.questions import NOT_DECIDED, answer_question
from analysis.questions.task_order import sequence_similarities, task_order
from tests.analysis.landscapes import sequences
from tests.analysis.questions.landscape import arms_run

TASKS = ("mnli", "qqp", "squad1", "ccg")
ALL = sequences(TASKS, 3)
TARGETS = dict.fromkeys(("xnli", "xquad", "udpos", "panx", "mlqa", "pawsx"), ("de", "fi"))
WORTH = dict(zip(TASKS, (1.0, 2.0, 3.0, 4.0), strict=True))


def study(tmp_path, order, targets=("xquad",), **how):
    """Order is what it is worth to have squad1 last."""

    def gain(sequence, target, language, model):
        stages = sequence.split(">") if sequence else []
        return sum(WORTH[stage] for stage in stages) + order * (stages[-1:] == ["squad1"])

    how = {"languages": {name: TARGETS[name] for name in targets}, "sd_language": 0.0} | how
    run = arms_run(tmp_path / "run", "task-order", ALL, gain, **how)
    return answer_question(run)


def test_order_that_matters_is_found(tmp_path):
    answer = study(tmp_path, 3.0)
    assert answer.sentence.startswith("xquad: yes, order matters: orders of the same tasks differ")
    assert "before squad1 rather than after it is worth +" in answer.sentence
    (share,) = answer.findings
    assert share.estimate.low > 0.0
    assert set(answer.rows["target"]) == {"xquad"}


def test_order_that_does_nothing_is_told(tmp_path):
    answer = study(tmp_path, 0.0, num_seeds=3)
    assert answer.sentence.startswith("xquad: no, order hardly matters: at most ")


def test_with_one_seed_a_pair_may_still_decide_but_noise_does_not(tmp_path):
    assert "yes, order matters" in study(tmp_path / "one", 3.0, num_seeds=1).sentence
    nothing = study(tmp_path / "two", 0.0, num_seeds=1).sentence
    assert f"xquad: {NOT_DECIDED} (no sequence was run on two seeds" in nothing


def test_without_similarities_the_second_part_is_not_decided(tmp_path):
    sentence = study(tmp_path, 3.0).sentence
    assert f"Does similarity find the best sequence: {NOT_DECIDED} (no similarities" in sentence


def similar(targets, value):
    return pd.DataFrame(
        [
            {"kind": "source_target", "source": task, "target": target, "measure": "probe"}
            | {"value": value(task, target)}
            for task in TASKS
            for target in targets
        ]
    )


def own_worth(task, target):
    """Return what a task is worth to a target, another thing for each."""
    return 3.0 * ((TASKS.index(task) + tuple(TARGETS).index(target)) % len(TASKS))


@pytest.mark.parametrize(
    ("sign", "said"),
    [(1, "Similarity is of use: probe ranks"), (-1, "Similarity is of no use of its own: probe")],
)
def test_similarity_is_held_against_the_mean_gain(tmp_path, sign, said):
    def gain(sequence, target, language, model):
        return sum(own_worth(stage, target) for stage in sequence.split(">") if stage)

    run = arms_run(
        tmp_path / "run", "task-order", ALL, gain, languages=TARGETS, num_seeds=2, sd_language=0.0
    )
    # What helps the other targets says something too, though less than the truth.
    values = similar(TARGETS, lambda task, target: sign * own_worth(task, target))
    answer = task_order(run, values)
    assert said in answer.sentence
    rho = next(f for f in answer.findings if f.what == "probe, mean over targets: spearman")
    assert rho.estimate.mean * sign > 0.3


def test_the_table_in_the_run_directory_is_read(tmp_path):
    study(tmp_path, 0.0, ("xnli", "xquad"))
    from analysis import load_run  # noqa: PLC0415

    folder = tmp_path / "run" / "similarity"
    folder.mkdir()
    similar(("xnli", "xquad"), lambda task, _: WORTH[task]).to_parquet(
        folder / "similarity.parquet"
    )
    answer = answer_question(load_run(tmp_path / "run"))
    assert "probe ranks sequences with a rank correlation of" in answer.sentence


def test_a_sequence_is_as_similar_as_the_sum_of_its_stages():
    values = pd.concat(
        [
            similar(("xnli",), lambda task, _: WORTH[task]),
            pd.DataFrame(
                [{"kind": "sequence_target", "source": "ccg>qqp", "target": "xnli"}
                 | {"measure": "probe", "value": 9.0}]
            ),
        ]
    )  # fmt: skip
    names = ["mnli>ccg", "squad1>ccg", "ccg>qqp", "mnli>other"]
    gains = pd.DataFrame({"source": names, "target": "xnli"})
    found = sequence_similarities(values, gains).set_index("source")["value"].to_dict()
    # Worth 1 to 4: a mean of 2.5 and a standard deviation of the root of 5 / 3.
    expected = {"mnli>ccg": 0.0, "squad1>ccg": 2 / (5 / 3) ** 0.5, "ccg>qqp": 9.0}
    assert found == pytest.approx(expected)
