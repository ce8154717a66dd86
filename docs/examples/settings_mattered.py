"""Which hyperparameters mattered, and was the difference more than noise?

python docs/examples/settings_mattered.py RUN_DIR
"""

from __future__ import annotations

import sys

from analysis import hyperparameter_importance, load_run, variance_components


def main(run_dir: str) -> None:
    """Answer the question for a run that searched hyperparameters."""
    run = load_run(run_dir)

    # Shares add up to 1, the stages by position counted in: one alone would be 1 whatever it does.
    print("Share of the differences between scores, by hyperparameter and stage")
    found = hyperparameter_importance(run, stages=True, evaluator="ped_anova")
    columns = ["target", "parameter", "importance", "importance_low", "importance_high"]
    print(found[columns].round(2))

    print("\nTo compare: the standard deviation of a seed and of what is left (points)")
    parts = variance_components(run)
    noise = parts[parts["component"].isin(["seed", "residual"])]
    print(noise[["target", "component", "sd"]].round(2))


if __name__ == "__main__":
    main(*sys.argv[1:])
