"""What a recorded table holds: gain, order, seeds and harm, at the largest budget.

    python benchmarks/landscape.py [TABLE] [--harmful mini_noise]

For each target and for their average. ``gain`` is the best sequence's mean over seeds less the
empty one's; it is chosen on the same figures, so it flatters. ``range`` is the mean, over sets of
tasks, of the best order's mean less the worst's; ``order SD`` is the standard deviation between
orders of a set with the noise of the seeds taken off (a variance component), and ``p`` belongs to
the F test that there is none. ``seed SD`` is pooled over sequences. ``harm`` is the mean change
when the harmful task is put after a sequence.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from scipy import stats

DEFAULT = Path(__file__).parent / "data" / "mini_table.csv"
AVERAGE = "average"


def final_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return the scores at the largest budget: a row a (sequence, seed), a column a target.

    Args:
        table: A recorded table.
    """
    table = table.assign(sequence=table["sequence"].fillna(""))
    last = table.groupby("target")["budget_steps"].transform("max")
    scores = table[table["budget_steps"] == last].pivot_table(
        index=["sequence", "seed"], columns="target", values="score"
    )
    return scores.assign(**{AVERAGE: scores.mean(axis=1)})


def describe(scores: pd.Series, harmful: str) -> dict[str, float | str]:
    """Return a column's figures, in points.

    Args:
        scores: Scores by (sequence, seed), every sequence at the same seeds.
        harmful: Name of the harmful task.
    """
    wide = scores.unstack("seed")
    means, seeds = wide.mean(axis=1), wide.shape[1]
    seed_variance = float(wide.var(axis=1).mean())
    ordered = means[[("+" not in name) and name != "" for name in means.index]]
    sets: dict[frozenset[str], list[float]] = {}
    for name, mean in ordered.items():
        sets.setdefault(frozenset(str(name).split(">")), []).append(mean)
    several = [pd.Series(values) for values in sets.values() if len(values) > 1]
    between = sum(float(v.var()) * (len(v) - 1) for v in several)
    freedom = sum(len(v) - 1 for v in several)
    ratio = between / freedom / (seed_variance / seeds)
    after = [
        means[name] - means[str(name).rpartition(">")[0]]
        for name in ordered.index
        if str(name).split(">")[-1] == harmful
    ]
    best = str(ordered.idxmax())
    return {
        "empty": float(means[""]),
        "best": best,
        "gain": float(ordered.max() - means[""]),
        "range": float(sum(v.max() - v.min() for v in several) / len(several)),
        "order SD": max(0.0, between / freedom - seed_variance / seeds) ** 0.5,
        "p": float(stats.f.sf(ratio, freedom, len(means) * (seeds - 1))),
        "seed SD": seed_variance**0.5,
        "harm": float(sum(after) / len(after)),
    }


def main() -> None:
    """Print the figures of every target and of their average."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--harmful", default="mini_noise")
    arguments = parser.parse_args()
    scores = final_scores(pd.read_csv(arguments.table))
    rows = {name: describe(scores[name], arguments.harmful) for name in scores.columns}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    print(
        frame.to_string(
            float_format=lambda value: f"{value:.1g}" if 0 < value < 0.1 else f"{value:.1f}"
        )
    )


if __name__ == "__main__":
    main()
