"""Every number of the report's page is one of the frames: found by parsing the page."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from analysis import (
    compare_best,
    cost_summary,
    incumbent_curve,
    language_scores,
    language_transfer,
    leaderboard,
    load_run,
    precedence_effects,
    pruning_cost,
    rung_survival,
    selection_bias,
    task_importance,
    transfer_matrix,
    utilisation,
    variance_components,
)
from analysis.page import render_page
from analysis.questions import answer_question
from analysis.timeline import timeline
from analysis.wording import spell
from tests.analysis.page_text import is_among, numbers_of, texts_of, without
from tests.analysis.questions.landscape import arms_run
from tests.analysis.synthetic import write_synthetic_run

pytestmark = pytest.mark.slow

#: What is said of a statistic, and no result: levels, counts of words, budgets of a table.
CONSTANTS = (r"95 ?%", r"at 5%", r"\bper cent\b")
#: Columns of a page's table to those of the frame it shows.
LEADERBOARD = {"rank": "rank", "seeds": "num_seeds", "score": "score", "over none": "gain"}
LANGUAGES = {"score": "score", "without": "score_none", "gain": "gain", "examples": "num_examples"}
TRIALS = {
    "trial": "trial_id",
    "seed": "seed",
    "rung": "rung",
    "score": "score",
    "steps": "steps_trained",
    "spared": "steps_reused",
    "time": "wall_s",
}
COST = {
    "trials": "num_trials",
    "complete": "complete",
    "pruned": "pruned",
    "failed": "failed",
    "steps": "steps_trained",
    "spared": "steps_reused",
    "trial time": "wall_s",
}
COMPARED = {
    "difference": ("difference",),
    "95% interval": ("difference_low", "difference_high"),
    "p": ("p_adjusted",),
    "seeds": ("num_pairs",),
}


FLATTERED = {
    "picked": "gain_selected",
    "fresh seeds": "gain_fresh",
    "flattered by": "optimism",
    "held out": "gain_held_out",
}
ORDER = {
    "share": ("share",),
    "95% interval": ("share_low", "share_high"),
    "sd": ("sd",),
    "p": ("p",),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_synthetic_run(tmp_path_factory.mktemp("numbers") / "run")
    path = folder / "tables" / "trials.parquet"
    trials = pd.read_parquet(path)
    failed = {"trial_id": len(trials), "state": "failed", "rung": -1, "score": math.nan}
    lost = trials.tail(1).assign(**failed, error="no room left on device 3")
    pd.concat([trials, lost]).to_parquet(path, index=False)
    return load_run(folder)


@pytest.fixture(scope="module")
def page(run):
    return render_page(run)


def values_of(*frames):
    """Return every number of some frames."""
    found = []
    for frame in frames:
        numeric = frame.select_dtypes(include=["number", "bool"])
        found += [float(value) for value in numeric.to_numpy(dtype=float).ravel()]
    return sorted({value for value in found if not math.isnan(value)})


def estimate_of(row, name):
    """Return an estimate, and half its interval if it has one."""
    found = [float(row[name])]
    if f"{name}_low" in row:
        found += [(row[f"{name}_high"] - row[f"{name}_low"]) / 2]
    return found


class Tracer:
    """Knows what each place of the page is made of."""

    def __init__(self, run):
        self.run = run
        self._pools = {}
        trials = run.trials
        self.board = leaderboard(run)
        self.compared = compare_best(run)
        self.cost = cost_summary(run)
        self.flattered = selection_bias(run)
        self.components = variance_components(run)
        self.targets = list(dict.fromkeys(self.board["target"]))
        sequences = set(trials["sequence"])
        names = {spell(name) for name in sequences} | sequences | set(run.scores["language"])
        names |= {spell(name, "all") for name in sequences} | set(run.scores["metric"])
        names |= {stage for name in sequences for stage in name.split(">") if stage}
        self.names = names | set(trials["target"]) | {run.name, *filter(None, trials["error"])}
        self.figures = {
            "all-transfer": (transfer_matrix(run),),
            "all-incumbents-steps": (incumbent_curve(run),),
            "all-incumbents-time": (incumbent_curve(run),),
            "all-timeline": (timeline(run),),
            "all-utilisation": (utilisation(run),),
        }
        survival = rung_survival(run)
        for i, target in enumerate(self.targets, start=1):
            effects = precedence_effects(run, target)
            # A pair is shown the way round that is positive, or both ways.
            mirrored = effects.assign(
                effect=-effects["effect"],
                effect_low=-effects["effect_high"],
                effect_high=-effects["effect_low"],
            )
            reached = run.rungs[run.rungs["target"] == target]
            self.figures |= {
                f"t{i}-trie": (leaderboard(run, target), run.stages, reached),
                f"t{i}-ranking": (leaderboard(run, target),),
                f"t{i}-order": (effects, mirrored),
                f"t{i}-precedence": (effects, mirrored),
                f"t{i}-importance": (task_importance(run, target),),
                f"t{i}-languages": (language_transfer(run, target),),
                f"t{i}-survival": (survival[survival["target"] == target], reached),
            }

    def pool(self, text):
        """Return the numbers that may stand at a place."""
        if text.figure:
            place = (text.figure, text.column)
            if place not in self._pools:
                self._pools[place] = self._of_figure(text)
            return self._pools[place]
        if text.table:
            return self._of_table(text)
        trials, board = self.run.trials, self.board
        counts = [len(trials), trials["target"].nunique(), trials["sequence"].nunique()]
        counts += [len(board), trials["seed"].nunique(), int((board["num_seeds"] < 2).sum())]
        counts += [int((board["num_seeds"] > 1).sum())]
        counts += [*trials["state"].value_counts().tolist(), 0]
        if text.section.startswith("target-"):
            target = self.targets[int(text.section.partition("-")[2]) - 1]
            return [int((board["target"] == target).sum()), 5]  # The table's rows, of all.
        if text.section == "answer":
            best = board[board["rank"] == 1][["score", "num_seeds"]]
            return values_of(best, self.compared)
        if text.section == "sure":
            order = self.components[self.components["component"] == "order"]
            return [*counts, *values_of(order[["share", "p"]])]
        stages = self.run.stages
        pruned = pruning_cost(self.run)
        counts += values_of(pruned[pruned["target"] == "all"])
        sums = [len(stages), int(stages["times_trained"].sum()), int(stages["times_reused"].sum())]
        return [*values_of(self.cost), *counts, *sums]

    def _of_figure(self, text):
        frames = self.figures[text.figure]
        if text.kind == "td":
            # A column of the picture's table is the column of that name.
            found = [f[[text.column]] for f in frames if text.column in f]
            if found and not text.figure.endswith("trie"):
                return values_of(*found)
        values = values_of(*frames)
        name = text.figure.partition("-")[2]
        if name == "trie":
            values += self._of_prefixes(self.targets[int(text.figure[1]) - 1])
        if name == "timeline":
            started = frames[0]["started_at"].min()
            values += list((frames[0]["ended_at"] - started).dt.total_seconds())
            values += list((frames[0]["started_at"] - started).dt.total_seconds())
            values += [float(n) for n in range(5)]  # Lanes.
        if name == "utilisation":
            started = frames[0]["started_at"].min()
            values += list((frames[0]["started_at"] - started).dt.total_seconds())
            values += [frames[0]["busy"].sum() / frames[0]["slots"].sum()]
        if name == "importance":
            values += [1.0]
        return values

    def _of_prefixes(self, target):
        """Return what the trie adds to the leaderboard: scores at early rungs, sums over seeds."""
        trials = self.run.trials[self.run.trials["target"] == target]
        reached = self.run.rungs.merge(trials[["trial_id", "sequence", "seed"]], on="trial_id")
        scores = reached.groupby(["sequence", "rung", "seed"])["score"].mean()
        none = scores.loc[""]
        gains = (scores - none.reindex(scores.index.droplevel("sequence")).to_numpy()).dropna()
        uses = self.run.stages.groupby("sequence")[["times_reused", "times_trained"]].sum()
        by_rung = [s.groupby(["sequence", "rung"]).mean() for s in (scores, gains)]
        counts = trials["sequence"].value_counts()
        return [*by_rung[0], *by_rung[1], *values_of(uses), *counts, 0.0, -1.0, 3.0]

    def _of_table(self, text):
        if text.table == "Trials":
            ordered = self.run.trials.sort_values(
                ["target", "score"], ascending=[True, False], kind="stable"
            )
            return [float(ordered.iloc[text.row][TRIALS[text.column]])]
        if text.table.startswith("Failed trials"):
            failed = self.run.trials[self.run.trials["state"] == "failed"]
            return [float(failed.iloc[text.row]["trial_id"])]
        if text.section == "cost":
            return [float(self.cost.iloc[text.row][COST[text.column]])]
        if text.section == "sure":
            return self._of_certainty(text)
        target = self.targets[int(text.section.partition("-")[2]) - 1]
        if text.table.endswith("leaderboard"):
            board = self.board[self.board["target"] == target]
            board = board[(board["rank"] <= 5) | (board["baseline"] != "")]
            row = board.iloc[text.row]
            return estimate_of(row, LEADERBOARD.get(text.column, "gain_over_all"))
        best = self.board[self.board["target"] == target]["sequence"].iloc[0]
        scores = language_scores(self.run, target, best)
        scores = scores[~scores["selected_on"]]
        return [float(scores.iloc[text.row][LANGUAGES[text.column]])]

    def _of_certainty(self, text):
        if text.table == "How much picking flattered":
            return estimate_of(self.flattered.iloc[text.row], FLATTERED[text.column])
        about_order = text.table == "Does the order matter?"
        row = (self.components if about_order else self.compared).iloc[text.row]
        return [float(row[name]) for name in (ORDER if about_order else COMPARED)[text.column]]

    def untraced(self, text):
        """Return the numbers of a text that are none of its place's."""
        if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text.content):
            moments = [f[text.column] for f in self.figures[text.figure] if text.column in f]
            known = {f"{moment:%Y-%m-%d %H:%M:%S}" for found in moments for moment in found}
            return [text.content] if text.content not in known else []
        content = without(text.content, self.names)
        for constant in CONSTANTS:
            content = re.sub(constant, "·", content)
        found = list(numbers_of(content))
        if not found:
            return []
        pool = self.pool(text)
        return [
            written
            for written, value, half in found
            if not is_among(value, half, pool)
            and not (f"< {written}" in text.content and any(0 < known < value for known in pool))
        ]


def is_result(text):
    """Whether a text is more than an axis, a title or code to copy."""
    if text.kind in ("pre", "h1", "h2", "th", "summary", "a"):
        return False
    is_axis = text.kind == "text" and (text.muted or text.content[:1].isdigit())
    return not (is_axis and re.fullmatch(r"[-+\d.,]+|rung \d+: .*|.* stages?", text.content))


def test_every_number_of_the_page_is_one_of_the_frames(run, page):
    tracer = Tracer(run)
    texts = [text for text in texts_of(page) if is_result(text)]
    wrong = [(t.section, t.figure, t.kind, t.column, t.content, tracer.untraced(t)) for t in texts]
    assert [entry for entry in wrong if entry[-1]] == []
    numbers = [n for t in texts for n in numbers_of(without(t.content, tracer.names))]
    assert len(numbers) > 3000


def test_the_tracer_finds_a_number_that_is_not_of_the_frames(run, page):
    """The test above can fail: a number that is changed in its second digit is found."""
    tracer = Tracer(run)
    rng = random.Random(0)
    missed = defaultdict(list)
    texts = [t for t in texts_of(page) if is_result(t) and t.kind in ("td", "p", "title")]
    texts = [t for t in texts if re.fullmatch(r"[+-]?\d+\.\d+", t.content) or t.kind != "td"]
    for text in rng.sample(texts, 300):
        found = list(numbers_of(without(text.content, tracer.names)))
        decimals = [written for written, _, _ in found if "." in written]
        if not decimals:
            continue
        written = rng.choice(decimals)
        changed = written[:-1] + str((int(written[-1]) + 5) % 10)
        content = text.content.replace(written, changed)
        moved = type(text)(**{**text.__dict__, "content": content})
        missed[text.kind].append(not tracer.untraced(moved))
    assert np.mean([miss for kind in missed for miss in missed[kind]]) < 0.2
    assert len(missed["td"]) > 100


def test_ticks_are_evenly_spaced_and_scales_end_at_their_numbers(run, page):
    tracer = Tracer(run)
    axes = defaultdict(list)
    for text in texts_of(page):
        if text.kind != "text" or not text.muted:
            continue
        if re.fullmatch(r"-?[\d,]+(\.\d+)?", text.content):
            value = float(text.content.replace(",", ""))
            axes[text.figure, text.anchor].append(value)
        elif text.content.startswith(("gain, points", "effect, points")):
            ((_, value, half),) = numbers_of(text.content)
            assert is_among(value, half, tracer.pool(text))
    assert axes
    for values in axes.values():
        assert np.ptp(np.diff(values)) == pytest.approx(0, abs=1e-9)


def test_facts_are_counts_of_the_trials(run, page):
    texts = [t for t in texts_of(page) if t.section == "head" and t.kind in ("dt", "dd")]
    facts = {a.content: b.content for a, b in zip(texts[::2], texts[1::2], strict=True)}
    trials = run.trials
    assert facts["trials"] == str(len(trials))
    assert facts["sequences tried"] == str(trials["sequence"].nunique())
    assert facts["targets"] == str(trials["target"].nunique())
    assert facts["training steps"] == f"{trials['steps_trained'].sum():,}"
    assert isinstance(trials, pd.DataFrame)


def test_every_number_of_the_answer_to_a_question_is_one_of_its_rows(tmp_path):
    def gain(sequence, target, language, model):
        return 3.0 if "ud_" in sequence and language in ("fi", "tr", "hu") else 0.0

    languages = {"udpos": ("en", "fi", "tr", "hu", "de", "es", "ru")}
    run = arms_run(tmp_path / "run", "morphology", ("ud_feats", "mnli"), gain, languages=languages)
    answer = answer_question(run)
    estimates = [finding.estimate for finding in answer.findings]
    pool = [value for e in estimates for value in (e.mean, e.low, e.high)]
    shown = answer.rows if answer.shown is None else answer.shown
    pool = [value for value in pool if not math.isnan(value)] + values_of(answer.rows, shown)
    texts = [t for t in texts_of(render_page(run)) if t.section == "question" and is_result(t)]
    names = Tracer(run).names
    found = []
    for text in texts:
        content = without(text.content, names)
        found += [(text.content, *entry) for entry in numbers_of(re.sub("95 ?%", "", content))]
    assert len(found) > 5
    assert [entry for entry in found if not is_among(entry[2], entry[3], pool)] == []
