"""What is forgotten along a sequence, and what does one more stage change?

python docs/examples/what_is_forgotten.py RUN_DIR [FIGURE]
"""

from __future__ import annotations

import sys

from analysis import appended_effects, forgetting_curve, load_run, plots


def main(run_dir: str, figure: str = "what_is_forgotten.pdf") -> None:
    """Answer the question for a run."""
    run = load_run(run_dir)

    # Below 0: the target scores less once further stages have followed.
    print("Change of the target's score, by the last stage before and the stages after it")
    curve = forgetting_curve(run)
    columns = ["target", "stage", "num_appended", "change", "change_low", "change_high"]
    print(curve.loc[curve["stage"] != "", columns].round(1))

    print("\nWhat it changes to train on a further stage")
    added = appended_effects(run)
    print(added[["target", "stage", "change", "change_low", "change_high"]].round(1))

    print("\nwrote", plots.trie(run).save(figure))


if __name__ == "__main__":
    main(*sys.argv[1:])
