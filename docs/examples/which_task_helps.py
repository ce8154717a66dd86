"""Which task helps which target and which language?

    python docs/examples/which_task_helps.py RUN_DIR [FIGURE]

Gains of each task alone by target and by language, what it adds on average to sequences, and
whether agglutinative languages gain more from the best sequence than others.
"""

from __future__ import annotations

import sys

from analysis import (
    language_breakdown,
    language_transfer,
    load_run,
    plots,
    task_importance,
    transfer_matrix,
)


def main(run_dir: str, figure: str = "which_task_helps.pdf") -> None:
    """Answer the question for a run."""
    run = load_run(run_dir)

    print("Gain of each task alone, over no intermediate task (points)")
    print(transfer_matrix(run).pivot(index="task", columns="target", values="gain").round(1))

    # Data that the search did not choose by: these gains are not flattered.
    found = language_transfer(run)
    held_out = found[~found["selected_on"]]
    print("\nThe same by language, on data the search did not choose by")
    by = {"index": ["target", "task"], "columns": ["language", "split"], "values": "gain"}
    print(held_out.pivot(**by).round(1))

    print("\nWhat a task adds on average to the sequences it is in (Shapley value)")
    worth = task_importance(run)
    columns = ["target", "task", "importance", "importance_low", "importance_high", "method"]
    print(worth[columns].round(1))

    print("\nThe best sequence by morphology; rest: less the gain of all other languages")
    groups = language_breakdown(run, "morphology")
    groups = groups[~groups["selected_on"]]
    print(groups[["target", "group", "gain", "rest", "rest_low", "rest_high"]].round(1))

    print("\nwrote", plots.transfer(run).save(figure))


if __name__ == "__main__":
    main(*sys.argv[1:])
