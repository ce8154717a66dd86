"""The wheel holds all that an installation outside the checkout needs, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("spaces", "trainables", "search", "analysis")
DATA = (
    "spaces/*.yaml",
    "spaces/catalogue/**/*.yaml",
    "spaces/studies/*.yaml",
    "trainables/mini/model/*",
    "analysis/templates/*",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("taskorder-*.whl")
    return built


def in_checkout(pattern):
    return {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_modules_and_their_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = set().union(*(in_checkout(f"{package}/**/*.py") for package in PACKAGES))
    assert modules <= names
    for pattern in DATA:
        expected = in_checkout(pattern)
        assert expected, f"{pattern} matches nothing in the checkout"
        assert expected <= names
    foreign = {name for name in names if name.split("/")[0] not in PACKAGES}
    assert {name.split("/")[0] for name in foreign} == {
        re.sub(r"-py3.*", "", wheel.stem) + ".dist-info"
    }
    assert any(name.endswith("licenses/LICENSE") for name in foreign)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".log"))]


def test_the_command_and_the_ranges_are_declared(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {
        Path(name).name: archive.read(name).decode()
        for name in archive.namelist()
        if name.endswith(("METADATA", "entry_points.txt"))
    }
    assert "taskorder = search.cli:main" in texts["entry_points.txt"]
    assert "Requires-Python: >=3.11" in texts["METADATA"]


def test_the_catalogue_and_the_studies_are_found_outside_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import spaces, spaces.study, spaces.tasks;"
        "print(spaces.__file__);"
        "[spaces.study.load_study(name) for name in spaces.study.ready_made_studies()];"
        "print(len(spaces.tasks.load_catalogue()), *spaces.study.ready_made_studies())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    origin, listing = result.stdout.splitlines()
    assert Path(origin).is_relative_to(tmp_path)
    count, *studies = listing.split()
    assert int(count) == len(in_checkout("spaces/catalogue/**/*.yaml"))
    assert {f"spaces/studies/{name}.yaml" for name in studies} == in_checkout("spaces/studies/*")


def test_the_lock_pins_exactly_what_the_ranges_ask_for():
    lines = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    # A plain version: no index, no file, no local version that names one machine's build.
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line) for line in lines)
    pinned = {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text
