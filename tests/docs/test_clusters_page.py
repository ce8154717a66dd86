"""The files of docs/clusters are what they say they are."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.cli import app
from spaces.study_schema import StorageSection

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "clusters"
PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
SCRIPTS = ("ray-start.sh", "slurm.sbatch")

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def test_the_page_names_every_file_and_no_other() -> None:
    linked = set(re.findall(r"\]\(clusters/([\w.-]+)\)", PAGE))
    assert linked == {path.name for path in FOLDER.iterdir()}


def test_the_page_names_keys_that_exist() -> None:
    for key in re.findall(r"`storage\.(\w+)`", PAGE):
        assert key in StorageSection.model_fields, key


@needs_bash
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_parses(name: str) -> None:
    subprocess.run(["bash", "-n", str(FOLDER / name)], check=True)


def commands(text: str) -> list[list[str]]:
    """Every call of taskorder in a text."""
    joined = text.replace("\\\n", " ")
    return [
        call.split() for call in re.findall(r"\btaskorder ((?:launch|resume)[^;&\n']*)", joined)
    ]


@pytest.mark.parametrize("name", [*SCRIPTS, "kuberay-rayjob.yaml"])
def test_the_commands_and_their_options_exist(name: str) -> None:
    import typer  # noqa: PLC0415

    group: Any = typer.main.get_command(app)
    found = commands((FOLDER / name).read_text(encoding="utf-8"))
    assert found
    for command, *rest in found:
        options = {
            option for parameter in group.commands[command].params for option in parameter.opts
        }
        assert {word for word in rest if word.startswith("--")} <= options


def fake(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@needs_bash
@pytest.mark.parametrize("is_resumed", [False, True])
def test_the_sbatch_script_starts_a_node_each_and_launches_or_resumes(
    tmp_path: Path, is_resumed: bool
) -> None:
    """Run with stand-ins for SLURM and Ray, which tell what they were asked for."""
    tools = tmp_path / "bin"
    tools.mkdir()
    log = tmp_path / "log"
    fake(tools, "scontrol", "printf 'n1\\nn2\\nn3\\n'")
    fake(tools, "srun", f'echo "srun $*" >> {log}\ncase "$*" in *hostname*) echo 10.0.0.1 x;; esac')
    fake(tools, "python", "cat > /dev/null; echo 3")
    fake(tools, "taskorder", f'echo "taskorder $*" >> {log}; exit 7')
    run_dir = tmp_path / "run"
    if is_resumed:
        run_dir.mkdir()
        (run_dir / "study.yaml").touch()
    done = subprocess.run(
        ["bash", str(FOLDER / "slurm.sbatch")],
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "STUDY": "study.yaml",
            "RUN_DIR": str(run_dir),
            "SLURM_JOB_NODELIST": "n[1-3]",
            "SLURM_JOB_ID": "12345",
            "SLURM_CPUS_PER_TASK": "32",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    told = log.read_text(encoding="utf-8").splitlines()
    starts = sorted(line for line in told if "ray start" in line)
    assert len(starts) == 3
    assert "--nodelist=n1" in starts[0]
    assert "--head --node-ip-address=10.0.0.1 --port=32345" in starts[0]
    assert "--nodelist=n3" in starts[2]
    assert "--address=10.0.0.1:32345" in starts[2]
    call = f"resume {run_dir}" if is_resumed else f"launch study.yaml --run-dir {run_dir}"
    assert f"taskorder {call} --address 10.0.0.1:32345" in told


@needs_bash
def test_the_ssh_script_starts_the_head_first_and_stops_it_last(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    log = tmp_path / "log"
    fake(tools, "ssh", f'echo "$*" >> {log}\ncase "$*" in *hostname*) echo 10.0.0.1;; esac')
    script = ["bash", str(FOLDER / "ray-start.sh")]
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": "/home/user"}
    up = subprocess.run([*script, "up", "a", "b", "c"], env=env, check=True, capture_output=True)
    assert b"taskorder launch STUDY --address 10.0.0.1:6379" in up.stdout
    subprocess.run([*script, "down", "a", "b", "c"], env=env, check=True, capture_output=True)
    told = [line.split()[2] + " " + line.split()[-1] for line in log.read_text().splitlines()]
    assert [line.split()[0] for line in told] == ["a", "a", "b", "c", "b", "c", "a"]
    assert subprocess.run([*script, "up"], env=env, check=False, capture_output=True).returncode


def test_the_ray_job_is_one() -> None:
    """What the RayJob's schema requires, and what would go wrong without it."""
    job = yaml.safe_load((FOLDER / "kuberay-rayjob.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    cluster = job["spec"]["rayClusterSpec"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert f"\nray=={cluster['rayVersion']}\n" in lock
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        (container,) = pod["containers"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", container["name"])
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        for asked in container["resources"].values():
            assert all(isinstance(value, str) for value in asked.values())
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
