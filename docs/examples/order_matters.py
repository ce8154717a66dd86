"""Does the order matter, or only which tasks are trained on?

    python docs/examples/order_matters.py RUN_DIR

Splits the differences between scores into set, order and seed, and says which of two tasks should
come first, all else alike.
"""

from __future__ import annotations

import sys

from analysis import load_run, plots, precedence_effects, recency_effects, variance_components


def main(run_dir: str) -> None:
    """Answer the question for each target of a run."""
    run = load_run(run_dir)

    # The part of the differences that is due to the order of the same tasks.
    print("What differences between scores are due to")
    parts = variance_components(run)
    print(parts[["target", "component", "sd", "share", "share_low", "share_high"]].round(2))

    # Effects are matched: the same stages, seed and settings, only this pair the other way round.
    print("\nThe first before the second, less the other way round")
    pairs = precedence_effects(run).sort_values("p_holm")
    columns = ["target", "first", "second", "effect", "effect_low", "effect_high", "p_holm"]
    print(pairs[columns].round(2))

    print("\nA task last, less the same task further up")
    last = recency_effects(run)
    print(last[["target", "stage", "effect", "effect_low", "effect_high", "p_holm"]].round(2))

    for target in dict.fromkeys(pairs["target"]):
        print("wrote", plots.precedence(run, target).save(f"order_matters-{target}.pdf"))


if __name__ == "__main__":
    main(*sys.argv[1:])
