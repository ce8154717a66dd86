"""Did the similarity of tasks predict what they gain?

    taskorder similarity STUDY --run-dir RUN_DIR --out DIR
    python docs/examples/similarity_predicts.py RUN_DIR DIR/similarity.csv

A similarity has a value of its own only if it ranks tasks better than their mean gain on the other
targets does.
"""

from __future__ import annotations

import sys

import pandas as pd

from analysis import (
    load_run,
    similarity_advantage,
    similarity_predictiveness,
    transfer_matrix,
)


def main(run_dir: str, similarities: str) -> None:
    """Answer the question for the measures of a file."""
    values = pd.read_csv(similarities)
    values = values[values["kind"] == "source_target"].dropna(subset=["value"])
    found = similarity_predictiveness(values, transfer_matrix(load_run(run_dir)), ks=[1])

    print("How well each measure ranks the tasks, mean over targets")
    mean = found[found["target"] == "all"]
    print(mean.pivot(index="measure", columns="statistic", values="value").round(2))

    print("\nAgainst ranking by the mean gain on the other targets")
    advantage = similarity_advantage(found)
    columns = ["measure", "statistic", "advantage", "advantage_low", "p_holm", "verdict"]
    print(advantage[columns].round(2))


if __name__ == "__main__":
    main(*sys.argv[1:])
