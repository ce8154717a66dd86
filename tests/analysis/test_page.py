from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from datetime import timedelta
from html.parser import HTMLParser

import pytest
import yaml
from typer.testing import CliRunner

from analysis import load_run
from analysis.comparisons import compare_best
from analysis.findings import findings
from analysis.page import all_pictures, render_page, write_page
from analysis.page_parts import study_of, trials_of
from analysis.report import render_latex, write_report
from analysis.statistics import leaderboard
from analysis.verdicts import comparisons_table, lead_of
from analysis.wording import number
from search.cli import app
from spaces.errors import InputError
from tests.analysis.landscapes import sequences
from tests.analysis.runs import START, STUDY, write_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NASTY = "</script><script>alert('1')</script>&\"$x$ \u00fcber"
EMPTY_ELEMENTS = {"meta", "link", "br", "img", "input"}


def make_run(folder, num_trials, targets=("tags", "spans"), extra=()):
    """Write a run whose trials go round the targets, with rungs, scores by language and stages."""
    names = sequences(("a_task", "b_task", "c_task", "d_task", "e_task", NASTY[:9]), 3)
    rows, scores, rungs = [], [], []
    for i in range(num_trials):
        target, j = targets[i % len(targets)], i // len(targets)
        name, seed = names[j % len(names)], j // len(names)
        pruned = name.count(">") and j % 3 == 1
        phase = "baseline" if name.count(">") == 0 else "confirm" if seed else "search"
        rows.append(
            {"target": target, "sequence": name, "seed": seed, "phase": phase}
            | {"state": "pruned" if pruned else "complete", "rung": 0 if pruned else 2}
            | {"score": 50.0 + (j * 7) % 13 + seed, "steps_reused": 10 * name.count(">")}
            | {"started_at": START + timedelta(seconds=2 * i)}
            | {"finished_at": START + timedelta(seconds=2 * i + 7)}
        )
        rungs += [
            {"trial_id": i, "target": target, "rung": rung, "budget_steps": 10 * 3**rung}
            | {"score": rows[-1]["score"] - 5 * (2 - rung)}
            | {"decision": ("stop" if pruned else "complete") if rung == last else "promote"}
            | {"reported_at": START + timedelta(seconds=2 * i + 2 * rung + 3)}
            for last in (rows[-1]["rung"],)
            for rung in range(last + 1)
        ]
        scores += [
            {"trial_id": i, "target": target, "language": language, "value": 40.0 + j % 9}
            for language in ("de", "fi", NASTY)
        ]
    stages = [
        {"fingerprint": str(i), "sequence": name, "times_reused": i % 7}
        for i, name in enumerate(names)
    ]
    study = {
        **STUDY,
        "name": NASTY,
        "targets": [{"name": name} for name in targets],
        "storage": {"optuna": "mysql://user:secret@host/db"},
        "resolved": {"versions": {"torch": "2.5"}},
    }
    trials = [*rows, *extra]
    tables = {"trials": trials, "scores": scores, "stages": stages, "rungs": rungs}
    return load_run(write_run(folder, study, **tables))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    failed = {"sequence": "a_task", "state": "failed", "rung": -1, "error": NASTY}
    return make_run(tmp_path_factory.mktemp("page") / "run", 400, extra=[failed])


@pytest.fixture(scope="module")
def page(run):
    return render_page(run)


class Reader(HTMLParser):
    """Collects elements, and fails on one that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)


def test_the_page_loads_nothing(page):
    elements = Reader(page).elements
    for tag, attributes in elements:
        for name in ("src", "href", "data", "poster"):
            value = attributes.get(name) or ""
            assert value == "data:," or value.startswith("#") or not value, (tag, attributes)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    (policy,) = [a["content"] for t, a in elements if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_what_the_run_supplies_is_text(page):
    reader = Reader(page)
    assert [tag for tag, _ in reader.elements].count("script") == 1
    assert not [name for _, a in reader.elements for name in a if name.startswith("on")]
    assert NASTY in " ".join(reader.text)
    assert "alert('1')" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_ids_are_unique_and_links_lead_somewhere(page):
    elements = Reader(page).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for tag, a in elements if tag == "a"]
    assert set(links) <= set(ids)
    for name in re.findall(r"url\(#([^)]+)\)", page):
        assert name in ids


def test_the_answer_comes_first_and_every_finding_is_there(run, page):
    text = " ".join(" ".join(Reader(page).text).split())
    places = [text.index(words) for words in ("over no intermediate task", "How sure this is")]
    assert places == sorted(places)
    for section in findings(run):
        assert " ".join(section.title.split()) in text
        for paragraph in section.paragraphs:
            assert " ".join(paragraph.split()) in text
        if section.table:
            for row in section.table.rows:
                assert all(" ".join(cell.split()) in text for cell in row)


def test_the_lead_of_each_answer_stands_out(run, page):
    leads = re.findall(r'<span class="lead">(.*?)</span>', page)
    best = leaderboard(run)[lambda board: board["rank"] == 1].to_dict("records")
    assert [html.unescape(lead) for lead in leads] == [lead_of(row) for row in best]
    assert len(leads) == 2


def test_the_numbers_of_the_page_are_those_of_the_frames(run):
    compared = compare_best(run)
    rows = comparisons_table(compared).rows
    assert [row[3] for row in rows] == [number(x, sign=True) for x in compared["difference"]]
    assert [row[2] for row in rows] == list(compared["verdict"])
    listed = trials_of(run).rows
    assert len(listed) == len(run.trials)
    score = {str(row.trial_id): number(row.score) for row in run.trials.itertuples()}
    assert all(row[7] == score[row[4]] for row in listed)
    names = [picture.name for _, picture in all_pictures(run)]
    assert {"trie", "ranking", "transfer", "survival", "timeline", "order"} <= set(names)


def test_a_password_is_not_passed_on_and_the_study_is_whole(run, page):
    assert "secret" not in page
    study, resolved = study_of(run)
    assert yaml.safe_load(study)["select_on"] == run.study["select_on"]
    assert yaml.safe_load(resolved) == run.study["resolved"]


@pytest.mark.parametrize("rows", [[], [{"state": "running", "rung": -1, "finished_at": None}]])
def test_a_run_without_results_has_a_page(tmp_path, rows):
    page = render_page(load_run(write_run(tmp_path / "run", trials=rows)))
    Reader(page)
    assert "so there is no answer" in page


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Give another folder"):
        write_page(run, tmp_path / "file" / "report.html")


def test_the_folder_has_page_markdown_latex_and_pictures(tmp_path):
    run = make_run(tmp_path / "run", 60, targets=("tags",))
    out = tmp_path / "out"
    written = write_report(run, out, "svg")
    assert sorted(path.name for path in written) == sorted(path.name for path in out.iterdir())
    assert {"report.html", "report.md", "report.tex", "trie-tags.svg"} <= {p.name for p in written}
    latex = render_latex(run)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") >= 4
    best = leaderboard(run).iloc[0]
    assert f"{best['score']:.1f}" in latex
    with pytest.raises(InputError, match="gif"):
        write_report(run, out, "gif")


@pytest.mark.slow
def test_a_run_of_1000_trials_is_a_page_below_5_mb(tmp_path):
    run = make_run(tmp_path / "run", 1000, targets=("one", "two", "three", "four"))
    assert len(render_page(run).encode()) < 5_000_000


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_the_page_into_the_run_directory_or_elsewhere(tmp_path):
    folder = make_run(tmp_path / "run", 30, targets=("tags",)).path
    done = command("report", folder)
    assert done.exit_code == 0
    assert f"wrote {folder / 'report.html'}" in done.output.replace("\n", "")
    Reader((folder / "report.html").read_text(encoding="utf-8"))
    (folder / "report.html").unlink()
    assert command("report", folder, "--out", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert not (folder / "report.html").exists()
    refused = command("report", folder, "--pictures", "pdf")
    assert isinstance(refused.exception, InputError)
    assert "--out" in str(refused.exception)


def test_watching_a_run_that_has_ended_shows_it_once(tmp_path):
    rows = [{"score": 1, "phase": phase} for phase in ("baseline", "search", "confirm")]
    folder = write_run(tmp_path / "run", trials=rows)
    done = command("status", folder, "--watch", "--json")
    assert [json.loads(line)["finished"] for line in done.output.splitlines()] == [True]
    assert "finished" in command("status", folder, "--watch").output


MEASURE = """
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  const pictures = [...page.querySelectorAll(".picture svg")].map((svg) => {
    const box = svg.getBoundingClientRect();
    const marks = svg.querySelectorAll("circle, rect, path").length;
    return { width: box.width, height: box.height, marks };
  });
  const table = page.querySelector("#trials table");
  const heading = [...table.tHead.rows[0].cells].find((c) => c.textContent === "score");
  const button = heading.querySelector("button");
  button.focus();
  const focused = page.activeElement === button;
  const read = () => [...table.tBodies[0].rows].map((r) => r.cells[heading.cellIndex].textContent);
  button.click(); const down = read();
  button.click(); const up = read();
  const scrollers = [...page.querySelectorAll(".scroll")].filter((e) => e.tabIndex !== 0).length;
  const unnamed = [...page.querySelectorAll("[role=region], [role=img]")]
    .filter((e) => !e.getAttribute("aria-label")).length;
  const found = { pictures, focused, down, up, scrollers, unnamed, wide: root.scrollWidth,
    inner: frame.contentWindow.innerWidth, injected: frame.contentWindow.injected ?? null };
  document.querySelector("pre").textContent = JSON.stringify(found);
};
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_in_a_browser(page, tmp_path, width):
    # A frame may be as narrow as a phone, which a window may not; the page itself is untouched.
    around = tmp_path / "around.html"
    around.write_text(
        f"<meta charset=utf-8><script>addEventListener('DOMContentLoaded', () => {{{MEASURE}}})"
        f"</script><iframe style='width:{width}px;height:800px;border:0' "
        f'srcdoc="{html.escape(page)}"></iframe><pre></pre>',
        encoding="utf-8",
    )
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,900",
        "--virtual-time-budget=20000", "--dump-dom", around.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert console == []
    found = json.loads(html.unescape(re.search(r"<pre>(.*)</pre>", done.stdout, re.DOTALL)[1]))
    assert found["wide"] <= found["inner"] == width
    assert len(found["pictures"]) == page.count("<svg") > 10
    for picture in found["pictures"]:
        assert picture["width"] > 200
        assert picture["height"] > 40
        assert picture["marks"] > 1
    assert found["focused"]
    assert found["scrollers"] == found["unnamed"] == 0
    scores = [float(text) for text in found["up"] if text != "-"]
    assert scores == sorted(scores)
    assert [float(text) for text in found["down"] if text != "-"] == scores[::-1]
    assert found["up"][-1] == found["down"][-1] == "-"
