"""What the full studies of the papers cost, priced as ``taskorder check`` does.

    python benchmarks/price_studies.py [STUDY ...]

``check`` counts the training sets below the data root. Here their sizes are given, as the releases
have them, so that the figures of docs/reproduce.md can be made without the data. GPU time is of one
A100, by ``search.gpu_cost``; evaluation comes on top.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from search.gpu_cost import gpu_hours, round_to_two, stored_gb, work_of
from search.pricing import price
from spaces.model_axis import model_labels, study_of_model
from spaces.planner import Planner, TaskData
from spaces.stages import Stream
from spaces.study import Study, load_study
from trainables.memory_plan import model_shape
from trainables.preparation import study_streams

STUDIES = (
    "task-order",
    "morphology",
    "multilingual-tydiqa",
    "low-resource-mlm",
    "model-size",
    "stilts",
)

#: Training examples in one language.
SIZES = {
    "anli_plus": 1_104_934,
    "mnli": 392_702,
    "qqp": 363_846,
    "squad1": 87_599,
    "squad2": 130_319,
    "hellaswag": 39_905,
    "ccg": 38_015,
    "cosmosqa": 25_262,
    "commonsenseqa": 9_741,
    "siqa": 33_410,
    "copa": 400,
    "xnli": 392_702,
    "pawsx": 49_401,
    "udpos": 21_253,
    "panx": 20_000,
    "tydiqa": 3_696,
    # About so many; the last two are what the user has.
    "mewslix": 115_000,
    "bible": 30_000,
    "raw_text": 100_000,
}
#: Every task on English EWT has its sentences.
EWT = 12_543
#: Whose training set a target has.
TRAINED_ON = {"xquad": "squad1", "mlqa": "squad1", "lareqa": "squad1", "xcopa": "copa"}


def planner_of(study: Study) -> Planner:
    """Return a planner that takes the training sets to be as large as the releases'.

    Args:
        study: The study.
    """
    data = {str(stream): TaskData(_size(study, stream), "") for stream in study_streams(study)}
    return Planner(study, study.catalogue(), data, base="")


def rows(names: Iterable[str] = STUDIES) -> list[tuple[str, ...]]:
    """Return a row a study: name, trials, steps, GPU-hours, gigabytes; text."""
    found = []
    for name in names:
        study = load_study(name)
        planner = planner_of(study)
        priced = price(study, planner)
        assert priced.steps is not None
        shapes = {
            label: model_shape(study_of_model(study, label).model) for label in model_labels(study)
        }
        work = work_of(study, planner)
        pairs = [(work[label], shape) for label, shape in shapes.items() if shape is not None]
        hours = sum(gpu_hours(one, shape) for one, shape in pairs)
        stored = sum(stored_gb(one, shape) for one, shape in pairs)
        most = "<= " if study.search.num_trials else ""
        figures = (priced.trials, round_to_two(priced.steps.at_most))
        texts = (f"{most}{figure:,}" for figure in (*figures, round_to_two(hours)))
        found.append((name, *texts, f"{most}{round_to_two(stored):,}"))
    return found


def _size(study: Study, stream: Stream) -> int:
    name = TRAINED_ON.get(stream.task, stream.task)
    size = EWT if name.startswith("ud_") else SIZES.get(name, 0)
    limits = (stream.max_examples, study.training.max_train_examples)
    return min((size, *(limit for limit in limits if limit))) * max(1, len(stream.languages))


def main() -> None:
    """Print the rows as a Markdown table."""
    print("| study | trials | steps | A100-hours | checkpoints (GB) |")
    print("|---|---:|---:|---:|---:|")
    for row in rows(sys.argv[1:] or STUDIES):
        print(f"| `{row[0]}` | {' | '.join(row[1:])} |")


if __name__ == "__main__":
    main()
