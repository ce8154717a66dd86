"""What did the search cost, what did it save, and can its pruning be trusted?

python docs/examples/search_cost.py RUN_DIR [FIGURE]
"""

from __future__ import annotations

import sys

from analysis import (
    cost_summary,
    load_run,
    plots,
    pruning_cost,
    rung_agreement,
    stage_savings,
    utilisation,
)


def main(run_dir: str, figure: str = "search_cost.pdf") -> None:
    """Answer the question for a run."""
    run = load_run(run_dir)

    print("Trials and steps by phase; reused: steps that the stage store spared")
    cost = cost_summary(run)
    print(cost[["num_trials", "pruned", "steps_trained", "steps_reused", "share_saved"]].round(2))

    print("\nWhat pruning saved: steps that its trials would have gone on for")
    pruned = pruning_cost(run)
    print(
        pruned[["target", "num_pruned", "steps_spent", "steps_to_finish", "share_saved"]].round(2)
    )

    # A low correlation says that good sequences may have been given up early.
    print("\nRank correlation of the score at a rung and at the end")
    agreement = rung_agreement(run)
    print(agreement[["target", "rung", "spearman", "spearman_low", "num_trials"]].round(2))

    print("\nStages by their place in the sequence (0: all)")
    saved = stage_savings(run)
    print(saved[["num_stages", "num_checkpoints", "times_reused", "steps_saved"]])

    busy = utilisation(run)
    print(f"\nSlots were busy {busy['busy'].sum() / busy['slots'].sum():.0%} of the time.")
    print("wrote", plots.incumbents(run).save(figure))


if __name__ == "__main__":
    main(*sys.argv[1:])
