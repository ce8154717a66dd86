"""Which order of intermediate tasks is best for a target, and how sure is that?

    python docs/examples/best_order.py RUN_DIR

Prints the leaderboard and what the best sequence is better than, with all comparisons accounted
for; draws the best sequences with their intervals.
"""

from __future__ import annotations

import sys

from analysis import compare_best, leaderboard, load_run, plots, selection_bias


def main(run_dir: str) -> None:
    """Answer the question for each target of a run."""
    run = load_run(run_dir)
    board = leaderboard(run)
    for target in dict.fromkeys(board["target"]):
        print(f"\n{target}: the best five of {(board['target'] == target).sum()} sequences")
        top = board[board["target"] == target].head(5)
        print(top[["sequence", "num_seeds", "score", "gain", "gain_low", "gain_high"]].round(1))

        # "not decided" is an answer: there are too few seeds to tell the two apart.
        compared = compare_best(run, target)
        print(f"\n{target}: the best against others")
        print(compared[["question", "reference", "difference", "p_adjusted", "verdict"]].round(2))
        print("wrote", plots.ranking(run, target).save(f"best_order-{target}.pdf"))

    # What was picked by a score is flattered by it: this is by how much.
    print("\nGain on the seed it was picked by, and on fresh seeds")
    bias = selection_bias(run)
    print(bias[["target", "sequence", "gain_selected", "gain_fresh", "optimism"]].round(1))


if __name__ == "__main__":
    main(*sys.argv[1:])
