"""The task of one's own in docs/tasks.md on real Hausa files: read, trained and scored."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from spaces.sequences import Sequence
from spaces.tasks import load_catalogue
from tests.trainables import tiny
from trainables.data import count_examples, load_records
from trainables.preparation import prepare
from trainables.session import Session
from trainables.session_config import SessionConfig

REAL = os.environ.get("TASKORDER_DATA_ROOT")
PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
(TASK,) = [block for block in BLOCKS if block.startswith("name: masakhaner\n")]
(FROM_ENGLISH,) = [block for block in BLOCKS if block.startswith("train_task: panx\n")]

pytestmark = [
    pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT with masakhaner1"),
    pytest.mark.usefixtures("one_worker"),
    *tiny.DEEPSPEED_WARNINGS,
]


@pytest.fixture
def root(tmp_path):
    """Return a data root with PAN-X and a clone of MasakhaNER, as far as there are files of it.

    Hausa's training file is not among them: the dev file stands in for it.
    """
    clone = tmp_path / "root" / "masakhane-ner" / "data" / "hau"
    clone.mkdir(parents=True)
    real = Path(REAL) / "masakhaner1" / "hau"
    for name, source in {"train": "dev", "dev": "dev", "test": "test"}.items():
        (clone / f"{name}.txt").symlink_to(real / f"{source}.txt")
    (tmp_path / "root" / "panx").symlink_to(Path(REAL) / "panx")
    return tmp_path / "root"


def write_task(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "masakhaner.yaml").write_text(text, encoding="utf-8")
    return str(folder)


def from_english() -> str:
    """Return the task with the page's change: trained on PAN-X."""
    task = yaml.safe_load(TASK)
    del task["train_language"], task["files"]["train"]
    return yaml.safe_dump(task | yaml.safe_load(FROM_ENGLISH))


def test_the_hausa_files_are_read_whole(root, tmp_path):
    catalogue = load_catalogue((write_task(tmp_path / "tasks", TASK),))
    task = catalogue["masakhaner"]
    for split, num_sentences in (("dev", 276), ("test", 552)):
        records = load_records(task, split, "ha", data_root=root, catalogue=catalogue)
        lines = (root / f"masakhane-ner/data/hau/{split}.txt").read_text("utf-8").splitlines()
        words = [line.split() for line in lines if line.strip()]
        assert len(records) == num_sentences
        assert [token for record in records for token in record.tokens] == [w for w, _ in words]
        assert Counter(tag for record in records for tag in record.tags) == Counter(
            tag for _, tag in words
        )
    assert count_examples(task, "train", "ha", data_root=root, catalogue=catalogue) == 276


@pytest.mark.parametrize(
    ("text", "language"), [(TASK, "ha"), (from_english(), "en")], ids=["as it is", "from English"]
)
def test_it_trains_and_scores_as_any_other(text, language, root, tmp_path, tiny_model):
    study = tiny.study(
        tiny_model,
        task_folders=[write_task(tmp_path / "tasks", text)],
        intermediate={"tasks": ["masakhaner"], "max_length": 1},
        targets=["masakhaner"],
        training={"max_train_examples": 40, "max_eval_examples": 30},
    )
    preparation = prepare(study, root, tmp_path)
    config = SessionConfig(
        study,
        preparation.model_path,
        str(tmp_path / "store"),
        str(root),
        preparation.evaluation,
        "run-1",
    )
    plan = preparation.planner.plan(0, Sequence.of("masakhaner"), "masakhaner", seed=0)
    session = Session(config)
    (stage,) = [session.train_stage(stage, plan.base) for stage in plan.stages]
    rung = [session.run_rung(plan, number) for number in range(len(plan.budgets))][-1]
    session.close_engine()
    assert (stage.sequence, stage.steps, rung.budget_steps) == ("masakhaner", 4, 4)
    sets = {(score.language, score.split) for score in rung.scores}
    assert sets == {("ha", "dev"), ("ha", "test"), (language, "dev")}
    assert {score.metric for score in rung.scores} >= {"f1"}
    assert {score.num_examples for score in rung.scores} == {30}
    assert 0 <= rung.score <= 100
